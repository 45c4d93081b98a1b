"""Chunks that wait for the first of their occurrence, its canary, to have ended well."""

from collections.abc import Iterable, Sequence
from datetime import datetime

from sqlalchemy import Connection, bindparam, case, or_, select, update

from scheduler.domain.canary import AfterCanary
from scheduler.domain.records import ENDED_STATES, NewRun
from scheduler.storage.rows import records
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


def list_after_ended(conn: Connection) -> list[AfterCanary]:
    """Return the runs that wait for a canary which has ended, or is overdue, by that."""
    query = (
        select(
            *(runs.c.id.label("run_id"), runs.c.waits_for.label("canary")),
            *(_CANARY.c[name] for name in ("state", "reason", "detail", "ended_at")),
            schedules.c.min_success_rate.is_not(None).label("has_floor"),
            case((runs.c.created_by.is_(None), schedules.c.misfire_grace)).label("misfire_grace"),
        )
        .join(_CANARY, _CANARY.c.id == runs.c.waits_for)
        .outerjoin(schedules, schedules.c.name == runs.c.schedule)
        .where(*WAITING, or_(in_state(_CANARY, *ENDED_STATES), _CANARY.c.overdue_at.is_not(None)))
        .order_by(runs.c.waits_for, runs.c.id)
    )
    return records(AfterCanary, conn.execute(query))


def let_go(conn: Connection, run_ids: Sequence[int], *, send_before: datetime | None) -> None:
    """Let runs be sent that have waited for their canary, until *send_before*."""
    waiting = update(runs).where(runs.c.id.in_(run_ids), *WAITING)
    conn.execute(waiting.values(after_canary=False, send_before=send_before))
