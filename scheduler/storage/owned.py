"""Rows of the definition tables, by name, for whoever owns them: a file, or a person."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, insert, select, update

from scheduler.storage.tables import metadata


def list_rows(conn: Connection, table: str) -> dict[str, Mapping[str, Any]]:
    """Return every row of a definition table by its name."""
    found = conn.execute(select(metadata.tables[table]))
    return {row["name"]: dict(row) for row in found.mappings()}


def insert_row(conn: Connection, table: str, columns: Mapping[str, Any]) -> None:
    """Write a new definition."""
    conn.execute(insert(metadata.tables[table]).values(**columns))


def update_row(conn: Connection, table: str, name: str, columns: Mapping[str, Any]) -> None:
    """Change the columns given of a definition that is there."""
    definitions = metadata.tables[table]
    conn.execute(update(definitions).where(definitions.c.name == name).values(**columns))
