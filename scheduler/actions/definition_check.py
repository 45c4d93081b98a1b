"""Whether a row that a person writes could be used: what the daemon would find wrong in it."""

from datetime import datetime
from typing import Any

from scheduler.domain.definition import check_definition, check_named, timetable_of
from scheduler.domain.errors import InvalidInput, NotFound
from scheduler.domain.records import Schedule
from scheduler.domain.timetable import parse_calendar
from scheduler.storage import accounts, definitions, schedules
from scheduler.storage.database import Connection
from scheduler.storage.rows import record


def check_row(conn: Connection, table: str, row: dict[str, Any], *, now: datetime) -> None:
    """Raise InvalidInput for a row that could not be used, or names what is not there."""
    try:
        if table == "schedules":
            _check_schedule(conn, record(Schedule, row | {"created_at": row["created_at"] or now}))
        elif table == "collectors":
            accounts.get_account(conn, row["account"])
        elif table == "calendars":
            parse_calendar(row["name"], row["rules"], timezone="UTC")
    except NotFound as error:
        raise InvalidInput(str(error)) from None


def _check_schedule(conn: Connection, schedule: Schedule) -> None:
    collector = definitions.get_collector(conn, schedule.collector)
    batch = definitions.get_batch(conn, schedule.batch)
    check_definition(schedule, collector, batch)
    before = schedules.list_before(conn, [schedule.after] if schedule.after else [])
    check_named(schedule, collector, accounts=[collector.account], after=before)
    timetable_of(schedule, definitions.list_calendars(conn))
