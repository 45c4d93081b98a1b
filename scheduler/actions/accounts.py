"""What a person can do with accounts: see the brake, pause sending, resume it."""

from datetime import datetime

from scheduler.domain.errors import Conflict
from scheduler.storage import accounts, audit
from scheduler.storage.database import Connection
from scheduler.storage.dialect import announce


def pause_account(conn: Connection, name: str, *, by: str, reason: str, now: datetime) -> None:
    """Send nothing for the account until a person resumes it."""
    accounts.get_account(conn, name)
    accounts.set_paused(conn, name, reason=reason, now=now)
    columns = {"paused_reason": (None, reason)}
    _record(conn, "pause", name, columns, by, now)


def resume_account(conn: Connection, name: str, *, by: str, now: datetime) -> None:
    """Let the account send again, whoever paused it."""
    accounts.get_account(conn, name)
    brake = accounts.find_brake(conn, name)
    if not accounts.set_resumed(conn, name):
        raise Conflict(f"account {name!r} is not paused")
    columns = {"paused_reason": (brake and brake.paused_reason, None)}
    _record(conn, "resume", name, columns, by, now)
    announce(conn)


def _record(
    conn: Connection, action: str, name: str, columns: audit.Columns, by: str, now: datetime
) -> None:
    audit.record_change(
        conn, who=by, action=action, subject=f"accounts.{name}", columns=columns, now=now
    )
