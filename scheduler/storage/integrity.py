"""Whether what is stored is whole: SQLite checks its file, and both what rows name."""

from typing import Final

from sqlalchemy import Column, Connection, func, select

from scheduler.storage.tables import metadata

_MOST_TOLD: Final = 20


def list_damage(conn: Connection) -> list[str]:
    """Return what is wrong with the pages of an SQLite file; nothing for PostgreSQL."""
    if conn.dialect.name == "postgresql":
        return []
    found = conn.exec_driver_sql(f"PRAGMA integrity_check({_MOST_TOLD})").scalars().all()
    return [f"the file is damaged: {words}" for words in found if words != "ok"]


def list_dangling(conn: Connection) -> list[str]:
    """Return a sentence for each column that names rows which are not there."""
    sentences = []
    for table in metadata.sorted_tables:
        for key in table.foreign_keys:
            count = _count_dangling(conn, key.parent, key.column)
            if count:
                target = f"{key.column.table.name}.{key.column.name}"
                sentences.append(
                    f"{count} rows of {table.name} name, as {key.parent.name}, no {target} that is"
                    " there"
                )
    return sentences


def _count_dangling(conn: Connection, column: Column[object], target: Column[object]) -> int:
    other = target.table.alias()
    is_there = select(other.c[target.name]).where(other.c[target.name] == column).exists()
    return conn.scalar(select(func.count()).where(column.is_not(None), ~is_there)) or 0
