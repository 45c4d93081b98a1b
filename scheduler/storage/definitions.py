"""What schedules and runs refer to: collectors, batches, calendars, queues, and the sent bodies."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, select, union, update

from scheduler.domain.errors import NotFound
from scheduler.domain.records import (
    OPEN_STATES,
    Batch,
    Calendar,
    Collector,
    QueueOrder,
    StoredBody,
)
from scheduler.storage.dialect import insert_new
from scheduler.storage.rows import record, records
from scheduler.storage.tables import (
    batches,
    bodies,
    calendars,
    collectors,
    in_state,
    queues,
    runs,
    schedules,
)


def list_collectors(conn: Connection) -> list[Collector]:
    """Return every collector, by name."""
    found = conn.execute(select(collectors).order_by(collectors.c.name))
    return records(Collector, found)


def get_collector(conn: Connection, name: str) -> Collector:
    """Return the collector of that name, or raise NotFound."""
    found = conn.execute(select(collectors).where(collectors.c.name == name))
    row = found.mappings().first()
    if row is None:
        raise NotFound(f"no collector is called {name!r}")
    return record(Collector, row)


def list_batches(conn: Connection) -> list[Batch]:
    """Return every batch, by name."""
    found = conn.execute(select(batches).order_by(batches.c.name))
    return records(Batch, found)


def get_batch(conn: Connection, name: str) -> Batch:
    """Return the batch of that name, or raise NotFound."""
    found = conn.execute(select(batches).where(batches.c.name == name))
    row = found.mappings().first()
    if row is None:
        raise NotFound(f"no batch is called {name!r}")
    return record(Batch, row)


def list_calendars(conn: Connection) -> dict[str, Calendar]:
    """Return every calendar by its name."""
    found = conn.execute(select(calendars))
    return {row["name"]: record(Calendar, row) for row in found.mappings()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Queue:
    """What the operator settled about a named queue."""

    name: str
    queue_order: QueueOrder
    max_depth: int | None
    paused_at: datetime | None
    paused_by: str | None
    paused_reason: str | None


def list_queues(conn: Connection) -> dict[str, Queue]:
    """Return every queue that somebody settled something about, by name."""
    return {queue.name: queue for queue in records(Queue, conn.execute(select(queues)))}


def list_queue_names(conn: Connection) -> list[str]:
    """Return every queue that has rules, that a schedule names, or in which a run is."""
    return sorted(
        conn.scalars(
            union(
                select(queues.c.name),
                select(schedules.c.queue).where(schedules.c.queue.is_not(None)),
                select(runs.c.queue).where(runs.c.queue.is_not(None), in_state(runs, *OPEN_STATES)),
            )
        )
    )


def set_queue_paused(
    conn: Connection,
    name: str,
    *,
    paused_at: datetime | None,
    by: str | None,
    reason: str | None,
) -> None:
    """Pause a queue, or resume it with None; a queue without rules gets its row."""
    conn.execute(insert_new(queues), {"name": name})
    conn.execute(
        update(queues)
        .where(queues.c.name == name)
        .values(paused_at=paused_at, paused_by=by, paused_reason=reason)
    )


def insert_bodies(conn: Connection, sent: Collection[StoredBody], *, now: datetime) -> None:
    """Store each body once, whoever stored it before."""
    known = set(
        conn.scalars(
            select(bodies.c.fingerprint).where(
                bodies.c.fingerprint.in_([body.fingerprint for body in sent])
            )
        )
    )
    new = [
        {
            "fingerprint": body.fingerprint,
            "send_as": body.send_as,
            "row_count": body.row_count,
            "byte_count": body.byte_count,
            "text": body.text,
            "created_at": now,
        }
        for body in sent
        if body.fingerprint not in known
    ]
    if new:
        conn.execute(insert_new(bodies), new)


def get_body(conn: Connection, fingerprint: str) -> StoredBody:
    """Return the body of that fingerprint, or raise NotFound: SQLite's shell names any."""
    found = conn.execute(select(bodies).where(bodies.c.fingerprint == fingerprint))
    row = found.mappings().first()
    if row is None:
        raise NotFound(f"no body has the fingerprint {fingerprint!r}")
    return record(StoredBody, row)
