"""One name for a time, an actor, a count. No row changes."""

from collections.abc import Iterator, Mapping

from scheduler.storage.revisions import is_sqlite, rename_column, rename_index, rewrite_function

revision = "0017_names"
down_revision = "0016_body_parts"
branch_labels = None
depends_on = None

Names = Mapping[str, Mapping[str, str]]
"""Of each table: an old name, and the new one."""

COLUMNS: Names = {
    "run_events": {"at": "happened_at"},
    "changes": {"at": "happened_at", "who": "by"},
    "throttles": {"at": "happened_at"},
    "holds": {"who": "by"},
    "runs": {"requested_by": "created_by", "attempts": "attempt_count"},
}
INDEXES = {
    "ix_changes_subject_at": "ix_changes_subject_happened_at",
    "ix_throttles_account_at": "ix_throttles_account_happened_at",
}
# What SQLite brings forward by itself, PostgreSQL keeps as text.
FUNCTIONS: Names = {
    "run_created": {"run_events (at,": "run_events (happened_at,"},
    "run_moved": {"run_events (at,": "run_events (happened_at,"},
} | {
    f"{table}_held_{what}": {"(scope, why, who,": "(scope, why, by,"}
    for table in ("queues", "schedules", "brakes", "freezes")
    for what in ("new", "edited")
}


def _pairs(names: Names, *, back: bool) -> Iterator[tuple[str, str, str]]:
    for owner, renamed in names.items():
        for old, new in renamed.items():
            yield (owner, new, old) if back else (owner, old, new)


def _rename(*, back: bool) -> None:
    for table, old, new in _pairs(COLUMNS, back=back):
        rename_column(table, old, new)
    for _, old, new in _pairs({"": INDEXES}, back=back):
        rename_index(old, new)
    if not is_sqlite():
        for function, old, new in _pairs(FUNCTIONS, back=back):
            rewrite_function(function, old, new)


def upgrade() -> None:
    """Bring the schema forward."""
    _rename(back=False)


def downgrade() -> None:
    """Take the schema back."""
    _rename(back=True)
