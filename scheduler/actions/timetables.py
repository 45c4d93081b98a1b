"""What will fire, and when: asked of a stored schedule, or of crontab text."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import islice

from scheduler.domain.definition import timetable_of
from scheduler.domain.timetable import DstMark, Timetable, TimetableSpec, build_timetable
from scheduler.storage import definitions, schedules
from scheduler.storage.database import Connection


@dataclass(frozen=True, slots=True, kw_only=True)
class NextOccurrence:
    """One time to come: *at* in the schedule's zone, *utc*, and what a clock change did to it."""

    at: datetime
    utc: datetime
    dst: DstMark | None


def timetable_of_schedule(conn: Connection, name: str) -> Timetable:
    """Return the timetable of a stored schedule; raises NotFound or InvalidInput."""
    schedule = schedules.get_schedule(conn, name).schedule
    return timetable_of(schedule, definitions.list_calendars(conn))


def timetable_of_cron(cron: str, timezone: str) -> Timetable:
    """Return the timetable that crontab text means in a zone."""
    return build_timetable(TimetableSpec(cron=cron, timezone=timezone), name="cron")


def list_next(timetable: Timetable, *, start: datetime, count: int) -> list[NextOccurrence]:
    """Return up to *count* occurrences strictly after *start*."""
    return [
        NextOccurrence(at=utc.astimezone(timetable.zone), utc=utc, dst=timetable.dst_mark(utc))
        for utc in islice(_after(timetable, start), count)
    ]


def _after(timetable: Timetable, start: datetime) -> Iterator[datetime]:
    found = timetable.next_after(start)
    while found is not None:
        yield found
        found = timetable.next_after(found)
