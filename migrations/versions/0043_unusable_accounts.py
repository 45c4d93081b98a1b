"""The accounts whose rows a daemon does not use, by what its own file allows."""

import sqlalchemy as sa
from alembic import op

revision = "0043_unusable_accounts"
down_revision = "0042_collection_requests"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column."""
    op.add_column("daemons", sa.Column("unusable_accounts", sa.Text()))


def downgrade() -> None:
    """Drop it."""
    op.drop_column("daemons", "unusable_accounts")
