"""
Times at which a schedule does not fire: named calendars and blackout windows, as values.

One line of text a rule: `2026-12-25`, `2026-12-24..2027-01-06`, `12-25` and `12-24..01-06`
(each year), `saturday`, `sat-sun`, `Mon-Fri 09:00-17:00`, `22:00-06:00` (every day, past midnight).
All of it is wall-clock time in the schedule's zone.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Protocol

from scheduler.domain.errors import InvalidInput
from scheduler.domain.timetable.calendar_interval import WEEKDAYS, find_weekday, parse_time

_DAY = timedelta(days=1)
_RANGE = re.compile(r"(\d{4}-\d\d-\d\d)(?:\s*\.\.\s*(\d{4}-\d\d-\d\d))?", re.ASCII)
_YEAR_DAYS = re.compile(r"(\d\d-\d\d)(?:\s*\.\.\s*(\d\d-\d\d))?", re.ASCII)
_MOST_RULES = 1_000
_WINDOW = re.compile(r"(?:(?P<days>[A-Za-z, -]+)\s+)?(?P<start>[0-9:]+)-(?P<end>[0-9:]+)")


class Rule(Protocol):
    """A set of wall-clock times."""

    def covers(self, wall: datetime) -> tuple[str, datetime] | None:
        """
        Return what covers *wall*, for people, and a later time up to which all is inside; or None.

        That time may be earlier than the true end: ask again from there.
        """
        ...

    def is_over(self, wall: datetime) -> bool:
        """Tell whether nothing from *wall* on is inside."""
        ...


@dataclass(frozen=True, slots=True)
class Span:
    """One stretch of wall-clock time; *end* is outside."""

    start: datetime
    end: datetime
    text: str

    def covers(self, wall: datetime) -> tuple[str, datetime] | None:
        """See Rule."""
        return (self.text, self.end) if self.start <= wall < self.end else None

    def is_over(self, wall: datetime) -> bool:
        """See Rule."""
        return self.end <= wall


@dataclass(frozen=True, slots=True)
class YearDays:
    """Days of every year by month and day, both inclusive; past the new year if *last* is lower."""

    first: tuple[int, int]
    last: tuple[int, int]
    text: str

    def covers(self, wall: datetime) -> tuple[str, datetime] | None:
        """See Rule."""
        day = wall.month, wall.day
        after, before = self.first <= day, day <= self.last
        inside = (after and before) if self.first <= self.last else (after or before)
        return (self.text, datetime.combine(wall.date() + _DAY, time())) if inside else None

    def is_over(self, wall: datetime) -> bool:
        """See Rule."""
        return False


@dataclass(frozen=True, slots=True)
class Window:
    """A part of the day on some weekdays (Monday 0); past midnight if it ends before it starts."""

    weekdays: frozenset[int]
    start: time
    end: time
    text: str

    def covers(self, wall: datetime) -> tuple[str, datetime] | None:
        """See Rule."""
        for first in (wall.date(), wall.date() - _DAY):
            if first.weekday() in self.weekdays:
                start = datetime.combine(first, self.start)
                last = first if self.end > self.start else first + _DAY
                end = datetime.combine(last, self.end)
                if start <= wall < end:
                    return self.text, end
        return None

    def is_over(self, wall: datetime) -> bool:
        """See Rule."""
        return False


@dataclass(frozen=True, slots=True)
class Exclusion:
    """A calendar or a set of blackout windows by the *name* that a person gave it."""

    name: str
    rules: tuple[Rule, ...]

    def covers(self, wall: datetime) -> tuple[str, datetime] | None:
        """Return what excludes *wall*, for people, and a time up to which it does; or None."""
        for rule in self.rules:
            cover = rule.covers(wall)
            if cover is not None:
                return f"{self.name}: {cover[0]}", cover[1]
        return None

    def is_over(self, wall: datetime) -> bool:
        """Tell whether nothing is excluded from *wall* on."""
        return all(rule.is_over(wall) for rule in self.rules)


def parse_exclusion(name: str, lines: Iterable[str]) -> Exclusion:
    """Read *lines* as the head of this module describes them; raises InvalidInput with the line."""
    rules: list[Rule] = []
    for line in lines:
        if len(rules) == _MOST_RULES:
            raise InvalidInput(
                f"calendar {name!r} has more than {_MOST_RULES:,} lines: join days to ranges"
                " (2026-12-24..2027-01-06), or write them as an .ics file"
            )
        text = " ".join(line.split())
        try:
            rules.append(_parse_rule(re.sub(r" ?- ?", "-", text)))
        except (InvalidInput, ValueError, OverflowError) as error:
            raise InvalidInput(
                f"calendar {name!r}: {text[:99]!r} is not a date (2026-12-25), a range of dates"
                " (2026-12-24..2027-01-06), a day or days of each year (12-25, 12-24..01-06),"
                f" weekdays (sat-sun) or a window (Mon-Fri 09:00-17:00): {error}"
            ) from None
    return Exclusion(name, tuple(rules))


def _parse_rule(text: str) -> Rule:
    if match := _RANGE.fullmatch(text):
        first = date.fromisoformat(match[1])
        return date_span(first, date.fromisoformat(match[2] or match[1]) + _DAY, text)
    if match := _YEAR_DAYS.fullmatch(text):
        return YearDays(_day_of_year(match[1]), _day_of_year(match[2] or match[1]), text)
    if match := _WINDOW.fullmatch(text):
        weekdays = _parse_weekdays(match["days"] or "mon-sun")
        return Window(weekdays, parse_time(match["start"]), _parse_end(match["end"]), text)
    return Window(_parse_weekdays(text), time(), time(), text)


def date_span(first: date, end: date, text: str) -> Span:
    """Return whole days from *first* to the day before *end*; raises InvalidInput if none."""
    if end <= first:
        raise InvalidInput("it ends before it starts")
    return Span(datetime.combine(first, time()), datetime.combine(end, time()), text)


def _day_of_year(text: str) -> tuple[int, int]:
    day = date.fromisoformat(f"2000-{text}")
    return day.month, day.day


def _parse_end(text: str) -> time:
    return time() if text == "24:00" else parse_time(text)


def _parse_weekdays(text: str) -> frozenset[int]:
    days: set[int] = set()
    for part in text.replace(",", " ").split():
        first, _, last = part.partition("-")
        start, end = find_weekday(first), find_weekday(last or first)
        if start is None or end is None:
            raise InvalidInput(f"{part!r} is not a weekday; there are {', '.join(WEEKDAYS)}")
        days.update((start + step) % 7 for step in range((end - start) % 7 + 1))
    if not days:
        raise InvalidInput("it is empty")
    return frozenset(days)
