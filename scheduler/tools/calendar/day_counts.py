"""
What will fire in the days to come, counted by day; a day is one of the schedule's own zone.

Nothing is listed that can be counted otherwise.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from itertools import islice
from typing import Final

from scheduler.domain.pauses import Freeze, Stop, stop_at
from scheduler.domain.records import ScheduleTimes
from scheduler.domain.timetable import Timetable
from scheduler.domain.timetable.clock_changes import SECOND, instant_of, wall_of

MOST_LISTED: Final = 20_000
"""So many occurrences of one schedule are listed at most, where they cannot be counted."""

_DAY: Final = timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Days:
    """
    Occurrences by day, days without one left out.

    *counted_until* is nearer than was asked for where there were too many to list; *first* is
    the first of all.
    """

    counts: dict[date, int]
    first: datetime | None
    counted_until: datetime


def count_days(
    timetable: Timetable,
    *,
    start: datetime,
    end: datetime,
    most_runs: int | None = None,
    most_listed: int = MOST_LISTED,
) -> Days:
    """Count the occurrences later than *start*, up to *end*, and of them the first *most_runs*."""
    counter = _Counter(timetable, most_listed)
    counts: dict[date, int] = {}
    left = most_runs
    until = end
    for day, after, last in _stretches(timetable, start, end):
        count = counter.count(after, last)
        count = count if left is None else min(count, left)
        if count:
            counts[day] = count
        left = None if left is None else left - count
        if left == 0:
            break
        if counter.stopped_at is not None:
            until = counter.stopped_at
            break
    first = timetable.next_after(start) if counts else None
    return Days(counts=counts, first=first, counted_until=until)


def fires_from(
    schedule: ScheduleTimes, freezes: Sequence[Freeze], now: datetime
) -> tuple[datetime | None, Stop | None]:
    """Return from when on nothing stops the schedule, None for never, and what stops it now."""
    stop = stop_at(now, schedule, freezes)
    if stop is None:
        return now, None
    ends = sorted(end for end in _ends(schedule, freezes) if end > now)
    return next((end for end in ends if stop_at(end, schedule, freezes) is None), None), stop


def _ends(schedule: ScheduleTimes, freezes: Sequence[Freeze]) -> Iterator[datetime]:
    ends = (schedule.paused_until, *(freeze.until for freeze in freezes))
    yield from (end for end in ends if end is not None)


def _stretches(
    timetable: Timetable, start: datetime, end: datetime
) -> Iterator[tuple[date, datetime, datetime]]:
    """Yield each day, the moment it begins after, and its last moment."""
    zone = timetable.zone
    after = start
    while after < end:
        # What is due right after *after* belongs to its own day.
        day = wall_of(zone, after + SECOND).date()
        next_midnight = instant_of(zone, datetime.combine(day + _DAY, time()))
        last = min(end, max(next_midnight - SECOND, after + SECOND))
        yield day, after, last
        after = last


@dataclass(slots=True)
class _Counter:
    timetable: Timetable
    left: int
    stopped_at: datetime | None = None

    def count(self, after: datetime, last: datetime) -> int:
        """Return how many are due later than *after*, up to *last*, or to where it stopped."""
        counted = self.timetable.count(after, last)
        return self._list(after, last) if counted is None else counted

    def _list(self, after: datetime, last: datetime) -> int:
        listed = list(islice(self.timetable.occurrences(after, last), self.left + 1))
        if len(listed) > self.left:
            self.stopped_at = listed[-1] - SECOND
            return self.left
        self.left -= len(listed)
        return len(listed)
