"""Schedules: what is due, and how far each has been fired."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import LABEL_STYLE_TABLENAME_PLUS_COL, Select, bindparam, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from scheduler.domain.errors import NotFound
from scheduler.domain.records import Batch, Collector, Schedule
from scheduler.storage.rows import record
from scheduler.storage.tables import batches, collectors, schedules


@dataclass(frozen=True, slots=True, kw_only=True)
class WholeSchedule:
    """A schedule with the collector and the batch that it names."""

    schedule: Schedule
    collector: Collector
    batch: Batch


async def list_schedules(conn: AsyncConnection) -> list[Schedule]:
    """Return every schedule, by name."""
    found = await conn.execute(select(schedules).order_by(schedules.c.name))
    return [record(Schedule, row) for row in found.mappings()]


async def get_schedule(conn: AsyncConnection, name: str) -> WholeSchedule:
    """Return the schedule of that name with all it needs, or raise NotFound."""
    found = await _whole(conn, _joined().where(schedules.c.name == name))
    if not found:
        raise NotFound(f"no schedule is called {name!r}")
    return found[0]


async def list_due(conn: AsyncConnection, *, now: datetime, limit: int) -> list[WholeSchedule]:
    """Return the enabled schedules that are due or were edited, the longest due first."""
    runnable = _joined().where(schedules.c.enabled, schedules.c.error.is_(None))
    due = runnable.where(schedules.c.next_fire_at <= now).order_by(schedules.c.next_fire_at)
    edited = runnable.where(schedules.c.planned_at.is_(None))
    found = {}
    for query in (due, edited):
        for whole in await _whole(conn, query.limit(limit)):
            found[whole.schedule.name] = whole
    return list(found.values())


async def claim_due(
    conn: AsyncConnection, names: Iterable[str], *, now: datetime
) -> list[WholeSchedule]:
    """
    Return those of *names* that are still due or unplanned, held until the transaction ends.

    What another daemon holds at this moment is left out: it is being fired there.
    """
    query = _joined().where(
        schedules.c.name.in_(list(names)),
        schedules.c.enabled,
        schedules.c.error.is_(None),
        or_(schedules.c.next_fire_at <= now, schedules.c.planned_at.is_(None)),
    )
    return await _whole(conn, query.with_for_update(skip_locked=True, of=schedules))


async def find_next_fire(conn: AsyncConnection) -> datetime | None:
    """Return when the next schedule is due; None when none ever is."""
    return await conn.scalar(
        select(schedules.c.next_fire_at)
        .where(
            schedules.c.enabled, schedules.c.error.is_(None), schedules.c.next_fire_at.is_not(None)
        )
        .order_by(schedules.c.next_fire_at)
        .limit(1)
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """How far a schedule is decided now, or the error for which it is set aside."""

    schedule: str
    fired_until: datetime | None
    next_fire_at: datetime | None
    error: str | None = None


async def record_marks(conn: AsyncConnection, marks: Sequence[Mark], *, now: datetime) -> None:
    """Move each schedule's marks; the caller holds the rows since claim_due."""
    if not marks:
        return
    moved = (
        update(schedules)
        .where(schedules.c.name == bindparam("schedule"))
        .values(
            fired_until=bindparam("to_fired_until"),
            next_fire_at=bindparam("to_next_fire_at"),
            error=bindparam("to_error"),
            planned_at=now,
        )
    )
    await conn.execute(
        moved,
        [
            {
                "schedule": mark.schedule,
                "to_fired_until": mark.fired_until,
                "to_next_fire_at": mark.next_fire_at,
                "to_error": mark.error,
            }
            for mark in marks
        ],
    )


def _joined() -> Select[Any]:
    return (
        select(schedules, collectors, batches)
        .join_from(schedules, collectors, collectors.c.name == schedules.c.collector)
        .join(batches, batches.c.name == schedules.c.batch)
        .set_label_style(LABEL_STYLE_TABLENAME_PLUS_COL)
    )


async def _whole(conn: AsyncConnection, query: Select[Any]) -> list[WholeSchedule]:
    found = await conn.execute(query)
    return [
        WholeSchedule(
            schedule=record(Schedule, _part(row, "schedules_")),
            collector=record(Collector, _part(row, "collectors_")),
            batch=record(Batch, _part(row, "batches_")),
        )
        for row in found.mappings()
    ]


def _part(row: Mapping[Any, Any], prefix: str) -> dict[str, Any]:
    return {key.removeprefix(prefix): value for key, value in row.items() if key.startswith(prefix)}
