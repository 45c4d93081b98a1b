"""Calendars: the times at which schedules that exclude them do not fire."""

from dataclasses import dataclass

from scheduler.domain.errors import NotFound
from scheduler.domain.records import Calendar
from scheduler.domain.suggestions import did_you_mean
from scheduler.domain.timetable import split_calendar
from scheduler.storage import definitions
from scheduler.storage.database import Connection


@dataclass(frozen=True, slots=True, kw_only=True)
class CalendarView:
    """Named times: *days* has a rule each, as `2026-12-24..2027-01-06`; *ics* iCalendar text."""

    name: str
    days: tuple[str, ...]
    ics: str | None


def list_calendars(conn: Connection) -> tuple[CalendarView, ...]:
    """Return every calendar, by name."""
    stored = definitions.list_calendars(conn)
    return tuple(_view(stored[name]) for name in sorted(stored))


def get_calendar(conn: Connection, name: str) -> CalendarView:
    """Return the calendar of that name; raises NotFound."""
    stored = definitions.list_calendars(conn)
    if name not in stored:
        raise NotFound(f"no calendar is called {name!r}{did_you_mean(name, stored)}")
    return _view(stored[name])


def _view(calendar: Calendar) -> CalendarView:
    days, ics = split_calendar(calendar.rules)
    return CalendarView(name=calendar.name, days=tuple(days), ics=ics or None)
