"""Indexes that nothing needs go: what another one finds, or another table keeps unique."""

import sqlalchemy as sa
from alembic import op

revision = "0026_fewer_indexes"
down_revision = "0025_request_answers"
branch_labels = None
depends_on = None

_OPEN = sa.text(
    "state IN ('queued', 'dispatching', 'unconfirmed', 'needs_attention', 'collecting')"
)
_ON_THE_WIRE = sa.text("state = 'dispatching'")
_ENDED = sa.text("ended_at IS NOT NULL")
_EVENTS = ("ix_run_events_order", "run_events", ["transaction_id", "id"])
_ENDS = ("ix_runs_schedule_ended_at", "runs", ["schedule", "ended_at"])


def upgrade() -> None:
    """Drop them; the ends of a schedule's runs are found among those that have ended."""
    for name, table in (
        ("uq_runs_collection_id", "runs"),
        ("ix_runs_lease", "runs"),
        ("ix_runs_open", "runs"),
        ("uq_attempts_collection_id", "attempts"),
        ("ix_runs_schedule_ended_at", "runs"),
    ):
        op.drop_index(name, table)
    op.create_index(*_ENDS, sqlite_where=_ENDED, postgresql_where=_ENDED)
    if op.get_bind().dialect.name == "sqlite":
        op.drop_index(*_EVENTS[:2])


def downgrade() -> None:
    """Make them again."""
    if op.get_bind().dialect.name == "sqlite":
        op.create_index(*_EVENTS)
    op.drop_index(*_ENDS[:2])
    op.create_index(*_ENDS)
    op.create_index("uq_attempts_collection_id", "attempts", ["collection_id"], unique=True)
    op.create_index("uq_runs_collection_id", "runs", ["collection_id"], unique=True)
    for name, column, where in (
        ("ix_runs_open", "state", _OPEN),
        ("ix_runs_lease", "lease_until", _ON_THE_WIRE),
    ):
        op.create_index(name, "runs", [column], sqlite_where=where, postgresql_where=where)
