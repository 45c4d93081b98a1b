"""What was last sent of a batch: the bodies of the last occurrence that the upstream accepted."""

from collections.abc import Collection
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, ScalarSelect, func, select

from scheduler.domain.in_vain import LastGood
from scheduler.domain.records import Reason, Run, RunState
from scheduler.storage.rows import records
from scheduler.storage.runs.read import get_run
from scheduler.storage.tables import bodies, in_state, runs, schedules


def find_last_sent(conn: Connection, batch: str) -> Run | None:
    """Return the last run of *batch* that was accepted, by a schedule that has it or by hand."""
    of_a_schedule = _last(batch, runs.c.schedule == schedules.c.name)
    of_all = select(func.max(of_a_schedule)).where(schedules.c.batch == batch)
    by_hand = select(_last(batch, runs.c.schedule.is_(None)))
    ids = [last for last in map(conn.scalar, (of_all, by_hand)) if last is not None]
    return get_run(conn, max(ids)) if ids else None


def _last(batch: str, owner: ColumnElement[bool]) -> ScalarSelect[int]:
    """Look from the newest run back: what was sent is seldom far."""
    return (
        select(runs.c.id)
        .where(
            owner,
            runs.c.batch == batch,
            runs.c.collection_id.is_not(None),
            runs.c.retry_of.is_(None),
        )
        .order_by(runs.c.id.desc())
        .limit(1)
        .scalar_subquery()
    )


def count_last_sent(conn: Connection, batches: Collection[str]) -> dict[str, int]:
    """Return how many inputs each batch had when it was last sent, all chunks together."""
    counts = {}
    for batch in batches:
        last = find_last_sent(conn, batch)
        if last is not None:
            counts[batch] = conn.scalar(
                select(func.sum(bodies.c.row_count))
                .select_from(runs)
                .join(bodies, bodies.c.fingerprint == runs.c.body)
                .where(*_chunks_of(last))
            )
    return {batch: int(count) for batch, count in counts.items() if count is not None}


def list_last_good(conn: Connection, schedules: Collection[str]) -> dict[str, LastGood]:
    """Return the last occurrence of each of which a run succeeded, where all its chunks did."""
    found = {schedule: _last_good(conn, schedule) for schedule in schedules}
    return {schedule: good for schedule, good in found.items() if good is not None}


def _last_good(conn: Connection, schedule: str) -> LastGood | None:
    good = (
        runs.c.schedule == schedule,
        in_state(runs, RunState.SUCCEEDED),
        runs.c.failed_inputs_of.is_(None),
    )
    newest = select(runs).where(*good).order_by(runs.c.id.desc()).limit(1)
    last = next(iter(records(Run, conn.execute(newest))), None)
    if last is None:
        return None
    of_it = select(runs.c.chunk, runs.c.body).where(*good, runs.c.due_at == last.due_at)
    bodies_of = {row.chunk: row.body for row in conn.execute(of_it.order_by(runs.c.id))}
    if len(bodies_of) != last.chunks:
        return None
    return LastGood(
        run_id=last.id,
        due_at=last.due_at,
        collector_id=last.collector_id,
        bodies=tuple(bodies_of[chunk] for chunk in sorted(bodies_of)),
    )


def list_chunks(conn: Connection, run: Run) -> list[Run]:
    """Return the runs of the occurrence that *run* is a chunk of, in order."""
    rows = conn.execute(select(runs).where(*_chunks_of(run)).order_by(runs.c.chunk))
    return records(Run, rows)


def _chunks_of(run: Run) -> list[ColumnElement[bool]]:
    if run.retry_of is not None or (run.schedule is None and run.chunks == 1):
        return [runs.c.id == run.id]
    conditions = [
        runs.c.schedule == run.schedule,
        runs.c.due_at == run.due_at,
        runs.c.retry_of.is_(None),
    ]
    if run.schedule is None:  # at the same moment others may have been asked for
        conditions += [runs.c.order_key == run.order_key, runs.c.chunks == run.chunks]
    return conditions


def list_changed_shares(
    conn: Connection, names: Collection[str], *, since: datetime
) -> dict[str, float]:
    """Return of these schedules which share of what was due since then was not `unchanged`."""
    changed = func.count().filter(runs.c.reason != Reason.UNCHANGED) * 1.0 / func.count()
    due = (runs.c.schedule.in_(names), runs.c.due_at >= since, runs.c.chunk == 1)
    query = select(runs.c.schedule, changed).where(*due).group_by(runs.c.schedule)
    return {name: float(share) for name, share in conn.execute(query)} if names else {}
