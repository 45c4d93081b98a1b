"""What is odd about the stored schedules in a year, and only that."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from scheduler.domain.definition import timetable_of
from scheduler.domain.errors import InvalidInput
from scheduler.domain.oddities import Oddity, OddKind, list_oddities
from scheduler.domain.records import Calendar, Schedule
from scheduler.domain.timetable import TimetableSpec, lint, lint_together
from scheduler.storage import definitions, schedules
from scheduler.storage.database import Connection


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One odd thing about a schedule; about all of them together without *schedule*."""

    schedule: str | None
    kind: OddKind
    sentence: str


def lint_calendar(conn: Connection, year: int) -> list[Finding]:
    """Return what is odd about the enabled schedules in *year*, by schedule."""
    calendars = definitions.list_calendars(conn)
    enabled = [one for one in schedules.list_schedules(conn) if one.enabled]
    findings = [
        Finding(schedule=one.name, kind=odd.kind, sentence=odd.sentence)
        for one in enabled
        for odd in _oddities(one, calendars, year)
    ]
    readable = {one.name: _spec(one) for one in enabled if _is_readable(one, calendars)}
    together = lint_together(readable)
    return findings + [
        Finding(schedule=None, kind=OddKind.LINT, sentence=line) for line in together
    ]


def _oddities(schedule: Schedule, calendars: dict[str, Calendar], year: int) -> Iterator[Oddity]:
    try:
        timetable = timetable_of(schedule, calendars)
    except InvalidInput as error:
        yield Oddity(OddKind.SET_ASIDE, f"it cannot fire: {error}")
        return
    if schedule.error is not None:
        yield Oddity(OddKind.SET_ASIDE, f"it cannot fire: {schedule.error}")
    yield from list_oddities(timetable, year)
    for sentence in lint(_spec(schedule)):
        yield Oddity(OddKind.LINT, sentence)


def _is_readable(schedule: Schedule, calendars: dict[str, Calendar]) -> bool:
    try:
        timetable_of(schedule, calendars)
    except InvalidInput:
        return False
    return True


def _spec(schedule: Schedule) -> TimetableSpec:
    """Return as much of the timetable as `lint` looks at."""
    return TimetableSpec(
        cron=schedule.cron,
        every=schedule.every,
        calendar_interval=schedule.calendar_interval,
        at=None if schedule.at is None else datetime.fromisoformat(schedule.at),
        manual=schedule.manual,
        after=schedule.after,
        timezone=schedule.timezone,
        jitter=schedule.jitter,
        spread=schedule.spread,
    )
