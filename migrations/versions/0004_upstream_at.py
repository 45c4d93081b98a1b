"""Attempts keep what the upstream's own clock showed when they were claimed."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

MOMENT = sa.TIMESTAMP(timezone=True).with_variant(sa.Text(), "sqlite")


def upgrade() -> None:
    """Add the column; attempts of before have none, and are searched for more widely."""
    op.add_column("attempts", sa.Column("upstream_at", MOMENT))


def downgrade() -> None:
    """Drop the column."""
    op.drop_column("attempts", "upstream_at")
