"""Runs: written when due, listed, and moved from state to state by guarded updates."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import takewhile

from sqlalchemy import ColumnElement, Connection, case, func, insert, or_, select, update

from scheduler.domain.errors import NotFound
from scheduler.domain.overlap import Unfinished
from scheduler.domain.records import (
    ENDED_STATES,
    IN_LINE_STATES,
    OPEN_STATES,
    Attempt,
    NewRun,
    Run,
    RunState,
)
from scheduler.storage.given import GivenValues, insert_rows
from scheduler.storage.rows import record, records, values_of
from scheduler.storage.tables import attempts, in_state, runs


def insert_runs(conn: Connection, new: Sequence[NewRun]) -> None:
    """Write runs; an occurrence that already has its run is left as it is."""
    insert_rows(conn, runs, [values_of(run) for run in new])


def insert_run(conn: Connection, new: NewRun) -> int:
    """Write one run asked for by hand and return its id."""
    made = conn.execute(insert(runs).values(**values_of(new)).returning(runs.c.id))
    return int(made.scalar_one())


def get_run(conn: Connection, run_id: int) -> Run:
    """Return the run of that id, or raise NotFound."""
    row = conn.execute(select(runs).where(runs.c.id == run_id)).mappings().first()
    if row is None:
        raise NotFound(f"no run has the id {run_id}")
    return record(Run, row)


def get_runs(conn: Connection, ids: Iterable[int]) -> dict[int, Run]:
    """Return the runs of these *ids*, by id."""
    return {run.id: run for run in records(Run, conn.execute(_OF_IDS, _IDS.of(ids)))}


_IDS = GivenValues("ids", runs.c.id.type)
_OF_IDS = select(runs).where(_IDS.has(runs.c.id))


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFilter:
    """Which runs to list; what is None does not narrow."""

    schedule: str | None = None
    collector: str | None = None
    queue: str | None = None
    states: Sequence[RunState] = ()
    since: datetime | None = None
    until: datetime | None = None


def list_runs(
    conn: Connection, wanted: RunFilter, *, limit: int, before_id: int | None = None
) -> list[Run]:
    """Return runs, the newest first; *before_id* goes on after an earlier page."""
    query = select(runs).where(*_conditions(wanted)).order_by(runs.c.id.desc()).limit(limit)
    if before_id is not None:
        query = query.where(runs.c.id < before_id)
    return records(Run, conn.execute(query))


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
        conditions.append(in_state(runs, *wanted.states))
        if set(wanted.states) <= set(OPEN_STATES):
            # Says nothing new, but lets the index of what is open be used.
            conditions.append(in_state(runs, *OPEN_STATES))
    if wanted.since is not None:
        conditions.append(runs.c.due_at >= wanted.since)
    if wanted.until is not None:
        conditions.append(runs.c.due_at <= wanted.until)
    return conditions


def list_attempts(conn: Connection, run_id: int) -> list[Attempt]:
    """Return the attempts of a run, in the order they were made."""
    found = conn.execute(
        select(attempts).where(attempts.c.run_id == run_id).order_by(attempts.c.number)
    )
    return records(Attempt, found)


def list_retried(conn: Connection, run_ids: Sequence[int]) -> set[int]:
    """Return those of *run_ids* that a later run retries."""
    found = select(runs.c.retry_of).where(runs.c.retry_of.in_(run_ids))
    return {retried for retried in conn.scalars(found) if retried is not None}


def count_open(conn: Connection) -> dict[RunState, int]:
    """Return how many runs stand in each state that is not an end."""
    found = conn.execute(
        select(runs.c.state, func.count())
        .where(in_state(runs, *OPEN_STATES))
        .group_by(runs.c.state)
    )
    return {RunState(state): count for state, count in found}


def count_states(conn: Connection) -> dict[RunState, int]:
    """Return how many runs, ended ones included, stand in each state."""
    found = conn.execute(select(runs.c.state, func.count()).group_by(runs.c.state))
    return {RunState(state): count for state, count in found}


def count_waiting(conn: Connection, account: str, collector_id: str, queue: str) -> int:
    """Return how many runs wait in a named queue of a collector."""
    waiting = select(func.count()).where(
        in_state(runs, RunState.QUEUED),
        runs.c.account == account,
        runs.c.collector_id == collector_id,
        runs.c.queue == queue,
    )
    return conn.scalar(waiting) or 0


def list_unfinished(conn: Connection, schedules: Sequence[str]) -> dict[str, list[Unfinished]]:
    """Return the runs of each schedule that have not ended, in the order they were due."""
    if not schedules:
        return {}
    found = conn.execute(
        select(runs.c.schedule, runs.c.id, runs.c.state, runs.c.collection_id)
        .where(
            runs.c.schedule.in_(schedules),
            in_state(runs, *OPEN_STATES),
            # A backfill stands beside the schedule: it is in no lane, and never too late.
            or_(runs.c.send_before.is_not(None), runs.c.lane.is_not(None)),
        )
        .order_by(runs.c.due_at, runs.c.id)
    )
    unfinished: dict[str, list[Unfinished]] = {}
    for row in found:
        one = Unfinished(row.id, RunState(row.state), row.collection_id)
        unfinished.setdefault(row.schedule, []).append(one)
    return unfinished


def count_made(conn: Connection, schedules: Sequence[str]) -> dict[str, int]:
    """Return how many runs of each schedule were meant to be sent, retries left aside."""
    if not schedules:
        return {}
    found = conn.execute(
        select(runs.c.schedule, func.count().label("made"))
        .where(
            runs.c.schedule.in_(schedules),
            runs.c.state != RunState.SKIPPED,
            runs.c.retry_of.is_(None),
            runs.c.part == 1,
        )
        .group_by(runs.c.schedule)
    )
    return {row.schedule: row.made for row in found}


def count_last_failures(conn: Connection, schedule: str, *, limit: int) -> int:
    """Return how many of the schedule's latest runs failed in a row; skipped ones do not count."""
    states = conn.scalars(
        select(runs.c.state)
        .where(
            runs.c.schedule == schedule,
            runs.c.state.in_((*ENDED_STATES,)),
            runs.c.state != RunState.SKIPPED,
        )
        .order_by(runs.c.id.desc())
        .limit(limit)
    )
    return sum(1 for _ in takewhile(lambda state: state == RunState.FAILED, states))


def find_trouble(conn: Connection, account: str) -> str | None:
    """Return what went wrong with the newest run of the account that is tried again."""
    # Not the newest of all by their order: that would look through the history.
    newest = select(func.max(runs.c.id)).where(
        runs.c.account == account,
        in_state(runs, RunState.QUEUED, RunState.UNCONFIRMED),
        runs.c.fence > 0,
        runs.c.detail.is_not(None),
    )
    return conn.scalar(select(runs.c.detail).where(runs.c.id == newest.scalar_subquery()))


def set_sendable_for_ever(conn: Connection, run_id: int) -> None:
    """Take a waiting run's misfire grace away: it is sent however late."""
    conn.execute(
        update(runs)
        .where(runs.c.id == run_id, runs.c.state == RunState.QUEUED)
        .values(send_before=None)
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueDepth:
    """What stands in one named queue of one collector, and its head."""

    queue: str
    account: str
    collector_id: str
    waiting: int
    unsettled: int
    head: Run


def list_queue_depths(conn: Connection) -> list[QueueDepth]:
    """Return the named queues in which something waits or is unsettled."""
    in_line = in_state(runs, *IN_LINE_STATES)
    key = (runs.c.queue, runs.c.account, runs.c.collector_id)
    waits = in_state(runs, RunState.QUEUED)
    counted = conn.execute(
        select(*key, func.count().filter(waits).label("waiting"), func.count().label("all"))
        .where(in_line, runs.c.queue.is_not(None))
        .group_by(*key)
        .order_by(*key)
    )
    return [
        QueueDepth(
            queue=row.queue,
            account=row.account,
            collector_id=row.collector_id,
            waiting=row.waiting,
            unsettled=row.all - row.waiting,
            head=_head_of(conn, row.queue, row.account, row.collector_id),
        )
        for row in counted
    ]


def _head_of(conn: Connection, queue: str, account: str, collector_id: str) -> Run:
    found = conn.execute(
        select(runs)
        .where(
            in_state(runs, *IN_LINE_STATES),
            runs.c.queue == queue,
            runs.c.account == account,
            runs.c.collector_id == collector_id,
        )
        # What is on the wire or unsettled comes before what waits.
        .order_by(
            case((in_state(runs, RunState.QUEUED), 1), else_=0),
            runs.c.priority.desc(),
            runs.c.due_at,
            runs.c.id,
        )
        .limit(1)
    )
    return record(Run, found.mappings().one())
