"""Runs counted: by state, by schedule, by queue."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import takewhile

from sqlalchemy import (
    ColumnElement,
    Connection,
    bindparam,
    case,
    exists,
    func,
    literal,
    select,
    union_all,
)

from scheduler.domain.records import (
    ENDED_STATES,
    IN_LINE_STATES,
    OPEN_STATES,
    UNRESOLVED_STATES,
    Run,
    RunState,
)
from scheduler.storage.collection_tables import other_jobs
from scheduler.storage.other_jobs import is_counted
from scheduler.storage.rows import record
from scheduler.storage.tables import collectors, in_state, runs


def count_open(conn: Connection) -> dict[RunState, int]:
    """Return how many runs stand in each state that is not an end."""
    rows = conn.execute(
        select(runs.c.state, func.count())
        .where(in_state(runs, *OPEN_STATES))
        .group_by(runs.c.state)
    )
    return {RunState(state): count for state, count in rows}


def count_states(conn: Connection) -> dict[RunState, int]:
    """Return how many runs, ended ones included, stand in each state."""
    rows = conn.execute(select(runs.c.state, func.count()).group_by(runs.c.state))
    return {RunState(state): count for state, count in rows}


def list_full(
    conn: Connection, of: Run | None = None, *, now: datetime
) -> dict[tuple[str, str], str]:
    """Return, of each collector that may run no more while runs of it wait, how many it runs."""
    waits, strictest = runs.alias(), collectors.c.max_running
    own = select(runs.c.account, runs.c.collector_id, literal(0).label("theirs")).where(
        in_state(runs, *OPEN_STATES),
        in_state(runs, *UNRESOLVED_STATES, RunState.COLLECTING),
        runs.c.overdue_at.is_(None),
    )
    others = select(other_jobs.c.account, other_jobs.c.collector_id, literal(1)).where(
        is_counted(bindparam("now", type_=other_jobs.c.counts_until.type))
    )
    jobs = union_all(own, others).subquery()
    key = (jobs.c.account, jobs.c.collector_id)
    is_waited_for = exists().where(
        in_state(waits, RunState.QUEUED),
        waits.c.account == jobs.c.account,
        waits.c.collector_id == jobs.c.collector_id,
    )
    limit = select(func.coalesce(func.min(strictest), 100)).where(
        collectors.c.account == jobs.c.account, collectors.c.collector_id == jobs.c.collector_id
    )
    running = (
        select(
            *key,
            func.count().label("running"),
            func.sum(jobs.c.theirs).label("theirs"),
            limit.scalar_subquery().label("limit"),
        )
        .group_by(*key)
        .having(is_waited_for)
    )
    if of is not None:
        running = running.where(key[0] == of.account, key[1] == of.collector_id)
    return {
        (row.account, row.collector_id): f"{_run(row.running, row.theirs)}, {row.limit} may"
        for row in conn.execute(running, {"now": now})
        if row.running >= row.limit
    }


def _run(count: int, theirs: int) -> str:
    return f"{count} of it run" + (f", {theirs} of them in no run here" if theirs else "")


def count_waiting(conn: Connection, account: str, collector_id: str, queue: str) -> int:
    """Return how many runs wait in a named queue of a collector."""
    waiting = select(func.count()).where(
        in_state(runs, RunState.QUEUED),
        runs.c.account == account,
        runs.c.collector_id == collector_id,
        runs.c.queue == queue,
    )
    return conn.scalar(waiting) or 0


def count_waiting_of_account(conn: Connection, account: str) -> int:
    """Return how many runs wait for an account, whatever else holds them up."""
    return _count_waiting(conn, runs.c.account == account)


def count_waiting_of_schedules(conn: Connection, names: Sequence[str]) -> int:
    """Return how many runs of schedules wait; those of backfills, too, which are billed as well."""
    return _count_waiting(conn, runs.c.schedule.in_(names))


def _count_waiting(conn: Connection, those: ColumnElement[bool]) -> int:
    waiting = in_state(runs, RunState.QUEUED)
    return conn.scalar(select(func.count()).where(waiting, those)) or 0


def count_made(conn: Connection, schedules: Sequence[str]) -> dict[str, int]:
    """Return how many runs of each schedule were meant to be sent, retries left aside."""
    if not schedules:
        return {}
    rows = conn.execute(
        select(runs.c.schedule, func.count().label("made"))
        .where(
            runs.c.schedule.in_(schedules),
            runs.c.state != RunState.SKIPPED,
            runs.c.retry_of.is_(None),
            runs.c.chunk == 1,
        )
        .group_by(runs.c.schedule)
    )
    return {row.schedule: row.made for row in rows}


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


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueDepth:
    """What stands in one named queue of one collector, and its head."""

    queue: str
    account: str
    collector_id: str
    waiting: int
    unresolved: int
    head: Run


def list_queue_depths(conn: Connection) -> list[QueueDepth]:
    """Return the named queues in which something waits or is unresolved."""
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
            unresolved=row.all - row.waiting,
            head=_head_of(conn, row.queue, row.account, row.collector_id),
        )
        for row in counted
    ]


def _head_of(conn: Connection, queue: str, account: str, collector_id: str) -> Run:
    rows = conn.execute(
        select(runs)
        .where(
            in_state(runs, *IN_LINE_STATES),
            runs.c.queue == queue,
            runs.c.account == account,
            runs.c.collector_id == collector_id,
        )
        # What is on the wire or unresolved comes before what waits.
        .order_by(
            case((in_state(runs, RunState.QUEUED), 1), else_=0),
            runs.c.priority.desc(),
            runs.c.due_at,
            runs.c.id,
        )
        .limit(1)
    )
    return record(Run, rows.mappings().one())
