"""What will run in the hours to come, in order; what will not, and why."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice
from typing import Final

from scheduler.domain.errors import InvalidInput
from scheduler.domain.records import Schedule
from scheduler.domain.timetable import DstMark, Timetable
from scheduler.domain.timetable.words import timetable_words
from scheduler.storage.database import Connection
from scheduler.tools.calendar.desk import Desk, Firing
from scheduler.tools.calendar.hours import Load, load_of, times_between
from scheduler.views.schedules import ScheduleView

MOST_OF_ONE: Final = 24
"""A schedule that is due more often within an agenda is one entry, with their number."""

MOST_ENTRIES: Final = 1_000
_SECOND: Final = timedelta(seconds=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class AgendaEntry:
    """
    A run to come: when it is due, also in the schedule's zone, when it starts, and why then.

    One that is due very often is one entry of *count* runs, the last of them due at *until*.
    *dst* is what a clock change did to it.
    """

    schedule: str
    collector: str
    due_at: datetime
    due_local: str
    starts_at: datetime
    why: str
    dst: DstMark | None
    count: int = 1
    until: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NotFiring:
    """A schedule that fires nothing until then, or for ever, and why."""

    schedule: str
    why: str
    until: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Agenda:
    """
    The runs between *start* and *end*, the first of them first; *load* has them by the hour.

    *held* are the schedules that somebody stopped, or that are invalid; *never* those that have no
    time to come. *is_whole* is False where there were more than MOST_ENTRIES.
    """

    start: datetime
    end: datetime
    entries: tuple[AgendaEntry, ...]
    held: tuple[NotFiring, ...]
    never: tuple[NotFiring, ...]
    load: Load
    is_whole: bool


def read_agenda(conn: Connection, *, hours: int = 24, now: datetime) -> Agenda:
    """Return what runs in so many hours from *now* on."""
    end = now + timedelta(hours=hours)
    firings = list(Desk.read(conn, start=now, end=end).firings())
    dues = sorted(_dues(firings, end), key=lambda due: (due.at, due.firing.schedule.name))
    idle = [firing for firing in firings if firing.timetable is None]
    times = [firing for firing in firings if firing.timetable is not None]
    gone = [firing for firing in times if not _has_time(firing)]
    return Agenda(
        start=now,
        end=end,
        entries=tuple(map(_entry, dues[:MOST_ENTRIES])),
        held=tuple(_not_firing(firing) for firing in idle if not firing.schedule.manual),
        never=tuple(
            [_not_firing(firing) for firing in idle if firing.schedule.manual]
            + [_not_firing(firing, "no time of its timetable is to come") for firing in gone]
        ),
        load=load_of(times, start=now, end=end),
        is_whole=len(dues) <= MOST_ENTRIES,
    )


def read_load(conn: Connection, *, hours: int = 168, now: datetime) -> Load:
    """Return how many runs each hour from *now* on will have."""
    end = now + timedelta(hours=hours)
    return load_of(Desk.read(conn, start=now, end=end).firings(), start=now, end=end)


def why_then(schedule: Schedule | ScheduleView) -> str:
    """Say why a schedule is due when it is, and what else moves its runs."""
    try:
        told = [f"{timetable_words(schedule)}, {schedule.timezone}"]
    except InvalidInput as error:
        told = [str(error)]
    moved = {"jitter": schedule.jitter, "spread": schedule.spread}
    told += [f"up to {most} later ({name})" for name, most in moved.items() if most is not None]
    excluded = schedule.exclude or ()
    names = excluded.split(",") if isinstance(excluded, str) else excluded
    if names:
        told.append(f"not on {', '.join(names)}")
    return "; ".join(told)


def _has_time(firing: Firing) -> bool:
    """Tell whether anything of its timetable is to come: its row says so, if it is planned."""
    if firing.schedule.after is not None or firing.schedule.planned_at is None:
        return True
    return firing.schedule.next_fire_at is not None


def _not_firing(firing: Firing, why: str = "") -> NotFiring:
    return NotFiring(
        schedule=firing.schedule.name, why=why or firing.note or "stopped", until=firing.until
    )


@dataclass(frozen=True, slots=True)
class _Due:
    """An entry that is not worded yet: very often only the first of them are shown."""

    at: datetime
    firing: Firing
    timetable: Timetable
    count: int = 1
    until: datetime | None = None


def _dues(firings: Iterable[Firing], end: datetime) -> Iterator[_Due]:
    for firing in firings:
        # Of one that comes after another, nobody knows when.
        if firing.timetable is not None and firing.schedule.after is None:
            yield from _dues_of(firing, firing.timetable, end)


def _dues_of(firing: Firing, timetable: Timetable, end: datetime) -> Iterator[_Due]:
    due = times_between(timetable, firing.start, end)
    most = MOST_OF_ONE + 1 if firing.left is None else min(MOST_OF_ONE + 1, firing.left)
    first = list(islice(due, most))
    if len(first) <= MOST_OF_ONE:
        yield from (_Due(at, firing, timetable) for at in first)
        return
    last = timetable.previous_before(end + _SECOND) or first[-1]
    count = timetable.count(firing.start, end)
    if count is None or firing.left is not None:
        rest = MOST_ENTRIES if firing.left is None else firing.left - most
        more = list(islice(due, rest))
        count, last = len(first) + len(more), (more or first)[-1]
    yield _Due(first[0], firing, timetable, count, last)


def _entry(due: _Due) -> AgendaEntry:
    schedule = due.firing.schedule
    return AgendaEntry(
        schedule=schedule.name,
        collector=schedule.collector,
        due_at=due.at,
        due_local=due.at.astimezone(due.timetable.zone).isoformat(),
        starts_at=due.at + due.timetable.delay(due.at),
        why="; ".join(filter(None, (why_then(schedule), due.firing.note))),
        dst=due.timetable.dst_mark(due.at),
        count=due.count,
        until=due.until,
    )
