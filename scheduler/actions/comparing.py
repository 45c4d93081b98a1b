"""What a configuration would change in the database: read and told, nothing written."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from scheduler.actions.definition_rows import Columns
from scheduler.actions.naming import named_by
from scheduler.domain.errors import Conflict, InvalidInput
from scheduler.domain.records import Origin
from scheduler.domain.request import check_references
from scheduler.storage import owned
from scheduler.storage.database import Connection

Rows = Mapping[str, Mapping[str, Columns]]
"""The rows of each definition table, by name."""


class Verb(StrEnum):
    """What applying does to a definition."""

    CREATED = "created"
    UPDATED = "updated"
    DELETED = "deleted"  # pruned: it came from a file once, and is not in this one
    UNCHANGED = "unchanged"
    LEFT_ALONE = "left_alone"  # the same without --prune


WRITTEN: Final = (Verb.CREATED, Verb.UPDATED, Verb.DELETED)


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


def compare(wanted: Rows, held: Rows, *, prune: bool = False) -> list[Change]:
    """
    Return what makes *held* into *wanted*, table by table.

    A row that a person made by hand is never touched: the same name in the file, with other
    values, is a Conflict; so is pruning what others still name.
    """
    changes = [change for table in wanted for change in _table(table, wanted, held, prune=prune)]
    clashes = [
        change.subject
        for change in changes
        if change.verb is Verb.UPDATED
        and held[change.table][change.name]["origin"] != Origin.FILE
        and "origin" not in change.columns
    ]
    if clashes:
        raise Conflict(
            f"{', '.join(clashes)}: the database holds a definition of that name which was not"
            " made by a file; rename one of them, or set the row's origin to 'file'"
        )
    deleted = {(one.table, one.name) for one in changes if one.verb is Verb.DELETED}
    needed = named_by(_afterwards(wanted, held, deleted), deleted)
    if needed:
        raise Conflict(f"cannot be deleted: {'; '.join(needed)}")
    return changes


def read_held(conn: Connection, wanted: Rows) -> Rows:
    """Read the tables of *wanted*."""
    return {table: owned.list_rows(conn, table) for table in wanted}


def hold_compared(conn: Connection, wanted: Rows, *, prune: bool) -> Rows:
    """
    Read what `compare` compares with *wanted*, and hold it: nobody edits it until the end.

    Without *prune* nothing is deleted, so what else names a row is not asked for: there may be
    a million schedules that no file owns.
    """
    if prune:
        return {table: owned.list_rows(conn, table, hold=True) for table in wanted}
    return {
        table: owned.list_rows_of_files(conn, table, rows, hold=True)
        for table, rows in wanted.items()
    }


def _table(table: str, wanted: Rows, held: Rows, *, prune: bool) -> Iterator[Change]:
    for name, columns in wanted[table].items():
        yield _definition(table, name, columns, held[table].get(name))
    gone = Verb.DELETED if prune else Verb.LEFT_ALONE
    for name, row in held[table].items():
        if name not in wanted[table] and row["origin"] == Origin.FILE:
            yield Change(table=table, name=name, verb=gone, columns={})


def _definition(table: str, name: str, columns: Columns, row: Columns | None) -> Change:
    before = owned.list_defaults(table) if row is None else row
    differing = {
        column: (None if row is None else before[column], value)
        for column, value in columns.items()
        if before.get(column) != value
    }
    if row is not None and differing and _only_holds_a_pause(table, columns, row):
        differing["origin"] = (row["origin"], Origin.FILE)
    verb = Verb.CREATED if row is None else Verb.UPDATED if differing else Verb.UNCHANGED
    return Change(table=table, name=name, verb=verb, columns=differing)


def _only_holds_a_pause(table: str, columns: Columns, row: Columns) -> bool:
    """Tell whether a queue's row was made to pause it: it says nothing that a file could say."""
    usual = owned.list_defaults(table)
    is_plain = all(row[column] == usual[column] for column in columns)
    return table == "queues" and row["origin"] != Origin.FILE and is_plain


def _afterwards(wanted: Rows, held: Rows, deleted: set[tuple[str, str]]) -> Rows:
    return {
        table: {
            name: {**row, **wanted[table].get(name, {})}
            for name, row in {**wanted[table], **rows}.items()
            if (table, name) not in deleted
        }
        for table, rows in held.items()
    }


_SIZED: Final = frozenset({"inputs", "rules"})
_MAY_HOLD_CREDENTIALS: Final = frozenset({"notify", "deliver"})


def shown(column: str, value: Any) -> Any:
    """Return *value* as it may be shown and kept: no inputs, no credential that a row holds."""
    if column == "base_url" and "@" in str(value):
        return "(holds a credential)"
    if value is None or column not in _SIZED | _MAY_HOLD_CREDENTIALS:
        return value
    if column in _SIZED:
        return f"({len(value)} characters)"
    try:
        check_references({column: json.loads(value)}, place="it")
    except (InvalidInput, ValueError):
        return "(holds a credential, or is not JSON)"
    return value
