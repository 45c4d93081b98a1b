"""The wall-clock times of a crontab expression; zones are not its matter."""

from bisect import bisect_left, bisect_right
from calendar import monthrange
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import MAXYEAR, date, datetime, time, timedelta
from functools import lru_cache
from itertools import islice

from cronsim import CronSim, CronSimError

from scheduler.domain.errors import InvalidInput
from scheduler.domain.timetable.crontab import Crontab

# The rarest possible date, a weekday on 29 February across 2100, comes within 40 years.
_MOST_MONTHS = 50 * 12
_HOUR = timedelta(hours=1)
_SECOND = timedelta(seconds=1)
_ANY_TIME = datetime.fromisoformat("2000-01-01T00:00:00")


class CronCalendar:
    """
    Debian cron's days and times, as cronsim reads them; asked with naive times only.

    Each day that has any has the same times: so neither is looked for minute by minute.
    """

    def __init__(self, crontab: Crontab) -> None:
        """Raise InvalidInput if *crontab* can never be true."""
        self.crontab = crontab
        minute, hour, *days = crontab.fields
        never = f"cron {crontab.text!r} can never be true: these months have no such day"
        try:
            self._days = _days_of(" ".join(days))
        except CronSimError:
            raise InvalidInput(never) from None
        self._times = _times_of(minute, hour)
        if self.next_wall(_ANY_TIME) is None:
            raise InvalidInput(never)

    def next_wall(self, wall: datetime) -> datetime | None:
        """Return the first time strictly after *wall*."""
        day = wall.date()
        if self._days.has(day):
            place = bisect_right(self._times, _second_of(wall))
            if place < len(self._times):
                return _at(day, self._times[place])
        following = self._days.next_after(day)
        return None if following is None else _at(following, self._times[0])

    def previous_wall(self, wall: datetime) -> datetime | None:
        """Return the last time before *wall*, in the month of it."""
        day = wall.date()
        if self._days.has(day):
            place = bisect_left(self._times, _second_of(wall))
            if place > 0:
                return _at(day, self._times[place - 1])
        before = self._days.previous_in_month(day)
        return None if before is None else _at(before, self._times[-1])

    def count(self, start: datetime, end: datetime) -> int:
        """Count the times later than *start*, up to *end*."""
        days = self._days.count(start.date(), end.date())
        return days * len(self._times) - self._count_until(start) + self._count_until(end)

    def count_hours(self, start: datetime, end: datetime, offset: timedelta) -> list[int]:
        """Count each hour from *start* to *end*, whole ones of UTC: the clock is *offset* ahead."""
        of_a_day = _by_hour(self._times, offset // _SECOND)
        return list(_count_hours(self._days, of_a_day, start, end, offset))

    def _count_until(self, wall: datetime) -> int:
        """Count the times of the day of *wall*, up to it."""
        if not self._days.has(wall.date()):
            return 0
        return bisect_right(self._times, _second_of(wall))


class _Days:
    """The days of a crontab expression: its last three fields."""

    def __init__(self, fields: str) -> None:
        self._cronsim = CronSim(f"0 0 {fields}", _ANY_TIME)
        self._months: dict[tuple[int, int], Sequence[int]] = {}

    def has(self, day: date) -> bool:
        return day.day in self._in_month(day.year, day.month)

    def next_after(self, day: date) -> date | None:
        """Return the first day after *day*, None if there is none in fifty years."""
        days = self._in_month(day.year, day.month)
        place = bisect_right(days, day.day)
        if place < len(days):
            return day.replace(day=days[place])
        for year, month in islice(_months_after(day), _MOST_MONTHS):
            if days := self._in_month(year, month):
                return date(year, month, days[0])
        return None

    def previous_in_month(self, day: date) -> date | None:
        """Return the day before *day*, None if there is none in its month."""
        days = self._in_month(day.year, day.month)
        place = bisect_left(days, day.day)
        return day.replace(day=days[place - 1]) if place else None

    def between(self, first: date, last: date) -> Iterator[date]:
        """Yield the days from *first* to *last*."""
        day = first if self.has(first) else self.next_after(first)
        while day is not None and day <= last:
            yield day
            day = self.next_after(day)

    def count(self, first: date, last: date) -> int:
        """Count the days from *first* to the one before *last*."""
        if (first.year, first.month) == (last.year, last.month):
            return self._count_before(last) - self._count_before(first)
        whole = len(self._in_month(first.year, first.month)) - self._count_before(first)
        for year, month in _months_after(first):
            if (year, month) == (last.year, last.month):
                break
            whole += len(self._in_month(year, month))
        return whole + self._count_before(last)

    def _count_before(self, day: date) -> int:
        return bisect_left(self._in_month(day.year, day.month), day.day)

    def _in_month(self, year: int, month: int) -> Sequence[int]:
        found = self._months.get((year, month))
        if found is None:
            found = self._months[year, month] = tuple(self._find_in_month(year, month))
        return found

    def _find_in_month(self, year: int, month: int) -> Iterator[int]:
        if month in self._cronsim.months:
            for day in range(1, monthrange(year, month)[1] + 1):
                if self._cronsim.match_day(date(year, month, day)):
                    yield day


# Thousands of schedules have few different days, and few different times of day.
_days_of = lru_cache(maxsize=1024)(_Days)


@lru_cache(maxsize=4096)
def _times_of(minute: str, hour: str) -> Sequence[int]:
    """Return the times of a day in seconds since midnight, in order."""
    read = CronSim(f"{minute} {hour} * * *", _ANY_TIME)
    return tuple(
        sorted(3600 * hour + 60 * minute for hour in read.hours for minute in read.minutes)
    )


@lru_cache(maxsize=4096)
def _by_hour(times: Sequence[int], offset: int) -> Sequence[tuple[int, int]]:
    """Count times of day by the hour of UTC, from its midnight of the same date on."""
    return tuple(Counter((second - offset) // 3600 for second in times).items())


@lru_cache(maxsize=1024)
def _count_hours(
    days: _Days,
    of_a_day: Sequence[tuple[int, int]],
    start: datetime,
    end: datetime,
    offset: timedelta,
) -> Sequence[int]:
    """Count each hour from *start* to *end*, of days with so many times in each hour of UTC."""
    counts = [0] * ((end - start) // _HOUR)
    before = 24 * start.toordinal() + start.hour
    for day in days.between((start + offset).date(), (end + offset).date()):
        midnight = 24 * day.toordinal() - before
        for hour, count in of_a_day:
            if 0 <= midnight + hour < len(counts):
                counts[midnight + hour] += count
    return counts


def _months_after(day: date) -> Iterator[tuple[int, int]]:
    """Yield the months after that of *day*."""
    for month in range(12 * day.year + day.month, 12 * (MAXYEAR + 1)):
        yield month // 12, month % 12 + 1


def _second_of(wall: datetime) -> int:
    return 3600 * wall.hour + 60 * wall.minute + wall.second


def _at(day: date, second: int) -> datetime:
    return datetime.combine(day, time(second // 3600, second // 60 % 60))
