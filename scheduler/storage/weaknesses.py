"""What a database lacks that can be lived with, or mended: told at a start, and by `doctor`."""

import os
from pathlib import Path
from typing import Final

from sqlalchemy import Connection, Integer, select, text

from scheduler.storage.tables import metadata
from scheduler.storage.upkeep_tables import origins

_LARGE_LOG: Final = 64_000_000
_LEAST_FREE: Final = 256_000


def list_weaknesses(conn: Connection) -> list[str]:
    """Return a sentence for each."""
    if conn.dialect.name != "postgresql":
        return _list_of_file(Path(os.path.realpath(str(conn.engine.url.database))))
    return [
        *(
            f"the server runs with {name} = off: after a crash of its machine it may have forgotten"
            " what was sent, and that is sent again"
            for name in ("fsync", "full_page_writes")
            if conn.scalar(text(f"SELECT current_setting('{name}')")) == "off"
        ),
        *(
            f"the sequence of {table}.id stands at {last} and there is an id {highest}: what is"
            " inserted next fails; a start of the daemon mends it"
            for table, last, highest in _list_behind(conn)
        ),
    ]


def _list_of_file(file: Path) -> list[str]:
    weaknesses = [large] if (large := large_log(file)) else []
    if file.exists() and file.stat().st_mode & 0o022:
        weaknesses.append(f"{file} may be written by others: chmod 600 it")
    return weaknesses


def large_log(file: Path) -> str | None:
    """Return a sentence where the log of an SQLite file cannot shrink, for a forgotten reader."""
    log = Path(f"{file}-wal")
    size = log.stat().st_size if log.exists() else 0
    if size <= _LARGE_LOG:
        return None
    return (
        f"{log} has grown to {size // 1_000_000} MB: another program holds a transaction open, and"
        " nothing that was written since can be moved into the file"
    )


def why_unwritable(conn: Connection) -> str | None:
    """Say why nothing can be written to an SQLite file, as far as its disk tells."""
    if conn.dialect.name == "postgresql":
        return None  # its disk is its server's
    file = os.path.realpath(str(conn.engine.url.database))
    try:
        disk = os.statvfs(file)
    except OSError:
        return None
    if disk.f_flag & os.ST_RDONLY:
        return f"the disk of {file} is mounted read-only: nothing is written, and so nothing sent"
    if disk.f_bavail * disk.f_frsize >= _LEAST_FREE:
        return None
    return f"the disk of {file} is full: until there is space, what cannot be written is not sent"


def mend_sequences(conn: Connection) -> list[str]:
    """Move sequences that stand behind their table's ids ahead of them; return those tables."""
    if conn.dialect.name != "postgresql":
        return []
    behind = _list_behind(conn)
    for table, _, highest in behind:
        conn.execute(
            text("SELECT setval(pg_get_serial_sequence(:table, 'id'), :highest)"),
            {"table": table, "highest": highest},
        )
    return [table for table, *_ in behind]


def _list_behind(conn: Connection) -> list[tuple[str, int, int]]:
    behind = []
    for table in metadata.sorted_tables:
        column = table.c.get("id")
        if column is None or not isinstance(column.type, Integer) or not column.primary_key:
            continue
        if table is origins:  # one row, whose id is written
            continue
        last = conn.scalar(
            text(
                "SELECT CASE WHEN has_sequence_privilege(name, 'SELECT')"
                " THEN coalesce(pg_sequence_last_value(name::regclass), 0) END"
                " FROM pg_get_serial_sequence(:table, 'id') AS name"
            ),
            {"table": table.name},
        )
        if last is None:  # who only reads may not see it, nor writes by it
            continue
        highest = conn.scalar(select(column).order_by(column.desc()).limit(1))
        if highest is not None and highest > last:
            behind.append((table.name, int(last), int(highest)))
    return behind
