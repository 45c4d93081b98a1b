"""
What will fire in the days to come, counted by day; a day is one of the schedule's own zone.

Nothing is listed that can be counted otherwise: an even beat is divided, and a crontab
expression has the same times on each day that it names, unless the clocks change.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from itertools import islice
from typing import Final

from apscheduler.triggers.interval import IntervalTrigger

from scheduler.domain.pauses import Freeze, Stop, stop_at
from scheduler.domain.records import Schedule
from scheduler.domain.timetable import Timetable
from scheduler.domain.timetable.clock_changes import SECOND, instant_of, offset_of, wall_of
from scheduler.domain.timetable.cron_calendar import CronCalendar
from scheduler.domain.timetable.trigger import WallClockTrigger

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
    schedule: Schedule, freezes: Sequence[Freeze], now: datetime
) -> tuple[datetime | None, Stop | None]:
    """Return from when on nothing stops the schedule, None for never, and what stops it now."""
    stop = stop_at(now, schedule, freezes)
    if stop is None:
        return now, None
    ends = sorted(end for end in _ends(schedule, freezes) if end > now)
    return next((end for end in ends if stop_at(end, schedule, freezes) is None), None), stop


def _ends(schedule: Schedule, freezes: Sequence[Freeze]) -> Iterator[datetime]:
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
    _whole_day: int | None = None

    def count(self, after: datetime, last: datetime) -> int:
        """Return how many are due later than *after*, up to *last*, or to where it stopped."""
        interval = self._interval()
        if interval is not None:
            return self._divide(interval, after, last)
        is_whole_day = last - after == _DAY
        if is_whole_day and self._days_are_alike(after, last):
            first = self.timetable.next_after(after)
            if first is None or first > last:
                return 0
            if self._whole_day is None:
                self._whole_day = self._list(after, last)
            return self._whole_day
        return self._list(after, last)

    def _interval(self) -> timedelta | None:
        triggers = self.timetable.triggers
        if self.timetable.exclusions or len(triggers) != 1:
            return None
        trigger = triggers[0]
        return trigger.interval if isinstance(trigger, IntervalTrigger) else None

    def _divide(self, interval: timedelta, after: datetime, last: datetime) -> int:
        first = self.timetable.next_after(after)
        last = min(last, self.timetable.valid_until or last)
        return 0 if first is None or first > last else (last - first) // interval + 1

    def _days_are_alike(self, after: datetime, last: datetime) -> bool:
        timetable = self.timetable
        if timetable.exclusions or len(timetable.triggers) != 1:
            return False
        trigger = timetable.triggers[0]
        is_cron = isinstance(trigger, WallClockTrigger) and isinstance(
            trigger.calendar, CronCalendar
        )
        offsets = {offset_of(timetable.zone, moment) for moment in (after, after + SECOND, last)}
        begins = timetable.valid_from is None or timetable.valid_from <= after
        ends_later = timetable.valid_until is None or timetable.valid_until > last
        return is_cron and len(offsets) == 1 and begins and ends_later

    def _list(self, after: datetime, last: datetime) -> int:
        found = list(islice(self.timetable.occurrences(after, last), self.left + 1))
        if len(found) > self.left:
            self.stopped_at = found[-1] - SECOND
            return self.left
        self.left -= len(found)
        return len(found)
