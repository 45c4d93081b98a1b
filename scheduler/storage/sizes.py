"""How large the database is, and what of it is empty."""

from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Connection, func, select, text
from sqlalchemy.exc import OperationalError

from scheduler.storage.tables import metadata
from scheduler.storage.weaknesses import large_log


@dataclass(frozen=True, slots=True, kw_only=True)
class TableSize:
    """A table's rows, and its bytes with all of its indexes; None where SQLite cannot tell."""

    table: str
    row_count: int
    bytes: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class FileSize:
    """
    An SQLite file in bytes, what of it is empty, and whether that can be given back.

    *log_bytes* is the log beside it, *log_held* why that cannot shrink; None where it can.
    """

    bytes: int
    free_bytes: int
    shrinks: bool
    log_bytes: int
    log_held: str | None


def list_sizes(conn: Connection) -> list[TableSize]:
    """Return each of our tables, the largest first; it counts all rows, and may take a while."""
    measure = _of_postgresql if conn.dialect.name == "postgresql" else _of_sqlite
    found = [
        TableSize(
            table=table.name,
            row_count=conn.scalar(select(func.count()).select_from(table)) or 0,
            bytes=measure(conn, table.name),
        )
        for table in metadata.sorted_tables
    ]
    return sorted(found, key=lambda size: (-(size.bytes or 0), -size.row_count, size.table))


def find_file_size(conn: Connection) -> FileSize | None:
    """Return the size of an SQLite file; None for PostgreSQL."""
    if conn.dialect.name == "postgresql":
        return None
    page, pages, free, mode = (
        int(conn.exec_driver_sql(f"PRAGMA {name}").scalar() or 0)
        for name in ("page_size", "page_count", "freelist_count", "auto_vacuum")
    )
    file = Path(str(conn.exec_driver_sql("PRAGMA database_list").one().file))
    log = Path(f"{file}-wal")
    return FileSize(
        bytes=page * pages,
        free_bytes=page * free,
        shrinks=mode != 0,
        log_bytes=log.stat().st_size if log.exists() else 0,
        log_held=large_log(file),
    )


def _of_postgresql(conn: Connection, table: str) -> int:
    size = text("SELECT pg_total_relation_size(CAST(:name AS regclass))")
    return int(conn.scalar(size, {"name": table}) or 0)


def _of_sqlite(conn: Connection, table: str) -> int | None:
    pages = text(
        "SELECT sum(pgsize) FROM dbstat WHERE aggregate = TRUE AND name IN"
        " (SELECT name FROM sqlite_master WHERE tbl_name = :name)"
    )
    try:
        return int(conn.scalar(pages, {"name": table}) or 0)
    except OperationalError:  # it was built without dbstat
        return None
