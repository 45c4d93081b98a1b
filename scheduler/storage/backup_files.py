"""
A backup is one SQLite file, of whatever database: nothing but that file is needed to restore it.

It is written beside its name, checked by reading it back, and gets its name last.
"""

import os
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from sqlalchemy import Connection, func, inspect, select

from scheduler.domain.errors import Conflict, DatabaseDamaged
from scheduler.storage.copying import Progress
from scheduler.storage.tables import metadata

_PAGES_AT_ONCE: Final = 4096
_TAIL: Final = ("", "-wal", "-shm", "-journal")


@contextmanager
def new_file(final: Path) -> Iterator[Path]:
    """
    Give the path to write a file at that gets the name *final* at the end of the block.

    A file that is there already is never touched: raises Conflict. Whatever ends the block, or the
    process, leaves either the whole file or none of that name; what an earlier try left is removed.
    """
    _refuse_taken(final)
    partial = final.with_name(final.name + ".partial")
    _remove(partial)
    try:
        yield partial
        _flush(partial)
        with suppress(FileExistsError):
            os.link(partial, final)
            _flush(final.parent)
            return
        _refuse_taken(final)
    finally:
        _remove(partial)


def _refuse_taken(final: Path) -> None:
    if final.exists():
        raise Conflict(f"{final} is there already: remove it, or name another file")


def copy_file(source: Connection, target: Path, *, progress: Progress) -> None:
    """Copy the SQLite database behind *source*, as its transaction sees it, page by page."""

    def tell(_: int, remaining: int, total: int) -> None:
        progress("pages", total - remaining, total)

    os.close(os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    inspect(source).get_table_names()  # from here on, the transaction sees one moment
    raw: Any = source.connection.driver_connection
    with closing(sqlite3.connect(target)) as copy:
        raw.backup(copy, pages=_PAGES_AT_ONCE, progress=tell)


@contextmanager
def copy_of(file: Path, target: Path) -> Iterator[Path]:
    """Give a copy of an SQLite file, with what its log holds; it is removed at the end."""
    _remove(target)
    try:
        os.close(os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        with (
            closing(sqlite3.connect(f"file:{_quoted(file)}?mode=ro", uri=True)) as source,
            closing(sqlite3.connect(target)) as copy,
        ):
            source.backup(copy)
        yield target
    finally:
        _remove(target)


def file_url(file: Path) -> str:
    """Return the URL of an SQLite file."""
    return f"sqlite:///{file}"


def settle_file(file: Path) -> None:
    """Make of an SQLite database that nobody has open one file, without a log beside it."""
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("PRAGMA journal_mode = DELETE")


def vacuum_file(file: Path) -> tuple[int, int]:
    """Rewrite an SQLite file that nobody has open; return its bytes before and after."""
    before = file.stat().st_size
    with closing(sqlite3.connect(file, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = DELETE")
        connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
        connection.execute("VACUUM")
    return before, file.stat().st_size


def count_rows(conn: Connection) -> dict[str, int]:
    """Return how many rows each of our tables has that is there."""
    there = set(inspect(conn).get_table_names())
    return {
        name: conn.scalar(select(func.count()).select_from(table)) or 0
        for name, table in sorted(metadata.tables.items())
        if name in there
    }


def check_file(file: Path, expected: Mapping[str, int] | None = None) -> dict[str, int]:
    """
    Read an SQLite file through; return how many rows each of its tables has.

    Raises DatabaseDamaged where it is damaged, a row names another that is not there, or it has
    other numbers of rows than *expected*.
    """
    try:
        with closing(sqlite3.connect(f"file:{_quoted(file)}?mode=ro", uri=True)) as connection:
            wrong = [row[0] for row in connection.execute("PRAGMA integrity_check(5)")]
            if wrong != ["ok"]:
                raise DatabaseDamaged(f"{file} is damaged: {'; '.join(wrong)}")
            if row := connection.execute("PRAGMA foreign_key_check").fetchone():
                raise DatabaseDamaged(
                    f"{file}: row {row[1]} of {row[0]} names a row of {row[2]} that is not there"
                )
            counts = _counts(connection)
    except sqlite3.DatabaseError as error:
        raise DatabaseDamaged(f"{file} cannot be read: {error}") from error
    for table, rows in (expected or {}).items():
        if counts.get(table) != rows:
            raise DatabaseDamaged(f"{file} has {counts.get(table)} rows in {table}, not {rows}")
    return counts


def _counts(connection: sqlite3.Connection) -> dict[str, int]:
    found = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
    names = sorted({name for (name,) in found} & metadata.tables.keys())
    # The names are those of our tables.
    counts = (connection.execute(f"SELECT count(*) FROM {name}").fetchone() for name in names)  # noqa: S608
    return {name: count for name, (count,) in zip(names, counts, strict=True)}


def replace_database(new: Path, database: Path, *, kept: Path | None) -> None:
    """
    Put *new* in the place of the SQLite file *database*, which nobody may have open.

    The old one is kept as *kept*, whole, with what its log held. Killed at any point, either of the
    two has the name, and no log of the other stands beside it.
    """
    if database.exists():
        with suppress(sqlite3.DatabaseError):  # a damaged one is kept as it is
            settle_file(database)
        if kept is not None:
            os.link(database, kept)
            for tail in _TAIL[1:]:
                with suppress(FileNotFoundError):
                    database.with_name(database.name + tail).rename(
                        kept.with_name(kept.name + tail)
                    )
    _remove_logs(database)
    _flush(new)
    new.replace(database)
    _flush(database.parent)


def _remove_logs(database: Path) -> None:
    for tail in _TAIL[1:]:
        database.with_name(database.name + tail).unlink(missing_ok=True)


def _remove(file: Path) -> None:
    for tail in _TAIL:
        file.with_name(file.name + tail).unlink(missing_ok=True)


def _flush(path: Path) -> None:
    opened = os.open(path, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


def _quoted(file: Path) -> str:
    return quote(str(file.resolve()))
