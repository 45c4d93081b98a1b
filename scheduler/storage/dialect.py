"""
What differs between SQLite and PostgreSQL. No other module asks a connection which it is.

(`given.py` writes its JSON for each of them.)
"""

import os
import select as io_select
import sqlite3
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import (
    BigInteger,
    DateTime,
    Dialect,
    Integer,
    Table,
    Text,
    create_engine,
    event,
    func,
    make_url,
    select,
)
from sqlalchemy.dialects import postgresql
from sqlalchemy.dialects.postgresql import Insert
from sqlalchemy.engine import URL, Connection, Engine
from sqlalchemy.engine.interfaces import DBAPIConnection, DBAPICursor
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.pool import ConnectionPoolEntry
from sqlalchemy.types import TypeDecorator, TypeEngine

from scheduler.domain.errors import DatabaseError

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

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        """Give the time back aware, in UTC, also where somebody wrote it by hand."""
        if value is None:
            return None
        moment = value if isinstance(value, datetime) else datetime.fromisoformat(value)
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def text_of(moment: datetime) -> str:
    """Return an aware time as SQLite keeps it, and as PostgreSQL reads it in our sessions."""
    # Not strftime, which takes ten times as long, and a pass writes hundreds.
    return _utc(moment).replace(tzinfo=None).isoformat(" ", "microseconds")


def _utc(moment: datetime) -> datetime:
    if moment.tzinfo is None:
        raise ValueError(f"{moment!r} has no time zone")
    return moment.astimezone(UTC)


def parse_url(url: str) -> URL:
    """Read a database URL and name its driver; raise DatabaseError for other brands."""
    try:
        parsed = make_url(url)
    except Exception as error:
        raise DatabaseError("database.url is not a database URL: write sqlite:///FILE") from error
    match parsed.get_backend_name():
        case "sqlite":
            return parsed.set(drivername="sqlite+pysqlite")
        case "postgresql":
            return parsed.set(drivername="postgresql+psycopg")
        case brand:
            raise DatabaseError(f"database.url names {brand}: use sqlite:///FILE or postgresql://…")


def shown_url(url: str) -> str:
    """Return *url* for messages, without its passwords, wherever they stand in it."""
    parsed = parse_url(url)
    secret = [key for key in parsed.query if "password" in key.lower()]
    return parsed.difference_update_query(secret).render_as_string(hide_password=True)


def sqlite_file(url: str) -> Path | None:
    """Return the file behind *url*; None for PostgreSQL. A database in memory is refused."""
    parsed = parse_url(url)
    if parsed.get_backend_name() != "sqlite":
        return None
    if parsed.database in (None, "", ":memory:"):
        raise DatabaseError("database.url names no file: what is in memory is lost at a restart")
    return Path(str(parsed.database))


def create_engines(url: str, *, checkpoints: bool) -> tuple[Engine, Engine]:
    """
    Return the engine to write with and the one to read with.

    SQLite: one connection that writes, beginning IMMEDIATE, and a few that only
    read, so that readers never wait for the writer. Only who *checkpoints* moves the
    log into the file: SQLite before 3.51.3 may damage it when two do at once.
    PostgreSQL: both share their connections. Errors are logged: they hide what was to be written.
    """
    parsed = parse_url(url)
    if parsed.get_backend_name() == "sqlite":
        writer = create_engine(
            parsed, pool_size=1, max_overflow=0, pool_timeout=60, hide_parameters=True
        )
        reader = create_engine(parsed, pool_size=4, max_overflow=4, hide_parameters=True)
        _prepare_sqlite(writer, begin="BEGIN IMMEDIATE", checkpoints=checkpoints)
        _prepare_sqlite(reader, begin="BEGIN", query_only=True)
        return writer, reader
    try:
        engine = create_engine(
            parsed,
            pool_size=4,
            max_overflow=8,
            # The one used last: its statements are prepared, and its process is awake.
            pool_use_lifo=True,
            hide_parameters=True,
            connect_args={
                "connect_timeout": 10,
                "options": _POSTGRESQL_OPTIONS,
                # At its second use: what a pass asks, it asks for ever.
                "prepare_threshold": 1,
            },
        )
    except ModuleNotFoundError as error:
        raise DatabaseError(
            "PostgreSQL needs its driver: pip install 'dca-scheduler[postgres]'"
        ) from error
    _limit_postgresql(engine)
    reader = engine.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
    return engine, reader


# Every statement of a pass finds its rows by an index, one by one, whatever it looks for: one plan
# serves it always, and to plan one of those that claim takes longer than to carry it out. That plan
# may be made while the tables are empty, when to read all of them looks cheap.
_POSTGRESQL_OPTIONS = " ".join(
    f"-c {setting}"
    for setting in (
        "timezone=UTC",
        "plan_cache_mode=force_generic_plan",
        "random_page_cost=1.1",
        "enable_hashjoin=off",
        "enable_mergejoin=off",
    )
)


def _prepare_sqlite(
    engine: Engine, *, begin: str, query_only: bool = False, checkpoints: bool = False
) -> None:
    @event.listens_for(engine, "do_connect")
    def on_do_connect(*_: object) -> None:
        _create_private(str(engine.url.database))

    @event.listens_for(engine, "connect")
    def on_connect(connection: DBAPIConnection, _: ConnectionPoolEntry) -> None:
        # The driver must not begin by itself: its legacy mode begins late and
        # commits around DDL.
        connection.isolation_level = None
        cursor = connection.cursor()
        cursor.execute("PRAGMA busy_timeout=10000")
        _switch_to_wal(cursor)
        for pragma in (
            # NORMAL may forget the last commits after a power loss: an intent
            # that vanishes is a doubled collection.
            "synchronous=FULL",
            "foreign_keys=ON",
            "trusted_schema=OFF",
            "cell_size_check=ON",
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


def _create_private(path: str) -> None:
    """Create the file of a new database for this user alone; one that is there stays as it is."""
    if path.startswith("file:"):
        return  # a URI: SQLite's own options say what becomes of it
    with suppress(OSError):  # it is there, or opening it says why it cannot be
        # Never opens one that is there: closing that would let go of SQLite's own locks.
        os.close(os.open(os.path.realpath(path), os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))


def _limit_postgresql(engine: Engine) -> None:
    @event.listens_for(engine, "checkout")
    def on_checkout(connection: DBAPIConnection, *_: object) -> None:
        # The server's last words, or the end of the line, wait to be read: to ask it whether it
        # is still there, as SQLAlchemy's own ping does, costs a round trip each time.
        if _has_something_to_read(connection.fileno()):
            raise DisconnectionError

    @event.listens_for(engine, "connect")
    def on_connect(connection: DBAPIConnection, _: ConnectionPoolEntry) -> None:
        cursor = connection.cursor()
        cursor.execute("SET lock_timeout = '5s'")
        cursor.execute("SET statement_timeout = '30s'")
        # A daemon that was stopped inside a transaction holds up all others no longer than this.
        cursor.execute("SET idle_in_transaction_session_timeout = '10s'")
        cursor.close()
        connection.commit()


def _has_something_to_read(file: int) -> bool:
    poll = io_select.poll()
    poll.register(file, io_select.POLLIN)
    return bool(poll.poll(0))


def insert_new(table: Table) -> Insert:
    """Return an INSERT that leaves out what a unique index of *table* already knows."""
    # SQLAlchemy has a construct for each database, and writes this one for SQLite as well.
    return postgresql.insert(table).on_conflict_do_nothing()


def database_time(conn: Connection) -> datetime | None:
    """Return the time of the database's server; None for SQLite, which has only this machine's."""
    if conn.dialect.name != "postgresql":
        return None
    return conn.scalar(select(func.clock_timestamp()))


def database_version(conn: Connection) -> tuple[str, str]:
    """Return which database it is, and its version."""
    what = "SHOW server_version" if conn.dialect.name == "postgresql" else "SELECT sqlite_version()"
    return conn.dialect.name, str(conn.exec_driver_sql(what).scalar())


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
        "enable_hashjoin = on",
        "enable_mergejoin = on",
        "statement_timeout = 0",
        "idle_in_transaction_session_timeout = 0",
    )
)


def lock_schema(conn: Connection) -> None:
    """Wait until nobody else changes the schema; SQLite's writer is alone already."""
    if conn.dialect.name == "postgresql":
        conn.execute(select(func.pg_advisory_xact_lock(0x6463615F)))


def lock_definitions(conn: Connection) -> None:
    """Wait until nobody else applies a file; SQLite's writer is alone already."""
    if conn.dialect.name == "postgresql":
        conn.execute(select(func.pg_advisory_xact_lock(0x6463612E)))


def listening_url(url: str) -> str:
    """Return *url* as PostgreSQL's own library reads it, password included."""
    return parse_url(url).set(drivername="postgresql").render_as_string(hide_password=False)


def seconds_between(conn: Connection, earlier: str, later: str) -> str:
    """Return SQL for the seconds from one column of times to another."""
    if conn.dialect.name == "postgresql":
        return f"extract(epoch FROM {later} - {earlier})"
    return f"((julianday({later}) - julianday({earlier})) * 86400.0)"
