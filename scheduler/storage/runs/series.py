"""What the runs of a schedule came to, in columns few enough to read many of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import Connection, Select, func, select

from scheduler.domain.records import OPEN_STATES, Reason, RunState
from scheduler.storage.dialect import hour_of, ten_minutes_of
from scheduler.storage.rows import records
from scheduler.storage.tables import attempts, collections, in_state, runs, schedules

MOST_OF_A_YEAR: Final = 20_000
"""So many of a schedule's newest runs are counted by hour."""

_MOST_OF_AN_HOUR: Final = 20_000
"""The attempts of so many of the newest runs are looked at."""


@dataclass(frozen=True, kw_only=True)
class Figures:
    """
    A run in figures: when, what it came to, what its collection brought.

    The first fields are what lateness is counted from.
    """

    id: int
    schedule: str | None
    due_at: datetime
    not_before: datetime
    created_at: datetime
    created_by: str | None
    fence: int
    triggered_at: datetime | None
    ended_at: datetime | None
    state: RunState
    reason: Reason
    lines: int | None
    inputs: int | None
    pages: int | None


_OF_RUNS: Final = (
    "id",
    "schedule",
    "due_at",
    "not_before",
    "created_at",
    "created_by",
    "fence",
    "triggered_at",
    "ended_at",
    "state",
    "reason",
)
_FIGURES: Final = select(
    *(runs.c[name] for name in _OF_RUNS),
    *(collections.c[name] for name in ("lines", "inputs", "pages")),
).outerjoin(collections, collections.c.id == runs.c.collection_id)


def list_figures(conn: Connection, schedule: str, *, limit: int) -> list[Figures]:
    """Return the newest runs of a schedule, the newest first."""
    newest = _FIGURES.where(runs.c.schedule == schedule).order_by(runs.c.id.desc()).limit(limit)
    return records(Figures, conn.execute(newest))


@dataclass(frozen=True, kw_only=True)
class RunsAlike:
    """
    Runs that stand in one state and began within the same ten minutes.

    They are *of* a schedule, or of all whose rows have the same labels. *start* is when the first
    was sent, or due where none was; *end* when the last ended, None of open ones.
    """

    of: str
    state: RunState
    count: int
    start: datetime
    end: datetime | None


def count_lately(
    conn: Connection, names: Sequence[str], *, since: datetime, limit: int, by_labels: bool = False
) -> list[RunsAlike]:
    """Count what of each schedule has ended since then, *limit* at most, and all that is open."""
    of = func.coalesce(schedules.c.labels, "") if by_labels else schedules.c.name
    wanted = (of.label("of"), *(runs.c[name] for name in _OF_A_BAR))
    its = runs.c.schedule == schedules.c.name
    # The open ones are few, and have an index of their own.
    is_open = in_state(runs, *OPEN_STATES)
    opened = select(*wanted).select_from(runs.join(schedules, its)).where(is_open)
    of_one = runs.alias("of_one")
    oldest = (
        select(of_one.c.ended_at)
        .where(of_one.c.schedule == schedules.c.name, of_one.c.ended_at >= since)
        .order_by(of_one.c.ended_at.desc())
        .offset(limit)
        .limit(1)
        .scalar_subquery()
    )
    after = func.coalesce(oldest, since - timedelta.resolution, type_=runs.c.ended_at.type)
    ended = select(*wanted).select_from(schedules.join(runs, its & (runs.c.ended_at > after)))
    both = (each.where(schedules.c.name.in_(names)) for each in (opened, ended))
    return [alike for each in both for alike in _count_alike(conn, each)]


_OF_A_BAR: Final = ("state", "triggered_at", "due_at", "ended_at")


def _count_alike(conn: Connection, chosen: Select[Any]) -> list[RunsAlike]:
    alike = chosen.subquery().c
    start = func.coalesce(alike.triggered_at, alike.due_at)
    counted = select(
        alike.of,
        alike.state,
        func.count().label("count"),
        func.min(start).label("start"),
        func.max(alike.ended_at).label("end"),
    ).group_by(alike.of, alike.state, ten_minutes_of(conn, start))
    return records(RunsAlike, conn.execute(counted))


@dataclass(frozen=True, kw_only=True)
class HourOutcome:
    """How many runs that were due in an hour of UTC, `2026-03-02 09`, stand in a state."""

    hour: str
    state: RunState
    runs: int


def count_hours(conn: Connection, schedule: str, *, since: datetime) -> list[HourOutcome]:
    """Count the newest MOST_OF_A_YEAR runs of a schedule that were due since then."""
    newest = (
        select(hour_of(conn, runs.c.due_at).label("hour"), runs.c.state, runs.c.due_at)
        .where(runs.c.schedule == schedule)
        .order_by(runs.c.id.desc())
        .limit(MOST_OF_A_YEAR)
        .subquery()
    )
    counted = (
        select(newest.c.hour, newest.c.state, func.count().label("runs"))
        .where(newest.c.due_at >= since)
        .group_by(newest.c.hour, newest.c.state)
    )
    return records(HourOutcome, conn.execute(counted))


@dataclass(frozen=True, kw_only=True)
class SentAttempt:
    """When a trigger of an account was claimed, and what status was answered."""

    account: str
    claimed_at: datetime
    http_status: int | None


def list_attempts_since(conn: Connection, *, since: datetime) -> list[SentAttempt]:
    """Return the attempts of the newest runs that were made since then, in no order."""
    newest = conn.scalar(select(func.max(runs.c.id))) or 0
    query: Select[Any] = (
        select(runs.c.account, attempts.c.claimed_at, attempts.c.http_status)
        .join(runs, runs.c.id == attempts.c.run_id)
        .where(attempts.c.run_id > newest - _MOST_OF_AN_HOUR, attempts.c.claimed_at >= since)
    )
    return records(SentAttempt, conn.execute(query))
