"""What runs in a collector is counted by its index alone, however much that is."""

import sqlalchemy as sa
from alembic import op

revision = "0052_running_counted"
down_revision = "0051_loop_lags"
branch_labels = None
depends_on = None

_NAME = "ix_runs_collecting"
_WHERE = sa.text("state = 'collecting'")


def upgrade() -> None:
    """Build it anew, with all that the question names: SQLite would read each row for a state."""
    _build("account", "collector_id", "overdue_at", "state")


def downgrade() -> None:
    """Build it as it was."""
    _build("account", "collector_id")


def _build(*columns: str) -> None:
    op.drop_index(_NAME, "runs")
    op.create_index(_NAME, "runs", list(columns), sqlite_where=_WHERE, postgresql_where=_WHERE)
