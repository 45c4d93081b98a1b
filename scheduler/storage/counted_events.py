"""What a stretch of the history amounts to: no event is read that the database can count."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, case, func, select

from scheduler.domain.records import Reason, RunState
from scheduler.storage.last_ends import LastEnd
from scheduler.storage.rows import records
from scheduler.storage.run_events import Stretch
from scheduler.storage.tables import run_events, runs


@dataclass(frozen=True, slots=True, kw_only=True)
class Acceptance:
    """A run that the upstream accepted, as much of it as tells how late."""

    happened_at: datetime
    triggered_at: datetime | None
    due_at: datetime
    not_before: datetime
    created_at: datetime
    created_by: str | None
    fence: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Ends:
    """How many runs came to an end in the same way."""

    state: RunState
    reason: Reason
    count: int


def list_acceptances(conn: Connection, stretch: Stretch) -> list[Acceptance]:
    """Return the runs that were accepted."""
    rows = conn.execute(
        select(run_events.c.happened_at, *_OF_RUN)
        .join(runs, runs.c.id == run_events.c.run_id)
        .where(stretch.condition, run_events.c.to_state == RunState.COLLECTING)
    )
    return records(Acceptance, rows)


_OF_RUN = [runs.c[name] for name in Acceptance.__dataclass_fields__ if name != "happened_at"]


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
