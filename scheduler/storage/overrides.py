"""Temporary overrides of schedules' fields: stored, laid over what is fired, forgotten."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from sqlalchemy import Connection, delete, insert, select

from scheduler.domain.records import Batch
from scheduler.domain.schedule_override import Override, overridden
from scheduler.storage.rows import record, records, values_of
from scheduler.storage.schedules import WholeSchedule
from scheduler.storage.tables import batches, overrides


def list_in_force(
    conn: Connection, *, now: datetime, schedules: Sequence[str] | None = None
) -> list[Override]:
    """Return the overrides that hold at *now*, by schedule and field."""
    query = select(overrides).where(overrides.c.until > now)
    if schedules is not None:
        query = query.where(overrides.c.schedule.in_(schedules))
    found = conn.execute(query.order_by(overrides.c.schedule, overrides.c.field))
    return records(Override, found)


def lay_over(
    conn: Connection, found: Sequence[WholeSchedule], *, now: datetime
) -> list[WholeSchedule]:
    """Return the schedules as they are while their overrides hold at *now*."""
    in_force = list_in_force(conn, now=now) if found else []
    by_schedule: dict[str, list[Override]] = {}
    for one in in_force:
        by_schedule.setdefault(one.schedule, []).append(one)
    return [
        _laid_over(conn, whole, by_schedule[whole.schedule.name])
        if whole.schedule.name in by_schedule
        else whole
        for whole in found
    ]


def _laid_over(
    conn: Connection, whole: WholeSchedule, in_force: Sequence[Override]
) -> WholeSchedule:
    schedule = overridden(whole.schedule, in_force)
    if schedule.batch == whole.schedule.batch:
        return replace(whole, schedule=schedule)
    return replace(whole, schedule=schedule, batch=_find_batch(conn, schedule.batch))


def _find_batch(conn: Connection, name: str) -> Batch | None:
    row = conn.execute(select(batches).where(batches.c.name == name)).mappings().first()
    return None if row is None else record(Batch, row)


def put_override(conn: Connection, override: Override) -> None:
    """Store an override, in place of an earlier one of the same field."""
    delete_overrides(conn, override.schedule, field=override.field)
    conn.execute(insert(overrides).values(**values_of(override)))


def delete_overrides(conn: Connection, schedule: str, *, field: str | None) -> int:
    """Forget a schedule's override of *field*, all of them with None; return how many."""
    query = delete(overrides).where(overrides.c.schedule == schedule)
    if field is not None:
        query = query.where(overrides.c.field == field)
    return conn.execute(query).rowcount


def delete_lapsed(conn: Connection, *, before: datetime) -> None:
    """Forget the overrides that ended before then."""
    conn.execute(delete(overrides).where(overrides.c.until < before))
