"""Temporary overrides: set a field of a schedule for a while, and restore it."""

from datetime import datetime

from scheduler.domain.errors import Conflict, InvalidInput
from scheduler.domain.reasons import check_reason
from scheduler.domain.schedule_override import Override, read_field
from scheduler.domain.timestamps import display_time
from scheduler.storage import definitions, overrides
from scheduler.storage.audit import record_change
from scheduler.storage.database import Connection
from scheduler.views.schedules import OverrideView, list_overrides


def override_field(
    conn: Connection,
    schedule: str,
    field: str,
    value: str | None,
    *,
    until: datetime,
    by: str,
    reason: str,
    now: datetime,
) -> tuple[OverrideView, ...]:
    """
    Let *field* of a schedule be *value* until then; None is what it is by default.

    It concerns occurrences that come due from now on: a run that is written stays as it is.
    Return the overrides in force.
    """
    in_force = {override.field: override for override in list_overrides(conn, schedule, now=now)}
    read_field(field, value)
    reason = check_reason(reason)
    if until <= now:
        raise InvalidInput(f"until {display_time(until)} is in the past")
    if field == "batch":
        definitions.get_batch(conn, value or "")
    before = in_force[field].value if field in in_force else None
    new = Override(
        schedule=schedule,
        field=field,
        value=value,
        made_at=now,
        made_by=by,
        reason=reason,
        until=until,
    )
    overrides.put_override(conn, new)
    columns = {field: (before, value), "until": (None, until), "reason": (None, reason)}
    record_change(conn, by, "override", f"schedules.{schedule}", columns, now=now)
    return list_overrides(conn, schedule, now=now)


def restore_fields(
    conn: Connection, schedule: str, field: str | None = None, *, by: str, now: datetime
) -> tuple[OverrideView, ...]:
    """End the override of *field*, or all of a schedule; return those that ended."""
    ended = tuple(
        override
        for override in list_overrides(conn, schedule, now=now)
        if field is None or override.field == field
    )
    if not ended:
        what = "nothing is" if field is None else f"{field} is not"
        raise Conflict(f"{what} overridden of schedule {schedule!r}")
    overrides.delete_overrides(conn, schedule, field=field)
    columns = {override.field: (override.value, None) for override in ended}
    record_change(conn, by, "restore", f"schedules.{schedule}", columns, now=now)
    return ended
