"""An index of the runs that failed or were missed, by when."""

import sqlalchemy as sa
from alembic import op

revision = "0011_lost_runs"
down_revision = "0010_defined_in"
branch_labels = None
depends_on = None

_LOST = sa.text("(state = 'failed' OR state = 'skipped' AND reason = 'missed')")


def upgrade() -> None:
    """Add the index."""
    op.create_index(
        "ix_runs_lost", "runs", ["ended_at"], sqlite_where=_LOST, postgresql_where=_LOST
    )


def downgrade() -> None:
    """Take it away again."""
    op.drop_index("ix_runs_lost", "runs")
