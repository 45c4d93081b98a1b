"""Temporary overrides of schedules' fields: stored, laid over what is fired, forgotten."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, and_, delete, insert, select, update

from scheduler.domain.records import Batch
from scheduler.domain.schedule_override import Override, overridden
from scheduler.storage.rows import record, records, values_of
from scheduler.storage.schedules import ScheduleWithRefs
from scheduler.storage.tables import batches, overrides


def list_in_force(
    conn: Connection, *, now: datetime, schedules: Sequence[str] | None = None
) -> list[Override]:
    """Return the overrides that hold at *now*, by schedule and field."""
    query = select(overrides).where(overrides.c.until > now)
    if schedules is not None:
        query = query.where(overrides.c.schedule.in_(schedules))
    rows = conn.execute(query.order_by(overrides.c.schedule, overrides.c.field))
    return records(Override, rows)


def apply_overrides(
    conn: Connection, schedules: Sequence[ScheduleWithRefs], *, now: datetime
) -> list[ScheduleWithRefs]:
    """Return the schedules as they are while their overrides hold at *now*."""
    in_force = list_in_force(conn, now=now) if schedules else []
    by_schedule: dict[str, list[Override]] = {}
    for override in in_force:
        by_schedule.setdefault(override.schedule, []).append(override)
    return [
        _with_overrides(conn, whole, by_schedule[whole.schedule.name])
        if whole.schedule.name in by_schedule
        else whole
        for whole in schedules
    ]


def _with_overrides(
    conn: Connection, whole: ScheduleWithRefs, in_force: Sequence[Override]
) -> ScheduleWithRefs:
    schedule = overridden(whole.schedule, in_force)
    is_other = schedule.batch != whole.schedule.batch
    batch = _find_batch(conn, schedule.batch) if is_other else whole.batch
    # It is not its row's any more, and is not taken for it.
    return replace(whole, schedule=schedule, batch=batch, as_text="")


def _find_batch(conn: Connection, name: str) -> Batch | None:
    row = conn.execute(select(batches).where(batches.c.name == name)).mappings().first()
    return None if row is None else record(Batch, row)


def put_override(conn: Connection, override: Override) -> None:
    """Store an override, in place of an earlier one of the same field."""
    delete_overrides(conn, override.schedule, field=override.field)
    conn.execute(insert(overrides).values(edits=1, **values_of(override)))


def delete_overrides(conn: Connection, schedule: str, *, field: str | None) -> int:
    """Forget a schedule's override of *field*, all of them with None; return how many."""
    which = [overrides.c.schedule == schedule]
    if field is not None:
        which.append(overrides.c.field == field)
    return _delete(conn, and_(*which))


def delete_lapsed(conn: Connection, *, before: datetime) -> None:
    """Forget the overrides that ended before then."""
    _delete(conn, overrides.c.until < before)


def _delete(conn: Connection, which: ColumnElement[bool]) -> int:
    # Signed: else the audit has it as another client's.
    conn.execute(update(overrides).where(which).values(edits=-1))
    return conn.execute(delete(overrides).where(which)).rowcount
