"""What a clock that was ahead has left behind: marks and rows of a time that is still to come."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from operator import attrgetter
from typing import Final

from sqlalchemy import ColumnElement, Connection, and_, case, exists, func, select, update

from scheduler.domain.records import RunState
from scheduler.storage.rows import records
from scheduler.storage.runs import write
from scheduler.storage.runs.write import delete_skipped, was_skipped_unsent
from scheduler.storage.tables import (
    collections,
    daemons,
    in_state,
    runs,
    schedules,
    throttles,
)

TOLERANCE: Final = timedelta(minutes=1)
"""What is further ahead of now than this was written by a clock that was wrong."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AheadSchedule:
    """A schedule that is decided beyond now, so that nothing fires until then."""

    name: str
    decided_until: datetime
    skipped_count: int


def list_ahead(conn: Connection, *, now: datetime) -> list[AheadSchedule]:
    """Return the schedules that are decided beyond *now*, with how many occurrences are skipped."""
    skipped = (
        select(func.coalesce(func.sum(runs.c.occurrences), 0))
        .where(runs.c.schedule == schedules.c.name, *was_skipped_unsent(due_after=now))
        .scalar_subquery()
    )
    until = schedules.c.fired_until
    rows = conn.execute(
        select(schedules.c.name, until.label("decided_until"), skipped.label("skipped_count"))
        .where(until > now + TOLERANCE)
        .order_by(schedules.c.name)
    )
    return records(AheadSchedule, rows)


@dataclass(frozen=True, slots=True, kw_only=True)
class AheadRun:
    """A run that was asked for by hand and waits for a time that a wrong clock has given it."""

    id: int
    not_before: datetime


def list_ahead_runs(conn: Connection, *, now: datetime) -> list[AheadRun]:
    """Return the runs that a person asked for, by a clock that was ahead, and that still wait."""
    found = conn.execute(select(runs.c.id, runs.c.not_before).where(*_asked_ahead(now)))
    return sorted(records(AheadRun, found), key=attrgetter("id"))


def _asked_ahead(now: datetime) -> tuple[ColumnElement[bool], ...]:
    limit = now + TOLERANCE
    is_by_hand = runs.c.send_before.is_(None)
    is_ahead = and_(runs.c.created_at > limit, runs.c.not_before > limit)
    return in_state(runs, RunState.QUEUED), is_by_hand, is_ahead


def set_back_new(conn: Connection, *, since: datetime, until: datetime, now: datetime) -> int:
    """
    Bring schedules to *now* that a start made by a clock in doubt, which showed those times.

    They have no run yet: as any new schedule they fire from now on. Return how many.
    """
    made_then = schedules.c.created_at.between(since - TOLERANCE, until + TOLERANCE)
    has_run = exists().where(runs.c.schedule == schedules.c.name)
    names = list(conn.scalars(select(schedules.c.name).where(made_then, ~has_run)))
    set_back(conn, names, now=now)
    return len(names)


def set_back(conn: Connection, names: list[str], *, now: datetime) -> int:
    """
    Bring schedules back to *now*: they fire what is due from now on.

    Occurrences to come that were skipped unsent are forgotten; return how many. What was sent
    keeps its run, and is not sent again when its time comes.
    """
    forgotten = delete_skipped(conn, names, due_after=now)
    conn.execute(
        update(schedules)
        .where(schedules.c.name.in_(names))
        .values(fired_until=now, created_at=_at_most(schedules.c.created_at, now))
    )
    # Apart: an edit of its own, after which the schedule is planned anew.
    conn.execute(
        update(schedules)
        .where(schedules.c.name.in_(names))
        .values(edited_at=now, next_fire_at=None, planned_at=None)
    )
    return forgotten


def set_back_the_rest(conn: Connection, *, now: datetime) -> None:
    """Bring back what holds up an account or a collection until a time that was a mistake."""
    limit = now + TOLERANCE
    write.set_not_before(conn, _asked_ahead(now), at=now)
    conn.execute(update(throttles).where(throttles.c.happened_at > limit).values(happened_at=now))
    far = collections.c.accepted_at > limit
    conn.execute(
        update(collections).where(far, collections.c.next_poll_at > limit).values(next_poll_at=now)
    )
    conn.execute(update(daemons).where(daemons.c.seen_at > limit).values(seen_at=now))


def find_newest(conn: Connection) -> datetime | None:
    """Return the latest moment at which a daemon was alive; None where there was none yet."""
    newest: datetime | None = conn.scalar(select(func.max(daemons.c.seen_at)))
    return newest


def _at_most(column: ColumnElement[datetime], now: datetime) -> ColumnElement[datetime]:
    return case((column > now, now), else_=column)
