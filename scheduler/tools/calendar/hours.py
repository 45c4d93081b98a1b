"""What will fire in the hours to come: how many runs each hour, and of which schedules."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from itertools import islice
from typing import Final

from scheduler.domain.timetable import Timetable
from scheduler.tools.calendar.desk import Firing

HOUR: Final = timedelta(hours=1)
_DAY: Final = timedelta(days=1)
_SECOND: Final = timedelta(seconds=1)
_MANY: Final = 100
"""Of more occurrences in a day, hours are counted without a look at each, where that can be."""

MOST_WALKED: Final = 6_000
"""So many occurrences are looked for at most, those that were counted before left aside."""


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


def whole_hour(moment: datetime) -> datetime:
    """Return the beginning of the moment's hour."""
    return moment.replace(minute=0, second=0, microsecond=0)


def load_of(firings: Iterable[Firing], *, start: datetime, end: datetime) -> Load:
    """Sum up what fires; the first and the last hour are whole, however much of them is over."""
    start = whole_hour(start)
    total: Counter[datetime] = Counter()
    uncounted = []
    walked = 0
    for firing in firings:
        if firing.timetable is None:
            continue
        cold = day_of.cache_info().misses
        if walked > MOST_WALKED:
            uncounted.append(firing.schedule.name)
            continue
        counts = Counter(dict(_hours_of(firing, start, end)))
        walked += counts.total() if day_of.cache_info().misses > cold else 0
        total.update(counts)
    hours = (start + HOUR * number for number in range(-(-(end - start) // HOUR)))
    return Load(
        start=start,
        end=end,
        hours=tuple(HourLoad(start=hour, count=total[hour]) for hour in hours),
        uncounted=tuple(uncounted),
    )


def _hours_of(firing: Firing, start: datetime, end: datetime) -> Iterator[tuple[datetime, int]]:
    """Yield the hours in which a schedule fires, as many times as it still may."""
    if firing.timetable is None:
        return
    left = firing.left
    day = start.replace(hour=0)
    while day < end:
        for hour, count in day_of(firing.timetable, day):
            if whole_hour(firing.start) <= hour < end and hour >= start:
                fires = count if left is None else min(left, count)
                left = None if left is None else left - fires
                yield hour, fires
        day += _DAY


@lru_cache(maxsize=50_000)
def day_of(timetable: Timetable, day: datetime) -> Sequence[tuple[datetime, int]]:
    """Return the hours of a day of UTC in which a timetable is due, and how often."""
    times = times_of(timetable, day)
    if times is None:
        hours = (day + HOUR * number for number in range(24))
        counted = ((hour, count_between(timetable, hour - _SECOND, hour + HOUR)) for hour in hours)
        return tuple((hour, count) for hour, count in counted if count)
    return tuple(Counter(map(whole_hour, times)).items())


@lru_cache(maxsize=10_000)
def times_of(timetable: Timetable, day: datetime) -> Sequence[datetime] | None:
    """Return when a timetable is due on a day of UTC; None where that is very often."""
    start, last = day - _SECOND, day + _DAY - _SECOND
    if (timetable.count(start, last) or 0) > _MANY:
        return None
    found = tuple(islice(timetable.occurrences(start, last), _MANY + 1))
    return found if len(found) <= _MANY else None


def times_between(timetable: Timetable, start: datetime, end: datetime) -> Iterator[datetime]:
    """Yield the occurrences later than *start*, up to *end*; a day that was seen is known."""
    day = start.replace(hour=0, minute=0, second=0, microsecond=0)
    while day <= end:
        times = times_of(timetable, day)
        if times is None:
            last = day + _DAY - _SECOND
            yield from timetable.occurrences(max(start, day - _SECOND), min(end, last))
        else:
            yield from (at for at in times if start < at <= end)
        day += _DAY


def count_between(timetable: Timetable, start: datetime, end: datetime) -> int:
    """Count the occurrences later than *start*, before *end*, by looking at each if need be."""
    counted = timetable.count(start, end - _SECOND)
    if counted is None:
        return sum(1 for _ in timetable.occurrences(start, end - _SECOND))
    return counted
