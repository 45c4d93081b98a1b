"""What will fire in the hours to come: how many runs each hour, and of which schedules."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import lru_cache
from itertools import accumulate, pairwise
from operator import add
from typing import Final

from scheduler.domain.timetable import Timetable
from scheduler.tools.calendar.desk import Firing

HOUR: Final = timedelta(hours=1)
_DAY: Final = timedelta(days=1)
_SECOND: Final = timedelta(seconds=1)

MOST_WALKED: Final = 3_000
"""So many occurrences are looked at one by one at most, those of days that were before aside."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HourLoad:
    """How many runs are due within the hour that begins at *start*, a whole hour of UTC."""

    start: datetime
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """
    The hours from *start* to *end*, those without a run included.

    Of *uncounted* schedules the occurrences were too many to look for in one go: who asks again
    gets further, for what was counted is kept.
    """

    start: datetime
    end: datetime
    hours: tuple[HourLoad, ...]
    uncounted: tuple[str, ...]

    def until(self, end: datetime) -> "Load":
        """Return its hours up to an earlier *end*."""
        hours = tuple(hour for hour in self.hours if hour.start < end)
        return replace(self, end=end, hours=hours)


def whole_hour(moment: datetime) -> datetime:
    """Return the beginning of the moment's hour."""
    return moment.replace(minute=0, second=0, microsecond=0)


def load_of(firings: Iterable[Firing], *, start: datetime, end: datetime) -> Load:
    """Sum up what fires; the first and the last hour are whole, however much of them is over."""
    start = whole_hour(start)
    total = [0] * -(-(end - start) // HOUR)
    last = start + HOUR * len(total)
    uncounted = []
    walked = 0
    for firing in firings:
        if firing.timetable is None:
            continue
        counts = firing.timetable.count_hours(start, last)
        if counts is None:
            if walked > MOST_WALKED:
                uncounted.append(firing.schedule.name)
                continue
            known = walk_day.cache_info().misses
            counts = _walk_hours(firing.timetable, start, last)
            walked += sum(counts) if walk_day.cache_info().misses > known else 0
        total = list(map(add, total, _of_these(firing, counts, start)))
    hours = (start + HOUR * number for number in range(len(total)))
    return Load(
        start=start,
        end=end,
        hours=tuple(HourLoad(start=hour, count=n) for hour, n in zip(hours, total, strict=True)),
        uncounted=tuple(uncounted),
    )


def count_hours(timetable: Timetable, start: datetime, end: datetime) -> Sequence[int]:
    """Return how often a timetable is due in each hour from *start* to *end*, whole ones of UTC."""
    counts = timetable.count_hours(start, end)
    return _walk_hours(timetable, start, end) if counts is None else counts


def count_between(timetable: Timetable, start: datetime, end: datetime) -> int:
    """Count the occurrences later than *start*, before *end*, by looking at each if need be."""
    counted = timetable.count(start, end - _SECOND)
    if counted is None:
        return sum(1 for _ in timetable.occurrences(start, end - _SECOND))
    return counted


def _of_these(firing: Firing, counts: Sequence[int], start: datetime) -> Sequence[int]:
    """Return what a schedule fires of these hours: from when on it does, as long as it may."""
    if firing.left is None and whole_hour(firing.start) <= start:
        return counts
    gone = max(0, (whole_hour(firing.start) - start) // HOUR)
    fires = [0] * min(gone, len(counts)) + list(counts[gone:])
    if firing.left is None:
        return fires
    reached = [0, *accumulate(fires)]
    return [min(firing.left, after) - min(firing.left, until) for until, after in pairwise(reached)]


def _walk_hours(timetable: Timetable, start: datetime, end: datetime) -> list[int]:
    midnight = start.replace(hour=0)
    days = -(-(end - midnight) // _DAY)
    hours = [n for day in range(days) for n in walk_day(timetable, midnight + _DAY * day)]
    first = (start - midnight) // HOUR
    return hours[first : first + (end - start) // HOUR]


@lru_cache(maxsize=50_000)
def walk_day(timetable: Timetable, day: datetime) -> Sequence[int]:
    """Return how often a timetable is due in each hour of a day of UTC, by a look at each time."""
    times = timetable.occurrences(day - _SECOND, day + _DAY - _SECOND)
    counts = Counter((at - day) // HOUR for at in times)
    return tuple(counts[hour] for hour in range(24))
