"""When each schedule last ended, and when well: kept, for to ask its runs may mean all of them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, case, select, true

from scheduler.storage.dialect import Inserted, insert_or_update
from scheduler.storage.json_rows import JsonRows, JsonValues
from scheduler.storage.rows import records
from scheduler.storage.tables import last_ends


@dataclass(frozen=True, slots=True, kw_only=True)
class LastEnd:
    """When a run of *schedule* last ended, skipped ones aside; and when one last succeeded."""

    schedule: str
    ended_at: datetime
    succeeded_at: datetime | None


def record(conn: Connection, ends: Iterable[LastEnd]) -> None:
    """Keep what is later than what is there; of a schedule there is one in *ends*."""
    rows = sorted((end.schedule, end.ended_at, end.succeeded_at) for end in ends)
    if rows:
        conn.execute(_KEPT, _ROWS.of(rows))


def list_last_ends(conn: Connection, schedules: Iterable[str]) -> dict[str, LastEnd]:
    """Return the last ends of those that have one, by schedule."""
    found = conn.execute(
        select(last_ends).where(_NAMES.has(last_ends.c.schedule)), _NAMES.of(schedules)
    )
    return {end.schedule: end for end in records(LastEnd, found)}


_ROWS: Final = JsonRows("rows", **{name: column.type for name, column in last_ends.c.items()})
_NAMES: Final = JsonValues("names", last_ends.c.schedule.type)


def _later(row: Inserted) -> Mapping[str, Any]:
    return {name: _latest(row[name], last_ends.c[name]) for name in ("ended_at", "succeeded_at")}


def _latest(one: ColumnElement[Any], other: ColumnElement[Any]) -> ColumnElement[Any]:
    return case((other.is_(None), one), (one > other, one), else_=other)


# Without a condition SQLite would take ON CONFLICT for that of a join.
_KEPT: Final = insert_or_update(last_ends, _later).from_select(
    tuple(_ROWS.c), select(*_ROWS.c.values()).where(true())
)
