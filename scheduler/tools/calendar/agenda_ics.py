"""An agenda as iCalendar text (RFC 5545), for a calendar that subscribes to it."""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Final

from scheduler.tools.calendar.agenda import Agenda, AgendaEntry

_LINE: Final = 75
"""So many bytes a line may have, its end left aside."""

_LASTS: Final = timedelta(minutes=5)
"""How long an entry is shown to last: how long a run takes nobody knows before."""


def agenda_ics(agenda: Agenda, *, host: str) -> str:
    """Return the calendar; *host* is what the ids of its events end with, so that they last."""
    lines = [
        "BEGIN:VCALENDAR",
        "VERSION:2.0",
        "PRODID:-//dca-scheduler//upcoming//EN",
        "X-WR-CALNAME:dca-scheduler",
        "REFRESH-INTERVAL;VALUE=DURATION:PT1H",
        *(line for entry in agenda.entries for line in _event(entry, agenda.start, host)),
        "END:VCALENDAR",
    ]
    return "".join(f"{part}\r\n" for line in lines for part in _folded(line))


def _event(entry: AgendaEntry, made_at: datetime, host: str) -> Iterator[str]:
    times = f" ×{entry.count}" if entry.count > 1 else ""
    yield "BEGIN:VEVENT"
    yield f"UID:{_text(entry.schedule)}-{_time(entry.due_at)}@{_text(host)}"
    yield f"DTSTAMP:{_time(made_at)}"
    yield f"DTSTART:{_time(entry.starts_at)}"
    yield f"DTEND:{_time((entry.until or entry.starts_at) + _LASTS)}"
    yield f"SUMMARY:{_text(entry.schedule)}{times}"
    yield f"DESCRIPTION:{_text(f'{entry.collector}: {entry.why}')}"
    yield "TRANSP:TRANSPARENT"
    yield "END:VEVENT"


def _time(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y%m%dT%H%M%SZ}"


def _text(text: str) -> str:
    """Escape a text; what is no character of one is left out."""
    escaped = text.replace("\\", "\\\\").replace(";", "\\;").replace(",", "\\,")
    lines = "\\n".join(escaped.splitlines())
    return "".join(letter for letter in lines if letter.isprintable())


def _folded(line: str) -> Iterable[str]:
    """Yield a line in parts of at most 75 bytes, each but the first after a space."""
    part = ""
    for letter in line:
        if len(f"{part}{letter}".encode()) > _LINE:
            yield part
            part = " "
        part += letter
    yield part
