"""What became of all occurrences of a stretch of time: counted by the database, not read."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, and_, exists, func, literal_column, or_, select

from scheduler.domain.records import Reason, Run, RunState
from scheduler.storage.dialect import seconds_between
from scheduler.storage.rows import record, records
from scheduler.storage.tables import runs

_RETRY: Final = runs.alias("retry")
_IS_RETRIED: Final = exists(select(_RETRY.c.id).where(_RETRY.c.retry_of == runs.c.id))


@dataclass(frozen=True, slots=True, kw_only=True)
class Outturn:
    """
    So many occurrences of *schedule* came to this; *runs* are more where they were in chunks.

    *late* of them were sent later than they should, the latest by *latest_seconds*.
    """

    schedule: str
    state: RunState
    reason: Reason
    occurrences: int
    runs: int
    late: int
    latest_seconds: float | None


def list_outturns(
    conn: Connection, *, since: datetime, until: datetime, late_after: float
) -> list[Outturn]:
    """Return what was due from *since* to before *until*, what was retried by its last try."""
    # `due_at` would punish what was spread, or backfilled: it was meant to be sent later.
    delay: Any = literal_column(seconds_between(conn, "runs.not_before", "runs.triggered_at"))
    is_late = and_(
        runs.c.triggered_at.is_not(None), delay > late_after, runs.c.created_by.is_(None)
    )
    rows = conn.execute(
        select(
            runs.c.schedule,
            runs.c.state,
            runs.c.reason,
            func.sum(runs.c.occurrences).filter(runs.c.chunk == 1).label("occurrences"),
            func.count().label("runs"),
            func.count().filter(is_late).label("late"),
            func.max(delay).filter(is_late).label("latest_seconds"),
        )
        .where(_was_due(since, until))
        .group_by(runs.c.schedule, runs.c.state, runs.c.reason)
    )
    return [
        Outturn(
            schedule=row.schedule,
            state=RunState(row.state),
            reason=Reason(row.reason),
            occurrences=row.occurrences or 0,
            runs=row.runs,
            late=row.late,
            latest_seconds=None if row.latest_seconds is None else float(row.latest_seconds),
        )
        for row in rows
    ]


def _was_due(since: datetime, until: datetime) -> Any:
    return and_(
        runs.c.schedule.is_not(None), runs.c.due_at >= since, runs.c.due_at < until, ~_IS_RETRIED
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Due:
    """An occurrence that has a row, or several in a row that have one."""

    schedule: str
    due_at: datetime
    due_until: datetime | None


def list_due(
    conn: Connection, names: Collection[str], *, since: datetime, until: datetime, limit: int
) -> list[Due]:
    """Return the occurrences of these schedules that have a row, by schedule and time."""
    reaches = func.coalesce(runs.c.due_until, runs.c.due_at)
    rows = conn.execute(
        select(runs.c.schedule, runs.c.due_at, runs.c.due_until)
        .where(
            runs.c.schedule.in_(names),
            reaches >= since,
            runs.c.due_at < until,
            runs.c.chunk == 1,
            runs.c.retry_of.is_(None),
        )
        .order_by(runs.c.schedule, runs.c.due_at)
        .limit(limit)
    )
    return records(Due, rows)


_IS_WELL: Final = or_(
    runs.c.state == RunState.SUCCEEDED,
    runs.c.state.in_((RunState.QUEUED, RunState.DISPATCHING, RunState.COLLECTING)),
)


def list_last_troubles(
    conn: Connection, names: Collection[str], *, since: datetime, until: datetime
) -> Iterator[Run]:
    """Yield the last run of each of these schedules that did not end well."""
    newest = (
        select(func.max(runs.c.id))
        .where(_was_due(since, until), runs.c.schedule.in_(names), ~_IS_WELL)
        .group_by(runs.c.schedule)
    )
    for row in conn.execute(select(runs).where(runs.c.id.in_(newest))).mappings():
        yield record(Run, row)
