"""
Every so many days, weeks, months or years, at one time of day: `month on 31 at 02:00`.

    [every] [N] day|week|month|year[s] [on DAY] [at HH:MM[:SS]]

DAY is a weekday's name for weeks, `1` to `31` or `last` for months, `MM-DD` for
years; a month too short for it gives its last day. Left out, it is Monday, the
first of the month, 1 January, and the time midnight. With N above one, the
count starts in the day, week (Monday to Sunday), month or year of the anchor,
which is 1 January 1970 unless given: `3 months` means January, April, July, October.
"""

import re
from calendar import monthrange
from dataclasses import dataclass
from datetime import date, datetime, time
from typing import NoReturn, Protocol

from scheduler.domain.errors import InvalidInput

EPOCH_DAY = date(1970, 1, 1)
WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_LAST_YEAR = 9000
_TEXT = re.compile(
    r"(every )?((?P<count>[0-9]{1,3}) )?(?P<unit>day|week|month|year)s?"
    r"( on (?P<day>[a-z0-9-]+))?( at (?P<time>[0-9:]+))?"
)
_TIME = re.compile(r"([01]?[0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9])?")


class _Days(Protocol):
    """Which days, numbered by whole units since year 0 or the first Monday."""

    def number_of(self, day: date) -> int:
        """Return the number of the unit that holds *day*."""
        ...

    def day_in(self, number: int) -> date:
        """Return the one day in that unit."""
        ...


@dataclass(frozen=True, slots=True)
class _EachDay:
    def number_of(self, day: date) -> int:
        return day.toordinal()

    def day_in(self, number: int) -> date:
        return date.fromordinal(number)


@dataclass(frozen=True, slots=True)
class _EachWeek:
    weekday: int

    def number_of(self, day: date) -> int:
        return (day.toordinal() - 1) // 7

    def day_in(self, number: int) -> date:
        return date.fromordinal(number * 7 + 1 + self.weekday)


@dataclass(frozen=True, slots=True)
class _EachMonth:
    day: int

    def number_of(self, day: date) -> int:
        return day.year * 12 + day.month - 1

    def day_in(self, number: int) -> date:
        return _clamped(number // 12, number % 12 + 1, self.day)


@dataclass(frozen=True, slots=True)
class _EachYear:
    month: int
    day: int

    def number_of(self, day: date) -> int:
        return day.year

    def day_in(self, number: int) -> date:
        return _clamped(number, self.month, self.day)


@dataclass(frozen=True, slots=True)
class CalendarInterval:
    """Wall-clock times on one day in every *count*-th unit, counted from the *anchor*'s."""

    days: _Days
    count: int
    at: time
    anchor: date

    def next_wall(self, wall: datetime) -> datetime | None:
        """Return the first time strictly after *wall*, or None past the year 9000."""
        start = self.days.number_of(self.anchor)
        number = self.days.number_of(wall.date())
        number -= (number - start) % self.count
        while wall.year < _LAST_YEAR:
            following = datetime.combine(self.days.day_in(number), self.at)
            if following > wall:
                return following
            number += self.count
        return None


def parse_calendar_interval(text: str, *, anchor: date = EPOCH_DAY) -> CalendarInterval:
    """Read *text* as this module's first lines describe it; raises InvalidInput."""
    match = _TEXT.fullmatch(" ".join(text.lower().split()))
    if match is None:
        _refuse(text, 'write it like "month on 31 at 02:00" or "2 weeks on friday at 06:30"')
    count = int(match["count"] or 1)
    if count == 0:
        _refuse(text, "the number must be 1 or more")
    days = _parse_days(text, match["unit"], match["day"])
    return CalendarInterval(days, count, parse_time(match["time"] or "00:00"), anchor)


def parse_time(text: str) -> time:
    """Read `HH:MM` or `HH:MM:SS`; raises InvalidInput."""
    if _TIME.fullmatch(text):
        hour, minute, second = (*map(int, text.split(":")), 0)[:3]
        return time(hour, minute, second)
    raise InvalidInput(
        f"{text!r} is not a time of day: write it like 02:00, from 00:00 to 23:59:59"
    )


def find_weekday(text: str) -> int | None:
    """Return Monday 0 … Sunday 6 for a weekday's English name, whole or its first three letters."""
    for number, name in enumerate(WEEKDAYS):
        if text.lower() in {name, name[:3]}:
            return number
    return None


def _parse_days(text: str, unit: str, day: str | None) -> _Days:
    match unit:
        case "day":
            return _EachDay() if day is None else _refuse(text, "days take no `on`")
        case "week":
            return _EachWeek(_parse_weekday(text, day or "monday"))
        case "month":
            return _EachMonth(_parse_month_day(text, day or "1"))
        case _:
            return _parse_year_day(text, day or "01-01")


def _parse_weekday(text: str, day: str) -> int:
    weekday = find_weekday(day)
    if weekday is None:
        _refuse(text, "a week's day is monday … sunday")
    return weekday


def _parse_month_day(text: str, day: str) -> int:
    if day == "last":
        return 31
    if not day.isdecimal() or not 1 <= int(day) <= 31:
        _refuse(text, "a month's day is 1 to 31 or last")
    return int(day)


def _parse_year_day(text: str, day: str) -> _EachYear:
    try:
        # A leap year, so that 02-29 is a day; years without it take their last of February.
        parsed = date.fromisoformat(f"2000-{day}")
    except ValueError:
        _refuse(text, "a year's day is MM-DD, such as 12-31")
    return _EachYear(parsed.month, parsed.day)


def _clamped(year: int, month: int, day: int) -> date:
    return date(year, month, min(day, monthrange(year, month)[1]))


def _refuse(text: str, why: str) -> NoReturn:
    raise InvalidInput(f"calendar interval {text!r}: {why}")
