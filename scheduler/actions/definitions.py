"""Definitions that a person makes, changes and deletes, one at a time; files are `apply`'s."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from scheduler.actions.comparing import Change, Verb, shown_change
from scheduler.actions.definition_check import check_row
from scheduler.actions.definition_columns import Columns, columns_of, read_definition, written_keys
from scheduler.actions.overrides import override_field
from scheduler.config import Defaults
from scheduler.domain.errors import (
    Conflict,
    InvalidInput,
    NeedsConfirmation,
    NotFound,
    OwnedByFile,
    Stale,
)
from scheduler.domain.records import Origin
from scheduler.domain.schedule_override import FIELDS, field_of
from scheduler.domain.suggestions import did_you_mean
from scheduler.storage import accounts, audit, definition_tables, naming, pruning
from scheduler.storage.database import Connection
from scheduler.storage.dialect import announce
from scheduler.storage.runs import end_queued

_MOST_NAMED: Final = 5

_WORDS: Final[Mapping[str, str]] = {
    "collectors": "collector",
    "batches": "batch",
    "calendars": "calendar",
    "queues": "queue",
    "schedules": "schedule",
    "budgets": "budget",
}
"""What a row of each table that a person may change here is called."""


def definition_tag(conn: Connection, table: str, name: str) -> str | None:
    """
    Return what a definition's content is known by, quoted as an ETag; None if it has no row.

    Only of what a person writes: it stays while the daemon plans, fires, and notes how far it is.
    """
    row = definition_tables.find_row(conn, table, name)
    return None if row is None else _tag_of(table, row)


def _tag_of(table: str, row: Columns) -> str:
    content = {column: row[column] for column in columns_of(table)} | {"origin": row["origin"]}
    digest = hashlib.sha256(json.dumps(content, sort_keys=True, default=str).encode())
    return f'"{digest.hexdigest()[:32]}"'


def create_definition(
    conn: Connection,
    table: str,
    name: str,
    values: Mapping[str, Any],
    *,
    defaults: Defaults,
    by: str,
    now: datetime,
) -> None:
    """
    Make a definition of *values*, by their columns' names; it belongs to the database.

    A schedule counts from *now* on. Raises Conflict for a name that is there, InvalidInput for
    values that could not be used.
    """
    if definition_tables.find_row(conn, table, name) is not None:
        raise Conflict(f"there is a {_WORDS[table]} {name!r} already: change that one")
    if table == "collectors" and not values.get("account"):
        values = {**values, "account": _only_account(conn)}
    columns = read_definition(table, name, values, defaults)
    made = {"created_at": now} if table == "schedules" else {}
    row = {"name": name, "origin": Origin.DATABASE, **columns, **made}
    check_row(conn, table, {**definition_tables.list_defaults(table), **row}, now=now)
    definition_tables.create_row(conn, table, row)
    _record(conn, Verb.CREATED, table, name, _differing(table, None, columns), by=by, now=now)


def change_definition(
    conn: Connection,
    table: str,
    name: str,
    values: Mapping[str, Any],
    *,
    tag: str | None = None,
    defaults: Defaults,
    by: str,
    now: datetime,
) -> None:
    """
    Set the columns that *values* names; None is what a column is by default.

    Raises NotFound, Stale where *tag* is no longer its own, OwnedByFile for a file's, InvalidInput
    for what could not be used.
    """
    edit = plan_change(conn, table, name, values, tag=tag, defaults=defaults, hold=True)
    if not edit.differing:
        return
    check_row(conn, table, edit.after, now=now)
    changed = {column: new for column, (_, new) in edit.differing.items()}
    definition_tables.update_row(conn, table, name, changed)
    _record(conn, Verb.UPDATED, table, name, edit.differing, by=by, now=now)


@dataclass(frozen=True, slots=True, kw_only=True)
class Edit:
    """A row *before* and *after* a change, and of each column that differs how it was and is."""

    table: str
    before: Columns
    after: dict[str, Any]
    differing: Mapping[str, tuple[Any, Any]]

    @property
    def tag(self) -> str:
        """Return what the row is known by before the change."""
        return _tag_of(self.table, self.before)


def plan_change(
    conn: Connection,
    table: str,
    name: str,
    values: Mapping[str, Any],
    *,
    tag: str | None = None,
    defaults: Defaults,
    hold: bool = False,
) -> Edit:
    """Return what `change_definition` would do, and raise what it would; nothing is written."""
    row = _held(conn, table, name, tag, hold=hold)
    _check_owner(table, row, next(iter(values), None))
    keys = written_keys(table, row)
    for column, value in values.items():
        keys.pop(column, None)
        if value is not None:
            keys[column] = value
    columns = read_definition(table, name, keys, defaults)
    differing = _differing(table, row, columns)
    return Edit(table=table, before=row, after={**row, **columns}, differing=differing)


def override_definition(
    conn: Connection,
    name: str,
    values: Mapping[str, Any],
    *,
    tag: str | None = None,
    until: datetime,
    reason: str,
    by: str,
    now: datetime,
) -> None:
    """Let these columns of a schedule be otherwise until then, whoever owns the row."""
    _held(conn, "schedules", name, tag)
    for column, value in values.items():
        field = field_of(column)
        if field is None:
            some = ", ".join(FIELDS)
            raise InvalidInput(f"{column!r} cannot be overridden: choose some of {some}")
        text = None if value is None else json.dumps(value) if isinstance(value, bool) else value
        override_field(
            conn,
            name,
            field,
            None if text is None else str(text),
            until=until,
            by=by,
            reason=reason,
            now=now,
        )


def delete_definition(
    conn: Connection,
    table: str,
    name: str,
    *,
    tag: str | None = None,
    by: str,
    now: datetime,
    confirmed: bool = False,
) -> None:
    """
    Delete a definition; its history stays.

    A schedule's waiting runs are skipped: NeedsConfirmation where there are some. Raises Conflict
    where another row names it, and as change_definition.
    """
    row = _held(conn, table, name, tag)
    _check_owner(table, row, None)
    if by_whom := naming.list_naming(conn, table, name, limit=_MOST_NAMED):
        raise Conflict(f"{table}.{name} is named by {', '.join(by_whom)}: change that first")
    if table == "queues" and row["paused_at"] is not None:
        raise Conflict(f"queue {name!r} is paused: resume it first")
    if table == "schedules":
        waiting = len(pruning.list_waiting(conn, [name]))
        if waiting and not confirmed:
            raise NeedsConfirmation(f"{waiting} waiting runs of {name!r} are skipped", waiting)
        detail = f"its schedule was deleted by {by}"
        end_queued.skip_waiting(conn, [name], detail=detail, now=now)
    definition_tables.delete_row(conn, table, name)
    _record(conn, Verb.DELETED, table, name, {}, by=by, now=now)


def _only_account(conn: Connection) -> str:
    names = [account.name for account in accounts.list_accounts(conn)]
    if len(names) != 1:
        raise InvalidInput(f"account: name one of {', '.join(names) or 'none that are there'}")
    return names[0]


def find_definition(conn: Connection, table: str, name: str, *, hold: bool = False) -> Columns:
    """Return a definition's row as it is stored; raises NotFound, with what may be meant."""
    row = definition_tables.find_row(conn, table, name, hold=hold)
    if row is None:
        names = definition_tables.list_names(conn, table, prefix="", limit=1000)
        raise NotFound(f"no {_WORDS[table]} is called {name!r}{did_you_mean(name, names)}")
    return row


def is_current(asked: str | None, tag: str) -> bool:
    """Tell whether what has the ETag *tag* meets an If-Match: a list of them, `*`, or none."""
    return asked is None or not {tag, "*"}.isdisjoint(one.strip() for one in asked.split(","))


def _held(
    conn: Connection, table: str, name: str, tag: str | None, *, hold: bool = True
) -> Columns:
    row = find_definition(conn, table, name, hold=hold)
    if not is_current(tag, _tag_of(table, row)):
        raise Stale(f"{_WORDS[table]} {name!r} was changed since it was read: read it again")
    return row


def _check_owner(table: str, row: Columns, column: str | None) -> None:
    if row["origin"] != Origin.FILE:
        return
    file = row.get("defined_in")
    place = f"{table}.{row['name']}" + (f".{column}" if column else "")
    way_out = ", or override it for a while" if table == "schedules" else ""
    where = f"the configuration file {file}" if file else "a configuration file"
    raise OwnedByFile(f"{place} belongs to {where}: edit it there{way_out}", file=file, key=place)


def _differing(table: str, row: Columns | None, columns: Columns) -> dict[str, tuple[Any, Any]]:
    before = definition_tables.list_defaults(table) if row is None else row
    return {
        column: (None if row is None else before[column], value)
        for column, value in columns.items()
        if before.get(column) != value
    }


def _record(
    conn: Connection,
    verb: Verb,
    table: str,
    name: str,
    columns: Mapping[str, tuple[Any, Any]],
    *,
    by: str,
    now: datetime,
) -> None:
    shown = shown_change(Change(table=table, name=name, verb=verb, columns=columns))
    action = {Verb.CREATED: "create", Verb.UPDATED: "change", Verb.DELETED: "delete"}[verb]
    audit.record_change(conn, by, action, shown.subject, shown.columns, now=now)
    announce(conn)
