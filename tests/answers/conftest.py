"""What the tests of answers may ask for."""

from pathlib import Path

import pytest

from tests import databases
from tests.surfaces.rig import CONFIG, Home


@pytest.fixture
def empty_home(tmp_path: Path) -> Home:
    """Return a folder with a configuration and no database."""
    home = Home(tmp_path)
    home.config.write_text(CONFIG)
    return home


@pytest.fixture
def home(empty_home: Home) -> Home:
    """Return a folder with a configuration, and its definitions in a database."""
    databases.migrated_sqlite(empty_home.folder)
    empty_home.done("apply")
    return empty_home
