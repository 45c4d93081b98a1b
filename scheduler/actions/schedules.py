"""What a person can do with schedules: switch them on and off."""

from scheduler.domain.errors import NotFound
from scheduler.storage import schedules
from scheduler.storage.database import Connection
from scheduler.storage.dialect import announce


def set_enabled(conn: Connection, name: str, *, enabled: bool) -> None:
    """Switch a schedule on or off; what it has fired goes on either way."""
    if not schedules.set_enabled(conn, name, enabled=enabled):
        raise NotFound(f"no schedule is called {name!r}")
    announce(conn)
