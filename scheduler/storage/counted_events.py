"""What a stretch of the history amounts to: no event is read that the database can count."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, and_, case, func, literal_column, select

from scheduler.domain.records import Reason, RunState
from scheduler.storage.dialect import seconds_between
from scheduler.storage.last_ends import LastEnd
from scheduler.storage.rows import records
from scheduler.storage.run_events import Stretch
from scheduler.storage.tables import run_events, runs


class Delays(NamedTuple):
    """So many runs were accepted so late, rounded to the millisecond."""

    is_asked: bool
    """By a person, and not by a schedule."""
    beyond: int
    """So many of the bounds were passed."""
    number: int
    seconds: float
    """Of all of them together."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ends:
    """How many runs came to an end in the same way."""

    state: RunState
    reason: Reason
    count: int


def list_delays(conn: Connection, stretch: Stretch, bounds: Sequence[float]) -> list[Delays]:
    """Return how late runs were accepted, by the *bounds* in seconds; none is less than 0."""
    accepted = (
        select(
            runs.c.created_by.is_not(None).label("is_asked"),
            _MEANT_AT.label("meant_at"),
            func.coalesce(runs.c.triggered_at, run_events.c.happened_at).label("sent_at"),
        )
        .join(runs, runs.c.id == run_events.c.run_id)
        .where(stretch.condition, run_events.c.to_state == RunState.COLLECTING)
        .subquery("accepted")
    )
    passed = seconds_between(conn, "accepted.meant_at", "accepted.sent_at")
    late: ColumnElement[Any] = literal_column(f"round({passed}, 3)")
    # With a limit SQLite works it out once for each, and not once for each bound.
    delays = select(accepted.c.is_asked, late.label("late")).limit(stretch.count).subquery().c
    within = ((delays.late <= bound, index) for index, bound in enumerate(bounds))
    beyond = case(*within, else_=len(bounds))
    seconds = func.sum(case((delays.late > 0, delays.late), else_=0))
    rows = conn.execute(
        select(delays.is_asked, beyond, func.count(), seconds).group_by(delays.is_asked, beyond)
    )
    return [Delays(bool(row[0]), row[1], row[2], float(row[3])) for row in rows]


def _meant_at() -> ColumnElement[datetime]:
    """Return what `domain.lateness.meant_at` says of a run."""
    is_later = and_(runs.c.created_by.is_not(None), runs.c.created_at > runs.c.due_at)
    asked = case((is_later, runs.c.created_at), else_=runs.c.due_at)
    is_first = and_(runs.c.fence <= 1, runs.c.not_before > asked)
    return case((is_first, runs.c.not_before), else_=asked)


_MEANT_AT = _meant_at()


def list_ends(conn: Connection, stretch: Stretch) -> list[Ends]:
    """Return how many runs ended in which way."""
    state, reason = run_events.c.to_state.label("state"), run_events.c.reason
    rows = conn.execute(
        select(state, reason, func.count().label("count"))
        .where(stretch.condition, run_events.c.to_state != RunState.COLLECTING)
        .group_by(state, reason)
    )
    return records(Ends, rows)


def list_schedule_ends(conn: Connection, stretch: Stretch) -> list[LastEnd]:
    """Return when each schedule last ended, skipped runs aside, and when one last succeeded."""
    at = run_events.c.happened_at
    succeeded_at = case((run_events.c.to_state == RunState.SUCCEEDED, at))
    rows = conn.execute(
        select(
            runs.c.schedule,
            func.max(at).label("ended_at"),
            func.max(succeeded_at).label("succeeded_at"),
        )
        .join(runs, runs.c.id == run_events.c.run_id)
        .where(
            stretch.condition,
            run_events.c.to_state.not_in((RunState.COLLECTING, RunState.SKIPPED)),
            runs.c.schedule.is_not(None),
        )
        .group_by(runs.c.schedule)
    )
    return records(LastEnd, rows)
