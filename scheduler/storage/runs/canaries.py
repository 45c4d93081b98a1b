"""Chunks that wait for the first of their occurrence, its canary, to have ended well."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, bindparam, or_, select, update

from scheduler.domain.canary import Canary
from scheduler.domain.records import ENDED_STATES, NewRun, Reason, RunState
from scheduler.storage.runs.candidates import QUEUED
from scheduler.storage.tables import in_state, runs, schedules

_CANARY = runs.alias("canary")
WAITING = (QUEUED, runs.c.after_canary)
"""The condition that a run waits for its canary."""


def let_wait(conn: Connection, new: Iterable[NewRun]) -> None:
    """Tell those of *new* that come after a canary, and are written, which run that is."""
    occurrences = {(run.schedule, run.due_at) for run in new if run.after_canary}
    if occurrences:
        conn.execute(
            _LET_WAIT, [{"of": schedule, "due": due_at} for schedule, due_at in occurrences]
        )


_FIRST = (_CANARY.c.schedule == runs.c.schedule, _CANARY.c.due_at == runs.c.due_at)
_LET_WAIT = (
    update(runs)
    .where(
        *(runs.c.schedule == bindparam("of"), runs.c.due_at == bindparam("due")),
        *(runs.c.retry_of.is_(None), *WAITING),
    )
    .values(
        waits_for=select(_CANARY.c.id)
        .where(*_FIRST, _CANARY.c.chunk == 1, _CANARY.c.retry_of.is_(None))
        .scalar_subquery()
    )
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """
    A run that waits for a *canary* which has ended.

    One of the timetable has a *misfire_grace*; one that a person asked for is never too late.
    """

    run_id: int
    canary: Canary
    misfire_grace: str | None


def list_after_ended(conn: Connection) -> list[Waiting]:
    """Return the runs that wait for a canary which has ended, or is overdue, by that."""
    query = (
        select(
            *(runs.c.id, runs.c.created_by, runs.c.waits_for),
            *(_CANARY.c[name] for name in ("state", "reason", "detail", "ended_at", "overdue_at")),
            *(schedules.c.min_success_rate, schedules.c.misfire_grace),
        )
        .join(_CANARY, _CANARY.c.id == runs.c.waits_for)
        .outerjoin(schedules, schedules.c.name == runs.c.schedule)
        .where(*WAITING, or_(in_state(_CANARY, *ENDED_STATES), _CANARY.c.overdue_at.is_not(None)))
        .order_by(runs.c.waits_for, runs.c.id)
    )
    return [
        Waiting(
            run_id=row.id,
            canary=Canary(
                run_id=row.waits_for,
                state=RunState(row.state),
                reason=Reason(row.reason),
                detail=row.detail,
                ended_at=row.ended_at,
                is_overdue=row.overdue_at is not None,
                has_floor=row.min_success_rate is not None,
            ),
            misfire_grace=row.misfire_grace if row.created_by is None else None,
        )
        for row in conn.execute(query)
    ]


def let_go(conn: Connection, run_ids: Sequence[int], *, send_before: datetime | None) -> None:
    """Let runs be sent that have waited for their canary, until *send_before*."""
    waiting = update(runs).where(runs.c.id.in_(run_ids), *WAITING)
    conn.execute(waiting.values(after_canary=False, send_before=send_before))
