"""
Exclusions out of an iCalendar file (RFC 5545): its events, no more.

All-day and timed events with DTEND or DURATION, repeated yearly or weekly
(INTERVAL, UNTIL, and BYDAY for weeks). Anything else that changes when an event
takes place is refused by name: a holiday silently missed would send a billed job.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from scheduler.domain.errors import InvalidInput
from scheduler.domain.timetable.clock_changes import in_utc, wall_of
from scheduler.domain.timetable.exclusions import Exclusion, Rule, Span
from scheduler.domain.timetable.zones import find_zone

_DAY = timedelta(days=1)
_WEEKDAYS = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")
_REFUSED = ("EXDATE", "EXRULE", "RDATE", "RECURRENCE-ID")
_DURATION = re.compile(r"P(?:(\d+)W)?(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+)S)?)?", re.ASCII)
_UNTIL = re.compile(r"(\d{8})(T\d{6}Z?)?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Property:
    """One content line: its value, and the zone and kind that its parameters name."""

    value: str
    zone: str | None = None
    is_date: bool = False


@dataclass(frozen=True, slots=True)
class EachYear:
    """The *first* span again on its day every *interval* years."""

    first: Span
    interval: int
    until: date

    def covers(self, wall: datetime) -> datetime | None:
        """See Rule."""
        length = self.first.end - self.first.start
        for year in (wall.year, wall.year - 1):
            start = self._start_in(year)
            if start is not None and start <= wall < start + length:
                return start + length
        return None

    def _start_in(self, year: int) -> datetime | None:
        since = year - self.first.start.year
        if since < 0 or since % self.interval:
            return None
        try:
            start = self.first.start.replace(year=year)
        except ValueError:  # 29 February: RFC 5545 leaves such a year out
            return None
        return start if start.date() <= self.until else None

    def __str__(self) -> str:
        return f"{self.first} (each year)"


@dataclass(frozen=True, slots=True)
class EachWeek:
    """The *first* span again on each of *weekdays* (Monday 0) every *interval* weeks."""

    first: Span
    weekdays: frozenset[int]
    interval: int
    until: date

    def covers(self, wall: datetime) -> datetime | None:
        """See Rule."""
        length = self.first.end - self.first.start
        for back in range(min(length, timedelta(weeks=1)).days + 2):
            day = wall.date() - back * _DAY
            start = datetime.combine(day, self.first.start.time())
            if self._begins_on(day) and start <= wall < start + length:
                return start + length
        return None

    def _begins_on(self, day: date) -> bool:
        first = self.first.start.date()
        weeks = (_monday(day) - _monday(first)).days // 7
        on_beat = day.weekday() in self.weekdays and weeks % self.interval == 0
        return on_beat and first <= day <= self.until

    def __str__(self) -> str:
        return f"{self.first} (weekly)"


def parse_icalendar(name: str, text: str, *, timezone: str) -> Exclusion:
    """
    Read the events of *text* as wall-clock times in *timezone*, the schedule's.

    Raises InvalidInput naming the event and the line that cannot be followed.
    """
    zone = find_zone(timezone)
    rules = tuple(_read_event(name, event, zone) for event in _events(text) if _takes_place(event))
    if "BEGIN:VCALENDAR" not in text.upper():
        raise InvalidInput(f"calendar {name!r} is not iCalendar text: no BEGIN:VCALENDAR in it")
    return Exclusion(name, rules)


def _events(text: str) -> Iterator[dict[str, Property]]:
    # A line that begins with a space or a tab goes on from the one before.
    unfolded = re.sub(r"\r?\n[ \t]", "", text)
    event: dict[str, Property] | None = None
    inside: list[str] = []
    for line in unfolded.splitlines():
        key, _, value = line.partition(":")
        match key.upper():
            case "BEGIN":
                inside.append(value.strip().upper())
                event = {} if inside[-1] == "VEVENT" else event
            case "END":
                if inside and inside.pop() == "VEVENT" and event is not None:
                    yield event
            case _ if event is not None and inside and inside[-1] == "VEVENT":
                parameters = key.upper().split(";")
                event[parameters[0]] = _property(key, value.strip())


def _property(key: str, value: str) -> Property:
    zone = re.search(r';TZID="?([^";]+)', key, re.IGNORECASE)
    is_date = ";VALUE=DATE" in f"{key.upper()};".replace("VALUE=DATE-TIME", "")
    return Property(
        value, zone[1] if zone else None, is_date or bool(re.fullmatch(r"\d{8}", value))
    )


def _takes_place(event: dict[str, Property]) -> bool:
    return "STATUS" not in event or event["STATUS"].value.upper() != "CANCELLED"


def _read_event(name: str, event: dict[str, Property], zone: ZoneInfo) -> Rule:
    title = event["SUMMARY"].value if "SUMMARY" in event else "event without a title"
    try:
        for line in _REFUSED:
            if line in event:
                raise InvalidInput(
                    f"{line} is not supported: write its dates as events of their own"
                )
        span = _read_span(event, title, zone)
        return _read_repetition(event, span, zone) if "RRULE" in event else span
    except (InvalidInput, ValueError, OverflowError) as error:
        raise InvalidInput(f"calendar {name!r}, {title!r}: {error}") from None


def _read_span(event: dict[str, Property], title: str, zone: ZoneInfo) -> Span:
    if "DTSTART" not in event:
        raise InvalidInput("it has no DTSTART")
    start = _read_wall(event["DTSTART"], zone)
    if "DTEND" in event:
        end = _read_wall(event["DTEND"], zone)
    elif "DURATION" in event:
        end = start + _read_duration(event["DURATION"].value)
    else:
        end = start + _DAY if event["DTSTART"].is_date else start
    if end <= start:
        raise InvalidInput("it ends before it starts, or has no length")
    return Span(start, end, f"{title} {start:%Y-%m-%d}")


def _read_wall(prop: Property, zone: ZoneInfo) -> datetime:
    if prop.is_date:
        return datetime.combine(date.fromisoformat(prop.value), time())
    moment = datetime.fromisoformat(prop.value)
    own_zone = find_zone(prop.zone) if prop.zone else zone
    return wall_of(zone, in_utc(own_zone, moment))


def _read_duration(text: str) -> timedelta:
    match = _DURATION.fullmatch(text)
    if match is None:
        raise InvalidInput(f"DURATION {text!r} cannot be read")
    weeks, days, hours, minutes, seconds = (int(part or 0) for part in match.groups())
    return timedelta(days=days, seconds=seconds, minutes=minutes, hours=hours, weeks=weeks)


def _read_repetition(event: dict[str, Property], span: Span, zone: ZoneInfo) -> Rule:
    start = event["DTSTART"]
    if not start.is_date and (start.value.endswith("Z") or start.zone not in {None, zone.key}):
        raise InvalidInput(f"it repeats by a clock other than {zone.key}'s, which is not supported")
    rule = event["RRULE"].value.upper()
    parts = dict(part.split("=", 1) for part in rule.split(";") if part)
    freq, interval = parts.pop("FREQ", ""), int(parts.pop("INTERVAL", "1"))
    until = _read_until(parts.pop("UNTIL", "99991231"))
    weekdays = parts.pop("BYDAY", None) if freq == "WEEKLY" else None
    parts.pop("WKST", None)
    if freq not in {"YEARLY", "WEEKLY"} or parts or interval < 1:
        raise InvalidInput(f"RRULE {rule} is not supported: only FREQ=YEARLY and FREQ=WEEKLY are")
    if freq == "YEARLY":
        return EachYear(span, interval, until)
    days = weekdays.split(",") if weekdays else [_WEEKDAYS[span.start.weekday()]]
    return EachWeek(span, frozenset(map(_WEEKDAYS.index, days)), interval, until)


def _read_until(text: str) -> date:
    match = _UNTIL.fullmatch(text)
    if match is None:
        raise InvalidInput(f"UNTIL {text!r} cannot be read")
    return date.fromisoformat(match[1])


def _monday(day: date) -> date:
    return day - day.weekday() * _DAY
