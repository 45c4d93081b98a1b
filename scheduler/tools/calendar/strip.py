"""The last and the next hours of the schedules that fire next: what ran, what is planned."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import chain
from typing import Final

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
    firings = sorted(Desk.read(conn, start=now, end=end).firings(), key=_next_fire)
    count = len(firings)
    if by_label is None:
        by_label = count > MOST_ROWS and any(one.schedule.labels for one in firings)
    chosen = firings[: MOST_LABELLED if by_label else MOST_ROWS]
    lately = count_lately(conn, [firing.schedule.name for firing in chosen], since=start)
    rows = [_row(firing, lately[firing.schedule.name], now, end) for firing in chosen]
    if by_label:
        labels = {one.schedule.name: read_names(one.schedule.labels)[:1] for one in chosen}
        rows = list(_by_label(rows, labels))
    return HoursAround(
        start=start,
        now=now,
        end=end,
        rows=tuple(sorted(rows, key=lambda row: row.schedule)),
        schedule_count=count,
        shown_count=len(chosen),
        by_label=by_label,
    )


def _by_label(
    rows: Iterable[ScheduleHours], labels: Mapping[str, Sequence[str]]
) -> Iterator[ScheduleHours]:
    """Yield the rows of the labels that come first in most schedules, MOST_ROWS at most."""
    of_label: dict[str, list[ScheduleHours]] = {}
    for row in rows:
        label = next(iter(labels[row.schedule]), UNLABELLED)
        of_label.setdefault(label, []).append(row)
    for label, alike in sorted(of_label.items(), key=lambda pair: -len(pair[1]))[:MOST_ROWS]:
        yield ScheduleHours(
            schedule=f"{label} ×{len(alike)}",
            runs=tuple(chain.from_iterable(row.runs for row in alike)),
            planned=tuple(chain.from_iterable(row.planned for row in alike)),
            note=None,
        )


def _next_fire(firing: Firing) -> tuple[bool, datetime, str]:
    """Put those first that fire soon, then those that somebody stopped, then all others."""
    schedule = firing.schedule
    return firing.timetable is None, schedule.next_fire_at or _FAR, schedule.name


def _row(
    firing: Firing, runs: tuple[RunsAlike, ...], now: datetime, end: datetime
) -> ScheduleHours:
    return ScheduleHours(
        schedule=firing.schedule.name,
        runs=runs,
        planned=tuple(_planned(firing, now, end)),
        note=firing.note if firing.timetable is None else None,
    )


def _planned(firing: Firing, now: datetime, end: datetime) -> Iterator[PlannedRuns]:
    timetable = firing.timetable
    if timetable is None or firing.schedule.after is not None:
        return
    start = max(firing.start, now)
    first = whole_hour(start)
    counts = count_hours(timetable, first, whole_hour(end) + HOUR)
    if sum(counts) <= _MOST_SINGLE:
        for at in timetable.occurrences(start, end):
            yield PlannedRuns(at=at, until=at, count=1)
        return
    for number, count in enumerate(counts):
        hour = first + HOUR * number
        at, until = max(hour, start), min(hour + HOUR, end)
        # What is due right at the hour belongs to it; what is due right now is no more to come.
        after = hour - _SECOND if at == hour else at
        part = count if until - at == HOUR else count_between(timetable, after, until)
        if part:
            yield PlannedRuns(at=at, until=until, count=part)
