"""Temporary overrides: set a field of a schedule for a while, and restore it."""

from datetime import datetime

from scheduler.domain.errors import Conflict, InvalidInput
from scheduler.domain.moments import moment_text
from scheduler.domain.schedule_override import Override, read_field
from scheduler.storage import audit, definitions, overrides, schedules
from scheduler.storage.database import Connection


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
) -> None:
    """
    Let *field* of a schedule be *value* until then; None is what it is by default.

    It concerns occurrences that come due from now on: a run that is written stays as it is.
    """
    schedules.get_schedule(conn, schedule)
    read_field(field, value)
    if until <= now:
        raise InvalidInput(f"until {moment_text(until)} is in the past")
    if field == "batch":
        definitions.get_batch(conn, value or "")
    known = {one.field: one for one in list_overrides(conn, schedule, now=now)}
    before = known[field].value if field in known else None
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
    _record(conn, "override", schedule, {field: (before, value), "until": (None, until)}, by, now)


def list_overrides(
    conn: Connection, schedule: str | None = None, *, now: datetime
) -> list[Override]:
    """Return the overrides in force, of one schedule or of all; NotFound if there is none."""
    if schedule is not None:
        schedules.get_schedule(conn, schedule)
    return overrides.list_in_force(
        conn, now=now, schedules=None if schedule is None else [schedule]
    )


def restore_fields(
    conn: Connection, schedule: str, field: str | None = None, *, by: str, now: datetime
) -> list[str]:
    """End the override of *field*, or all of a schedule; return the fields that are restored."""
    known = list_overrides(conn, schedule, now=now)
    ended = [one for one in known if field is None or one.field == field]
    if not ended:
        what = "nothing" if field is None else field
        raise Conflict(f"{what} of schedule {schedule!r} is overridden")
    overrides.delete_overrides(conn, schedule, field=field)
    columns = {one.field: (one.value, None) for one in ended}
    _record(conn, "restore", schedule, columns, by, now)
    return [one.field for one in ended]


def _record(
    conn: Connection,
    action: str,
    schedule: str,
    columns: audit.Columns,
    by: str,
    now: datetime,
) -> None:
    audit.record_change(
        conn, who=by, action=action, subject=f"schedules.{schedule}", columns=columns, now=now
    )
