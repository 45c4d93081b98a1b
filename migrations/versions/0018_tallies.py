"""What metrics count is kept in small rows; daemons tell their lag and when they read their file."""

import sqlalchemy as sa
from alembic import op

revision = "0018_tallies"
down_revision = "0017_names"
branch_labels = None
depends_on = None

MOMENT = sa.TIMESTAMP(timezone=True).with_variant(sa.Text(), "sqlite")

# What there is of runs already counts; what is written from now on is counted by its event.
ENDED = """
    INSERT INTO tallies (metric, labels, writer, value)
    SELECT 'runs_ended', '["' || state || '","' || reason || '"]', '', count(*)
    FROM runs WHERE ended_at IS NOT NULL GROUP BY state, reason
"""
LAST = """
    INSERT INTO last_ends (schedule, ended_at, succeeded_at)
    SELECT schedule, max(ended_at), max(CASE WHEN state = 'succeeded' THEN ended_at END)
    FROM runs WHERE schedule IS NOT NULL AND ended_at IS NOT NULL AND state <> 'skipped'
    GROUP BY schedule
"""
# Behind every transaction that has ended, as whoever begins to read.
CURSOR = """
    INSERT INTO event_cursors (consumer, transaction_id, event_id)
    SELECT 'metrics', {before}, coalesce(max(id), 0) FROM run_events
"""


def upgrade() -> None:
    """Bring the schema forward."""
    is_postgresql = op.get_bind().dialect.name == "postgresql"
    op.create_table(
        "tallies",
        sa.Column("metric", sa.Text, nullable=False),
        sa.Column("labels", sa.Text, nullable=False),
        sa.Column("writer", sa.Text, nullable=False),
        sa.Column("value", sa.Float, nullable=False),
        sa.PrimaryKeyConstraint("metric", "labels", "writer", name="pk_tallies"),
    )
    op.create_table(
        "last_ends",
        sa.Column("schedule", sa.Text, nullable=False),
        sa.Column("ended_at", MOMENT, nullable=False),
        sa.Column("succeeded_at", MOMENT),
        sa.PrimaryKeyConstraint("schedule", name="pk_last_ends"),
    )
    op.add_column("daemons", sa.Column("loop_lag_seconds", sa.Float))
    op.add_column("daemons", sa.Column("config_loaded_at", MOMENT))
    op.add_column("daemons", sa.Column("config_refused_at", MOMENT))
    op.execute(ENDED)
    op.execute(LAST)
    before = "pg_snapshot_xmin(pg_current_snapshot())::text::bigint - 1" if is_postgresql else "0"
    op.execute(CURSOR.format(before=before))


def downgrade() -> None:
    """Take the counts away."""
    op.execute("DELETE FROM event_cursors WHERE consumer = 'metrics'")
    for column in ("config_refused_at", "config_loaded_at", "loop_lag_seconds"):
        op.drop_column("daemons", column)
    op.drop_table("last_ends")
    op.drop_table("tallies")
