"""What schedules and runs refer to: collectors, batches, calendars, queues, and the sent bodies."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, func, literal, select, union, update

from scheduler.domain.errors import NotFound
from scheduler.domain.pauses import is_paused
from scheduler.domain.records import OPEN_STATES, Batch, Calendar, Collector, QueueOrder, StoredBody
from scheduler.domain.suggestions import MOST_NAMES, did_you_mean
from scheduler.storage.body_parts import delete_parts
from scheduler.storage.definition_tables import signed_edit
from scheduler.storage.dialect import insert_new
from scheduler.storage.rows import record, records
from scheduler.storage.tables import (
    batches,
    bodies,
    calendars,
    changes,
    collectors,
    in_state,
    queues,
    runs,
    schedules,
)


def list_collectors(conn: Connection) -> list[Collector]:
    """Return every collector, by name."""
    rows = conn.execute(select(collectors).order_by(collectors.c.name))
    return records(Collector, rows)


def accounts_of_collectors(conn: Connection) -> dict[str, str]:
    """Return by the name of each collector whose token runs it."""
    return dict(conn.execute(select(collectors.c.name, collectors.c.account)).all())


def get_collector(conn: Connection, name: str) -> Collector:
    """Return the collector of that name, or raise NotFound."""
    rows = conn.execute(select(collectors).where(collectors.c.name == name))
    row = rows.mappings().first()
    if row is None:
        names = conn.scalars(select(collectors.c.name))
        raise NotFound(f"no collector is called {name!r}{did_you_mean(name, names)}")
    return record(Collector, row)


def list_batches(conn: Connection) -> list[Batch]:
    """Return every batch, by name."""
    rows = conn.execute(select(batches).order_by(batches.c.name))
    return records(Batch, rows)


def list_batch_rules(
    conn: Connection, *, limit: int, after: str | None = None, name: str | None = None
) -> list[tuple[Batch, dict[str, Any]]]:
    """
    Return batches without their inputs, by name, each with what is known of it besides.

    Those *after* a name, or the one of that *name*.
    """
    rules = [column for column in batches.c if column.name != "inputs"]
    used = select(func.count()).where(schedules.c.batch == batches.c.name)
    subject = literal("batches.").concat(batches.c.name)
    changed = select(func.max(changes.c.happened_at)).where(changes.c.subject == subject)
    besides = {
        "input_bytes": func.length(batches.c.inputs),
        "changed_at": changed.scalar_subquery(),
        "used_by_count": used.scalar_subquery(),
    }
    labelled = [value.label(key) for key, value in besides.items()]
    query = select(*rules, *labelled).order_by(batches.c.name).limit(limit)
    if after is not None:
        query = query.where(batches.c.name > after)
    if name is not None:
        query = query.where(batches.c.name == name)
    return [
        (record(Batch, {**row, "inputs": None}), {key: row[key] for key in besides})
        for row in conn.execute(query).mappings()
    ]


def list_canaries(conn: Connection) -> dict[str, str]:
    """Return the canary of each batch that has one, by name."""
    query = select(batches.c.name, batches.c.canary).where(batches.c.canary.is_not(None))
    return {row.name: row.canary for row in conn.execute(query)}


def count_batches(conn: Connection) -> int:
    """Return how many batches there are."""
    return conn.scalar(select(func.count()).select_from(batches)) or 0


def get_batch(conn: Connection, name: str) -> Batch:
    """Return the batch of that name, or raise NotFound."""
    rows = conn.execute(select(batches).where(batches.c.name == name))
    row = rows.mappings().first()
    if row is None:
        names = conn.scalars(select(batches.c.name).limit(MOST_NAMES + 1))
        raise NotFound(f"no batch is called {name!r}{did_you_mean(name, names)}")
    return record(Batch, row)


def list_calendars(conn: Connection) -> dict[str, Calendar]:
    """Return every calendar by its name."""
    rows = conn.execute(select(calendars))
    return {row["name"]: record(Calendar, row) for row in rows.mappings()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Queue:
    """What the operator settled about a named queue."""

    name: str
    queue_order: QueueOrder
    max_depth: int | None
    paused_at: datetime | None
    paused_by: str | None
    paused_reason: str | None
    paused_until: datetime | None

    def is_paused(self, now: datetime) -> bool:
        """Tell whether somebody has stopped it, and that lasts."""
        return is_paused(self.paused_at, self.paused_until, now)


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


def check_queue(conn: Connection, name: str) -> None:
    """Raise NotFound for a queue that nothing names and nothing is in."""
    names = list_queue_names(conn)
    if name not in names:
        raise NotFound(
            f"no schedule, run or rule names a queue {name!r}{did_you_mean(name, names)}"
        )


def set_queue_paused(
    conn: Connection,
    name: str,
    *,
    paused_at: datetime | None,
    by: str | None,
    reason: str | None,
    until: datetime | None = None,
) -> None:
    """Pause a queue, or resume it with None; a queue without rules gets its row."""
    conn.execute(insert_new(queues), {"name": name, "edits": 1})
    conn.execute(
        update(queues)
        .where(queues.c.name == name)
        .values(
            paused_at=paused_at,
            paused_by=by,
            paused_reason=reason,
            paused_until=until,
            **signed_edit(queues),
        )
    )


def lift_lapsed_pauses(conn: Connection, *, now: datetime) -> None:
    """Lift the pauses of queues that have come to their end."""
    names = conn.scalars(select(queues.c.name).where(queues.c.paused_until <= now)).all()
    for name in names:
        set_queue_paused(conn, name, paused_at=None, by=None, reason=None)


def insert_bodies(conn: Connection, sent: Collection[StoredBody], *, now: datetime) -> None:
    """Store each body once, whoever stored it before; parts that are there twice are dropped."""
    stored = set(
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
            "parts": body.parts,
        }
        for body in sent
        if body.fingerprint not in stored
    ]
    if new:
        conn.execute(insert_new(bodies), new)
    for body in sent:
        if body.parts is not None and get_body(conn, body.fingerprint).parts != body.parts:
            delete_parts(conn, body.parts)


def get_body(conn: Connection, fingerprint: str) -> StoredBody:
    """Return the body of that fingerprint, or raise NotFound: SQLite's shell names any."""
    rows = conn.execute(select(bodies).where(bodies.c.fingerprint == fingerprint))
    row = rows.mappings().first()
    if row is None:
        raise NotFound(f"no body has the fingerprint {fingerprint!r}")
    return record(StoredBody, row)
