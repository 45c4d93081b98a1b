"""Inputs that schedules leave out: which, since when, and which are to be."""

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, Integer, Subquery, and_, delete, func, or_, select, update

from scheduler.domain.batch import Parked, input_digest
from scheduler.domain.failed_inputs import ErrorClass, FailedInput
from scheduler.domain.parking import EndedPart, ParkedInput, last_occurrences
from scheduler.domain.records import JsonObject, Run, RunState, Schedule
from scheduler.storage.body_tables import ONE_PARKED
from scheduler.storage.dialect import insert_new
from scheduler.storage.json_rows import JsonValues
from scheduler.storage.rows import records
from scheduler.storage.tables import (
    bodies,
    collections,
    failed_inputs,
    in_state,
    parked_inputs,
    runs,
    schedules,
)


def mark_retried(conn: Connection, run_id: int, positions: Sequence[int]) -> None:
    """Note which failed inputs of a run are sent once more: these have not failed for good."""
    conn.execute(
        update(failed_inputs)
        .where(failed_inputs.c.run_id == run_id, _POSITIONS.has(failed_inputs.c.position))
        .values(retried=True),
        _POSITIONS.of(positions),
    )


_POSITIONS: Final = JsonValues("positions", Integer())


def park(
    conn: Connection, run: Run, failed: Sequence[FailedInput], *, after: int, now: datetime
) -> int:
    """Park those of *failed* in *run* that failed in each of the last *after* occurrences."""
    dues = last_occurrences(_list_ended(conn, run, limit=_LOOKED_AT * after), after)
    if len(dues) < after:
        return 0
    lasting = _list_lasting(conn, run, dues)
    rows = [
        {
            "schedule": run.schedule,
            "digest": input_digest(one.input).hex(),
            "input": text,
            "error": one.error,
            "error_class": one.error_class.value,
            "run_id": run.id,
            "parked_at": now,
        }
        for one in failed
        if (text := json.dumps(one.input, ensure_ascii=False)) in lasting
    ]
    if rows:
        conn.execute(insert_new(parked_inputs, ONE_PARKED), rows)
    return len(rows)


def _list_lasting(conn: Connection, run: Run, dues: Sequence[datetime]) -> set[str]:
    """Return the inputs that failed for good in each of these occurrences, as JSON."""
    of_them = (runs.c.schedule == run.schedule, runs.c.due_at.in_(dues), ~failed_inputs.c.retried)
    query = (
        select(failed_inputs.c.input)
        .join(runs, runs.c.id == failed_inputs.c.run_id)
        .where(*of_them)
        .group_by(failed_inputs.c.input)
        .having(func.count(runs.c.due_at.distinct()) == len(dues))
    )
    return set(conn.scalars(query))


_LOOKED_AT: Final = 10
"""So many occurrences are looked at for each that counts: some are left out."""


def _sent(run: Run, limit: int) -> Subquery:
    """Return the last occurrences of a schedule up to that of *run*: an index has just these."""
    return (
        select(runs.c.due_at)
        .where(
            runs.c.schedule == run.schedule,
            runs.c.due_at <= run.due_at,
            runs.c.retry_of.is_(None),
            runs.c.chunk == 1,
            runs.c.collection_id.is_not(None),
        )
        .order_by(runs.c.due_at.desc())
        .limit(limit)
        .subquery()
    )


def _list_ended(conn: Connection, run: Run, *, limit: int) -> list[EndedPart]:
    """Return the runs of a schedule up to this one of which it is known what failed."""
    is_known = or_(
        in_state(runs, RunState.SUCCEEDED),
        and_(
            in_state(runs, RunState.PARTIAL, RunState.FAILED),
            collections.c.failed_inputs.is_not(None),
        ),
    )
    rows = conn.execute(
        select(
            runs.c.due_at,
            runs.c.failed_inputs_of,
            bodies.c.row_count,
            func.coalesce(collections.c.failed_inputs, 0).label("failed"),
        )
        .join(collections, collections.c.id == runs.c.collection_id)
        .join(bodies, bodies.c.fingerprint == runs.c.body)
        .where(runs.c.schedule == run.schedule, runs.c.due_at <= run.due_at, is_known)
        .where(runs.c.due_at >= select(func.min(_sent(run, limit).c.due_at)).scalar_subquery())
        .order_by(runs.c.due_at.desc(), runs.c.id)
    )
    return [
        EndedPart(row.due_at, row.failed_inputs_of is not None, row.row_count, row.failed)
        for row in rows
    ]


def read_digests(conn: Connection, schedules: Collection[str]) -> dict[str, Parked]:
    """Return by what the parked inputs of each of *schedules* are known."""
    columns = (parked_inputs.c.schedule, parked_inputs.c.digest)
    if not schedules:
        return {}
    found: dict[str, set[bytes]] = {}
    for row in conn.execute(select(*columns).where(parked_inputs.c.schedule.in_(schedules))):
        found.setdefault(row.schedule, set()).add(bytes.fromhex(row.digest))
    return {schedule: frozenset(digests) for schedule, digests in found.items()}


def parked_of(conn: Connection, schedule: Schedule) -> Parked:
    """Return what one schedule leaves out: nothing where it has no `park_after`."""
    if schedule.park_after is None:
        return frozenset()
    return read_digests(conn, [schedule.name]).get(schedule.name, frozenset())


def list_parked(
    conn: Connection, schedule: str | None = None, *, limit: int, after: int = 0
) -> list[ParkedInput]:
    """Return parked inputs, of one schedule or of all, in the order in which they were parked."""
    query = select(parked_inputs).where(parked_inputs.c.id > after)
    if schedule is not None:
        query = query.where(parked_inputs.c.schedule == schedule)
    rows = conn.execute(query.order_by(parked_inputs.c.id).limit(limit))
    return [_parked(row) for row in rows]


def _parked(row: Any) -> ParkedInput:
    return ParkedInput(
        id=row.id,
        schedule=row.schedule,
        input=_read(row.input),
        error=row.error,
        kind=ErrorClass(row.error_class),
        run_id=row.run_id,
        parked_at=row.parked_at,
    )


def _read(text: str) -> JsonObject:
    value = json.loads(text)
    return value if isinstance(value, dict) else {}


def unpark(conn: Connection, schedule: str, ids: Collection[int] | None) -> list[int]:
    """Let a schedule send these again, or all; return which of them were parked."""
    of_schedule = parked_inputs.c.schedule == schedule
    chosen = of_schedule if ids is None else and_(of_schedule, parked_inputs.c.id.in_(ids))
    gone = delete(parked_inputs).where(chosen).returning(parked_inputs.c.id)
    return sorted(conn.scalars(gone))


@dataclass(frozen=True, slots=True, kw_only=True)
class ParkedCount:
    """How many inputs a schedule leaves out, since the first of them was parked."""

    schedule: str
    collector: str
    labels: str | None
    count: int
    since: datetime


def count_parked(conn: Connection) -> list[ParkedCount]:
    """Return the enabled schedules that leave inputs out, by name."""
    # First what is parked, most often nothing: of all schedules few have any.
    parked = (
        select(
            parked_inputs.c.schedule,
            func.count().label("count"),
            func.min(parked_inputs.c.parked_at).label("since"),
        )
        .group_by(parked_inputs.c.schedule)
        .cte("parked")
    )
    query = (
        select(parked, schedules.c.collector, schedules.c.labels)
        .join_from(parked, schedules, schedules.c.name == parked.c.schedule)
        .where(schedules.c.enabled, schedules.c.park_after.is_not(None))
        .order_by(parked.c.schedule)
    )
    return records(ParkedCount, conn.execute(query))
