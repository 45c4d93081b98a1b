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
    Table,
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
from scheduler.storage.tables import metadata, overrides

Row = Mapping[str, Any]


def list_rows(conn: Connection, table: str, *, hold: bool = False) -> dict[str, Row]:
    """Return a definition table's rows by name; *hold* them until the transaction ends."""
    return _rows(conn, table, true(), hold=hold)


def find_row(conn: Connection, table: str, name: str, *, hold: bool = False) -> Row | None:
    """Return one row of a definition table; *hold* it until the transaction ends."""
    named = metadata.tables[table].c.name == name
    return _rows(conn, table, named, hold=hold).get(name)


def list_names(conn: Connection, table: str, *, prefix: str, limit: int) -> list[str]:
    """Return the first names of a definition table that begin with *prefix*."""
    name = metadata.tables[table].c.name
    query = select(name).where(name.startswith(prefix, autoescape=True))
    return list(conn.scalars(query.order_by(name).limit(limit)))


def list_rows_of_files(
    conn: Connection, table: str, names: Collection[str], *, hold: bool = False
) -> dict[str, Row]:
    """Return the rows that a file owns, and those of these *names*, as `list_rows` does."""
    # Literally: no partial index is used for a value that is learned only at execution.
    rows = _rows(conn, table, text("origin = 'file'"), hold=hold)
    others = [name for name in names if name not in rows]
    for start in range(0, len(others), _AT_ONCE):
        named = metadata.tables[table].c.name.in_(others[start : start + _AT_ONCE])
        rows |= _rows(conn, table, named, hold=hold)
    return rows


_AT_ONCE = 1000


def _rows(
    conn: Connection, table: str, condition: ColumnElement[bool] | TextClause, *, hold: bool
) -> dict[str, Row]:
    definitions = metadata.tables[table]
    query = select(definitions).where(condition).order_by(definitions.c.name)
    # Not FOR UPDATE: that would wait for whoever writes a row that names one of these.
    rows = conn.execute(query.with_for_update(key_share=True) if hold else query)
    return {row["name"]: dict(row) for row in rows.mappings()}


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
    conn.execute(insert(metadata.tables[table]).values(edits=1, **columns))


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
    signed = signed_edit(definitions)
    conn.execute(update(definitions).where(definitions.c.name == name).values(**columns, **signed))


def signed_edit(definitions: Table) -> dict[str, ColumnElement[int]]:
    """Return what an UPDATE of ours sets beside: without it, it is told as another client's."""
    return {"edits": definitions.c.edits + 1}


def delete_row(conn: Connection, table: str, name: str) -> None:
    """Delete a definition; Conflict if a row still names it."""
    definitions = metadata.tables[table]
    try:
        # Signed: else the audit has it twice, once as another client's.
        conn.execute(update(definitions).where(definitions.c.name == name).values(edits=-1))
        if table == "schedules":
            mine = overrides.c.schedule == name
            conn.execute(update(overrides).where(mine).values(edits=-1))
        conn.execute(delete(definitions).where(definitions.c.name == name))
    except IntegrityError as error:
        raise Conflict(f"{table}.{name} cannot be deleted: {_first_line(error)}") from error
