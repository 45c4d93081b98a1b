"""Databases of their own for tests: copies of templates that are migrated once a session."""

import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Self
from uuid import uuid4

import psycopg
from psycopg.sql import SQL, Identifier
from psycopg.types.json import Jsonb

from scheduler.storage import migrate as migrations
from scheduler.storage.database import Database
from tests.postgres import Server, once, session_folder, shared_server

_TEMPLATE = "migrated_template"


def migrate(url: str) -> None:
    """Bring the database behind *url* to the newest schema, as `dca-scheduler db upgrade` does."""
    with Database(url, checkpoints=True) as db, db.writing(at_leisure=True) as conn:
        migrations.upgrade(conn)


def empty_sqlite(folder: Path) -> str:
    """Return the URL of an SQLite file in *folder* that does not exist yet."""
    return f"sqlite:///{folder / 'scheduler.db'}"


def migrated_sqlite(folder: Path) -> str:
    """Return the URL of a new SQLite file in *folder* with the schema and no rows."""
    shutil.copyfile(_sqlite_template(), folder / "scheduler.db")
    return empty_sqlite(folder)


@contextmanager
def empty_postgresql() -> Iterator[str]:
    """Give the URL of a new PostgreSQL database without a schema; it is dropped afterwards."""
    with _new_database(shared_server(), template="template0") as url:
        yield url


@contextmanager
def migrated_postgresql(server: Server | None = None) -> Iterator[str]:
    """Give the URL of a new PostgreSQL database with the schema and no rows; dropped afterwards."""
    server = server or shared_server()
    with once(server.folder / "postgresql-template") as is_first:
        if is_first:
            _execute(server, SQL("DROP DATABASE IF EXISTS {}"), _TEMPLATE)
            _execute(server, SQL("CREATE DATABASE {}"), _TEMPLATE)
            migrate(server.url(_TEMPLATE))
    with _new_database(server, template=_TEMPLATE) as url:
        yield url


def _sqlite_template() -> Path:
    template = session_folder() / "template.db"
    with once(session_folder() / "sqlite-template") as is_first:
        if is_first:
            migrate(f"sqlite:///{template}")
    return template


@contextmanager
def _new_database(server: Server, *, template: str) -> Iterator[str]:
    name = f"test_{uuid4().hex}"
    # FILE_COPY is the quicker strategy for a server that does not sync.
    _execute(server, SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY file_copy"), name, template)
    try:
        yield server.url(name)
    finally:
        _execute(server, SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)"), name)


def _execute(server: Server, statement: SQL, *names: str) -> None:
    with psycopg.connect(server.url("postgres"), autocommit=True) as connection:
        connection.execute(statement.format(*map(Identifier, names)))


_MOST_USES: Final = 25
"""After so many tests, what they have deleted is in the way of the next."""

_MOST_BYTES: Final = 4_000_000
"""A database that has grown by more is not used again."""


@dataclass(slots=True)
class PostgresqlPool:
    """
    Databases with the schema and no rows, each for one test at a time.

    To make a database and drop it costs ten times what it costs to delete what a test wrote. One
    whose schema or settings the test has changed, or that it has filled, is dropped.
    """

    _idle: list["_Pooled"] = field(default_factory=list)

    @contextmanager
    def lend(self) -> Iterator[str]:
        """Give the URL of one; it is cleaned afterwards."""
        one = self._idle.pop() if self._idle else _Pooled.make()
        try:
            yield one.url
        finally:
            if one.clean():
                self._idle.append(one)
            else:
                one.drop()

    def close(self) -> None:
        """Drop those that nobody uses."""
        while self._idle:
            self._idle.pop().drop()


@dataclass(slots=True)
class _Pooled:
    url: str
    _stack: ExitStack
    _shape: object
    _size: int
    _rows: dict[str, list[object]]
    _uses: int = 0

    @classmethod
    def make(cls) -> Self:
        stack = ExitStack()
        url = stack.enter_context(migrated_postgresql())
        with psycopg.connect(url) as conn:
            return cls(url, stack, _shape(conn), _size(conn), _rows_of(conn))

    def drop(self) -> None:
        self._stack.close()

    def clean(self) -> bool:
        """Delete what the last test wrote; return whether the next one may have it."""
        self._uses += 1
        if self._uses >= _MOST_USES:
            return False
        try:
            with psycopg.connect(self.url) as conn:
                conn.execute(_END_OTHERS)
                if _shape(conn) != self._shape or _size(conn) > self._size + _MOST_BYTES:
                    return False
                conn.execute(_DELETE_ALL)
                for table, rows in self._rows.items():
                    fill = SQL(
                        "INSERT INTO {0} SELECT * FROM jsonb_populate_recordset(NULL::{0}, %s)"
                    )
                    conn.execute(fill.format(Identifier(table)), [Jsonb(rows)])
        except psycopg.Error:
            return False
        return True


_END_OTHERS: Final = """
    SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid()
"""

_SHAPE: Final = r"""
    SELECT (SELECT array_agg((oid, relname)::text ORDER BY oid) FROM pg_class WHERE oid >= 16384),
        (SELECT array_agg((oid, tgname, tgenabled)::text ORDER BY oid) FROM pg_trigger),
        (SELECT array_agg((oid, conname, convalidated)::text ORDER BY oid) FROM pg_constraint),
        (SELECT array_agg((oid, prosrc)::text ORDER BY oid) FROM pg_proc WHERE oid >= 16384),
        (SELECT array_agg((attrelid, attnum, attname, attnotnull, atthasdef)::text
            ORDER BY attrelid, attnum) FROM pg_attribute WHERE attrelid >= 16384),
        (SELECT array_agg(nspname::text ORDER BY oid) FROM pg_namespace
            WHERE nspname NOT LIKE 'pg\_%'),
        (SELECT array_agg(setconfig::text) FROM pg_db_role_setting JOIN pg_database AS d
            ON d.oid = setdatabase WHERE datname = current_database())
"""

_DELETE_ALL: Final = """
    DO $$ DECLARE name regclass; BEGIN
        SET LOCAL session_replication_role = replica;
        FOR name IN SELECT oid FROM pg_class WHERE relkind = 'r' AND oid >= 16384 LOOP
            EXECUTE format('DELETE FROM %s', name);
        END LOOP;
        FOR name IN SELECT oid FROM pg_class WHERE relkind = 'S' AND oid >= 16384 LOOP
            PERFORM setval(name, 1, false);
        END LOOP;
    END $$
"""


def _shape(conn: psycopg.Connection) -> object:
    return conn.execute(_SHAPE).fetchone()


def _size(conn: psycopg.Connection) -> int:
    row = conn.execute("SELECT pg_database_size(current_database())").fetchone()
    assert row is not None
    return int(row[0])


def _rows_of(conn: psycopg.Connection) -> dict[str, list[object]]:
    names = "SELECT relname FROM pg_class WHERE relkind = 'r' AND oid >= 16384"
    found = {}
    for (table,) in conn.execute(names).fetchall():
        query = SQL("SELECT to_jsonb(t) FROM {} AS t").format(Identifier(table))
        if rows := [row for (row,) in conn.execute(query)]:
            found[table] = rows
    return found
