"""Rows of the definition tables, by name, for whoever owns them: a file, or a person."""

from collections.abc import Collection, Mapping
from functools import cache
from typing import Any

from sqlalchemy import (
    Boolean,
    Column,
    ColumnElement,
    Connection,
    Integer,
    TextClause,
    delete,
    insert,
    select,
    text,
    true,
    update,
)
from sqlalchemy.exc import IntegrityError

from scheduler.domain.errors import Conflict
from scheduler.storage.tables import metadata

Row = Mapping[str, Any]


def list_rows(conn: Connection, table: str, *, hold: bool = False) -> dict[str, Row]:
    """Return a definition table's rows by name; *hold* them until the transaction ends."""
    return _rows(conn, table, true(), hold=hold)


def list_rows_of_files(
    conn: Connection, table: str, names: Collection[str], *, hold: bool = False
) -> dict[str, Row]:
    """Return the rows that a file owns, and those of these *names*, as `list_rows` does."""
    # Literally: no partial index is used for a value that is learned only at execution.
    found = _rows(conn, table, text("origin = 'file'"), hold=hold)
    others = [name for name in names if name not in found]
    for start in range(0, len(others), _AT_ONCE):
        named = metadata.tables[table].c.name.in_(others[start : start + _AT_ONCE])
        found |= _rows(conn, table, named, hold=hold)
    return found


_AT_ONCE = 1000


def _rows(
    conn: Connection, table: str, condition: ColumnElement[bool] | TextClause, *, hold: bool
) -> dict[str, Row]:
    definitions = metadata.tables[table]
    query = select(definitions).where(condition).order_by(definitions.c.name)
    # Not FOR UPDATE: that would wait for whoever writes a row that names one of these.
    found = conn.execute(query.with_for_update(key_share=True) if hold else query)
    return {row["name"]: dict(row) for row in found.mappings()}


@cache
def list_defaults(table: str) -> Mapping[str, Any]:
    """Return what the columns of a definition hold if nobody says otherwise."""
    return {column.name: _default(column) for column in metadata.tables[table].columns}


def _default(column: Column[Any]) -> Any:
    written = str(getattr(column.server_default, "arg", "")) if column.server_default else None
    if written is None or written == "CURRENT_TIMESTAMP":
        return None
    if isinstance(column.type, Boolean):
        return written == "TRUE"
    return column.type.python_type(written) if _is_number(column) else written


def _is_number(column: Column[Any]) -> bool:
    return isinstance(column.type, Integer) or column.type.python_type is float


def insert_row(conn: Connection, table: str, columns: Mapping[str, Any]) -> None:
    """Write a new definition."""
    conn.execute(insert(metadata.tables[table]).values(**columns))


def create_row(conn: Connection, table: str, columns: Mapping[str, Any]) -> None:
    """Write a new definition; Conflict if somebody else wrote one of its name just now."""
    try:
        insert_row(conn, table, columns)
    except IntegrityError as error:
        name = columns["name"]
        raise Conflict(f"{table}.{name} cannot be written: {_first_line(error)}") from error


def _first_line(error: IntegrityError) -> str:
    return str(error.orig).strip().splitlines()[0]


def update_row(conn: Connection, table: str, name: str, columns: Mapping[str, Any]) -> None:
    """Change the columns given of a definition that is there."""
    definitions = metadata.tables[table]
    conn.execute(update(definitions).where(definitions.c.name == name).values(**columns))


def delete_row(conn: Connection, table: str, name: str) -> None:
    """Delete a definition; Conflict if a row still names it."""
    definitions = metadata.tables[table]
    try:
        conn.execute(delete(definitions).where(definitions.c.name == name))
    except IntegrityError as error:
        raise Conflict(f"{table}.{name} cannot be deleted: {_first_line(error)}") from error
