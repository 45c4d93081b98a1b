"""
The ways into the database: a transaction that may write, or one that only reads.

Storage functions are synchronous and take the caller's open Connection. Coroutines hand the
work over (`await db.write(work)`); the command line uses `with db.writing() as conn`.
"""

import asyncio
import sqlite3
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import Self, TypeVar

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from scheduler.domain.errors import DatabaseDamaged, DatabaseError
from scheduler.storage.dialect import create_engines, read_at_leisure, shown_url, sqlite_file

__all__ = ["Connection", "Database"]

Result = TypeVar("Result")


class Database:
    """
    The doors to one database, safe to share between threads and tasks.

    All doors raise DatabaseError, with the way out, when the database cannot be reached,
    opened or written; a broken rule of a table stays SQLAlchemy's IntegrityError. After a
    DatabaseError a commit may have happened or not: look, or make the work repeatable.
    """

    def __init__(self, url: str, *, checkpoints: bool = False) -> None:
        self.name = shown_url(url)
        self.file: Path | None = sqlite_file(url)
        self._writer, self._reader = create_engines(url, checkpoints=checkpoints)
        self._identity: tuple[int, int] | None = None
        # SQLite has one writer: a second thread would only wait.
        writers = 1 if self.file is not None else 4
        self._write_threads = ThreadPoolExecutor(writers, thread_name_prefix="db-write")
        self._read_threads = ThreadPoolExecutor(4, thread_name_prefix="db-read")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Finish what is being done and close every connection."""
        self._write_threads.shutdown()
        self._read_threads.shutdown()
        self._writer.dispose()
        self._reader.dispose()

    def writing(self) -> AbstractContextManager[Connection]:
        """Open a transaction that may write; it commits at the end, or takes everything back."""
        return self._transaction(self._writer)

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """
        Open a transaction that only reads: one moment's view, never waiting for a writer.

        It may take as long as it needs.
        """
        with self._transaction(self._reader) as conn:
            read_at_leisure(conn)
            yield conn

    async def write(self, work: Callable[[Connection], Result]) -> Result:
        """Do *work* in a transaction that may write. If cancelled, it is finished all the same."""
        return await self._hand_over(self._write_threads, self._writer, work)

    async def read(self, work: Callable[[Connection], Result]) -> Result:
        """Do *work* in a transaction that only reads."""
        return await self._hand_over(self._read_threads, self._reader, work)

    async def _hand_over(
        self, threads: Executor, engine: Engine, work: Callable[[Connection], Result]
    ) -> Result:
        def job() -> Result:
            with self._transaction(engine) as conn:
                return work(conn)

        running = asyncio.get_running_loop().run_in_executor(threads, job)
        try:
            return await asyncio.shield(running)
        except asyncio.CancelledError:
            # A cancelled write may have committed: nobody goes on before that is certain.
            while not running.done():
                with suppress(asyncio.CancelledError):
                    await asyncio.wait([running])
            raise

    @contextmanager
    def _transaction(self, engine: Engine) -> Iterator[Connection]:
        try:
            with engine.begin() as conn:
                if engine is self._writer:
                    self._check_identity()
                yield conn
        except (OperationalError, PoolTimeout, sqlite3.Error, OSError) as error:
            raise self._explain(error) from error
        except DBAPIError as error:
            if not (error.connection_invalidated or _is_damage(error) or _is_standby(error)):
                raise
            raise self._explain(error) from error

    def _check_identity(self) -> None:
        """Refuse to write into a file that has no name any more: all of it would be lost."""
        if self.file is None:
            return
        try:
            stat = self.file.stat()
            identity = (stat.st_dev, stat.st_ino)
        except FileNotFoundError:
            identity = None
        if self._identity is None:
            self._identity = identity
        elif identity != self._identity:
            raise DatabaseDamaged(
                f"{self.name}: the file was deleted or replaced while it was open:"
                " put the right one there and start again"
            )

    def _explain(self, error: Exception) -> DatabaseError:
        cause = str(_cause(error)).strip()
        first_line = cause.splitlines()[0] if cause else type(error).__name__
        kind = DatabaseDamaged if _is_damage(error) else DatabaseError
        return kind(f"{self.name}: {first_line}{_way_out(first_line)}")


_DAMAGE = ("malformed", "file is not a database")


def _is_damage(error: Exception) -> bool:
    """Only SQLite's own words count: ours repeat the statement, and what it was to write."""
    cause = _cause(error)
    return isinstance(cause, sqlite3.Error) and any(words in str(cause) for words in _DAMAGE)


def _is_standby(error: Exception) -> bool:
    """A server that only reads: after a failover, until the other one is found (SQLSTATE 25006)."""
    return getattr(_cause(error), "sqlstate", None) == "25006"


def _cause(error: Exception) -> BaseException:
    return error.orig if isinstance(error, DBAPIError) and error.orig is not None else error


_WAYS_OUT = {
    "unable to open database file": "does its folder exist, and may this user write there?",
    "readonly database": "may this user write the file and its folder?",
    "disk is full": "free some space; the daemon goes on by itself",
    "disk I/O error": "is the disk full, or failing?",
    "no such table": "run `dca-scheduler db upgrade`",
    "does not exist": "create it, or run `dca-scheduler db upgrade`",
    "file is not a database": "database.url names a file of another kind",
    "malformed": "the file is damaged: restore a backup",
    "database is locked": "another program holds a transaction open",
    "read-only transaction": "is the server a standby? the daemon goes on once it may write",
    "onnection refused": "is the server running, and at this address?",
    "authentication failed": "check user and password",
}


def _way_out(message: str) -> str:
    return next((f" ({hint})" for words, hint in _WAYS_OUT.items() if words in message), "")
