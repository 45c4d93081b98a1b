"""Why did a schedule fire, or not fire, at a time? Asked of its rows, then of its timetable."""

from dataclasses import dataclass
from datetime import datetime

from scheduler.domain.definition import timetable_of
from scheduler.domain.errors import InvalidInput
from scheduler.domain.explain import Explained, Facts, explain_instant, read_instants
from scheduler.domain.timetable import Timetable, find_zone
from scheduler.storage import definitions, freezes, occurrences, runs, schedules
from scheduler.storage.database import Connection
from scheduler.storage.schedules import WholeSchedule


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
    timetable, problem = _timetable(conn, whole)
    timezone = timetable.zone.key if timetable is not None else _known_zone(whole)
    instants = read_instants(moment, find_zone(timezone))
    answers = (
        explain_instant(_facts(conn, whole, timetable, problem, instant, now), instant)
        for instant in instants.found
    )
    return Explanations(
        schedule=name, timezone=timezone, note=instants.note, answers=tuple(answers)
    )


def _timetable(conn: Connection, whole: WholeSchedule) -> tuple[Timetable | None, str | None]:
    try:
        return timetable_of(whole.schedule, definitions.list_calendars(conn)), None
    except InvalidInput as error:
        return None, str(error)


def _known_zone(whole: WholeSchedule) -> str:
    try:
        return find_zone(whole.schedule.timezone).key
    except InvalidInput:
        return "UTC"


def _facts(
    conn: Connection,
    whole: WholeSchedule,
    timetable: Timetable | None,
    problem: str | None,
    instant: datetime,
    now: datetime,
) -> Facts:
    name, is_limited = whole.schedule.name, whole.schedule.max_runs is not None
    return Facts(
        now=now,
        schedule=whole.schedule,
        timetable=timetable,
        problem=problem,
        freezes=freezes.list_freezes(conn),
        runs=occurrences.list_at(conn, name, instant),
        before=occurrences.find_before(conn, name, instant),
        after=occurrences.find_after(conn, name, instant),
        sent_after=occurrences.find_sent_after(conn, name, instant),
        made=runs.count_made(conn, [name]).get(name, 0) if is_limited else 0,
    )
