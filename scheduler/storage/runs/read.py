"""Runs read as records: one, a page of them, what is open."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from operator import ge, le

from sqlalchemy import ColumnElement, Connection, and_, case, func, or_, select, tuple_

from scheduler.domain.errors import NotFound
from scheduler.domain.overlap import Unfinished
from scheduler.domain.records import (
    IN_LINE_STATES,
    OPEN_STATES,
    UNRESOLVED_STATES,
    Attempt,
    Reason,
    Run,
    RunState,
)
from scheduler.storage import bounds
from scheduler.storage.json_rows import JsonValues
from scheduler.storage.rows import record, records
from scheduler.storage.tables import attempts, collections, collectors, in_state, runs


def get_run(conn: Connection, run_id: int) -> Run:
    """Return the run of that id, or raise NotFound."""
    row = conn.execute(select(runs).where(runs.c.id == run_id)).mappings().first()
    if row is None:
        raise NotFound(f"no run has the id {run_id}")
    return record(Run, row)


def get_runs(conn: Connection, ids: Iterable[int]) -> dict[int, Run]:
    """Return the runs of these *ids*, by id."""
    return {run.id: run for run in records(Run, conn.execute(_OF_IDS, _IDS.of(ids)))}


_IDS = JsonValues("ids", runs.c.id.type)
_OF_IDS = select(runs).where(_IDS.has(runs.c.id))


def has_key(conn: Connection, key: str) -> bool:
    """Tell whether a run was asked for under *key*."""
    return conn.scalar(select(runs.c.id).where(runs.c.request_key == key)) is not None


def get_keyed(conn: Connection, key: str) -> tuple[int, str]:
    """Return the run that was asked for under *key*, and the digest of that request."""
    asked = select(runs.c.id, runs.c.request_digest).where(runs.c.request_key == key)
    row = conn.execute(asked).one()
    return row.id, row.request_digest


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFilter:
    """Which runs to list; what is None does not narrow."""

    schedule: str | None = None
    collector: str | None = None
    queue: str | None = None
    states: Sequence[RunState] = ()
    reasons: Sequence[Reason] = ()
    batch: str | None = None
    label: str | None = None
    collection: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    ended_since: datetime | None = None
    ended_until: datetime | None = None


def list_runs(
    conn: Connection,
    wanted: RunFilter,
    *,
    limit: int,
    before_id: int | None = None,
    from_id: int | None = None,
) -> list[Run]:
    """
    Return runs, the newest first; *before_id* goes on after an earlier page.

    None below *from_id* is looked at.
    """
    # By a sum, and SQLite sorts the few that are open, in place of looking for them among all.
    newest = runs.c.id + 0 if _is_open(wanted) else runs.c.id
    query = select(runs).where(*conditions(wanted)).order_by(newest.desc()).limit(limit)
    if before_id is not None:
        query = query.where(runs.c.id < before_id)
    if from_id is not None:
        query = query.where(runs.c.id >= from_id)
    return records(Run, conn.execute(query))


def find_bound(
    conn: Connection, wanted: RunFilter, *, most: int, before_id: int | None
) -> int | None:
    """
    Return from which id on *wanted* may be looked for, for *most* runs to be looked at.

    None where there are no more, or what it chooses is found by an index. Looking through a
    million takes a second, where hardly any is chosen.
    """
    if _is_open(wanted) or wanted.collection is not None or wanted == RunFilter():
        return None
    if wanted.schedule is not None:  # a fifth of them: each is looked up by itself
        among = select(runs.c.id).where(runs.c.schedule == wanted.schedule)
        if before_id is not None:
            among = among.where(runs.c.id < before_id)
        return conn.scalar(among.order_by(runs.c.id.desc()).offset(most // 5).limit(1))
    return bounds.find_bound(conn, runs.c.id, most=most, before=before_id)


def count_runs(
    conn: Connection, wanted: RunFilter, *, most: int, from_id: int | None = None
) -> int:
    """Return how many runs *wanted* chooses, up to *most*; none below *from_id* is looked at."""
    chosen = select(runs.c.id).where(*conditions(wanted)).limit(most)
    if from_id is not None:
        chosen = chosen.where(runs.c.id >= from_id)
    return conn.scalar(select(func.count()).select_from(chosen.subquery())) or 0


def conditions(wanted: RunFilter) -> list[ColumnElement[bool]]:
    """Return what holds of the runs that *wanted* chooses."""
    chosen = []
    for column, value in (
        (runs.c.schedule, wanted.schedule),
        (runs.c.collector, wanted.collector),
        (runs.c.queue, wanted.queue),
        (runs.c.batch, wanted.batch),
    ):
        if value is not None:
            chosen.append(column == value)
    if wanted.states:
        chosen.append(in_state(runs, *wanted.states))
        if _is_open(wanted):
            # Says nothing new, but lets the index of what is open be used.
            chosen.append(in_state(runs, *OPEN_STATES))
    if wanted.reasons:
        chosen.append(runs.c.reason.in_(wanted.reasons))
    if wanted.label is not None:
        chosen.append(runs.c.labels.contains(f",{wanted.label},", autoescape=True))
    if wanted.collection is not None:
        of_it = select(collections.c.run_id).where(collections.c.id == wanted.collection)
        chosen.append(runs.c.id.in_(of_it))
    return chosen + _stretches(wanted)


def _is_open(wanted: RunFilter) -> bool:
    return bool(wanted.states) and set(wanted.states) <= set(OPEN_STATES)


def _stretches(wanted: RunFilter) -> list[ColumnElement[bool]]:
    bounds = (
        (runs.c.due_at, ge, wanted.since),
        (runs.c.due_at, le, wanted.until),
        (runs.c.ended_at, ge, wanted.ended_since),
        (runs.c.ended_at, le, wanted.ended_until),
    )
    return [within(column, bound) for column, within, bound in bounds if bound is not None]


def list_attempts(conn: Connection, run_id: int) -> list[Attempt]:
    """Return the attempts of a run, in the order they were made."""
    rows = conn.execute(
        select(attempts).where(attempts.c.run_id == run_id).order_by(attempts.c.number)
    )
    return records(Attempt, rows)


def list_retried(conn: Connection, run_ids: Sequence[int]) -> set[int]:
    """Return those of *run_ids* that a later run retries."""
    query = select(runs.c.retry_of).where(runs.c.retry_of.in_(run_ids))
    return {retried for retried in conn.scalars(query) if retried is not None}


def list_unfinished(conn: Connection, schedules: Sequence[str]) -> dict[str, list[Unfinished]]:
    """Return the runs of each schedule that have not ended, in the order they were due."""
    if not schedules:
        return {}
    rows = conn.execute(
        select(runs.c.schedule, runs.c.id, runs.c.state, runs.c.collection_id, runs.c.overdue_at)
        .where(
            runs.c.schedule.in_(schedules),
            in_state(runs, *OPEN_STATES),
            # A backfill stands beside the schedule: it has no order key, and is never too late.
            or_(runs.c.send_before.is_not(None), runs.c.order_key.is_not(None)),
        )
        .order_by(runs.c.due_at, runs.c.id)
    )
    unfinished: dict[str, list[Unfinished]] = {}
    for row in rows:
        is_overdue = row.overdue_at is not None
        run = Unfinished(row.id, RunState(row.state), row.collection_id, is_overdue)
        unfinished.setdefault(row.schedule, []).append(run)
    return unfinished


def find_last_error(conn: Connection, account: str) -> str | None:
    """Return what went wrong with the newest run of the account that is tried again."""
    # Not the newest of all by their order: that would look through the history.
    newest = select(func.max(runs.c.id)).where(
        runs.c.account == account,
        in_state(runs, RunState.QUEUED, RunState.UNCONFIRMED),
        runs.c.fence > 0,
        runs.c.detail.is_not(None),
    )
    return conn.scalar(select(runs.c.detail).where(runs.c.id == newest.scalar_subquery()))


def find_ahead(conn: Connection, run: Run) -> Run | None:
    """Return the run that a queued *run* is sent after: of its order, or of its full collector."""
    has_its_order = and_(runs.c.order_key.is_not(None), runs.c.order_key == run.order_key)
    is_earlier = tuple_(-runs.c.priority, runs.c.due_at, runs.c.id) < tuple_(
        -run.priority, run.due_at, run.id
    )
    unresolved = in_state(runs, *UNRESOLVED_STATES)
    is_in_its_way = [unresolved, and_(in_state(runs, RunState.QUEUED), is_earlier)]
    if run.queue is not None:
        is_in_its_way.append(in_state(runs, RunState.NEEDS_ATTENTION))
    of_collector = and_(
        runs.c.account == run.account, runs.c.collector_id == run.collector_id, unresolved
    )
    blocks = and_(has_its_order, or_(*is_in_its_way))
    if (conn.scalar(select(func.count()).where(of_collector)) or 0) >= _most_unresolved(conn, run):
        blocks = or_(blocks, of_collector)
    rows = conn.execute(
        select(runs)
        .where(in_state(runs, *IN_LINE_STATES), blocks, runs.c.id != run.id)
        .order_by(case((has_its_order, 0), else_=1), runs.c.due_at, runs.c.id)
        .limit(1)
    )
    row = rows.mappings().first()
    return None if row is None else record(Run, row)


def _most_unresolved(conn: Connection, run: Run) -> int:
    """Return what a claim goes by: the strictest row of the collector, or the usual."""
    strictest = select(func.min(collectors.c.max_unresolved)).where(
        collectors.c.account == run.account, collectors.c.collector_id == run.collector_id
    )
    return conn.scalar(strictest) or 1


def find_sent_first(conn: Connection, run: Run, *, until: datetime) -> Run | None:
    """Return the last run of the same order that was sent between its due time and *until*."""
    rows = conn.execute(
        select(runs)
        .where(
            # No index has the order of what has ended; those that it waits behind are not far.
            runs.c.id.between(run.id - _NEAR, run.id + _NEAR),
            runs.c.id != run.id,
            runs.c.order_key.is_not(None),
            runs.c.order_key == run.order_key,
            runs.c.triggered_at > run.due_at,
            runs.c.triggered_at <= until,
        )
        .order_by(runs.c.triggered_at.desc())
        .limit(1)
    )
    row = rows.mappings().first()
    return None if row is None else record(Run, row)


_NEAR = 1000
