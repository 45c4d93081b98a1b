"""What an edit of a schedule that no file owns comes to, before it is made."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from scheduler.actions.comparing import shown
from scheduler.actions.definition_check import check_row
from scheduler.actions.definitions import plan_change
from scheduler.config import Defaults
from scheduler.domain.definition import timetable_of
from scheduler.domain.errors import InvalidInput
from scheduler.domain.records import Schedule
from scheduler.storage import definitions
from scheduler.storage.database import Connection
from scheduler.storage.rows import record
from scheduler.tools.definitions.outlook import Coming, Outlook, compare_coming

_AHEAD: Final = timedelta(days=30)


@dataclass(frozen=True, slots=True, kw_only=True)
class EditPreview:
    """
    What would be otherwise.

    *columns* has of each that differs how it is and will be; *outlook* the occurrences of the next
    thirty days before and after, pauses and freezes left aside. *tag* is what the row is known by.
    """

    schedule: str
    columns: Mapping[str, tuple[Any, Any]]
    outlook: Outlook
    tag: str


def preview_edit(
    conn: Connection, name: str, values: Mapping[str, Any], *, defaults: Defaults, now: datetime
) -> EditPreview:
    """Return what setting the columns that *values* names would do; raises what that would."""
    edit = plan_change(conn, "schedules", name, values, defaults=defaults)
    check_row(conn, "schedules", edit.after, now=now)
    before, after = (_coming(conn, row) for row in (edit.before, edit.after))
    return EditPreview(
        schedule=name,
        columns={
            column: (shown(column, old), shown(column, new))
            for column, (old, new) in edit.differing.items()
        },
        outlook=compare_coming(name, before, after, now=now, until=now + _AHEAD),
        tag=edit.tag,
    )


def _coming(conn: Connection, row: Mapping[str, Any]) -> Coming | None:
    """Return what a row's timetable has to come; None for one that is off, or has no times."""
    schedule = record(Schedule, row)
    if not schedule.enabled or schedule.after is not None:
        return None
    with suppress(InvalidInput):
        return Coming(timetable=timetable_of(schedule, definitions.list_calendars(conn)))
    return None
