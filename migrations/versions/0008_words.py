"""The field's words for columns, indexes and constraints. No row changes."""

from collections.abc import Iterator, Mapping

import sqlalchemy as sa
from alembic import op

from scheduler.storage.revisions import rewrite_table

revision = "0008_words"
down_revision = "0007"
branch_labels = None
depends_on = None

Names = Mapping[str, Mapping[str, str]]
"""Of each table: an old name, and the new one."""

_BACKOFF = {"first_pause": "backoff_initial", "longest_pause": "backoff_max"}

COLUMNS: Names = {
    "collectors": _BACKOFF | {"max_unsettled": "max_unresolved"},
    "schedules": _BACKOFF,
    "runs": _BACKOFF
    | {
        "lane": "order_key",
        "part": "chunk",
        "parts": "chunks",
        "look_at": "next_lookup_at",
        "looks": "lookups",
    },
    "attempts": {"settled_at": "resolved_at"},
    "collections": {"look_at": "next_poll_at", "looked_at": "polled_at", "looks": "polls"},
    "brakes": {"strikes": "trips", "losses": "consecutive_losses"},
    "daemons": {"trouble": "last_error"},
}
INDEXES: Names = {
    "schedules": {"ix_schedules_set_aside": "ix_schedules_invalid"},
    "runs": {
        "uq_runs_schedule_due_at_part": "uq_runs_schedule_due_at_chunk",
        "uq_runs_lane_in_flight": "uq_runs_order_key_in_flight",
        "ix_runs_unsettled": "ix_runs_unresolved",
        "ix_runs_look": "ix_runs_lookup",
    },
    "collections": {"ix_collections_look": "ix_collections_poll"},
}
CHECKS: Names = {
    "collectors": {"ck_collectors_max_unsettled": "ck_collectors_max_unresolved"},
    "attempts": {"ck_attempts_settled_has_a_time": "ck_attempts_resolved_has_a_time"},
}


def _pairs(names: Names, *, back: bool) -> Iterator[tuple[str, str, str]]:
    for table, renamed in names.items():
        for old, new in renamed.items():
            yield (table, new, old) if back else (table, old, new)


def _rename(*, back: bool) -> None:
    """Rename all; triggers, conditions and indexes follow their columns on both databases."""
    on_sqlite = op.get_bind().dialect.name == "sqlite"
    for table, old, new in _pairs(COLUMNS, back=back):
        op.execute(f"ALTER TABLE {table} RENAME COLUMN {old} TO {new}")
    for _, old, new in _pairs(INDEXES, back=back):
        if on_sqlite:
            _make_index_anew(old, new)
        else:
            op.execute(f"ALTER INDEX {old} RENAME TO {new}")
    if on_sqlite:
        _rename_checks_on_sqlite(back=back)
    else:
        _rename_checks_on_postgresql(back=back)


def _rename_checks_on_postgresql(*, back: bool) -> None:
    # From its version 18 on, NOT NULL has a name as well, after its column.
    not_null = [
        (table, f"{table}_{old}_not_null", f"{table}_{new}_not_null")
        for table, old, new in _pairs(COLUMNS, back=back)
    ]
    query = sa.text("SELECT conname FROM pg_constraint WHERE contype = 'n'")
    named = set(op.get_bind().scalars(query))
    renamed = [names for names in not_null if names[1] in named]
    for table, old, new in [*_pairs(CHECKS, back=back), *renamed]:
        op.execute(f"ALTER TABLE {table} RENAME CONSTRAINT {old} TO {new}")


def _make_index_anew(old: str, new: str) -> None:
    query = sa.text("SELECT sql FROM sqlite_master WHERE type = 'index' AND name = :name")
    statement = op.get_bind().scalar(query, {"name": old})
    op.execute(f"DROP INDEX {old}")
    op.execute(str(statement).replace(old, new, 1))


def _rename_checks_on_sqlite(*, back: bool) -> None:
    """SQLite renames no constraint."""
    for table, old, new in _pairs(CHECKS, back=back):
        rewrite_table(table, old, new)


def upgrade() -> None:
    """Bring the schema forward."""
    _rename(back=False)


def downgrade() -> None:
    """Take the schema back."""
    _rename(back=True)
