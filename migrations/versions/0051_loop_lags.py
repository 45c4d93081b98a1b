"""How late each daemon's loop was by the minute, of its last hour: System draws it."""

import sqlalchemy as sa
from alembic import op

revision = "0051_loop_lags"
down_revision = "0050_state_unmeasured"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column."""
    op.add_column("daemons", sa.Column("loop_lags", sa.JSON))


def downgrade() -> None:
    """Drop it."""
    op.drop_column("daemons", "loop_lags")
