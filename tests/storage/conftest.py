"""A database of each brand, open, with what runs refer to."""

from collections.abc import Iterator

import pytest

from scheduler.storage.database import Database
from tests.storage.rows import insert_world


@pytest.fixture
def db(database_url: str) -> Iterator[Database]:
    """Give an open database with an account, a collector, a batch, a body and a schedule."""
    with Database(database_url, checkpoints=True) as opened:
        with opened.writing() as conn:
            insert_world(conn)
        yield opened


@pytest.fixture
def empty_db(database_url: str) -> Iterator[Database]:
    """Give an open database with the schema and no rows."""
    with Database(database_url, checkpoints=True) as opened:
        yield opened
