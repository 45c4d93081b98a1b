"""
Exclusions out of iCalendar text (RFC 5545): icalendar reads it, recurring-ical-events repeats it.

What those pass over in silence is refused here by name, for a holiday silently missed would send a
billed job: a file that is cut off, a line that cannot be read, a zone that nobody knows.
"""

import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from itertools import accumulate
from math import prod
from threading import Lock
from typing import Any, Final, TypeAlias
from zoneinfo import ZoneInfo

from dateutil.rrule import rrulestr
from icalendar import Calendar, vRecur
from icalendar.timezone import tzp
from icalendar.timezone.zoneinfo import ZONEINFO
from recurring_ical_events import CalendarQuery, of

from scheduler.domain.errors import InvalidInput
from scheduler.domain.timetable.clock_changes import in_utc, instant_of, wall_of
from scheduler.domain.timetable.exclusions import Exclusion
from scheduler.domain.timetable.zones import find_zone

_Component: TypeAlias = Any
"""One of the library's, whose values are of some thirty types."""

_BEGIN: Final = re.compile(r"^BEGIN:VCALENDAR[ \t]*\r?$", re.IGNORECASE | re.MULTILINE)
_MOST_CHARACTERS: Final = 1_000_000
_MOST_STEPS: Final = 600_000  # of days, weeks, months and years: some seconds
_STEPS_A_YEAR: Final = {"DAILY": 366, "WEEKLY": 106, "MONTHLY": 31, "YEARLY": 15}
_LAST_YEARS: Final = range(9944, 9972)
_DAY: Final = timedelta(days=1)
_DATES: Final = ("DTSTART", "DTEND", "RDATE", "EXDATE", "RECURRENCE-ID")
_READ: Final = (*_DATES, "DURATION", "RRULE", "STATUS")
_NOMINAL: Final = re.compile(r"\+?P(?:(\d+)W)?(?:(\d+)D)?", re.ASCII | re.IGNORECASE)
_WRITTEN: Final = "X-DURATION"
# Some programs leave out the quotation marks that `(UTC+01:00) Amsterdam, Berlin` needs.
_UNQUOTED: Final = re.compile(
    rf'^((?:{"|".join(_DATES)});TZID=)([^";\r\n]{{0,99}}[:,][^";\r\n]{{0,99}})(?=:\d{{8}})',
    re.ASCII | re.IGNORECASE | re.MULTILINE,
)
# A whole day has no zone (RFC 5545, 3.2.19); with one, the library takes it for its midnight.
_ZONE_OF_A_DAY: Final = re.compile(
    rf'^((?:{"|".join(_DATES)})[^:\r\n]*?);TZID=(?:"[^"\r\n]*"|[^";:\r\n]*)'
    r"((?:;[^:\r\n]*)?:\d{8}(?:,\d{8})*[ \t]*\r?)$",
    re.ASCII | re.IGNORECASE | re.MULTILINE,
)
_DURATION: Final = re.compile(r"^(DURATION):(\w+)", re.ASCII | re.IGNORECASE | re.MULTILINE)
# The library keeps the zones that files describe for the whole process; each file has its own.
_LOCK: Final = Lock()


class _Zones(ZONEINFO):
    """The zones of names in a file for which it has no VTIMEZONE, and all that we know."""

    def timezone(self, name: str) -> tzinfo | None:
        """Return the zone, also behind a program's own prefix: `/mozilla.org/Europe/Berlin`."""
        parts = name.split("/")
        for first in range(len(parts)):
            try:
                return find_zone("/".join(parts[first:]))
            except InvalidInput:
                continue
        return None


@dataclass(frozen=True, slots=True)
class _Stretch:
    start: datetime
    end: datetime
    title: str


@dataclass(frozen=True, slots=True)
class _Repetition:
    """An RRULE, and the year of the first time that it repeats."""

    rule: _Component
    year: int

    def steps_until(self, year: int) -> int:
        """Return about how many steps it takes to find what it repeats in *year*."""
        ends = [until.year for until in self.rule.get("UNTIL", [])]
        years: int = max(0, min([year, *ends]) - self.year) + 20  # a time that is found costs more
        values = [len(self.rule.get(part, [])) for part in ("BYHOUR", "BYMINUTE", "BYSECOND")]
        a_day: int = prod(max(1, count) for count in values)
        frequency = str(self.rule["FREQ"][0])
        days: int = sum(len(self.rule[part]) for part in self.rule if part.startswith("BY"))
        a_year: int = min(366, _STEPS_A_YEAR[frequency] * max(1, days)) * a_day
        return a_year * years


@dataclass(frozen=True, slots=True)
class Events:
    """The events of calendars, found year by year when they are asked for."""

    queries: tuple[CalendarQuery, ...]
    repetitions: tuple[_Repetition, ...]
    zone: ZoneInfo
    years: dict[int, tuple[list[_Stretch], list[datetime]]] = field(default_factory=dict)

    def covers(self, wall: datetime) -> tuple[str, datetime] | None:
        """See Rule."""
        instant = instant_of(self.zone, wall)
        stretches, ends = self._within(instant.year)
        index = bisect_right(stretches, instant, key=lambda stretch: stretch.start) - 1
        # None up to here ends later than *ends* says: the search goes back no further than it must.
        while index >= 0 and ends[index] > instant:
            stretch = stretches[index]
            if stretch.end > instant:
                return stretch.title, wall_of(self.zone, stretch.end)
            index -= 1
        return None

    def is_over(self, wall: datetime) -> bool:
        """See Rule."""
        instant = instant_of(self.zone, wall)
        self._check_cost(instant.year)
        with _library():
            return not any(
                stretch.end > instant
                for query in self.queries
                for stretch in _stretches(query.after(instant), self.zone)
            )

    def _within(self, year: int) -> tuple[list[_Stretch], list[datetime]]:
        if year not in self.years:
            self._check_cost(year)
            # Wherever its clock stands, an event of the year is within a day of it.
            first = datetime(year, 1, 1, tzinfo=UTC) - _DAY
            last = datetime(year + 1, 1, 1, tzinfo=UTC) + _DAY
            with _library():
                stretches = [
                    stretch
                    for query in self.queries
                    for stretch in _stretches(query.between(first, last), self.zone)
                ]
            stretches.sort(key=lambda stretch: stretch.start)
            self.years[year] = stretches, list(accumulate((s.end for s in stretches), max))
        return self.years[year]

    def _check_cost(self, year: int) -> None:
        if sum(each.steps_until(year) for each in self.repetitions) > _MOST_STEPS:
            raise InvalidInput(
                "its events repeat too often to be followed: let them begin later, or write"
                " windows such as Mon-Fri 09:00-17:00"
            )


def parse_icalendar(name: str, text: str, *, timezone: str) -> Exclusion:
    """
    Read the events of *text*; without a zone of their own they are in *timezone*, the schedule's.

    Raises InvalidInput naming the event and the line that cannot be followed.
    """
    zone = find_zone(timezone)
    try:
        with _library():
            tzp.use(_Zones())
            calendars = _read_calendars(text)
            for calendar in calendars:
                calendar.subcomponents = list(filter(_takes_place, calendar.subcomponents))
            events = [event for calendar in calendars for event in calendar.walk("VEVENT")]
            for calendar in calendars:
                _name_zone(calendar)
            for event in events:
                _mend(event)
            repetitions = tuple(_list_repetitions(calendars))
            _tell_apart(events)
            queries = tuple(of(calendar) for calendar in calendars)
        rule = Events(queries, repetitions, zone)
        if events:
            # What cannot be followed is said now, not when the schedule is due.
            latest = max(event["DTSTART"].dt.year for event in events)
            rule.covers(_midnight(date(latest, 7, 1)))
    except InvalidInput as error:
        raise InvalidInput(f"calendar {name!r}, {error}") from None
    return Exclusion(name, (rule,) if events else ())


@contextmanager
def _library() -> Iterator[None]:
    with _LOCK:
        try:
            yield
        except InvalidInput:
            raise
        except Exception as error:  # files hold what nobody foresaw
            raise InvalidInput(f"it cannot be followed: {error}") from None


def _read_calendars(text: str) -> list[_Component]:
    begun = len(_BEGIN.findall(text))
    if not begun:
        raise InvalidInput("it is not iCalendar text: no BEGIN:VCALENDAR in it")
    if len(text) > _MOST_CHARACTERS:
        raise InvalidInput(f"it is longer than {_MOST_CHARACTERS:,} characters")
    text = _UNQUOTED.sub(r'\1"\2"', text)
    text = _ZONE_OF_A_DAY.sub(r"\1\2", text)
    # A day of 24 hours and a day by the clock are one value to the library.
    text = _DURATION.sub(r"\1;X-TEXT=\2:\2", text)
    calendars = Calendar.from_ical(text, multiple=True)
    if len(calendars) != begun:
        raise InvalidInput("it is cut off: an END:VEVENT or END:VCALENDAR is missing; get it anew")
    return calendars


def _name_zone(calendar: _Component) -> None:
    """Let the zone of X-WR-TIMEZONE be one by the name that all know; it may be none."""
    name = str(calendar.pop("X-WR-TIMEZONE", "")).strip()
    if name:
        zone = tzp.timezone(name)
        calendar["X-WR-TIMEZONE"] = zone.key if isinstance(zone, ZoneInfo) else find_zone(name).key


def _list_repetitions(calendars: list[_Component]) -> Iterator[_Repetition]:
    for component in (part for calendar in calendars for part in calendar.walk()):
        if not component.get("RRULE", True):
            del component["RRULE"]  # the line is there, and empty
        with _named(component):
            for rule in _values(component, "RRULE"):
                yield _read_repetition(rule, component["DTSTART"].dt)


def _read_repetition(rule: _Component, start: date) -> _Repetition:
    text = rule.to_ical().decode()
    if str(rule["FREQ"][0]) not in _STEPS_A_YEAR:
        raise InvalidInput(f"RRULE {text} is not supported: write windows such as 09:00-09:30")
    if any(interval < 1 for interval in rule.get("INTERVAL", [])):
        raise InvalidInput(f"RRULE {text} does not go on: write an INTERVAL of 1 or more")
    # The library would look for what never comes until the year 9999. So it is first asked near
    # that year, in one whose weekdays and leap days fall alike.
    alike = (start.year % 4, date(start.year, 1, 1).weekday())
    year = next(y for y in _LAST_YEARS if (y % 4, date(y, 1, 1).weekday()) == alike)
    endless: _Component = vRecur({part: value for part, value in rule.items() if part != "UNTIL"})
    first = _midnight(date(year, start.month, start.day))
    if next(iter(rrulestr(endless.to_ical().decode(), dtstart=first)), None) is None:
        raise InvalidInput(f"RRULE {text} has no day: it never takes place")
    return _Repetition(rule, start.year)


def _mend(event: _Component) -> None:
    """Make *event* what its lines mean; raises InvalidInput for what the library passes over."""
    with _named(event):
        for line, message in event.errors:
            if line in _READ or (line is None and message.partition("'")[2].startswith(_READ)):
                raise InvalidInput(f"{line or 'a line'} cannot be read: {message}")
        if "EXRULE" in event:
            raise InvalidInput("EXRULE is not supported: write its dates as EXDATE")
        for line in ("DTSTART", "DTEND", "DURATION", "RECURRENCE-ID"):
            if len(_values(event, line)) > 1:
                raise InvalidInput(f"it has more than one {line}")
        for line in _DATES:
            for value in _values(event, line):
                _check_zone(value)
        if "DTSTART" not in event or not 1600 <= event["DTSTART"].dt.year <= 2600:
            raise InvalidInput("it has no DTSTART in the years 1600 to 2600")
        _mend_end(event)
        # Each time that it takes place is a copy of it.
        event.subcomponents.clear()
        for line in set(event) - {*_READ, "UID", "SEQUENCE", "SUMMARY", _WRITTEN}:
            del event[line]


def _mend_end(event: _Component) -> None:
    start, end = event["DTSTART"].dt, event.get("DTEND")
    if end is not None:
        if _kind(start) != _kind(end.dt):
            raise InvalidInput(f"DTSTART is {_kind(start)}, DTEND is {_kind(end.dt)}")
        if end.dt == start and not isinstance(start, datetime):
            del event["DTEND"]  # one whole day, as others read it
        elif end.dt < start:
            raise InvalidInput("it ends before it starts")
    elif "DURATION" in event:
        if event["DURATION"].dt < timedelta():
            raise InvalidInput("it ends before it starts")
        event[_WRITTEN] = event["DURATION"].params.get("X-TEXT", "")


def _kind(moment: date) -> str:
    if not isinstance(moment, datetime):
        return "a day"
    return "a time without a zone" if moment.tzinfo is None else "a time in a zone"


def _check_zone(value: Any) -> None:
    zone = value.params.get("TZID")
    times = [each.dt for each in getattr(value, "dts", [value])]
    naive = any(isinstance(moment, datetime) and moment.tzinfo is None for moment in times)
    if zone is not None and naive:
        find_zone(zone)  # says which names are near
        raise InvalidInput(f"unknown time zone {zone!r}: the file has no VTIMEZONE for it")


def _tell_apart(events: list[_Component]) -> None:
    """Give events of their own that bear one UID, copied by hand, each one of its own."""
    seen: dict[tuple[str, int], datetime] = {}
    for number, event in enumerate(events):
        key = str(event.get("UID", number)), int(event.get("SEQUENCE", -1))
        if "RECURRENCE-ID" not in event and seen.setdefault(key, event["DTSTART"].dt) != (
            event["DTSTART"].dt
        ):
            event["UID"] = f"{key[0]} {number}"


def _takes_place(part: _Component) -> bool:
    """Tell whether it is not cancelled as a whole: its times would be looked for without end."""
    return "RECURRENCE-ID" in part or str(part.get("STATUS", "")).upper() != "CANCELLED"


def _stretches(events: Iterable[_Component], zone: ZoneInfo) -> Iterator[_Stretch]:
    for event in events:
        if str(event.get("STATUS", "")).upper() != "CANCELLED":
            start = _instant(event["DTSTART"].dt, zone)
            # What has no length excludes its own second.
            end = max(_end_of(event, zone), start + timedelta(seconds=1))
            title = event.get("SUMMARY", "event without a title")
            yield _Stretch(start, end, f"{title} {event['DTSTART'].dt:%Y-%m-%d}")


def _end_of(event: _Component, zone: ZoneInfo) -> datetime:
    """Return its end: days of a DURATION go by the calendar, hours are real ones."""
    start, end = event["DTSTART"].dt, event["DTEND"].dt
    nominal = _NOMINAL.match(event.get(_WRITTEN, ""))
    if nominal is None or not isinstance(start, datetime):
        return _instant(end, zone)
    days = 7 * int(nominal[1] or 0) + int(nominal[2] or 0)
    by_calendar = start + days * _DAY
    exact: timedelta = end - by_calendar
    return _instant(by_calendar, zone) + exact


def _instant(moment: date, zone: ZoneInfo) -> datetime:
    return in_utc(zone, moment if isinstance(moment, datetime) else _midnight(moment))


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time())


def _values(component: _Component, line: str) -> list[Any]:
    values = component.get(line, [])
    return values if isinstance(values, list) else [values]


@contextmanager
def _named(component: _Component) -> Iterator[None]:
    """Say in an error which event, or zone, it is about."""
    try:
        yield
    except (InvalidInput, ValueError, TypeError, AttributeError, KeyError) as error:
        title = component.get("SUMMARY") or component.get("TZID") or "event without a title"
        raise InvalidInput(f"{str(title)!r}: {error}") from None
