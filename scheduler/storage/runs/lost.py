"""Runs that failed since a moment, as much of each as it takes to group them."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, select

from scheduler.domain.records import Reason, RunState
from scheduler.storage.rows import records
from scheduler.storage.tables import LOST, in_state, runs


@dataclass(frozen=True, kw_only=True)
class FailedRun:
    """Of which schedule or collector a failed run is, when it ended and why."""

    id: int
    schedule: str | None
    collector: str
    reason: Reason
    detail: str | None
    ended_at: datetime


def list_failed(conn: Connection, *, since: datetime, limit: int) -> list[FailedRun]:
    """Return the runs that failed since then, the newest first."""
    columns = (runs.c[name] for name in FailedRun.__dataclass_fields__)
    query = (
        select(*columns)
        # What LOST says follows already, but lets its index be used.
        .where(in_state(runs, RunState.FAILED), LOST, runs.c.ended_at >= since)
        .order_by(runs.c.ended_at.desc())
        .limit(limit)
    )
    return records(FailedRun, conn.execute(query))
