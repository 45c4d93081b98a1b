"""A database of each brand, open, with what runs refer to."""

from collections.abc import Iterator

import pytest

from scheduler.domain.records import Run
from scheduler.storage.database import Database
from tests.storage.rows import Execute, claim, insert_run, insert_world, plain_client


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
    """Give a client that is none of ours."""
    with plain_client(db, database_url) as client:
        yield client


@pytest.fixture
def sqlite_db(sqlite_url: str) -> Iterator[Database]:
    with Database(sqlite_url, checkpoints=True) as opened:
        yield opened
