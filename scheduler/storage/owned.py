"""Rows of the definition tables, by name, for whoever owns them: a file, or a person."""

from collections.abc import Mapping
from functools import cache
from typing import Any

from sqlalchemy import Boolean, Column, Connection, Integer, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from scheduler.domain.errors import Conflict
from scheduler.storage.tables import metadata


def list_rows(conn: Connection, table: str, *, hold: bool = False) -> dict[str, Mapping[str, Any]]:
    """Return a definition table's rows by name; *hold* them until the transaction ends."""
    definitions = metadata.tables[table]
    query = select(definitions).order_by(definitions.c.name)
    # Not FOR UPDATE: that would wait for whoever writes a row that names one of these.
    found = conn.execute(query.with_for_update(key_share=True) if hold else query)
    return {row["name"]: dict(row) for row in found.mappings()}


@cache
def list_defaults(table: str) -> Mapping[str, Any]:
    """Return what the columns of a definition hold if nobody says otherwise."""
    return {column.name: _default(column) for column in metadata.tables[table].columns}


def _default(column: Column[Any]) -> Any:
    text = str(getattr(column.server_default, "arg", "")) if column.server_default else None
    if text is None or text == "CURRENT_TIMESTAMP":
        return None
    if isinstance(column.type, Boolean):
        return text == "TRUE"
    return column.type.python_type(text) if _is_number(column) else text


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
