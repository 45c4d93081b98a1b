"""What the web's tests may ask for."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import databases
from tests.surfaces.rig import CONFIG, Home
from tests.web.rig import Served, serving


@pytest.fixture
def served(database_url: str) -> Iterator[Served]:
    """Give a server on a database of each brand."""
    with serving(database_url) as server:
        yield server


@pytest.fixture
def server_on_sqlite(sqlite_url: str) -> Iterator[Served]:
    """Give a server on SQLite: for what no database has to do with."""
    with serving(sqlite_url) as server:
        yield server


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """Return a folder with a configuration, and its definitions in a database."""
    made = Home(tmp_path)
    made.config.write_text(CONFIG)
    databases.migrated_sqlite(tmp_path)
    made.done("apply")
    return made
