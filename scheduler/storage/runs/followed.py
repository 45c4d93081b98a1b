"""Runs whose collection is followed: ended with it, or overdue."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, and_, bindparam, select, update

from scheduler.domain.records import Collection, Reason, Run, RunState
from scheduler.storage.rows import records
from scheduler.storage.run_events import SIGNED, signature
from scheduler.storage.runs.candidates import NOW
from scheduler.storage.tables import in_state, runs


@dataclass(frozen=True, slots=True, kw_only=True)
class EndedCollection:
    """How the run of a collection has ended."""

    collection: Collection
    state: RunState
    reason: Reason
    detail: str | None


def end_runs(conn: Connection, ended: Sequence[EndedCollection], *, now: datetime) -> None:
    """End the runs of collections; one that does not wait for this collection is left alone."""
    signed = {"now": now} | signature(conn, now)
    rows = [
        {
            "of": end.collection.run_id,
            "collection": end.collection.id,
            "to_state": end.state,
            "why": end.reason,
            "words": end.detail,
            **signed,
        }
        for end in ended
    ]
    if rows:
        conn.execute(_ENDED, rows)


_ENDED = (
    update(runs)
    .where(
        runs.c.id == bindparam("of"),
        runs.c.collection_id == bindparam("collection"),
        in_state(runs, RunState.COLLECTING),
    )
    .values(
        state=bindparam("to_state"),
        reason=bindparam("why"),
        detail=bindparam("words"),
        ended_at=NOW,
        **SIGNED,
    )
)


def mark_overdue(conn: Connection, run_ids: Sequence[int], *, now: datetime) -> None:
    """Mark runs whose collections should have ended long ago: they hold up nobody any more."""
    if not run_ids:
        return
    conn.execute(
        update(runs)
        .where(runs.c.id.in_(run_ids), in_state(runs, RunState.COLLECTING))
        .values(overdue_at=now)
    )


_MOST_TOLD = 20


def list_overdue(conn: Connection) -> list[Run]:
    """Return runs whose collections should have ended long ago: the first twenty."""
    is_overdue = and_(in_state(runs, RunState.COLLECTING), runs.c.overdue_at.is_not(None))
    rows = conn.execute(select(runs).where(is_overdue).order_by(runs.c.id).limit(_MOST_TOLD))
    return records(Run, rows)
