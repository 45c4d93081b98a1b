"""
The ways into the database: a transaction that may write, or one that only reads.

Storage functions are synchronous and take the caller's open Connection. Coroutines hand the
work over (`await db.write(work)`); the command line uses `with db.writing() as conn`.
"""

import asyncio
import copy
import os
import re
import sqlite3
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager, nullcontext, suppress
from functools import partial
from math import inf
from pathlib import Path
from threading import Event
from typing import Self, TypeVar

from sqlalchemy import Connection, Engine, event
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.pool import ConnectionPoolEntry

from scheduler.clock import boot_seconds
from scheduler.domain.errors import DatabaseDamaged, DatabaseError, SchedulerError
from scheduler.storage.dialect import create_engines, read_at_leisure
from scheduler.storage.lines import STATEMENT_SECONDS, Line, watched
from scheduler.storage.urls import shown_url, sqlite_file

__all__ = ["Connection", "Database"]

Result = TypeVar("Result")
Observe = Callable[[float, str], None]
"""Is told how many seconds an access took, and which: `read` or `write`."""


def _unobserved(_: float, __: str) -> None:
    pass


class Database:
    """
    The doors to one database, safe to share between threads and tasks.

    All doors raise DatabaseError, with the way out, when the database cannot be reached,
    opened or written; a broken rule of a table stays SQLAlchemy's IntegrityError. After a
    DatabaseError a commit may have happened or not: look, or make the work repeatable.
    *by* is who moves runs through these doors: a daemon's id, or a person and their command.
    *observe*, which may be set, is told in a thread how long each `read` and `write` took, the
    wait for the lock included. One that is not *durable* is forgotten by a power loss: for scratch.
    """

    def __init__(
        self,
        url: str,
        *,
        checkpoints: bool = False,
        answer_within: float = STATEMENT_SECONDS,
        by: str | None = None,
        durable: bool = True,
    ) -> None:
        self.name = shown_url(url)
        self.file: Path | None = sqlite_file(url)
        self._writer, self._reader = create_engines(
            url, checkpoints=checkpoints, by=by, durable=durable
        )
        self._answer_within = answer_within
        self.observe: Observe = _unobserved
        self._by = by
        self._closed = Event()
        self._identity: tuple[int, int] | None = None
        self._log = Path(f"{self.file}-wal") if self.file is not None else None
        self._moves_the_log = checkpoints
        self._logs: set[tuple[int, int] | None] = set()
        if self._log is not None:
            event.listen(self._writer, "connect", self._note_log)
            event.listen(self._reader, "connect", self._note_log)
        # SQLite has one writer: a second thread would only wait.
        writers = 1 if self.file is not None else 4
        self._write_threads = ThreadPoolExecutor(writers, thread_name_prefix="db-write")
        self._read_threads = ThreadPoolExecutor(4, thread_name_prefix="db-read")
        self._other_threads = ThreadPoolExecutor(_OTHER_THREADS, thread_name_prefix="db-other")
        self._in_vain: dict[Engine | None, tuple[float, str]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Finish what is being done and close every connection; the doors stay closed."""
        self._write_threads.shutdown()
        self._read_threads.shutdown()
        self._other_threads.shutdown()
        self._closed.set()
        self._dispose()

    def signed(self, by: str) -> Self:
        """Return the same doors, with the same connections, for somebody else; do not close it."""
        doors = copy.copy(self)
        doors._by = by
        return doors

    @contextmanager
    def writing(self, *, at_leisure: bool = False) -> Iterator[Connection]:
        """
        Open a transaction that may write; it commits at the end, or takes everything back.

        *at_leisure* it may take as long as it needs, though others may wait for it.
        """
        with self._transaction(self._writer) as conn:
            if at_leisure:
                read_at_leisure(conn)
            yield conn

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """
        Open a transaction that only reads: one moment's view, never waiting for a writer.

        It may take as long as it needs.
        """
        with self._transaction(self._reader) as conn:
            read_at_leisure(conn)
            yield conn

    async def write(
        self, work: Callable[[Connection], Result], *, at_leisure: bool = False
    ) -> Result:
        """
        Do *work* in a transaction that may write. If cancelled, it is finished all the same.

        Unless *at_leisure*, a server that does not answer a statement in time is given up.
        """
        limit = inf if at_leisure else self._answer_within
        job = partial(self._in_transaction, self._writer, work)
        return await self._hand_over(self._write_threads, job, limit, self._writer)

    async def read(self, work: Callable[[Connection], Result]) -> Result:
        """Do *work* in a transaction that only reads. If cancelled, it is broken off."""
        job = partial(self._in_transaction, self._reader, work)
        return await self._hand_over(self._read_threads, job, self._answer_within, self._reader)

    async def outside(self, work: Callable[[], Result]) -> Result:
        """Do *work*, which goes through these doors by itself; for the rest as `write`."""
        return await self._hand_over(self._other_threads, work, self._answer_within)

    def _in_transaction(self, engine: Engine, work: Callable[[Connection], Result]) -> Result:
        began = boot_seconds()
        try:
            with self._transaction(engine) as conn:
                return work(conn)
        finally:
            self.observe(boot_seconds() - began, "read" if engine is self._reader else "write")

    async def _hand_over(
        self,
        threads: Executor,
        work: Callable[[], Result],
        limit: float,
        engine: Engine | None = None,
    ) -> Result:
        line, asked = Line(), boot_seconds()
        limit = inf if self.file is not None else limit  # no line may be cut without a word

        def job() -> Result:
            with watched(line), self._failing_together(engine, asked, line):
                return work()

        loop = asyncio.get_running_loop()
        running = loop.run_in_executor(threads, job)
        try:
            with _breaking(line, limit):
                return await asyncio.shield(running)
        except asyncio.CancelledError:
            if engine is self._reader:
                if not line.break_off():
                    running.cancel()  # nobody has begun it
                    raise
                limit = 0
            # A cancelled write may have committed: nobody goes on before that is certain.
            with _breaking(line, limit):
                while not running.done():
                    with suppress(asyncio.CancelledError):
                        await asyncio.wait([running])
            # Nobody hears it; with its trace asyncio tells only what was not to be expected.
            error = None if running.cancelled() else running.exception()
            if error is not None and not isinstance(error, SchedulerError):
                loop.call_exception_handler({"message": "nobody heard", "exception": error})
            raise

    @contextmanager
    def _failing_together(self, engine: Engine | None, asked: float, line: Line) -> Iterator[None]:
        """
        Fail at once if somebody waited in vain while this waited for its turn, or nobody wants it.

        So nobody waits for all who stand before them, when each of them waits in vain.
        """
        failed_at, why = self._in_vain.get(engine, (-inf, ""))
        if failed_at > asked or not line.begin():
            raise DatabaseError(why)
        began = boot_seconds()
        try:
            yield
        except DatabaseError as error:
            waited = boot_seconds() - began
            if line.is_wanted and waited > _IN_VAIN_SECONDS and _is_for_all(error):
                self._in_vain[engine] = (boot_seconds(), str(error))
            raise

    @contextmanager
    def _transaction(self, engine: Engine) -> Iterator[Connection]:
        if self._closed.is_set():
            raise RuntimeError(f"{self.name} was closed: nobody would close what is opened now")
        try:
            with engine.begin() as conn:
                if self._by != conn.get_execution_options().get("by"):
                    conn.execution_options(by=self._by)
                if engine is self._writer:
                    self._check_identity()
                if engine is self._writer or not self._moves_the_log:
                    self._check_log(conn)
                yield conn
        except _LogIsGone:
            raise (self._rescued() if self._moves_the_log else self._let_go()) from None
        except (OperationalError, PoolTimeout, sqlite3.Error, OSError) as error:
            if isinstance(error, OSError) and error.filename is None:
                raise  # of what the work wrote to: a file of the database has a name
            raise self._explain(error) from error
        except DBAPIError as error:
            is_circumstance = _is_circumstance(error) or _is_numbered_twice(error)
            if not (error.connection_invalidated or _is_damage(error) or is_circumstance):
                raise
            raise self._explain(error) from error

    def _check_identity(self) -> None:
        """Refuse to write into a file that has no name any more: all of it would be lost."""
        if self.file is None:
            return
        identity = _identity(self.file)
        if self._identity is None:
            self._identity = identity
        elif identity != self._identity:
            raise DatabaseDamaged(
                f"{self.name}: the file was deleted or replaced while it was open:"
                " put the right one there and start again"
            )

    def _note_log(self, _: object, entry: ConnectionPoolEntry) -> None:
        if self._log is not None:
            entry.info["log"] = _identity(self._log)
            self._logs.add(entry.info["log"])

    def _check_log(self, conn: Connection) -> None:
        """
        Refuse to go on with a log that has no name any more.

        Who does not move the log goes on with the daemon, which rescues it, until there is another.
        """
        if self._log is None:
            return
        identity = _identity(self._log)
        noted = conn.info.get("log")
        if noted is None:  # a new file's log begins with the first that is written
            conn.info["log"] = identity
            self._logs.add(identity)
        elif noted != identity and (self._moves_the_log or _has_begun(self._log)):
            raise _LogIsGone

    def _let_go(self) -> DatabaseError:
        self._dispose()
        return DatabaseError(
            f"{self.name}: its log (-wal) was replaced while it was open: try again"
        )

    def _dispose(self) -> None:
        """
        Close every connection.

        The last one to a file deletes the log by its name, whichever it has itself: so where ours
        may be another, the name is kept.
        """
        # None: a new file had no log yet.
        is_another = self._log is not None and bool(self._logs - {None, _identity(self._log)})
        with _keeping(self._log) if is_another and self._log is not None else nullcontext():
            self._writer.dispose()
            self._reader.dispose()

    def _rescued(self) -> DatabaseError:
        """
        Bring what a deleted log holds into the file, and let go of it.

        It has no name any more, and lives as long as our connections: nobody else, and no next
        start, would find what it holds. Not if somebody has begun another log: both are right.
        """
        gone = f"{self.name}: its log (-wal) was deleted or replaced while it was open"
        if self._log is not None and _has_begun(self._log):
            return DatabaseDamaged(
                f"{gone}, and another program has begun a new one: stop it, and restore a backup"
            )
        raw = self._writer.raw_connection()
        try:
            cursor = raw.cursor()
            cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            is_busy, *_ = cursor.fetchone() or (1,)
        finally:
            raw.close()
        if is_busy:
            return DatabaseError(f"{gone}: it is held by a reader, and rescued once that is gone")
        self._dispose()
        self._begin_log()
        return DatabaseError(f"{gone}: what it held is in the file now, and the daemon goes on")

    def _begin_log(self) -> None:
        """Write into the new log, so that others see that the old one is over."""
        with self._writer.begin() as conn:
            version = conn.exec_driver_sql("PRAGMA user_version").scalar_one()
            conn.exec_driver_sql(f"PRAGMA user_version={version:d}")

    def _explain(self, error: Exception) -> DatabaseError:
        cause = str(_cause(error)).strip()
        first_line = cause.splitlines()[0] if cause else type(error).__name__
        kind = DatabaseDamaged if _is_damage(error) else DatabaseError
        return kind(f"{self.name}: {first_line}{_way_out(first_line)}")


class _LogIsGone(Exception):
    """The log that our connections write to has no name any more."""


def _identity(file: Path) -> tuple[int, int] | None:
    try:
        stat = file.stat()
    except FileNotFoundError:
        return None
    return stat.st_dev, stat.st_ino


def _has_begun(log: Path) -> bool:
    try:
        return log.stat().st_size > 0
    except FileNotFoundError:
        return False


@contextmanager
def _keeping(log: Path) -> Iterator[None]:
    """Give a log its name back if it loses it within the block."""
    kept = log.with_name(f"{log.name}.kept")
    kept.unlink(missing_ok=True)
    try:
        os.link(log, kept)
    except OSError:  # there is none, or file systems without links are used
        yield
        return
    try:
        yield
    finally:
        if log.exists():
            kept.unlink()
        else:
            kept.rename(log)


_IN_VAIN_SECONDS = 8.0
"""Longer than a lock of one table is waited for, and shorter than SQLite's, or a connection."""

_OTHER_THREADS = 40


def _is_for_all(error: DatabaseError) -> bool:
    """Tell whether others meet the same: no answer of a server, or the one lock of SQLite."""
    cause = error.__cause__
    return cause is not None and getattr(_cause(cause), "sqlstate", None) is None


_DAMAGE = ("malformed", "file is not a database")


def _is_numbered_twice(error: Exception) -> bool:
    """A sequence that is behind gave an id that is there already."""
    constraint = getattr(getattr(_cause(error), "diag", None), "constraint_name", None)
    return constraint in ("pk_runs", "pk_changes", "pk_overrides", "pk_throttles")


def _is_damage(error: Exception) -> bool:
    """Only SQLite's own words count: ours repeat the statement, and what it was to write."""
    cause = _cause(error)
    return isinstance(cause, sqlite3.Error) and any(words in str(cause) for words in _DAMAGE)


_CIRCUMSTANCES = (
    "25006",  # a server that only reads: after a failover, until the other one is found
    "42501",  # a role that may not
    "42P05",  # prepared statements of others, and none of ours:
    "26000",  # a pooler stands between
    "3F000",  # no schema to create in
    "42P01",  # a table, or:
    "42703",  # a column that somebody took away
)


def _is_circumstance(error: Exception) -> bool:
    """Tell whether PostgreSQL says by its SQLSTATE that the fault is not in the statement."""
    return getattr(_cause(error), "sqlstate", None) in _CIRCUMSTANCES


@contextmanager
def _breaking(line: Line, limit: float) -> Iterator[None]:
    """Look at *line* now and then, and break it when it was silent for too long."""
    if limit == inf:
        yield
        return
    loop = asyncio.get_running_loop()
    timers: list[asyncio.TimerHandle] = []

    def look() -> None:
        line.break_if_silent(limit)
        timers[:] = [loop.call_later(max(limit / 10, 0.05), look)]

    look()
    try:
        yield
    finally:
        timers[0].cancel()


def _cause(error: BaseException) -> BaseException:
    return error.orig if isinstance(error, DBAPIError) and error.orig is not None else error


_TAKEN_AWAY = "`dca-scheduler doctor` says what is missing, and the way out"

_WAYS_OUT = {
    "unable to open database file": "does its folder exist, and may this user write there?",
    "readonly database": "may this user write the file and its folder? while no daemon runs, SQLite"
    " needs that to read, too",
    "disk is full": "free some space; the daemon goes on by itself",
    "No space left on device|Disk quota exceeded": "free some space on the server; the daemon goes"
    " on by itself",
    "disk I/O error": "is the disk or a quota full, or does the disk fail?",
    "no such (table|column)": _TAKEN_AWAY,
    'role ".*" does not exist': "create it on the server, or name another user in database.url",
    'database ".*" does not exist': "create it, then run `dca-scheduler db upgrade`",
    "does not exist": _TAKEN_AWAY,
    "file is not a database": "database.url names a file of another kind, or its log is cut off:"
    " look at the file before you move anything",
    'duplicate key value .* "pk_': "its sequence is behind: a start of the daemon mends it",
    "malformed": "the file is damaged: restore a backup",
    "database is locked": "another program holds a transaction open",
    "read-only transaction": "is the server a standby, or default_transaction_read_only set for the"
    " database or the role? the daemon goes on once it may write",
    "row-level security": "a policy hides rows: ALTER TABLE NAME DISABLE ROW LEVEL SECURITY, or use"
    " the role that owns the tables",
    "permission denied": "this role may not: grant it the right, or use another role",
    "prepared statement": "a pooler stands between: give the server's own address",
    "unsupported startup parameter": "a pooler stands between: take options out of database.url and"
    " set them for the role or the database, or give the server's own address",
    "no schema has been selected": "search_path names no schema that is there: create it",
    "onnection refused": "is the server running, and at this address?",
    "authentication failed": "check user and password",
}


def _way_out(message: str) -> str:
    hints = (hint for words, hint in _WAYS_OUT.items() if re.search(words, message))
    return next((f" ({hint})" for hint in hints), "")
