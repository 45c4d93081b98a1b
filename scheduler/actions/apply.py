"""The definitions of a configuration become rows; what a person owns in a row stays."""

from collections.abc import Sequence
from datetime import datetime

from scheduler.actions.comparing import WRITTEN, Change, Rows, Verb, compare, hold_compared, shown
from scheduler.actions.definition_rows import definition_rows
from scheduler.config import Config
from scheduler.domain.errors import Conflict
from scheduler.domain.records import Origin
from scheduler.storage import audit, owned, pruning, unsent
from scheduler.storage.database import Connection
from scheduler.storage.dialect import announce, lock_definitions

__all__ = ["Change", "Verb", "apply_definitions"]


def apply_definitions(
    conn: Connection,
    config: Config,
    *,
    by: str,
    now: datetime,
    prune: bool = False,
    expected: Sequence[Change] | None = None,
) -> list[Change]:
    """
    Write the configuration's definitions, all or nothing, and return what became of each.

    A row that a person made by hand is never touched, nor are the columns that an operator owns
    (pauses). What is not in the file is left alone, or deleted with *prune*: its waiting runs
    are skipped, what was sent goes on, its history stays. New and edited timetables count from
    *now* on: applying fires nothing. Conflict when it would not do what *expected* says.
    """
    lock_definitions(conn)
    wanted = dict(definition_rows(config))
    held = hold_compared(conn, wanted, prune=prune)
    changes = compare(wanted, held, prune=prune)
    if expected is not None and list(expected) != changes:
        raise Conflict("the database was changed while this was asked: nothing was written")
    _check_deletions(conn, held, changes)
    for change in changes:
        if change.verb in (Verb.CREATED, Verb.UPDATED):
            _write(conn, change, wanted, now)
    _delete(conn, changes, by=by, now=now)
    written = [change for change in changes if change.verb in WRITTEN]
    audit.record_changes(conn, [_recorded(change, by=by) for change in written], now=now)
    if written:
        announce(conn)
    return changes


def _write(conn: Connection, change: Change, wanted: Rows, now: datetime) -> None:
    if change.verb is Verb.UPDATED:
        after = {column: new for column, (_, new) in change.columns.items()}
        owned.update_row(conn, change.table, change.name, after)
        return
    row = {"name": change.name, "origin": Origin.FILE, **wanted[change.table][change.name]}
    made = {"created_at": now} if change.table == "schedules" else {}
    owned.create_row(conn, change.table, row | made)


def _delete(conn: Connection, changes: Sequence[Change], *, by: str, now: datetime) -> None:
    """Delete what was pruned; first what names others."""
    gone = [change for change in changes if change.verb is Verb.DELETED]
    names = [change.name for change in gone if change.table == "schedules"]
    detail = f"its schedule was deleted by {by}: it is not in the file any more"
    unsent.skip_waiting(conn, names, detail=detail, now=now)
    for change in reversed(gone):
        owned.delete_row(conn, change.table, change.name)


def _check_deletions(conn: Connection, held: Rows, changes: Sequence[Change]) -> None:
    gone = {table: _deleted(changes, table) for table in held}
    problems = [
        *(f"accounts.{name} has runs" for name in pruning.list_used(conn, gone["accounts"])),
        *(
            f"queues.{name} is paused: resume it first"
            for name in gone["queues"]
            if held["queues"][name]["paused_at"] is not None
        ),
        *(
            f"batches.{batch} is named by an override of schedules.{schedule}"
            for schedule, batch in pruning.list_overriding(conn, gone["batches"])
            if schedule not in gone["schedules"]
        ),
    ]
    if problems:
        raise Conflict(f"cannot be deleted: {'; '.join(problems)}")


def _deleted(changes: Sequence[Change], table: str) -> list[str]:
    return [one.name for one in changes if one.verb is Verb.DELETED and one.table == table]


def _recorded(change: Change, *, by: str) -> audit.NewChange:
    return audit.NewChange(
        who=by,
        action="prune" if change.verb is Verb.DELETED else "apply",
        subject=change.subject,
        columns={
            column: (shown(column, before), shown(column, after))
            for column, (before, after) in change.columns.items()
        },
    )
