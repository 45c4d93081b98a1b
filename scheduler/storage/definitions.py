"""Collectors, batches and queues, and the sent bodies: what schedules and runs refer to."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from scheduler.domain.errors import NotFound
from scheduler.domain.records import Batch, Collector, QueueOrder, StoredBody
from scheduler.storage.dialect import insert_new
from scheduler.storage.rows import record
from scheduler.storage.tables import batches, bodies, collectors, queues


async def list_collectors(conn: AsyncConnection) -> list[Collector]:
    """Return every collector, by name."""
    found = await conn.execute(select(collectors).order_by(collectors.c.name))
    return [record(Collector, row) for row in found.mappings()]


async def get_collector(conn: AsyncConnection, name: str) -> Collector:
    """Return the collector of that name, or raise NotFound."""
    found = await conn.execute(select(collectors).where(collectors.c.name == name))
    row = found.mappings().first()
    if row is None:
        raise NotFound(f"no collector is called {name!r}")
    return record(Collector, row)


async def list_batches(conn: AsyncConnection) -> list[Batch]:
    """Return every batch, by name."""
    found = await conn.execute(select(batches).order_by(batches.c.name))
    return [record(Batch, row) for row in found.mappings()]


async def get_batch(conn: AsyncConnection, name: str) -> Batch:
    """Return the batch of that name, or raise NotFound."""
    found = await conn.execute(select(batches).where(batches.c.name == name))
    row = found.mappings().first()
    if row is None:
        raise NotFound(f"no batch is called {name!r}")
    return record(Batch, row)


@dataclass(frozen=True, slots=True, kw_only=True)
class Queue:
    """What the operator settled about a named queue."""

    name: str
    queue_order: QueueOrder
    max_depth: int | None
    paused_at: datetime | None
    paused_by: str | None
    paused_reason: str | None


async def list_queues(conn: AsyncConnection) -> list[Queue]:
    """Return every queue that somebody settled something about, by name."""
    found = await conn.execute(select(queues).order_by(queues.c.name))
    return [record(Queue, row) for row in found.mappings()]


async def insert_bodies(conn: AsyncConnection, sent: list[StoredBody], *, now: datetime) -> None:
    """Store each body once, whoever stored it before."""
    await insert_new(
        conn,
        bodies,
        [
            {
                "fingerprint": body.fingerprint,
                "send_as": body.send_as,
                "row_count": body.row_count,
                "byte_count": body.byte_count,
                "text": body.text,
                "created_at": now,
            }
            for body in sent
        ],
    )


async def get_body(conn: AsyncConnection, fingerprint: str) -> StoredBody:
    """Return the body of that fingerprint; runs refer to nothing that is not there."""
    found = await conn.execute(select(bodies).where(bodies.c.fingerprint == fingerprint))
    return record(StoredBody, found.mappings().one())
