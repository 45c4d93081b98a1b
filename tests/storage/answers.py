"""Answers to a trigger, as what becomes of its run, and how they are recorded."""

from datetime import datetime
from typing import Any, Final

from scheduler.domain.records import Attempt, Outcome, Reason, Run, RunState
from scheduler.domain.transition import Transition
from scheduler.storage import collections_, runs
from scheduler.storage.database import Database
from scheduler.storage.runs import outcomes
from scheduler.storage.runs.outcomes import AttemptResult
from tests.make import NINE, minutes, seconds
from tests.storage.rows import change_run

LATER: Final = NINE + seconds(1)

ACCEPTED: Final = Transition(
    state=RunState.COLLECTING,
    reason=Reason.ACCEPTED,
    outcome=Outcome.ACCEPTED,
    collection_id="j_1",
    start_eta=NINE + minutes(2),
)
ADOPTED: Final = Transition(
    state=RunState.COLLECTING,
    reason=Reason.ADOPTED,
    outcome=Outcome.ADOPTED,
    collection_id="j_1",
    triggered_at=NINE - seconds(1),
)
REJECTED: Final = Transition(
    state=RunState.FAILED, reason=Reason.REFUSED, outcome=Outcome.REJECTED, detail="no such page"
)
DEFERRED: Final = Transition(
    state=RunState.QUEUED,
    reason=Reason.THROTTLED,
    outcome=Outcome.DEFERRED,
    detail="429",
    not_before=NINE + seconds(30),
    counts=False,
)
LOST: Final = Transition(
    state=RunState.UNCONFIRMED,
    reason=Reason.ANSWER_LOST,
    outcome=Outcome.LOST,
    detail="no answer within 60s",
    next_lookup_at=NINE + seconds(5),
)
HELD: Final = Transition(
    state=RunState.NEEDS_ATTENTION, reason=Reason.HELD, outcome=Outcome.LOST, detail="not there"
)
ABSENT: Final = Transition(
    state=RunState.QUEUED, reason=Reason.ABSENT, outcome=Outcome.ABSENT, not_before=NINE
)
ABANDONED: Final = Transition(
    state=RunState.FAILED, reason=Reason.ABANDONED, outcome=Outcome.ABANDONED
)
CHANGES: Final = {
    "accepted": ACCEPTED,
    "adopted": ADOPTED,
    "rejected": REJECTED,
    "deferred": DEFERRED,
    "lost": LOST,
    "held": HELD,
    "absent": ABSENT,
    "abandoned": ABANDONED,
}


def record(
    db: Database, run: Run, change: Transition, now: datetime = LATER, status: int | None = None
) -> bool:
    """Record an answer; return whether its run kept it."""
    with db.writing() as conn:
        return not outcomes.record_outcomes(
            conn, [AttemptResult(run=run, change=change, http_status=status)], now=now
        )


def attempt_of(db: Database, run: Run) -> Attempt:
    with db.reading() as conn:
        return next(one for one in runs.list_attempts(conn, run.id) if one.number == run.fence)


def collections_of(db: Database, run: Run) -> list[str]:
    with db.reading() as conn:
        return [one.id for one in collections_.list_collections(conn, run.id)]


def put(db: Database, run: Run, **columns: Any) -> None:
    """Change the run's row as somebody else would."""
    with db.writing() as conn:
        change_run(conn, run.id, **columns)
