"""Occurrences that a schedule has passed and that have no row: nothing says what became of them."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from itertools import islice, takewhile
from typing import Final

from scheduler.domain.definition import timetable_of
from scheduler.domain.errors import InvalidInput
from scheduler.domain.records import Calendar, Schedule
from scheduler.domain.timestamps import iso_time
from scheduler.domain.timetable import Timetable
from scheduler.storage import definitions, schedules
from scheduler.storage.database import Connection
from scheduler.storage.runs import occurrences

_SCHEDULES: Final = 500
_OCCURRENCES: Final = 100


def list_vanished(conn: Connection) -> list[dict[str, str]]:
    """
    Return the newest of each schedule, of those that were decided last.

    Only since a schedule was made or edited: what an earlier timetable owed is not known any more.
    """
    decided = [row for row in schedules.list_schedules(conn) if _is_walked(row)]
    decided.sort(key=lambda row: str(row.fired_until), reverse=True)
    calendars = definitions.list_calendars(conn)
    return [
        {"schedule": schedule.name, "due_at": iso_time(due_at)}
        for schedule in decided[:_SCHEDULES]
        for due_at in _missing(conn, schedule, calendars)
    ]


def _is_walked(schedule: Schedule) -> bool:
    has_times = schedule.after is None and schedule.max_runs is None
    return has_times and schedule.fired_until is not None and schedule.error is None


def _missing(
    conn: Connection, schedule: Schedule, calendars: Mapping[str, Calendar]
) -> Iterator[datetime]:
    until = schedule.fired_until
    if until is None:
        return
    try:
        timetable = timetable_of(schedule, calendars)
    except InvalidInput:
        return
    since = max(schedule.created_at, schedule.edited_at or schedule.created_at)
    newest = occurrences.list_newest(conn, schedule.name, _OCCURRENCES)
    rows = {run.due_at: run.due_until or run.due_at for run in newest}
    if len(rows) == _OCCURRENCES:
        since = max(since, min(rows))
    due = islice(takewhile(lambda at: at <= until, _after(timetable, since, rows)), _OCCURRENCES)
    yield from (at for at in due if at not in rows)


def _after(
    timetable: Timetable, moment: datetime, rows: Mapping[datetime, datetime]
) -> Iterator[datetime]:
    """Yield what is due after *moment*, but for what a row of a gap stands for."""
    following = timetable.next_after(moment)
    while following is not None:
        yield following
        following = timetable.next_after(rows.get(following, following))
