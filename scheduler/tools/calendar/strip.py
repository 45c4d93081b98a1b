"""The last and the next hours of the schedules that fire next: what ran, what is planned."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import chain
from typing import Final

from scheduler.domain.records import ScheduleTimes
from scheduler.storage.database import Connection
from scheduler.storage.runs.series import RunsAlike
from scheduler.tools.calendar.desk import Desk, Firing
from scheduler.tools.calendar.hours import HOUR, count_between, count_hours, whole_hour
from scheduler.views.decoding import read_names
from scheduler.views.history import count_lately

HOURS: Final = 12
MOST_ROWS: Final = 40
MOST_LABELLED: Final = 200
UNLABELLED: Final = "no label"
_MOST_SINGLE: Final = 36
_SECOND: Final = timedelta(seconds=1)
_FAR: Final = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedRuns:
    """Runs that are due between *at* and *until*: one at a moment, or as many as an hour has."""

    at: datetime
    until: datetime
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleHours:
    """What a schedule did in the last hours and will do in the next; *note* says why not."""

    schedule: str
    runs: tuple[RunsAlike, ...]
    planned: tuple[PlannedRuns, ...]
    note: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class HoursAround:
    """
    HOURS before *now* and after, a row for each of the schedules that fire next, by name.

    There are *schedule_count* schedules, of which *shown_count* are here: MOST_ROWS at most, or
    *by_label* MOST_LABELLED, a row for each label that is a schedule's first.
    """

    start: datetime
    now: datetime
    end: datetime
    rows: tuple[ScheduleHours, ...]
    schedule_count: int
    shown_count: int
    by_label: bool


def read_hours_around(
    conn: Connection, *, by_label: bool | None = None, now: datetime
) -> HoursAround:
    """Return what ran and what is planned; *by_label* None is where a schedule each is too many."""
    start, end = now - HOUR * HOURS, now + HOUR * HOURS
    desk = Desk.read(conn, start=now, end=end)
    every = desk.schedules.values()
    if by_label is None:
        by_label = len(every) > MOST_ROWS and any(schedule.labels for schedule in every)
    chosen = _first_to_fire(desk, MOST_LABELLED if by_label else MOST_ROWS)
    names = [firing.schedule.name for firing in chosen]
    lately = count_lately(conn, names, since=start, by_labels=by_label)
    of_row: dict[str, list[Firing]] = {}
    for firing in chosen:
        of_row.setdefault(_row_of(firing.schedule, by_label=by_label), []).append(firing)
    largest = sorted(of_row.items(), key=lambda pair: -len(pair[1]))[:MOST_ROWS]
    rows = [
        ScheduleHours(
            schedule=f"{name} ×{len(firings)}" if by_label else name,
            runs=tuple(_lately_of(firings, lately, by_label=by_label)),
            planned=_planned(firings, now, end),
            note=None if by_label or firings[0].timetable is not None else firings[0].note,
        )
        for name, firings in largest
    ]
    return HoursAround(
        start=start,
        now=now,
        end=end,
        rows=tuple(sorted(rows, key=lambda row: row.schedule)),
        schedule_count=len(every),
        shown_count=len(chosen),
        by_label=by_label,
    )


def _first_to_fire(desk: Desk, most: int) -> Sequence[Firing]:
    """Return what fires soon, then what somebody stopped, then all others; each by its row."""
    firing: list[Firing] = []
    idle: list[Firing] = []
    for schedule in sorted(desk.schedules.values(), key=_next_fire):
        if len(firing) == most:
            break
        found = desk.find(schedule)
        (idle if found.timetable is None else firing).append(found)
    return (firing + idle)[:most]


def _next_fire(schedule: ScheduleTimes) -> tuple[datetime, str]:
    return schedule.next_fire_at or _FAR, schedule.name


def _row_of(schedule: ScheduleTimes, *, by_label: bool) -> str:
    if not by_label:
        return schedule.name
    return next(iter(read_names(schedule.labels)), UNLABELLED)


def _lately_of(
    firings: Iterable[Firing], lately: Mapping[str, Sequence[RunsAlike]], *, by_label: bool
) -> Iterator[RunsAlike]:
    """Yield what ran of the schedules of a row."""
    rows = (firing.schedule for firing in firings)
    of = {row.labels or "" if by_label else row.name for row in rows}
    return chain.from_iterable(lately.get(name, ()) for name in sorted(of))


def _planned(firings: Sequence[Firing], now: datetime, end: datetime) -> tuple[PlannedRuns, ...]:
    """Add up what is to come of the schedules of a row, which has so many single ones at most."""
    counts: Counter[tuple[datetime, datetime]] = Counter()
    for firing in firings:
        for at, until, count in _planned_of(firing, now, end, _MOST_SINGLE // len(firings)):
            counts[at, until] += count
    return tuple(
        PlannedRuns(at=at, until=until, count=count) for (at, until), count in counts.items()
    )


def _planned_of(
    firing: Firing, now: datetime, end: datetime, most_single: int
) -> Iterator[tuple[datetime, datetime, int]]:
    """Yield when a schedule is due, each time or by the hour, and how often."""
    timetable = firing.timetable
    if timetable is None or firing.schedule.after is not None:
        return
    start = max(firing.start, now)
    first = whole_hour(start)
    counts = count_hours(timetable, first, whole_hour(end) + HOUR)
    if sum(counts) <= most_single:
        for at in timetable.occurrences(start, end):
            yield at, at, 1
        return
    for number, count in enumerate(counts):
        hour = first + HOUR * number
        at, until = max(hour, start), min(hour + HOUR, end)
        # What is due right at the hour belongs to it; what is due right now is no more to come.
        after = hour - _SECOND if at == hour else at
        part = count if until - at == HOUR else count_between(timetable, after, until)
        if part:
            yield at, until, part
