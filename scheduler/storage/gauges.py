"""What is asked for the metrics alone: counts of what is open, never of what has ended."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, and_, case, func, select

from scheduler.domain.records import RunState
from scheduler.storage.rows import records
from scheduler.storage.tables import in_state, runs, schedules


@dataclass(frozen=True, slots=True, kw_only=True)
class Queued:
    """How many runs of an account wait to be sent, and since when the first of them."""

    account: str
    count: int
    since: datetime


def list_queued(conn: Connection) -> list[Queued]:
    """Return the accounts of which something waits, by name."""
    # As far as here an index has it all; only of the first the row is read.
    waiting = (
        select(runs.c.account, func.count().label("count"), func.min(runs.c.id).label("first"))
        .where(in_state(runs, RunState.QUEUED))
        .group_by(runs.c.account)
        .subquery()
    )
    rows = conn.execute(
        select(waiting.c.account, waiting.c.count, runs.c.created_at.label("since"))
        .join(runs, runs.c.id == waiting.c.first)
        .order_by(waiting.c.account)
    )
    return records(Queued, rows)


def count_overdue(conn: Connection) -> int:
    """Return how many collections should have ended long ago."""
    is_overdue = and_(in_state(runs, RunState.COLLECTING), runs.c.overdue_at.is_not(None))
    return conn.scalar(select(func.count()).select_from(runs).where(is_overdue)) or 0


def list_first_schedules(conn: Connection, limit: int) -> dict[str, datetime | None]:
    """Return the first *limit* enabled schedules by name, and when each is due next."""
    due = case((schedules.c.error.is_(None), schedules.c.next_fire_at))
    rows = conn.execute(
        select(schedules.c.name, due)
        .where(schedules.c.enabled)
        .order_by(schedules.c.name)
        .limit(limit)
    )
    return {row[0]: row[1] for row in rows}
