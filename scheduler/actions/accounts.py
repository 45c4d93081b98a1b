"""What a person can do with accounts: see the brake, pause sending, resume it."""

from datetime import datetime

from scheduler.domain.errors import Conflict
from scheduler.storage import accounts
from scheduler.storage.database import Connection
from scheduler.storage.dialect import announce


def pause_account(conn: Connection, name: str, *, reason: str, now: datetime) -> None:
    """Send nothing for the account until a person resumes it."""
    accounts.get_account(conn, name)
    accounts.set_paused(conn, name, reason=reason, now=now)


def resume_account(conn: Connection, name: str) -> None:
    """Let the account send again, whoever paused it."""
    accounts.get_account(conn, name)
    if not accounts.set_resumed(conn, name):
        raise Conflict(f"account {name!r} is not paused")
    announce(conn)
