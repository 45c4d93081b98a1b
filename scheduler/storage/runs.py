"""Runs: written when due, listed, and moved from state to state by guarded updates."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from scheduler.domain.errors import NotFound
from scheduler.domain.records import (
    ENDED_STATES,
    OPEN_OUTCOMES,
    Attempt,
    NewRun,
    Outcome,
    Reason,
    Run,
    RunState,
)
from scheduler.domain.transition import Transition
from scheduler.storage.dialect import insert_new
from scheduler.storage.rows import record
from scheduler.storage.tables import attempts, collections, runs


async def insert_runs(conn: AsyncConnection, new: Sequence[NewRun]) -> None:
    """Write runs; an occurrence that already has its run is left as it is."""
    await insert_new(conn, runs, [asdict(run) for run in new])


async def insert_run(conn: AsyncConnection, new: NewRun) -> int:
    """Write one run asked for by hand and return its id."""
    return int(
        (await conn.execute(insert(runs).values(**asdict(new)).returning(runs.c.id))).scalar_one()
    )


async def get_run(conn: AsyncConnection, run_id: int) -> Run:
    """Return the run of that id, or raise NotFound."""
    row = (await conn.execute(select(runs).where(runs.c.id == run_id))).mappings().first()
    if row is None:
        raise NotFound(f"no run has the id {run_id}")
    return record(Run, row)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFilter:
    """Which runs to list; what is None does not narrow."""

    schedule: str | None = None
    collector: str | None = None
    queue: str | None = None
    states: Sequence[RunState] = ()
    since: datetime | None = None
    until: datetime | None = None


async def list_runs(
    conn: AsyncConnection, wanted: RunFilter, *, limit: int, before_id: int | None = None
) -> list[Run]:
    """Return runs, the newest first; *before_id* goes on after an earlier page."""
    query = select(runs).where(*_conditions(wanted)).order_by(runs.c.id.desc()).limit(limit)
    if before_id is not None:
        query = query.where(runs.c.id < before_id)
    return [record(Run, row) for row in (await conn.execute(query)).mappings()]


def _conditions(wanted: RunFilter) -> list[ColumnElement[bool]]:
    conditions = []
    for column, value in (
        (runs.c.schedule, wanted.schedule),
        (runs.c.collector, wanted.collector),
        (runs.c.queue, wanted.queue),
    ):
        if value is not None:
            conditions.append(column == value)
    if wanted.states:
        conditions.append(runs.c.state.in_(wanted.states))
    if wanted.since is not None:
        conditions.append(runs.c.due_at >= wanted.since)
    if wanted.until is not None:
        conditions.append(runs.c.due_at <= wanted.until)
    return conditions


async def list_attempts(conn: AsyncConnection, run_id: int) -> list[Attempt]:
    """Return the attempts of a run, in the order they were made."""
    found = await conn.execute(
        select(attempts).where(attempts.c.run_id == run_id).order_by(attempts.c.number)
    )
    return [record(Attempt, row) for row in found.mappings()]


async def count_open(conn: AsyncConnection) -> dict[RunState, int]:
    """Return how many runs stand in each state that is not an end."""
    found = await conn.execute(
        select(runs.c.state, func.count())
        .where(runs.c.state.not_in(ENDED_STATES))
        .group_by(runs.c.state)
    )
    return {RunState(state): count for state, count in found.tuples()}


async def count_waiting(conn: AsyncConnection, account: str, collector_id: str, queue: str) -> int:
    """Return how many runs wait in a named queue of a collector."""
    return (
        await conn.scalar(
            select(func.count()).where(
                runs.c.state == RunState.QUEUED,
                runs.c.account == account,
                runs.c.collector_id == collector_id,
                runs.c.queue == queue,
            )
        )
    ) or 0


async def record_transition(
    conn: AsyncConnection,
    run: Run,
    attempt_id: int,
    change: Transition,
    *,
    now: datetime,
    http_status: int | None = None,
) -> bool:
    """
    Store what became of an attempt, always, and of its run, if the run still waits for it.

    False when the run has gone on without this attempt (another daemon took it over):
    its collection, if it brought one, is kept all the same.
    """
    await _record_attempt(conn, attempt_id, change, now=now, http_status=http_status)
    if change.collection_id is not None:
        await _insert_collection(conn, run, change, now=now)
    moved = await conn.execute(
        update(runs)
        .where(
            runs.c.id == run.id,
            runs.c.fence == run.fence,
            runs.c.state.in_(
                (RunState.DISPATCHING, RunState.UNCONFIRMED, RunState.NEEDS_ATTENTION)
            ),
        )
        .values(
            state=change.state,
            reason=change.reason,
            detail=change.detail,
            not_before=change.not_before or runs.c.not_before,
            look_at=change.look_at,
            looks=runs.c.looks + 1 if run.state is RunState.UNCONFIRMED else 0,
            attempts=runs.c.attempts if change.counts else runs.c.attempts - 1,
            lease_owner=None,
            lease_until=None,
            triggered_at=now if change.collection_id else runs.c.triggered_at,
            collection_id=change.collection_id,
            start_eta=change.start_eta,
            ended_at=now if change.state in ENDED_STATES else None,
        )
    )
    return moved.rowcount == 1


async def _record_attempt(
    conn: AsyncConnection,
    attempt_id: int,
    change: Transition,
    *,
    now: datetime,
    http_status: int | None,
) -> None:
    settled = change.outcome not in OPEN_OUTCOMES
    await conn.execute(
        update(attempts)
        .where(
            attempts.c.id == attempt_id,
            attempts.c.outcome.not_in((Outcome.ACCEPTED, Outcome.ADOPTED)),
        )
        .values(
            outcome=change.outcome,
            settled_at=now if settled else None,
            http_status=func.coalesce(http_status, attempts.c.http_status),
            detail=func.coalesce(change.detail, attempts.c.detail),
            collection_id=change.collection_id,
        )
    )


async def _insert_collection(
    conn: AsyncConnection, run: Run, change: Transition, *, now: datetime
) -> None:
    await insert_new(
        conn,
        collections,
        [
            {
                "id": change.collection_id,
                "run_id": run.id,
                "account": run.account,
                "collector_id": run.collector_id,
                "start_eta": change.start_eta,
                "accepted_at": now,
                "look_at": change.start_eta if change.start_eta and change.start_eta > now else now,
            }
        ],
    )
    if run.confirm_cancel:
        await _mark_replaced(conn, run, str(change.collection_id))


async def _mark_replaced(conn: AsyncConnection, run: Run, collection_id: str) -> None:
    """Note which open collections of the collector this confirm_cancel ended."""
    await conn.execute(
        update(collections)
        .where(
            collections.c.account == run.account,
            collections.c.collector_id == run.collector_id,
            collections.c.look_at.is_not(None),
            collections.c.id != collection_id,
        )
        .values(replaced_by=run.id)
    )


async def release_unsent(
    conn: AsyncConnection, run_id: int, fence: int, *, now: datetime, detail: str
) -> None:
    """Put a claimed run back whose request provably never left; the attempt does not count."""
    await conn.execute(
        update(attempts)
        .where(attempts.c.run_id == run_id, attempts.c.fence == fence)
        .where(attempts.c.outcome == Outcome.SENDING)
        .values(outcome=Outcome.DEFERRED, settled_at=now, detail=detail)
    )
    await conn.execute(
        update(runs)
        .where(runs.c.id == run_id, runs.c.fence == fence, runs.c.state == RunState.DISPATCHING)
        .values(
            state=RunState.QUEUED,
            reason=Reason.LEASE_ENDED,
            detail=detail,
            attempts=runs.c.attempts - 1,
            lease_owner=None,
            lease_until=None,
        )
    )


async def list_claimed_by(conn: AsyncConnection, owner: str) -> list[Run]:
    """Return the runs that this daemon has claimed and not settled."""
    found = await conn.execute(
        select(runs).where(runs.c.state == RunState.DISPATCHING, runs.c.lease_owner == owner)
    )
    return [record(Run, row) for row in found.mappings()]
