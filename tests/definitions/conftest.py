"""What the tests of definitions may ask for."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from scheduler.storage.database import Database
from tests.definitions.rig import Desk


@pytest.fixture
def desk(database_url: str, tmp_path: Path) -> Iterator[Desk]:
    """Give a desk with an empty database, of each brand."""
    with Database(database_url) as db:
        yield Desk(tmp_path, db)
