"""What will fire, and when: asked of a stored schedule, or of crontab text."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import islice
from typing import Final

from scheduler.domain.definition import timetable_of
from scheduler.domain.timetable import DstMark, Timetable, TimetableSpec, build_timetable
from scheduler.domain.timetable.clock_changes import in_utc, wall_of
from scheduler.storage import definitions, schedules
from scheduler.storage.database import Connection


@dataclass(frozen=True, slots=True, kw_only=True)
class NextOccurrence:
    """
    One time to come: *at* in the schedule's zone, *utc*, and what a clock change did to it.

    Its run *starts* later by jitter and spread. With *excluded_by* it does not fire at all.
    """

    at: datetime
    utc: datetime
    starts: datetime
    dst: DstMark | None
    excluded_by: str | None = None


def dst_words(mark: DstMark) -> str:
    """Say what a clock change did to an occurrence."""
    return _DST_WORDS[mark]


_DST_WORDS: Final[Mapping[DstMark, str]] = {
    DstMark.SHIFTED: "shifted: the clock jumps over its own time",
    DstMark.FIRST_PASS: "the clock shows this time twice: the first",
    DstMark.SECOND_PASS: "the clock shows this time twice: the second",
}


def timetable_of_schedule(conn: Connection, name: str) -> Timetable:
    """Return the timetable of a stored schedule; raises NotFound or InvalidInput."""
    schedule = schedules.get_schedule(conn, name).schedule
    return timetable_of(schedule, definitions.list_calendars(conn))


def timetable_of_cron(cron: str, timezone: str) -> Timetable:
    """Return the timetable that crontab text means in a zone."""
    return build_timetable(TimetableSpec(cron=cron, timezone=timezone), name="cron")


def list_next(
    timetable: Timetable, *, start: datetime, count: int, with_excluded: bool = False
) -> list[NextOccurrence]:
    """Return up to *count* occurrences strictly after *start*, those that are excluded if asked."""
    walked = replace(timetable, exclusions=()) if with_excluded else timetable
    return [_occurrence(timetable, utc) for utc in islice(_after(walked, start), count)]


def _occurrence(timetable: Timetable, utc: datetime) -> NextOccurrence:
    excluded_by = exclusion_at(timetable, utc)
    delay = timetable.delay(utc) if excluded_by is None else timedelta()
    return NextOccurrence(
        at=utc.astimezone(timetable.zone),
        utc=utc,
        starts=utc + delay,
        dst=timetable.dst_mark(utc),
        excluded_by=excluded_by,
    )


def exclusion_at(timetable: Timetable, instant: datetime) -> str | None:
    """Return what excludes *instant*, as people named it; None if nothing does."""
    wall = wall_of(timetable.zone, instant)
    covers = (exclusion.covers(wall) for exclusion in timetable.exclusions)
    return next((cover[0] for cover in covers if cover is not None), None)


def _after(timetable: Timetable, start: datetime) -> Iterator[datetime]:
    found = timetable.next_after(start)
    while found is not None:
        yield found
        found = timetable.next_after(found)


def instant_in(conn: Connection, name: str, moment: datetime) -> datetime:
    """Return *moment* in UTC; without an offset it is wall-clock time of the schedule's zone."""
    return in_utc(timetable_of_schedule(conn, name).zone, moment)
