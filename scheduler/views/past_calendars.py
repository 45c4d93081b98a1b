"""Calendars whose last day has passed: the schedules that they held back fire again."""

from collections.abc import Iterable, Iterator
from contextlib import suppress
from datetime import datetime, timedelta

from scheduler.domain.errors import InvalidInput
from scheduler.domain.records import Calendar
from scheduler.domain.timetable import Exclusion, parse_calendar


def list_over(calendars: Iterable[Calendar], now: datetime) -> Iterator[str]:
    """Yield a sentence for each calendar, if it is right, that excludes nothing from *now* on."""
    for calendar in calendars:
        with suppress(InvalidInput):
            exclusion = parse_calendar(calendar.name, calendar.rules, timezone="UTC")
            # Wherever the schedule is, it is over a day after it is in UTC.
            if exclusion.is_over((now - timedelta(days=1)).replace(tzinfo=None)):
                yield f"calendar {calendar.name} excludes nothing: {_why_over(exclusion)}"


def _why_over(exclusion: Exclusion) -> str:
    return "its last day has passed" if exclusion.rules else "it has no events that take place"
