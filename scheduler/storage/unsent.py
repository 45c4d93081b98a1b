"""
Runs that are sent no more: too late, overtaken by a later one, or on a person's word.

Guarded updates: a run that was claimed meanwhile is left alone.
"""

from collections.abc import Collection, Sequence
from datetime import datetime

from sqlalchemy import Connection, case, func, select, tuple_, update

from scheduler.domain.records import Reason, Run, RunState
from scheduler.storage.heads import ACCOUNTS, QUEUED, may_be_sent
from scheduler.storage.rows import records
from scheduler.storage.tables import runs


def skip_too_late(conn: Connection, *, now: datetime) -> list[Run]:
    """End the queued runs whose misfire grace is over: what was never sent is skipped."""
    changed = conn.execute(
        update(runs)
        .where(QUEUED, runs.c.send_before.is_not(None), runs.c.send_before < now)
        .values(
            state=case((runs.c.attempts == 0, RunState.SKIPPED), else_=RunState.FAILED),
            reason=Reason.MISSED,
            detail=func.coalesce(
                "it could not be sent within its misfire grace; " + runs.c.detail,
                "it could not be sent within its misfire grace",
            ),
            ended_at=now,
        )
        .returning(runs)
    )
    return records(Run, changed)


def supersede_older(conn: Connection, among: Collection[str], *, now: datetime) -> list[Run]:
    """
    Skip the accounts' waiting runs that a later confirm_cancel of their collector would only kill.

    One that cannot be sent now, being held up or not ready, kills nobody, and is not killed: it
    is sent later, after the other.
    """
    if not among:
        return []
    replacing = conn.execute(_REPLACING, {"accounts": list(among), "now": now})
    newest = {(row.account, row.collector_id): row for row in replacing}
    superseded = []
    for (account, collector_id), newer in newest.items():
        changed = conn.execute(
            update(runs)
            .where(
                QUEUED,
                runs.c.account == account,
                runs.c.collector_id == collector_id,
                tuple_(runs.c.due_at, runs.c.id) < tuple_(newer.due_at, newer.id),
                *may_be_sent(),
            )
            .values(
                state=RunState.SKIPPED,
                reason=Reason.SUPERSEDED,
                detail=f"run {newer.id} with confirm_cancel took its place",
                ended_at=now,
            )
            .returning(runs),
            {"now": now},
        )
        superseded += records(Run, changed)
    return superseded


_REPLACING = (
    select(runs.c.account, runs.c.collector_id, runs.c.due_at, runs.c.id)
    .where(
        QUEUED,
        runs.c.account.in_(ACCOUNTS),
        runs.c.confirm_cancel,
        *may_be_sent(),
    )
    .order_by(runs.c.due_at, runs.c.id)
)


def coalesce_waiting(
    conn: Connection,
    schedules: Sequence[str],
    *,
    due_before: datetime,
    reason: Reason,
    now: datetime,
) -> None:
    """Skip runs of *schedules* that still wait since before *due_before*: a later one is due."""
    conn.execute(
        update(runs)
        .where(
            runs.c.schedule.in_(schedules),
            QUEUED,
            runs.c.due_at < due_before,
            runs.c.retry_of.is_(None),
            # What a person asked for, such as a backfill, gives way to nothing.
            runs.c.send_before.is_not(None),
        )
        .values(
            state=case((runs.c.attempts == 0, RunState.SKIPPED), else_=RunState.FAILED),
            reason=reason,
            detail="it still waited to be sent when the next occurrence was due",
            ended_at=now,
        )
    )


def supersede(conn: Connection, run_ids: Sequence[int], *, now: datetime) -> None:
    """Skip runs that wait, because a later occurrence of their schedule takes their place."""
    if run_ids:
        conn.execute(
            update(runs)
            .where(runs.c.id.in_(run_ids), QUEUED)
            .values(
                state=RunState.SKIPPED,
                reason=Reason.SUPERSEDED,
                detail="a later occurrence took its place (overlap = replace)",
                ended_at=now,
            )
        )


def flush_queue(conn: Connection, queue: str, *, detail: str, now: datetime) -> int:
    """Skip every run that waits in a named queue; return how many."""
    flushed = conn.execute(
        update(runs)
        .where(runs.c.queue == queue, QUEUED)
        .values(state=RunState.SKIPPED, reason=Reason.FLUSHED, detail=detail, ended_at=now)
    )
    return flushed.rowcount


def skip_waiting(conn: Connection, schedules: Sequence[str], *, detail: str, now: datetime) -> None:
    """Skip the runs of *schedules* that wait to be sent."""
    if not schedules:
        return
    conn.execute(
        update(runs)
        .where(runs.c.schedule.in_(schedules), QUEUED)
        .values(state=RunState.SKIPPED, reason=Reason.FLUSHED, detail=detail, ended_at=now)
    )


def end_waiting(
    conn: Connection,
    run_id: int,
    *,
    from_states: Sequence[RunState],
    state: RunState,
    reason: Reason,
    detail: str | None,
    now: datetime,
) -> bool:
    """End a run that is in one of *from_states*, on a person's word; False when it is not."""
    ended = conn.execute(
        update(runs)
        .where(runs.c.id == run_id, runs.c.state.in_(from_states))
        .values(state=state, reason=reason, detail=detail, ended_at=now, look_at=None)
    )
    return ended.rowcount == 1
