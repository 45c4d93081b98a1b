"""What a rehearsal asks: how long past collections took, and what became of its own runs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, insert, select

from scheduler.domain.records import Reason, RunState
from scheduler.storage.rows import records
from scheduler.storage.tables import bodies, collections, runs, schedules
from scheduler.storage.upkeep_tables import usage


@dataclass(frozen=True, slots=True, kw_only=True)
class PastCollection:
    """How long one took at the upstream, for how many inputs."""

    collector_id: str
    inputs: int
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class RehearsedRun:
    """As much of a run as tells what was sent, when, and what it waited for."""

    id: int
    schedule: str | None
    collector: str
    queue: str | None
    due_at: datetime
    not_before: datetime
    created_at: datetime
    created_by: str | None
    fence: int
    state: RunState
    reason: Reason
    detail: str | None
    occurrences: int
    triggered_at: datetime | None
    ended_at: datetime | None
    inputs: int | None


def list_past_collections(conn: Connection, *, limit: int) -> list[PastCollection]:
    """Return the newest that have ended, of all collectors together, newest first."""
    rows = conn.execute(
        select(
            runs.c.collector_id,
            collections.c.inputs,
            collections.c.started_at,
            collections.c.finished_at,
        )
        .join_from(collections, runs, runs.c.id == collections.c.run_id)
        .where(collections.c.started_at.is_not(None), collections.c.finished_at.is_not(None))
        .order_by(collections.c.accepted_at.desc())
        .limit(limit)
    )
    return [
        PastCollection(
            collector_id=row.collector_id,
            inputs=row.inputs or 0,
            seconds=max(0.0, (row.finished_at - row.started_at).total_seconds()),
        )
        for row in rows
    ]


def list_paused_schedules(conn: Connection) -> Sequence[str]:
    """Return the schedules that a person has paused, or the daemon."""
    return conn.scalars(select(schedules.c.name).where(schedules.c.paused_at.is_not(None))).all()


def list_schedule_names(conn: Connection) -> Sequence[str]:
    """Return the names of all schedules."""
    return conn.scalars(select(schedules.c.name).order_by(schedules.c.name)).all()


def list_usage(conn: Connection, *, since: str) -> list[Mapping[str, Any]]:
    """Return what was used on the days of UTC from *since* on, as rows."""
    found = conn.execute(select(usage).where(usage.c.day >= since))
    return [dict(row) for row in found.mappings()]


def add_usage(conn: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
    """Let a database that has no history know what was used."""
    if rows:
        conn.execute(insert(usage), rows)


def list_invalid(conn: Connection) -> dict[str, str]:
    """Return what is wrong with schedules that cannot fire."""
    found = select(schedules.c.name, schedules.c.error).where(schedules.c.error.is_not(None))
    return {row.name: row.error for row in conn.execute(found)}


def list_rehearsed(conn: Connection) -> list[RehearsedRun]:
    """Return all runs, by when they were due."""
    named = [column for column in runs.c if column.key in RehearsedRun.__dataclass_fields__]
    inputs = bodies.c.row_count.label("inputs")
    found = (
        select(*named, inputs)
        .join_from(runs, bodies, bodies.c.fingerprint == runs.c.body, isouter=True)
        .order_by(runs.c.due_at, runs.c.id)
    )
    return records(RehearsedRun, conn.execute(found))
