"""Databases of their own for tests: copies of templates that are migrated once a session."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import psycopg
from psycopg.sql import SQL, Identifier

from scheduler.storage import migrate as migrations
from scheduler.storage.database import Database
from tests.postgres import Server, once, session_folder, shared_server

_TEMPLATE = "migrated_template"


def migrate(url: str) -> None:
    """Bring the database behind *url* to the newest schema, as `dca-scheduler db upgrade` does."""
    with Database(url, checkpoints=True) as db, db.writing() as conn:
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
def migrated_postgresql() -> Iterator[str]:
    """Give the URL of a new PostgreSQL database with the schema and no rows; dropped afterwards."""
    server = shared_server()
    with once(session_folder() / "postgresql-template") as is_first:
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
