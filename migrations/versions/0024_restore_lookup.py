"""What waited in a backup is looked for, and which of the upstream's jobs nobody here knows is kept."""

import sqlalchemy as sa
from alembic import op

revision = "0024_restore_lookup"
down_revision = "0023_process"
branch_labels = None
depends_on = None

MOMENT = sa.TIMESTAMP(timezone=True).with_variant(sa.Text(), "sqlite")


def upgrade() -> None:
    """Add the columns; what was settled before is through."""
    op.add_column("restores", sa.Column("looked_at", MOMENT))
    op.add_column("restores", sa.Column("unknown_jobs", sa.Text))
    op.execute("UPDATE restores SET looked_at = settled_at")


def downgrade() -> None:
    """Drop them."""
    op.drop_column("restores", "unknown_jobs")
    op.drop_column("restores", "looked_at")
