"""Runs whose collection is followed: ended with it, or overdue."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, and_, bindparam, func, select, update

from scheduler.domain.records import Collection, Reason, Run, RunState
from scheduler.storage.rows import records
from scheduler.storage.run_events import SIGNED, signature
from scheduler.storage.runs.candidates import NOW
from scheduler.storage.tables import collections, in_state, runs


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Unheard:
    """So many collections were accepted and asked about, and no answer told anything of them."""

    count: int
    run_id: int
    collection_id: str
    accepted_at: datetime


def find_unheard(conn: Connection, *, before: datetime) -> Unheard | None:
    """Return those accepted *before* then, and the first of them; None where there is none."""
    told = (collections.c.status, collections.c.inputs, collections.c.lines)
    query = (
        select(
            func.count().over().label("count"),
            collections.c.run_id,
            collections.c.id.label("collection_id"),
            collections.c.accepted_at,
        )
        .where(
            collections.c.next_poll_at.is_not(None),
            collections.c.polled_at.is_not(None),
            collections.c.accepted_at < before,
            *(column.is_(None) for column in told),
        )
        .order_by(collections.c.accepted_at, collections.c.id)
        .limit(1)
    )
    return next(iter(records(Unheard, conn.execute(query))), None)


def list_overdue(conn: Connection) -> list[Run]:
    """Return runs whose collections should have ended long ago: the first twenty."""
    is_overdue = and_(in_state(runs, RunState.COLLECTING), runs.c.overdue_at.is_not(None))
    rows = conn.execute(select(runs).where(is_overdue).order_by(runs.c.id).limit(_MOST_TOLD))
    return records(Run, rows)
