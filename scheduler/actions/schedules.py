"""What a person can do with schedules: switch them on and off."""

from datetime import datetime

from scheduler.storage import audit, schedules
from scheduler.storage.database import Connection
from scheduler.storage.dialect import announce


def set_enabled(conn: Connection, name: str, *, enabled: bool, by: str, now: datetime) -> None:
    """
    Switch a schedule on or off; what it has fired goes on either way.

    Of one that came from a file, the file's `enabled` holds again at the next apply: a pause
    is the operator's own.
    """
    before = schedules.get_schedule(conn, name).schedule.enabled
    if before == enabled:
        return
    schedules.set_enabled(conn, name, enabled=enabled)
    audit.record_change(
        conn,
        who=by,
        action="enable" if enabled else "disable",
        subject=f"schedules.{name}",
        columns={"enabled": (before, enabled)},
        now=now,
    )
    announce(conn)
