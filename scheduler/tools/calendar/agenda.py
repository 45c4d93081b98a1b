"""What will run in the hours to come, in order; what will not, and why."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from heapq import merge
from itertools import islice
from typing import Final

from scheduler.domain.errors import InvalidInput
from scheduler.domain.records import ScheduleTimes
from scheduler.domain.timetable import DstMark, Timetable
from scheduler.domain.timetable.words import timetable_words
from scheduler.storage.database import Connection
from scheduler.tools.calendar.desk import Desk, Firing
from scheduler.tools.calendar.hours import Load, load_of
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
    time to come. *is_whole* is False where there were more than MOST_ENTRIES, or than asked for.
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
    return read_agenda_and_load(conn, hours=hours, load_hours=hours, now=now)[0]


def read_agenda_and_load(
    conn: Connection, *, hours: int, load_hours: int, most: int = MOST_ENTRIES, now: datetime
) -> tuple[Agenda, Load]:
    """
    Return the same, of the entries the first *most*.

    And how many runs each hour of a longer time from *now* on will have.
    """
    end, far = now + timedelta(hours=hours), now + timedelta(hours=load_hours)
    desk = Desk.read(conn, start=now, end=end)
    firings = list(desk.firings())
    # What fires by *end* does later, too; what is stopped until then may not be for ever.
    longer = desk.until(conn, far)
    later = (one if one.timetable is not None else longer.find(one.schedule) for one in firings)
    load = load_of(later, start=now, end=far)
    return _agenda(firings, load.until(end), most, start=now, end=end), load


def _agenda(
    firings: Sequence[Firing], load: Load, most: int, *, start: datetime, end: datetime
) -> Agenda:
    near = _first_due(firings, end, most + 1)
    dues = merge(*(_dues_of(firing, end) for firing in near), key=_Due.place)
    first = list(islice(dues, most + 1))
    idle = [firing for firing in firings if firing.timetable is None]
    gone = [one for one in firings if one.timetable is not None and not _has_time(one)]
    return Agenda(
        start=start,
        end=end,
        entries=tuple(_entry(due, end) for due in first[:most]),
        held=tuple(_not_firing(firing) for firing in idle if not firing.schedule.manual),
        never=tuple(
            [_not_firing(firing) for firing in idle if firing.schedule.manual]
            + [_not_firing(firing, "no time of its timetable is to come") for firing in gone]
        ),
        load=load,
        is_whole=len(first) <= most,
    )


def why_then(schedule: ScheduleTimes | ScheduleView) -> str:
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

    def place(self) -> tuple[datetime, str]:
        """Return what entries are in the order of."""
        return self.at, self.firing.schedule.name


def _first_due(firings: Iterable[Firing], end: datetime, most: int) -> list[Firing]:
    """Return the schedules that the first *most* entries are of: those are due soonest."""
    due = [(at, firing) for firing in firings if (at := _first_of(firing)) and at <= end]
    last = sorted(at for at, _ in due)[most - 1 : most] or [end]
    return [firing for at, firing in due if at <= last[0]]


def _first_of(firing: Firing) -> datetime | None:
    """Return when a schedule is due next, if it still may fire; None where nobody knows."""
    # Of one that comes after another, nobody does.
    if firing.timetable is None or firing.schedule.after is not None or firing.left == 0:
        return None
    return firing.timetable.next_after(firing.start)


def _dues_of(firing: Firing, end: datetime) -> Iterator[_Due]:
    """Yield when a schedule is due, once if that is very often."""
    timetable = firing.timetable
    if timetable is None:
        return
    times = timetable.occurrences(firing.start, end)
    count = timetable.count(firing.start, end)
    if count is None or firing.left is not None:
        most = MOST_ENTRIES if firing.left is None else firing.left
        seen = list(islice(times, most))
        if len(seen) > MOST_OF_ONE:
            yield _Due(seen[0], firing, timetable, len(seen), seen[-1])
            return
        times, count = iter(seen), len(seen)
    if count <= MOST_OF_ONE:
        yield from (_Due(at, firing, timetable) for at in times)
    else:
        yield _Due(next(times), firing, timetable, count)


def _entry(due: _Due, end: datetime) -> AgendaEntry:
    schedule = due.firing.schedule
    until = due.until
    if until is None and due.count > 1:
        until = due.timetable.previous_before(end + _SECOND)
    return AgendaEntry(
        schedule=schedule.name,
        collector=schedule.collector,
        due_at=due.at,
        due_local=due.at.astimezone(due.timetable.zone).isoformat(),
        starts_at=due.at + due.timetable.delay(due.at),
        why="; ".join(filter(None, (why_then(schedule), due.firing.note))),
        dst=due.timetable.dst_mark(due.at),
        count=due.count,
        until=until,
    )
