"""Which inputs of runs failed: collections that are to be asked about, and what came of it."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Select, func, insert, or_, select, update

from scheduler.domain.failed_inputs import MOST_KEPT, FailedInput
from scheduler.domain.records import Collection, JsonObject
from scheduler.storage.rows import record as record_of
from scheduler.storage.tables import collections, failed_inputs, runs


@dataclass(frozen=True, slots=True, kw_only=True)
class ToAsk:
    """A collection whose failed inputs are asked for, for the time that is *asked*."""

    collection: Collection
    asked: int


def find_next(conn: Connection) -> datetime | None:
    """Return when a collection is next to be asked about; None for never."""
    due: datetime | None = conn.scalar(_NEXT)
    return due


_NEXT: Select[Any] = select(func.min(collections.c.errors_due_at)).where(
    collections.c.errors_due_at.is_not(None)
)


def list_accounts(conn: Connection, *, now: datetime) -> list[str]:
    """Return the accounts of collections that are to be asked about now."""
    due = select(collections.c.account).where(collections.c.errors_due_at <= now)
    return list(conn.scalars(due.distinct().order_by(collections.c.account)))


def claim(
    conn: Connection, account: str, *, now: datetime, owner: str, until: datetime, limit: int
) -> list[ToAsk]:
    """Take up to *limit* collections under a lease, which counts as a question on the wire."""
    due = (
        select(collections.c.id)
        .where(
            collections.c.account == account,
            collections.c.errors_due_at <= now,
            or_(collections.c.lease_until.is_(None), collections.c.lease_until < now),
        )
        .order_by(collections.c.errors_due_at)
        .limit(limit)
    )
    ids = list(conn.scalars(due))
    taken = (
        update(collections)
        .where(collections.c.id.in_(ids), collections.c.errors_due_at <= now)
        .values(lease_owner=owner, lease_until=until, errors_asked=collections.c.errors_asked + 1)
    )
    conn.execute(taken)
    rows = conn.execute(select(collections).where(collections.c.id.in_(ids))).mappings()
    return [ToAsk(collection=record_of(Collection, row), asked=row["errors_asked"]) for row in rows]


def put_off(conn: Connection, collection_id: str, *, until: datetime | None) -> None:
    """Ask again then; None: never."""
    conn.execute(
        update(collections)
        .where(collections.c.id == collection_id)
        .values(errors_due_at=until, lease_owner=None, lease_until=None)
    )


def record(conn: Connection, collection: Collection, failed: Sequence[FailedInput]) -> bool:
    """Keep which inputs *failed*, the first 10,000; False where that was done before."""
    done = conn.execute(
        update(collections)
        .where(collections.c.id == collection.id, collections.c.errors_due_at.is_not(None))
        .values(errors_due_at=None, failed_inputs=len(failed), lease_owner=None, lease_until=None)
    )
    if done.rowcount != 1:
        return False
    rows = [
        {
            "run_id": collection.run_id,
            "position": one.position,
            "input": json.dumps(one.input, ensure_ascii=False),
            "error": one.error,
            "error_class": one.error_class.value,
        }
        for one in failed[:MOST_KEPT]
    ]
    if rows:
        conn.execute(insert(failed_inputs), rows)
    return True


def list_failed(conn: Connection, run_id: int, *, limit: int, after: int = -1) -> list[FailedInput]:
    """Return failed inputs of a run, in the order they were sent, *after* a position."""
    rows = conn.execute(
        select(failed_inputs)
        .where(failed_inputs.c.run_id == run_id, failed_inputs.c.position > after)
        .order_by(failed_inputs.c.position)
        .limit(limit)
    )
    return [
        FailedInput(position=row.position, input=_read(row.input), error=row.error) for row in rows
    ]


def _read(text: str) -> JsonObject:
    value = json.loads(text)
    return value if isinstance(value, dict) else {}


def list_retries(conn: Connection, run_id: int) -> list[int]:
    """Return the runs that send what a run sent, or a part of it, once more."""
    of_run = select(runs.c.id).where(runs.c.retry_of == run_id, runs.c.retry_of.is_not(None))
    return list(conn.scalars(of_run.order_by(runs.c.id)))


def count_retries(conn: Connection, run_id: int) -> int:
    """Return how many runs before this one have sent failed inputs of one another."""
    count, of = 0, conn.scalar(select(runs.c.failed_inputs_of).where(runs.c.id == run_id))
    while of is not None:
        count += 1
        of = conn.scalar(select(runs.c.failed_inputs_of).where(runs.c.id == of))
    return count
