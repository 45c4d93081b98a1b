"""How many runs each day had, those that are forgotten included."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Select, func, select, union_all

from scheduler.domain.records import ENDED_STATES, RunState
from scheduler.storage.dialect import day_of
from scheduler.storage.rows import records
from scheduler.storage.tables import collections, in_state, runs
from scheduler.storage.upkeep_tables import run_counts


@dataclass(frozen=True, slots=True, kw_only=True)
class DayCount:
    """
    What the ended runs of a schedule that were due on a day, in UTC, came to in one state.

    *schedule* is None for those that were asked for by hand. The sums are the upstream's own
    counts: inputs, rows, failed inputs and page loads.
    """

    day: str
    schedule: str | None
    collector: str
    state: RunState
    runs: int
    occurrences: int
    inputs: int
    lines: int
    fails: int
    pages: int


_KEY = ("day", "schedule", "collector", "state")
_SUMS = ("runs", "occurrences", "inputs", "lines", "fails", "pages")


def list_day_counts(
    conn: Connection, *, since: datetime, schedule: str | None = None
) -> list[DayCount]:
    """Return the counts of the days from that of *since* on; it reads the runs of these days."""
    day = f"{since:%Y-%m-%d}"
    forgotten = select(*(run_counts.c[name] for name in (*_KEY, *_SUMS))).where(
        run_counts.c.day >= day
    )
    both = union_all(forgotten, _of_runs(conn, day)).subquery()
    key = (both.c.day, func.nullif(both.c.schedule, "").label("schedule"), *_of(both, _KEY[2:]))
    sums = (func.sum(both.c[name]).label(name) for name in _SUMS)
    query = select(*key, *sums).group_by(*_of(both, _KEY)).order_by(*_of(both, _KEY))
    if schedule is not None:
        query = query.where(both.c.schedule == schedule)
    return [_whole(count) for count in records(DayCount, conn.execute(query))]


def list_forgotten(conn: Connection, schedule: str, *, since: datetime) -> list[DayCount]:
    """Return the counts of a schedule's runs that are forgotten, of the days from then on."""
    query = select(*(run_counts.c[name] for name in (*_KEY, *_SUMS))).where(
        run_counts.c.schedule == schedule, run_counts.c.last_due_at >= since
    )
    return records(DayCount, conn.execute(query))


def _of(table: Any, names: tuple[str, ...]) -> list[Any]:
    return [table.c[name] for name in names]


def _of_runs(conn: Connection, day: str) -> Select[Any]:
    is_first = (runs.c.retry_of.is_(None)) & (runs.c.chunk == 1)
    due_day = day_of(conn, runs.c.due_at)
    return (
        select(
            due_day.label("day"),
            func.coalesce(runs.c.schedule, "").label("schedule"),
            runs.c.collector,
            runs.c.state,
            func.count().label("runs"),
            func.coalesce(func.sum(runs.c.occurrences).filter(is_first), 0).label("occurrences"),
            *(func.coalesce(func.sum(collections.c[name]), 0).label(name) for name in _SUMS[2:]),
        )
        .outerjoin(collections, collections.c.id == runs.c.collection_id)
        .where(in_state(runs, *ENDED_STATES), due_day >= day)
        .group_by(due_day, runs.c.schedule, runs.c.collector, runs.c.state)
    )


def _whole(count: DayCount) -> DayCount:
    """PostgreSQL gives a sum as a decimal."""
    return DayCount(
        day=count.day,
        schedule=count.schedule,
        collector=count.collector,
        state=count.state,
        **{name: int(getattr(count, name)) for name in _SUMS},
    )
