"""What the database holds otherwise than the file says, and who changed it, where that is known."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from scheduler.actions.comparing import Change, Verb, compare, read_held, shown
from scheduler.actions.definition_columns import definition_rows
from scheduler.config import Config
from scheduler.domain.records import Origin
from scheduler.storage import audit
from scheduler.storage.audit import RecordedChange
from scheduler.storage.database import Connection

_MOST_CHANGES = 1_000
_DELETIONS = ("prune", "delete")


@dataclass(frozen=True, slots=True, kw_only=True)
class Drift:
    """
    One column that is not as the file says; without a *column*, a definition on one side only.

    *changed* is None where the file was edited since it was applied.
    """

    table: str
    name: str
    column: str | None
    in_file: Any
    in_database: Any
    changed: RecordedChange | None


def list_drift(conn: Connection, config: Config) -> list[Drift]:
    """Return every difference of the rows that came from a file from the file's definitions."""
    rows = dict(definition_rows(config))
    everything = read_held(conn, rows)
    stored = {
        table: {name: row for name, row in there.items() if row["origin"] == Origin.FILE}
        for table, there in everything.items()
    }
    # A row that a person made under the same name is no drift: `plan` says that they clash.
    wanted = {
        table: {
            name: columns
            for name, columns in there.items()
            if name in stored[table] or name not in everything[table]
        }
        for table, there in rows.items()
    }
    return [drift for change in compare(wanted, stored) for drift in _drifts(conn, change)]


def _drifts(conn: Connection, change: Change) -> Iterator[Drift]:
    if change.verb is Verb.UNCHANGED:
        return
    history = audit.list_changes(conn, subject=change.subject, limit=_MOST_CHANGES)
    if change.verb is Verb.UPDATED:
        for column, (in_database, in_file) in change.columns.items():
            yield Drift(
                table=change.table,
                name=change.name,
                column=column,
                in_file=shown(column, in_file),
                in_database=shown(column, in_database),
                changed=_last_change_of(column, history),
            )
        return
    is_missing = change.verb is Verb.CREATED
    yield Drift(
        table=change.table,
        name=change.name,
        column=None,
        in_file=is_missing,
        in_database=not is_missing,
        # Only what deleted it is why it is missing: any other change is of before.
        changed=history[0] if is_missing and history and history[0].action in _DELETIONS else None,
    )


def _last_change_of(column: str, history: Sequence[RecordedChange]) -> RecordedChange | None:
    """Return the newest change of the column; None if a file set it last: it is otherwise now."""
    last = next((change for change in history if column in change.columns()), None)
    return None if last is None or last.action == "apply" else last
