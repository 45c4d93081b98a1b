"""What a configuration would change in the database: read and told, nothing written."""

import hashlib
import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, Final

from scheduler.actions.definition_columns import Columns
from scheduler.actions.naming import named_by
from scheduler.domain.errors import Conflict, InvalidInput
from scheduler.domain.records import Origin
from scheduler.domain.request import check_references
from scheduler.storage import definition_tables
from scheduler.storage.database import Connection
from scheduler.views.decoding import read_json

Rows = Mapping[str, Mapping[str, Columns]]
"""The rows of each definition table, by name."""


class Verb(StrEnum):
    """What applying does to a definition."""

    CREATED = "created"
    UPDATED = "updated"
    DELETED = "deleted"  # pruned: it came from a file once, and is not in this one
    PAUSED = "paused"  # a schedule that this file had, and has no more
    UNCHANGED = "unchanged"
    LEFT_ALONE = "left_alone"  # came from a file, maybe another: the same without --prune


WRITTEN: Final = (Verb.CREATED, Verb.UPDATED, Verb.DELETED, Verb.PAUSED)

LEFT_ITS_FILE: Final = "its definition left its file"
"""Why `apply` pauses a schedule; such a pause ends when the definition is back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """
    One definition, what is done to it, and the columns that differ: (before, after).

    Of a created one, the columns that are not as they would be by default.
    """

    table: str
    name: str
    verb: Verb
    columns: Mapping[str, tuple[Any, Any]]

    @property
    def subject(self) -> str:
        """Return what the audit calls it, such as `schedules.nightly`."""
        return f"{self.table}.{self.name}"


def compare(
    wanted: Rows, stored: Rows, *, prune: bool = False, file_id: str | None = None
) -> list[Change]:
    """
    Return what makes *stored* into *wanted*, table by table.

    A row that a person made by hand is never touched: the same name in the file, with other
    values, is a Conflict; so is pruning what others still name. Schedules that the file of that
    id had, and has no more, are paused.
    """
    gone = _Gone(prune=prune, files=_ids_of(file_id, wanted, stored))
    changes = [change for table in wanted for change in _table(table, wanted, stored, gone)]
    clashes = [
        change.subject
        for change in changes
        if change.verb is Verb.UPDATED
        and stored[change.table][change.name]["origin"] != Origin.FILE
        and "origin" not in change.columns
    ]
    if clashes:
        raise Conflict(
            f"{', '.join(clashes)}: the database holds a definition of that name which was not"
            " made by a file; rename one of them, or set the row's origin to 'file'"
        )
    deleted = {(change.table, change.name) for change in changes if change.verb is Verb.DELETED}
    needed = named_by(_afterwards(wanted, stored, deleted), deleted)
    if needed:
        raise Conflict(f"cannot be deleted: {'; '.join(needed)}")
    return changes


def read_held(conn: Connection, wanted: Rows) -> Rows:
    """Read the tables of *wanted*."""
    return {table: definition_tables.list_rows(conn, table) for table in wanted}


def hold_compared(conn: Connection, wanted: Rows, *, prune: bool) -> Rows:
    """
    Read what `compare` compares with *wanted*, and hold it: nobody edits it until the end.

    Without *prune* nothing is deleted, so what else names a row is not asked for: there may be
    a million schedules that no file owns.
    """
    if prune:
        return {table: definition_tables.list_rows(conn, table, hold=True) for table in wanted}
    return {
        table: definition_tables.list_rows_of_files(conn, table, rows, hold=True)
        for table, rows in wanted.items()
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class _Gone:
    """What is done to what is not in the file; it had what is defined in one of *files*."""

    prune: bool
    files: Collection[str]

    def change(self, table: str, name: str, row: Columns) -> Change:
        verb, columns = (Verb.DELETED if self.prune else Verb.LEFT_ALONE), {}
        if not self.prune and row.get("defined_in") in self.files:
            verb, columns = Verb.PAUSED, {"paused_reason": (row["paused_reason"], LEFT_ITS_FILE)}
        return Change(table=table, name=name, verb=verb, columns=columns)


def _ids_of(file_id: str | None, wanted: Rows, stored: Rows) -> set[str]:
    """
    Return the ids that the file's schedules may have been written under: HOST:PATH.

    A host's name may change with each deployment: of the same path elsewhere it is taken to be
    the same file if a schedule of that is in this one.
    """
    if file_id is None:
        return set()
    path = file_id.partition(":")[2]
    rows = (stored["schedules"].get(name, {}) for name in wanted["schedules"])
    others = {str(row["defined_in"]) for row in rows if row.get("defined_in")}
    return {file_id} | {other for other in others if other.partition(":")[2] == path}


def _table(table: str, wanted: Rows, stored: Rows, gone: _Gone) -> Iterator[Change]:
    for name, columns in wanted[table].items():
        yield _definition(table, name, columns, stored[table].get(name))
    for name, row in stored[table].items():
        if name not in wanted[table] and row["origin"] == Origin.FILE:
            yield gone.change(table, name, row)


def _definition(table: str, name: str, columns: Columns, row: Columns | None) -> Change:
    before = definition_tables.list_defaults(table) if row is None else row
    differing = {
        column: (None if row is None else before[column], value)
        for column, value in columns.items()
        if before.get(column) != value
    }
    if row is not None and differing and _only_holds_a_pause(table, columns, row):
        differing["origin"] = (row["origin"], Origin.FILE)
    if row is not None and row.get("paused_reason") == LEFT_ITS_FILE:
        differing["paused_reason"] = (LEFT_ITS_FILE, None)
    verb = Verb.CREATED if row is None else Verb.UPDATED if differing else Verb.UNCHANGED
    return Change(table=table, name=name, verb=verb, columns=differing)


def _only_holds_a_pause(table: str, columns: Columns, row: Columns) -> bool:
    """Tell whether a queue's row was made to pause it: it says nothing that a file could say."""
    usual = definition_tables.list_defaults(table)
    is_plain = all(row[column] == usual[column] for column in columns)
    return table == "queues" and row["origin"] != Origin.FILE and is_plain


def _afterwards(wanted: Rows, stored: Rows, deleted: set[tuple[str, str]]) -> Rows:
    return {
        table: {
            name: {**row, **wanted[table].get(name, {})}
            for name, row in {**wanted[table], **rows}.items()
            if (table, name) not in deleted
        }
        for table, rows in stored.items()
    }


_MOST_SHOWN: Final = 10
_MAY_HOLD_CREDENTIALS: Final = frozenset({"notify", "deliver"})


def shown(column: str, value: Any) -> Any:
    """Return *value* as it may be shown and kept: no inputs, no credential that a row holds."""
    if column == "base_url" and "@" in str(value):
        return "(holds a credential)"
    if value is None:
        return None
    if column == "inputs":
        return _inputs_shown(value)
    if column == "rules":
        return _rules_shown(value)
    if column not in _MAY_HOLD_CREDENTIALS:
        return value
    try:
        check_references({column: json.loads(value)}, place="it")
    except (InvalidInput, ValueError):
        return "(holds a credential, or is not JSON)"
    return value


def shown_change(change: Change) -> Change:
    """Return a change as it may be shown: see `shown`."""
    columns = {
        column: (shown(column, before), shown(column, after))
        for column, (before, after) in change.columns.items()
    }
    return replace(change, columns=columns)


def _inputs_shown(text: str) -> str:
    """Say how many, and by what a change of them is seen."""
    inputs = read_json(text)
    digest = hashlib.sha256(text.encode()).hexdigest()[:6]
    count = f"{len(inputs)} inputs" if isinstance(inputs, list) else "not a list of inputs"
    return f"({count}, #{digest})"


def _rules_shown(rules: str) -> str:
    lines = rules.splitlines()
    return ", ".join(lines) if len(lines) <= _MOST_SHOWN else f"({len(lines)} lines)"
