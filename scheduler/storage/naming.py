"""Which rows name a definition: while some do, it is not deleted."""

from collections.abc import Callable, Iterator
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Select, select

from scheduler.storage.tables import overrides, schedules


def list_naming(conn: Connection, table: str, name: str, *, limit: int) -> list[str]:
    """Return some of what names the definition, as `schedules.nightly`."""
    return [
        f"schedules.{found}"
        for query in _queries(table, name)
        for found in conn.scalars(query.limit(limit))
    ][:limit]


def _queries(table: str, name: str) -> Iterator[Select[Any]]:
    if condition := _CONDITIONS.get(table):
        yield select(schedules.c.name).where(condition(name)).order_by(schedules.c.name)
    if table == "batches":
        of_batch = (overrides.c.field == "batch", overrides.c.value == name)
        yield select(overrides.c.schedule).where(*of_batch).order_by(overrides.c.schedule)


def _excludes(name: str) -> ColumnElement[bool]:
    listed = "," + schedules.c.exclude + ","
    return schedules.c.exclude.is_not(None) & (
        listed.contains(f",{name},", autoescape=True)
        | listed.contains(f", {name},", autoescape=True)
    )


_CONDITIONS: Final[dict[str, Callable[[str], ColumnElement[bool]]]] = {
    "collectors": lambda name: schedules.c.collector == name,
    "batches": lambda name: schedules.c.batch == name,
    "calendars": _excludes,
    "queues": lambda name: schedules.c.queue == name,
    "schedules": lambda name: schedules.c.after == name,
}
