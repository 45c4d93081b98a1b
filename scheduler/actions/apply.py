"""The definitions of a configuration become rows; what a person owns in a row stays."""

from collections.abc import Sequence
from datetime import datetime
from functools import partial
from typing import Final

from scheduler.actions.comparing import (
    LEFT_ITS_FILE,
    WRITTEN,
    Change,
    Rows,
    Verb,
    compare,
    hold_compared,
    shown,
    shown_change,
)
from scheduler.actions.definition_columns import definition_rows
from scheduler.config import Config
from scheduler.domain.errors import AccountTaken, Conflict, NeedsConfirmation
from scheduler.domain.records import Origin, RunState
from scheduler.storage import audit, definition_tables, pruning, runs, schedules
from scheduler.storage.database import Connection
from scheduler.storage.dialect import announce, lock_definitions
from scheduler.storage.runs import end_queued

__all__ = ["Change", "Verb", "apply_definitions"]


def apply_definitions(
    conn: Connection,
    config: Config,
    *,
    by: str,
    now: datetime,
    prune: bool = False,
    accept_account_change: bool = False,
    expected: Sequence[Change] | None = None,
    file_id: str | None = None,
    confirmed: bool = False,
) -> list[Change]:
    """
    Write the configuration's definitions, all or nothing, and return what became of each.

    A row that a person made by hand is never touched, nor are the columns that an operator owns
    (pauses). What is not in the file is left alone, but schedules that it had before, known by
    *file_id*, are paused; or all is deleted with *prune*: its waiting runs are skipped, what was
    sent goes on, its history stays. AccountTaken when an account that is
    there would send elsewhere, unless that is what was asked for. New and edited timetables count
    from *now* on: applying fires nothing. Conflict when it would not do what *expected* says,
    NeedsConfirmation where anything is deleted.
    """
    lock_definitions(conn)
    wanted = dict(definition_rows(config))
    stored = hold_compared(conn, wanted, prune=prune)
    changes = compare(wanted, stored, prune=prune, file_id=file_id)
    if expected is not None and list(expected) != changes:
        raise Conflict("the database was changed while this was asked: nothing was written")
    if not accept_account_change:
        _check_accounts(changes)
    _check_deletions(conn, stored, changes)
    if not confirmed:
        _ask_where_deleted(conn, changes)
    for change in changes:
        if change.verb in (Verb.CREATED, Verb.UPDATED):
            _write(conn, change, wanted, now)
    _pause_what_left(conn, changes, stored, by=by, now=now)
    if file_id is not None:
        schedules.set_defined_in(conn, wanted["schedules"], file_id)
    _delete(conn, changes, by=by, now=now)
    written = [change for change in changes if change.verb in WRITTEN]
    audit.record_changes(conn, [_recorded(change, by=by) for change in written], now=now)
    if written:
        announce(conn)
    return changes


def _check_accounts(changes: Sequence[Change]) -> None:
    """Refuse what would send an account's runs, and its token, where they did not go so far."""
    taken = [
        f"{change.subject}.{column} is {shown(column, before)} in the database and"
        f" {shown(column, after)} in the file"
        for change in changes
        if change.table == "accounts" and change.verb is Verb.UPDATED
        for column, (before, after) in change.columns.items()
        if column in ("base_url", "token")
    ]
    if taken:
        raise AccountTaken(
            f"{'; '.join(taken)}: if another configuration shares this database, give one of the"
            " two another account name, or a database of its own; if the file is right, run"
            " `dca-scheduler apply --accept-account-change`"
        )


def _pause_what_left(
    conn: Connection, changes: Sequence[Change], stored: Rows, *, by: str, now: datetime
) -> None:
    """Pause for good what left the file, and lift that pause of what is back."""
    left = [change.name for change in changes if change.verb is Verb.PAUSED]
    rows = stored["schedules"]
    firing = [
        name
        for name in left
        if rows[name]["paused_at"] is None or rows[name]["paused_until"] is not None
    ]
    schedules.set_paused(conn, firing, by=by, reason=LEFT_ITS_FILE, now=now, until=None)
    schedules.set_defined_in(conn, left, None)
    back = [change.name for change in changes if change.columns.get("paused_reason") == _IS_BACK]
    schedules.set_resumed(conn, back)


_IS_BACK: Final = (LEFT_ITS_FILE, None)


def _write(conn: Connection, change: Change, wanted: Rows, now: datetime) -> None:
    if change.verb is Verb.UPDATED:
        after = {column: new for column, (_, new) in change.columns.items()}
        definition_tables.update_row(conn, change.table, change.name, after)
        return
    row = {"name": change.name, "origin": Origin.FILE, **wanted[change.table][change.name]}
    made = {"created_at": now} if change.table == "schedules" else {}
    definition_tables.create_row(conn, change.table, row | made)


def _delete(conn: Connection, changes: Sequence[Change], *, by: str, now: datetime) -> None:
    """Delete what was pruned; first what names others."""
    gone = [change for change in changes if change.verb is Verb.DELETED]
    names = [change.name for change in gone if change.table == "schedules"]
    detail = f"its schedule was deleted by {by}: it is not in the file any more"
    end_queued.skip_waiting(conn, names, detail=detail, now=now)
    for change in reversed(gone):
        definition_tables.delete_row(conn, change.table, change.name)


def _ask_where_deleted(conn: Connection, changes: Sequence[Change]) -> None:
    gone = [change for change in changes if change.verb is Verb.DELETED]
    if gone:
        waiting = sum(map(partial(_count_waiting, conn), _deleted(changes, "schedules")))
        skipped = f", and {waiting} waiting runs skipped" if waiting else ""
        raise NeedsConfirmation(f"{len(gone)} definitions are deleted{skipped}", len(gone))


def _count_waiting(conn: Connection, schedule: str) -> int:
    waiting = runs.RunFilter(schedule=schedule, states=(RunState.QUEUED,))
    return runs.count_runs(conn, waiting, most=_MOST_COUNTED)


_MOST_COUNTED: Final = 1_000_000


def _check_deletions(conn: Connection, stored: Rows, changes: Sequence[Change]) -> None:
    gone = {table: _deleted(changes, table) for table in stored}
    problems = [
        *(f"accounts.{name} has runs" for name in pruning.list_used(conn, gone["accounts"])),
        *(
            f"queues.{name} is paused: resume it first"
            for name in gone["queues"]
            if stored["queues"][name]["paused_at"] is not None
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
    return [
        change.name for change in changes if change.verb is Verb.DELETED and change.table == table
    ]


_ACTIONS: Final = {Verb.DELETED: "prune", Verb.PAUSED: "pause"}


def _recorded(change: Change, *, by: str) -> audit.NewChange:
    return audit.NewChange(
        by=by,
        action=_ACTIONS.get(change.verb, "apply"),
        subject=change.subject,
        columns=shown_change(change).columns,
    )
