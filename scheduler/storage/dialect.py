"""
What differs between SQLite and PostgreSQL. No other module asks a connection which it is.

(`given.py` writes its JSON for each of them; `postgresql.py` is what a connection to one needs.)
"""

import os
import select as io_select
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    Column,
    ColumnElement,
    DateTime,
    Dialect,
    Index,
    Integer,
    Table,
    Text,
    create_engine,
    event,
    func,
    select,
    text,
    type_coerce,
)
from sqlalchemy.dialects import postgresql
from sqlalchemy.dialects.postgresql import Insert
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.engine.interfaces import DBAPIConnection, DBAPICursor
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.pool import ConnectionPoolEntry
from sqlalchemy.sql.base import ReadOnlyColumnCollection
from sqlalchemy.sql.elements import KeyedColumnElement
from sqlalchemy.types import TypeDecorator, TypeEngine

from scheduler.storage.lines import note_line, shut
from scheduler.storage.postgresql import create_postgresql_engine
from scheduler.storage.urls import parse_url

Inserted = ReadOnlyColumnCollection[str, KeyedColumnElement[Any]]
"""The columns of a row that was to be inserted."""

CHANNEL = "dca_scheduler"
"""What PostgreSQL's LISTEN and NOTIFY call our news."""

Id = BigInteger().with_variant(Integer(), "sqlite")
"""An integer key: SQLite numbers rows by itself only when the type is exactly INTEGER."""


class UtcDateTime(TypeDecorator[datetime]):
    """
    An aware datetime in UTC.

    PostgreSQL keeps it as `timestamptz`; SQLite as text (`2026-03-02 09:00:00.000000`)
    that sorts by time and reads well in any client.
    """

    impl = DateTime
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Choose the column type of *dialect*."""
        if dialect.name == "postgresql":
            return dialect.type_descriptor(postgresql.TIMESTAMP(timezone=True))
        return dialect.type_descriptor(Text())

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> Any:
        """Refuse a naive time: it would be read in somebody else's zone."""
        if value is None:
            return None
        return _utc(value) if dialect.name == "postgresql" else text_of(value)

    def result_processor(self, dialect: Dialect, coltype: object) -> Callable[[Any], Any]:
        """Give the time back aware, in UTC, also where somebody wrote it by hand."""
        return _read_moment


def _read_moment(value: Any) -> datetime | None:
    if value is None:
        return None
    if isinstance(value, str):
        if len(value) == _WRITTEN_LENGTH and value[20:].isdigit():  # as we write it
            return datetime.fromisoformat(value + "Z")  # `replace` takes seven times as long
        value = datetime.fromisoformat(value)
    moment: datetime = value
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


_WRITTEN_LENGTH: Final = len("2026-03-02 09:00:00.000000")


def text_of(moment: datetime) -> str:
    """Return an aware time as SQLite keeps it, and as PostgreSQL reads it in our sessions."""
    # Not strftime, which takes ten times as long, and a pass writes hundreds.
    return _utc(moment).isoformat(" ", "microseconds")[:_WRITTEN_LENGTH]


def _utc(moment: datetime) -> datetime:
    if moment.tzinfo is None:
        raise ValueError(f"{moment!r} has no time zone")
    return moment.astimezone(UTC)


def create_engines(
    url: str, *, checkpoints: bool, by: str | None = None, durable: bool = True
) -> tuple[Engine, Engine]:
    """
    Return the engine to write with and the one to read with.

    SQLite: one connection that writes, beginning IMMEDIATE, and a few that only
    read, so that readers never wait for the writer. Only who *checkpoints* moves the
    log into the file: SQLite before 3.51.3 may damage it when two do at once.
    PostgreSQL: both share their connections, and those of who *checkpoints*, a daemon, read by
    indexes alone. Errors are logged: they hide what was to be written.
    Connections tell as an execution option *by* whom they were opened.
    """
    parsed = parse_url(url)
    common = {"hide_parameters": True, "execution_options": {"by": by}}
    if parsed.get_backend_name() == "sqlite":
        writer = create_engine(parsed, pool_size=1, max_overflow=0, pool_timeout=60, **common)
        reader = create_engine(parsed, pool_size=4, max_overflow=4, **common)
        event.listen(reader, "checkout", lambda connection, *_: note_line(connection.interrupt))
        event.listen(reader, "checkin", lambda *_: note_line(None))
        _prepare_sqlite(writer, begin="BEGIN IMMEDIATE", checkpoints=checkpoints, durable=durable)
        _prepare_sqlite(reader, begin="BEGIN", query_only=True)
        return writer, reader
    engine = create_postgresql_engine(parsed, by_index=checkpoints)
    _notice_ended(engine)
    engine = engine.execution_options(by=by)
    reader = engine.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
    return engine, reader


def _prepare_sqlite(
    engine: Engine,
    *,
    begin: str,
    query_only: bool = False,
    checkpoints: bool = False,
    durable: bool = True,
) -> None:
    @event.listens_for(engine, "do_connect")
    def on_do_connect(*_: object) -> None:
        _create_private(str(engine.url.database))

    @event.listens_for(engine, "connect")
    def on_connect(connection: DBAPIConnection, _: ConnectionPoolEntry) -> None:
        # The driver must not begin by itself: its legacy mode begins late and
        # commits around DDL.
        connection.isolation_level = None
        # SQLite keeps any bytes as text: one row that is not UTF-8 must not stop who reads others.
        connection.text_factory = _text_of_any_bytes
        cursor = connection.cursor()
        cursor.execute("PRAGMA busy_timeout=10000")
        # So a new file can shrink without a stop; to say so to an old one takes the write lock.
        if cursor.execute("PRAGMA page_count").fetchone() == (0,):
            cursor.execute("PRAGMA auto_vacuum=INCREMENTAL")
        _switch_to_wal(cursor)
        for pragma in (
            # NORMAL may forget the last commits after a power loss: an intent
            # that vanishes is a doubled collection.
            f"synchronous={'FULL' if durable else 'OFF'}",
            "foreign_keys=ON",
            "trusted_schema=OFF",
            "cell_size_check=ON",
            # A log that had to grow, for a reader that would not end, shrinks again.
            f"journal_size_limit={_MOST_LOG_BYTES}",
            f"wal_autocheckpoint={1000 if checkpoints else 0}",
            f"query_only={'ON' if query_only else 'OFF'}",
        ):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    # A deferred transaction that reads before it writes can fail with SQLITE_BUSY
    # at once, whatever the busy timeout: a writer takes the lock first.
    @event.listens_for(engine, "begin")
    def on_begin(connection: Connection) -> None:
        connection.exec_driver_sql(begin)


def _switch_to_wal(cursor: DBAPICursor) -> None:
    """
    Let readers and a writer work beside each other.

    Of two that make a new file at once, SQLite tells one that it is locked, whatever the busy
    timeout. That one waits for its turn as a writer, which heeds the timeout, and tries again.
    """
    for _ in range(_MOST_COLLISIONS):
        try:
            cursor.execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError as error:
            if "locked" not in str(error):
                raise
            cursor.execute("BEGIN IMMEDIATE")
            cursor.execute("ROLLBACK")
        else:
            return
    cursor.execute("PRAGMA journal_mode=WAL")


_MOST_COLLISIONS = 100
_MOST_LOG_BYTES = 16 * 1024 * 1024


def _text_of_any_bytes(raw: bytes) -> str:
    return raw.decode("utf-8", "backslashreplace")  # twice as fast as a partial of `str`


def _create_private(path: str) -> None:
    """Create the file of a new database for this user alone; one that is there stays as it is."""
    if path.startswith("file:"):
        return  # a URI: SQLite's own options say what becomes of it
    with suppress(OSError):  # it is there, or opening it says why it cannot be
        # Never opens one that is there: closing that would let go of SQLite's own locks.
        os.close(os.open(os.path.realpath(path), os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))


def _notice_ended(engine: Engine) -> None:
    event.listen(engine, "checkin", lambda *_: note_line(None))

    @event.listens_for(engine, "checkout")
    def on_checkout(connection: DBAPIConnection, *_: object) -> None:
        # The server's last words, or the end of the line, wait to be read: to ask it whether it
        # is still there, as SQLAlchemy's own ping does, costs a round trip each time.
        if _has_something_to_read(connection.fileno()):
            raise DisconnectionError
        note_line(partial(shut, connection.fileno()))


def _has_something_to_read(file: int) -> bool:
    poll = io_select.poll()
    poll.register(file, io_select.POLLIN)
    return bool(poll.poll(0))


def insert_new(table: Table, key: Index | None = None) -> Insert:
    """
    Return an INSERT that leaves out rows whose *key*, a unique index, is there already.

    Without one it is the primary key. Any other conflict is an error, as it must be: the row
    would be nowhere.
    """
    # SQLAlchemy has a construct for each database, and writes this one for SQLite as well.
    insert = postgresql.insert(table)
    if key is None:
        return insert.on_conflict_do_nothing(index_elements=table.primary_key.columns)
    where = key.dialect_options["postgresql"]["where"]
    return insert.on_conflict_do_nothing(index_elements=key.expressions, index_where=where)


def try_lock_pruning(conn: Connection) -> bool:
    """Tell whether nobody else prunes, nor will before this transaction ends."""
    if conn.dialect.name != "postgresql":
        return True
    return bool(conn.scalar(select(func.pg_try_advisory_xact_lock(0x64636170))))


def give_back_pages(conn: Connection) -> int:
    """
    Give a few of an SQLite file's empty pages back to the disk; return how many were left before.

    0 where there are none, or the file was made without `auto_vacuum`.
    """
    if conn.dialect.name == "postgresql":
        return 0
    mode = conn.exec_driver_sql("PRAGMA auto_vacuum").scalar()
    free = int(conn.exec_driver_sql("PRAGMA freelist_count").scalar() or 0)
    if mode != _INCREMENTAL or free <= _PAGES_KEPT:
        return 0
    for _ in range(min(_PAGES_AT_ONCE, free - _PAGES_KEPT)):
        # One at a time: the driver steps once through a statement that returns no rows.
        conn.exec_driver_sql("PRAGMA incremental_vacuum(1)")
    return free


_INCREMENTAL = 2
_PAGES_AT_ONCE = 128
_PAGES_KEPT = 128


def insert_or_update(table: Table, update: Callable[[Inserted], Mapping[str, Any]]) -> Insert:
    """
    Return an INSERT that updates rows whose primary key is there already.

    *update* tells what becomes of their columns, given those of the row that was to be inserted.
    """
    insert = postgresql.insert(table)
    return insert.on_conflict_do_update(
        index_elements=table.primary_key.columns, set_=update(insert.excluded)
    )


def database_time(conn: Connection) -> datetime | None:
    """Return the time of the database's server; None for SQLite, which has only this machine's."""
    if conn.dialect.name != "postgresql":
        return None
    return conn.scalar(select(func.clock_timestamp()))


def database_version(conn: Connection) -> tuple[str, str]:
    """Return which database it is, and its version."""
    what = "SHOW server_version" if conn.dialect.name == "postgresql" else "SELECT sqlite_version()"
    return conn.dialect.name, str(conn.exec_driver_sql(what).scalar())


NO_TRANSACTIONS: Final = (1, 1)
"""The horizon where transactions have no number, as on SQLite: events are in the order of ids."""


def transaction_horizon(conn: Connection) -> tuple[int, int]:
    """
    Return the numbers of the first transaction that is unfinished, and of the next to come.

    SQLite has one at a time, and no number: all of them count as 0.
    """
    if conn.dialect.name != "postgresql":
        return NO_TRANSACTIONS
    row = conn.exec_driver_sql(
        "SELECT pg_snapshot_xmin(snapshot)::text::bigint, pg_snapshot_xmax(snapshot)::text::bigint"
        " FROM pg_current_snapshot() AS snapshot"
    ).one()
    return row[0], row[1]


def announce(conn: Connection) -> None:
    """Tell the daemons that listen, once this transaction commits, that there is work."""
    if conn.dialect.name == "postgresql":
        conn.execute(select(func.pg_notify(CHANNEL, "")))


def read_at_leisure(conn: Connection) -> None:
    """
    Until the transaction ends, set no limit of time, and plan for reading through everything.

    For who only reads: whoever thinks between two statements holds up nobody.
    """
    if conn.dialect.name == "postgresql":
        conn.exec_driver_sql(_AT_LEISURE)


_AT_LEISURE = "; ".join(
    f"SET LOCAL {setting}"
    for setting in (
        "enable_seqscan = on",
        "enable_hashjoin = on",
        "enable_mergejoin = on",
        "statement_timeout = 0",
        "idle_in_transaction_session_timeout = 0",
    )
)


@contextmanager
def triggers_off(conn: Connection, tables: Sequence[str]) -> Iterator[None]:
    """Let no trigger of these tables fire within the block; what rows refer to is still checked."""
    if conn.dialect.name == "postgresql":
        for table in tables:
            conn.exec_driver_sql(f"ALTER TABLE {table} DISABLE TRIGGER USER")
        yield
        for table in tables:
            conn.exec_driver_sql(f"ALTER TABLE {table} ENABLE TRIGGER USER")
        return
    found = conn.exec_driver_sql("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'").all()
    for trigger in found:
        conn.exec_driver_sql(f'DROP TRIGGER "{trigger.name}"')
    yield
    for trigger in found:
        conn.exec_driver_sql(trigger.sql)


def defer_foreign_keys(conn: Connection) -> None:
    """On SQLite, check what rows refer to at the commit; PostgreSQL does after each statement."""
    if conn.dialect.name != "postgresql":
        conn.exec_driver_sql("PRAGMA defer_foreign_keys = ON")


def last_number(conn: Connection, table: Table) -> int:
    """Return the highest id that *table* has ever given by itself, as far as it is known; or 0."""
    column = _numbered(table)
    if column is None:
        return 0
    highest = conn.scalar(select(func.max(column))) or 0
    if conn.dialect.name == "postgresql":
        given = conn.scalar(
            text("SELECT pg_sequence_last_value(pg_get_serial_sequence(:name, :column)::regclass)"),
            {"name": table.name, "column": column.name},
        )
    elif table.dialect_options["sqlite"]["autoincrement"]:
        query = text("SELECT seq FROM sqlite_sequence WHERE name = :name")
        given = conn.scalar(query, {"name": table.name})
    else:
        given = 0
    return max(int(highest), int(given or 0))


def set_last_number(conn: Connection, table: Table, last: int) -> None:
    """Let *table* number its next row above *last*, where its database remembers such numbers."""
    column = _numbered(table)
    if column is None or not last:
        return
    if conn.dialect.name == "postgresql":
        conn.execute(
            text("SELECT setval(pg_get_serial_sequence(:name, :column), :last)"),
            {"name": table.name, "column": column.name, "last": last},
        )
    elif table.dialect_options["sqlite"]["autoincrement"]:
        name = {"name": table.name}
        conn.execute(text("DELETE FROM sqlite_sequence WHERE name = :name"), name)
        conn.execute(
            text("INSERT INTO sqlite_sequence (name, seq) VALUES (:name, :last)"),
            name | {"last": last},
        )


def _numbered(table: Table) -> Column[Any] | None:
    """Return the column that the database numbers rows by; None where keys are given."""
    keys = list(table.primary_key.columns)
    is_numbered = len(keys) == 1 and isinstance(keys[0].type, Integer) and not keys[0].foreign_keys
    return keys[0] if is_numbered else None


def lock_schema(conn: Connection) -> None:
    """Wait until nobody else changes the schema; SQLite's writer is alone already."""
    if conn.dialect.name == "postgresql":
        conn.execute(select(func.pg_advisory_xact_lock(0x6463615F)))


def lock_definitions(conn: Connection) -> None:
    """Wait until nobody else applies a file; SQLite's writer is alone already."""
    if conn.dialect.name == "postgresql":
        conn.execute(select(func.pg_advisory_xact_lock(0x6463612E)))


def in_a_minute(conn: Connection) -> str:
    """Return SQL for the time of the database in a minute: what is later was a wrong clock's."""
    if conn.dialect.name == "postgresql":
        return "clock_timestamp() + interval '1 minute'"
    return "strftime('%Y-%m-%d %H:%M:%f', 'now', '+1 minute')"


def day_of(conn: Connection, column: ColumnElement[datetime]) -> ColumnElement[str]:
    """Return the day of a column of times, in UTC, as text: `2026-03-02`."""
    if conn.dialect.name == "postgresql":
        return func.to_char(func.timezone("UTC", column), "YYYY-MM-DD", type_=Text())
    return func.substr(type_coerce(column, Text()), 1, 10, type_=Text())


def hour_of(conn: Connection, column: ColumnElement[datetime]) -> ColumnElement[str]:
    """Return the hour of a column of times, in UTC, as text: `2026-03-02 09`."""
    return _beginning_of(conn, column, 13)


def ten_minutes_of(conn: Connection, column: ColumnElement[datetime]) -> ColumnElement[str]:
    """Return a sixth of an hour of a column of times, in UTC, as text: `2026-03-02 09:4`."""
    return _beginning_of(conn, column, 15)


def _beginning_of(
    conn: Connection, column: ColumnElement[datetime], width: int
) -> ColumnElement[str]:
    written: ColumnElement[Any] = type_coerce(column, Text())
    if conn.dialect.name == "postgresql":
        written = func.to_char(func.timezone("UTC", column), "YYYY-MM-DD HH24:MI")
    return func.substr(written, 1, width, type_=Text())


def seconds_between(conn: Connection, earlier: str, later: str) -> str:
    """Return SQL for the seconds from one column of times to another."""
    if conn.dialect.name == "postgresql":
        return f"extract(epoch FROM {later} - {earlier})"
    return f"((julianday({later}) - julianday({earlier})) * 86400.0)"
