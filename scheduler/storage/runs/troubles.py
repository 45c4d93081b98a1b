"""What an operator must hear of: what is late, what failed or was missed of late, what piles up."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import ColumnElement, Connection, and_, bindparam, exists, func, or_, select

from scheduler.domain.records import OPEN_STATES, Reason, Run, RunState
from scheduler.storage.rows import record, records
from scheduler.storage.tables import LOST, in_state, runs, schedules

MOST_LISTED: Final = 20
_MANY_WAITING: Final = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Late:
    """So many enabled schedules were due and did not fire; *name* is the first of them."""

    count: int
    name: str
    due_at: datetime


def find_late(conn: Connection, *, before: datetime) -> Late | None:
    """Return what was due *before* then and is not decided yet; None where nothing is."""
    is_late = and_(
        schedules.c.enabled, schedules.c.error.is_(None), schedules.c.next_fire_at < before
    )
    first = conn.execute(
        select(schedules.c.name, schedules.c.next_fire_at)
        .where(is_late)
        .order_by(schedules.c.next_fire_at, schedules.c.name)
        .limit(1)
    ).first()
    if first is None:
        return None
    count = conn.scalar(select(func.count()).select_from(schedules).where(is_late)) or 0
    return Late(count=count, name=first.name, due_at=first.next_fire_at)


@dataclass(frozen=True, slots=True, kw_only=True)
class Lost:
    """So many runs failed, or were missed, since then; *newest* is the last of them."""

    count: int
    newest: Run


def find_failed(conn: Connection, *, since: datetime) -> Lost | None:
    """Return the runs that failed and were not retried; None where there are none."""
    return _find_lost(conn, _HAS_FAILED, since)


_RETRY = runs.alias("retry")  # once: to make one takes longer than to ask
_IS_RETRIED = exists(select(_RETRY.c.id).where(_RETRY.c.retry_of == runs.c.id))
_HAS_FAILED = and_(in_state(runs, RunState.FAILED), ~_IS_RETRIED)


def has_failed(conn: Connection) -> bool:
    """Tell whether any run ever failed."""
    failed = select(runs.c.id).where(in_state(runs, RunState.FAILED), LOST)
    return conn.scalar(failed.limit(1)) is not None


def find_missed(conn: Connection, *, since: datetime) -> Lost | None:
    """Return the occurrences that were decided too late to be sent; None where there are none."""
    is_missed = and_(in_state(runs, RunState.SKIPPED), runs.c.reason == Reason.MISSED)
    return _find_lost(conn, is_missed, since)


def _find_lost(conn: Connection, is_lost: ColumnElement[bool], since: datetime) -> Lost | None:
    # What LOST says follows already, but lets its index be used.
    lost = select(runs).where(is_lost, LOST, runs.c.ended_at >= since)
    newest = conn.execute(lost.order_by(runs.c.ended_at.desc()).limit(1)).mappings().first()
    if newest is None:
        return None
    count = conn.scalar(select(func.sum(lost.subquery().c.occurrences))) or 0
    return Lost(count=count, newest=record(Run, newest))


@dataclass(frozen=True, slots=True, kw_only=True)
class Backlog:
    """A schedule of which *waiting_count* runs have not begun, the first due at *due_at*."""

    schedule: str
    waiting_count: int
    due_at: datetime


def list_backlogs(conn: Connection, *, now: datetime) -> list[Backlog]:
    """Return schedules that are due faster than their runs begin: MOST_LISTED by name."""
    return records(Backlog, conn.execute(_BACKLOGS, {"now": now}))


_HAS_NOT_BEGUN = or_(
    in_state(runs, RunState.QUEUED),
    and_(in_state(runs, RunState.COLLECTING), runs.c.start_eta > bindparam("now")),
)
_BACKLOGS = (
    select(
        runs.c.schedule,
        func.count().label("waiting_count"),
        func.min(runs.c.due_at).label("due_at"),
    )
    .where(
        in_state(runs, *OPEN_STATES),
        _HAS_NOT_BEGUN,
        runs.c.schedule.is_not(None),
        runs.c.chunk == 1,
        # A backfill stands beside the schedule: it has no order key, and is never too late.
        or_(runs.c.send_before.is_not(None), runs.c.order_key.is_not(None)),
    )
    .group_by(runs.c.schedule)
    .having(func.count() >= _MANY_WAITING)
    .order_by(runs.c.schedule)
    .limit(MOST_LISTED)
)
