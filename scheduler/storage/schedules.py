"""Schedules: what is due, and how far each has been fired."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

from sqlalchemy import (
    LABEL_STYLE_TABLENAME_PLUS_COL,
    Connection,
    Select,
    and_,
    bindparam,
    func,
    or_,
    select,
    update,
)

from scheduler.domain.errors import NotFound
from scheduler.domain.records import Batch, Collector, Schedule
from scheduler.storage.rows import record
from scheduler.storage.tables import batches, collectors, schedules

Record = TypeVar("Record")


@dataclass(frozen=True, slots=True, kw_only=True)
class WholeSchedule:
    """
    A schedule with the collector and the batch that it names.

    Either is None where the row names nothing: a client without foreign keys, as the
    sqlite3 shell is by default, can write that.
    """

    schedule: Schedule
    collector: Collector | None
    batch: Batch | None


def list_schedules(conn: Connection) -> list[Schedule]:
    """Return every schedule, by name."""
    found = conn.execute(select(schedules).order_by(schedules.c.name))
    return [record(Schedule, row) for row in found.mappings()]


def get_schedule(conn: Connection, name: str) -> WholeSchedule:
    """Return the schedule of that name with all it needs, or raise NotFound."""
    found = _whole(conn, _joined().where(schedules.c.name == name))
    if not found:
        raise NotFound(f"no schedule is called {name!r}")
    return found[0]


_runnable = and_(schedules.c.enabled, schedules.c.error.is_(None))
_unplanned = and_(schedules.c.enabled, schedules.c.planned_at.is_(None))
_set_aside = and_(schedules.c.enabled, schedules.c.error.is_not(None))


def list_due(conn: Connection, *, now: datetime, limit: int) -> list[WholeSchedule]:
    """Return up to *limit* enabled schedules that are due, the longest due first."""
    due = _joined().where(_runnable, schedules.c.next_fire_at <= now)
    return _whole(conn, due.order_by(schedules.c.next_fire_at).limit(limit))


def list_unplanned(conn: Connection, *, limit: int) -> list[WholeSchedule]:
    """Return up to *limit* enabled schedules that are new, or were edited since last planned."""
    return _whole(conn, _joined().where(_unplanned).limit(limit))


def list_set_aside(conn: Connection, *, limit: int) -> list[WholeSchedule]:
    """Return enabled schedules that are set aside for an error; what they name may be mended."""
    return _whole(conn, _joined().where(_set_aside).limit(limit))


def claim(conn: Connection, names: Iterable[str]) -> list[WholeSchedule]:
    """
    Return those of *names* that are enabled, held until the transaction ends.

    What another daemon holds at this moment is left out: it is being fired there.
    """
    query = _joined().where(schedules.c.name.in_(list(names)), schedules.c.enabled)
    return _whole(conn, query.with_for_update(skip_locked=True, of=schedules))


def find_next_fire(conn: Connection) -> datetime | None:
    """Return when the next schedule is due; None when none ever is."""
    return conn.scalar(
        select(schedules.c.next_fire_at)
        .where(_runnable, schedules.c.next_fire_at.is_not(None))
        .order_by(schedules.c.next_fire_at)
        .limit(1)
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class SetAside:
    """A schedule that does not fire because of an error in it or in what it names."""

    name: str
    error: str


def list_errors(conn: Connection) -> list[SetAside]:
    """Return the enabled schedules that are set aside, by name."""
    found = conn.execute(
        select(schedules.c.name, schedules.c.error).where(_set_aside).order_by(schedules.c.name)
    )
    return [record(SetAside, row) for row in found.mappings()]


def count_enabled(conn: Connection) -> int:
    """Return how many schedules are enabled."""
    return conn.scalar(select(func.count()).select_from(schedules).where(schedules.c.enabled)) or 0


def set_enabled(conn: Connection, name: str, *, enabled: bool) -> bool:
    """Switch a schedule on or off; False when none has that name."""
    changed = conn.execute(
        update(schedules).where(schedules.c.name == name).values(enabled=enabled)
    )
    return changed.rowcount == 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """How far a schedule is decided now, or the error for which it is set aside."""

    schedule: str
    fired_until: datetime | None
    next_fire_at: datetime | None
    error: str | None = None


def record_marks(conn: Connection, marks: Sequence[Mark], *, now: datetime) -> None:
    """Move each schedule's marks, never back; the caller holds the rows since `claim`."""
    if not marks:
        return
    moved = (
        update(schedules)
        .where(
            schedules.c.name == bindparam("schedule"),
            or_(
                schedules.c.fired_until.is_(None),
                schedules.c.fired_until <= bindparam("to_fired_until"),
                bindparam("to_fired_until").is_(None),
            ),
        )
        .values(
            fired_until=func.coalesce(bindparam("to_fired_until"), schedules.c.fired_until),
            next_fire_at=bindparam("to_next_fire_at"),
            error=bindparam("to_error"),
            planned_at=now,
        )
    )
    conn.execute(
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
        .join_from(schedules, collectors, collectors.c.name == schedules.c.collector, isouter=True)
        .join(batches, batches.c.name == schedules.c.batch, isouter=True)
        .set_label_style(LABEL_STYLE_TABLENAME_PLUS_COL)
    )


def _whole(conn: Connection, query: Select[Any]) -> list[WholeSchedule]:
    return [
        WholeSchedule(
            schedule=record(Schedule, _part(row, "schedules_")),
            collector=_optional(Collector, _part(row, "collectors_")),
            batch=_optional(Batch, _part(row, "batches_")),
        )
        for row in conn.execute(query).mappings()
    ]


def _optional(kind: type[Record], part: Mapping[str, Any]) -> Record | None:
    return None if part["name"] is None else record(kind, part)


def _part(row: Mapping[Any, Any], prefix: str) -> dict[str, Any]:
    return {key.removeprefix(prefix): value for key, value in row.items() if key.startswith(prefix)}
