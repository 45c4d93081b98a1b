"""What the views' tests may ask for."""

from tests.storage.conftest import db

__all__ = ["db"]
