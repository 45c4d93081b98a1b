"""What the tests of tools may ask for."""

from tests.storage.conftest import db
from tests.surfaces.conftest import empty_home, home

__all__ = ["db", "empty_home", "home"]
