"""How often a daemon has said that it lives: fewer than it knows of is a database that went back."""

import sqlalchemy as sa
from alembic import op

revision = "0045_beat_count"
down_revision = "0044_parked_inputs"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column."""
    op.add_column("daemons", sa.Column("beat_count", sa.Integer(), server_default="0"))


def downgrade() -> None:
    """Drop it."""
    op.drop_column("daemons", "beat_count")
