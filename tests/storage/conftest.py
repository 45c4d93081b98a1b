"""A database of each brand, open, with what runs refer to."""

import sqlite3
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from scheduler.domain.records import Run
from scheduler.storage.database import Database
from scheduler.storage.dialect import listening_url
from tests.storage.rows import Execute, claim, insert_run, insert_world


@pytest.fixture
def db(database_url: str) -> Iterator[Database]:
    """Give an open database with an account, a collector, a batch, a body and a schedule."""
    with Database(database_url, checkpoints=True) as opened:
        with opened.writing() as conn:
            insert_world(conn)
        yield opened


@pytest.fixture
def claimed(db: Database) -> Run:
    """Give a run that is on the wire since NINE."""
    with db.writing() as conn:
        insert_run(conn)
    (run,) = claim(db)
    return run


@pytest.fixture
def by_hand(db: Database, database_url: str) -> Iterator[Execute]:
    """Give a client as its makers ship it: each statement a transaction of its own."""
    client: Any = (
        psycopg.connect(listening_url(database_url), autocommit=True)
        if db.file is None
        else sqlite3.connect(db.file, isolation_level=None)
    )
    if db.file is not None:
        client.execute("PRAGMA foreign_keys=ON")
    yield client.execute
    client.close()


@pytest.fixture
def sqlite_db(sqlite_url: str) -> Iterator[Database]:
    with Database(sqlite_url, checkpoints=True) as opened:
        yield opened
