"""Why did a schedule fire, or not fire, at a time? Asked of its rows, then of its timetable."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from scheduler.domain.definition import timetable_of
from scheduler.domain.errors import InvalidInput
from scheduler.domain.records import Run, Schedule
from scheduler.domain.timetable import Timetable, find_zone
from scheduler.storage import definitions, freezes, runs, schedules
from scheduler.storage.database import Connection
from scheduler.storage.runs import occurrences
from scheduler.tools.calendar.explain_instant import (
    ExplainContext,
    Explained,
    explain_instant,
    newest_of,
    read_instants,
)
from scheduler.views.other_jobs import say_others
from scheduler.views.over_limits import list_over_limits
from scheduler.views.waiting import how_late, list_waits


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanations:
    """An answer for each instant that the asked time means; *note* says if it is not just one."""

    schedule: str
    timezone: str
    note: str | None
    answers: tuple[Explained, ...]


def explain_time(conn: Connection, name: str, moment: datetime, *, now: datetime) -> Explanations:
    """
    Tell what *moment* is to a schedule; without an offset it is wall-clock time in its zone.

    Raises NotFound for a schedule that is not there.
    """
    whole = schedules.get_schedule(conn, name)
    schedule = whole.schedule
    timetable, problem = _timetable(conn, schedule)
    zone = find_zone(timetable.zone.key if timetable is not None else _known_zone(schedule))
    is_limited = schedule.max_runs is not None
    made = runs.count_made(conn, [name]).get(name, 0) if is_limited else 0
    instants = read_instants(moment, zone)

    def context_of(instant: datetime, rows: Sequence[Run]) -> ExplainContext:
        return ExplainContext(
            now=now,
            schedule=schedule,
            timetable=timetable,
            zone=zone,
            problem=problem,
            freezes=freezes.list_freezes(conn),
            runs=rows,
            before=occurrences.find_before(conn, name, instant),
            after=occurrences.find_after(conn, name, instant),
            sent_after=occurrences.find_sent_after(conn, name, instant),
            made=made,
            late=how_late(conn, newest_of(rows), now=now) if rows else None,
            waits=list_waits(conn, [schedule], at=max(instant, now)).get(name),
            others=say_others(conn, schedule, now=now),
            canary=None if whole.batch is None else whole.batch.canary,
            over=list_over_limits(conn, [schedule], at=max(instant, now), is_due=True).get(name),
        )

    answers = tuple(
        explain_instant(context_of(instant, _runs_at(conn, schedule, timetable, instant)), instant)
        for instant in instants.found
    )
    return Explanations(schedule=name, timezone=zone.key, note=instants.note, answers=answers)


def _runs_at(
    conn: Connection, schedule: Schedule, timetable: Timetable | None, instant: datetime
) -> list[Run]:
    """Return the runs of *instant*, and of a gap that it was an occurrence of."""
    found = occurrences.list_at(conn, schedule.name, instant)
    is_edited = schedule.edited_at is not None and instant <= schedule.edited_at
    if timetable is None or is_edited or timetable.next_after(instant - _SECOND) == instant:
        found += occurrences.list_gaps(conn, schedule.name, instant, instant)
    return list({run.id: run for run in found}.values())


_SECOND = timedelta(seconds=1)


def _timetable(conn: Connection, schedule: Schedule) -> tuple[Timetable | None, str | None]:
    try:
        return timetable_of(schedule, definitions.list_calendars(conn)), None
    except InvalidInput as error:
        return None, str(error)


def _known_zone(schedule: Schedule) -> str:
    try:
        return find_zone(schedule.timezone).key
    except InvalidInput:
        return "UTC"
