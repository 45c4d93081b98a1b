"""What is odd about the stored schedules in a year, and only that."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from scheduler.domain.definition import timetable_of
from scheduler.domain.errors import InvalidInput
from scheduler.domain.records import Calendar, Schedule
from scheduler.domain.timetable import (
    TimetableSpec,
    lint,
    lint_together,
    read_spec,
    timetable_values,
)
from scheduler.storage import definitions, schedules
from scheduler.storage.database import Connection
from scheduler.tools.calendar.lint_findings import LintFinding, LintKind, list_findings
from scheduler.views.past_calendars import list_over


@dataclass(frozen=True, slots=True, kw_only=True)
class YearFindings:
    """What is odd about a year."""

    year: int
    findings: list[LintFinding]


def lint_year(conn: Connection, year: int | None = None, *, now: datetime) -> YearFindings:
    """Return what `lint_calendar` finds in *year*: this one, unless said."""
    year = year or now.year
    return YearFindings(year=year, findings=lint_calendar(conn, year, now=now))


def lint_calendar(conn: Connection, year: int, *, now: datetime) -> list[LintFinding]:
    """Return what is odd about the enabled schedules in *year*, by schedule, then in sum."""
    calendars = definitions.list_calendars(conn)
    specs: dict[str, TimetableSpec] = {}
    findings = [
        replace(finding, schedule=schedule.name)
        for schedule in schedules.list_schedules(conn)
        if schedule.enabled
        for finding in _findings(schedule, calendars, year, specs)
    ]
    start = max(now, datetime(year, 1, 1, tzinfo=UTC)) if year >= now.year else now
    together = (*lint_together(specs), *list_over(calendars.values(), start))
    return findings + [LintFinding(LintKind.LINT, sentence) for sentence in together]


def _findings(
    schedule: Schedule,
    calendars: Mapping[str, Calendar],
    year: int,
    specs: dict[str, TimetableSpec],
) -> Iterator[LintFinding]:
    """Yield what is odd about one, and keep its spec in *specs* if it has a timetable."""
    try:
        timetable = timetable_of(schedule, calendars)
    except InvalidInput as error:
        yield LintFinding(LintKind.INVALID, f"it cannot fire: {error}")
        return
    spec = specs[schedule.name] = read_spec(timetable_values(schedule))
    if schedule.error is not None:
        yield LintFinding(LintKind.INVALID, f"it cannot fire: {schedule.error}")
    yield from list_findings(timetable, year)
    yield from (LintFinding(LintKind.LINT, sentence) for sentence in lint(spec))
