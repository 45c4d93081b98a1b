"""How many rows the runs of a schedule are to bring, and what they usually bring."""

from collections.abc import Collection

from sqlalchemy import Connection, or_, select

from scheduler.domain.records import RunState
from scheduler.domain.verdict import RowRules
from scheduler.storage.tables import collections, runs, schedules

OfRun = tuple[str | None, bool]
"""The schedule of a run, and whether it is the first of its chunks: a canary brings fewer rows."""


def list_row_rules(conn: Connection, wanted: Collection[OfRun]) -> dict[OfRun, RowRules]:
    """Return how many rows such runs are to bring."""
    rows = conn.execute(
        select(schedules.c.name, *_RULES).where(
            schedules.c.name.in_({name for name, _ in wanted if name is not None}),
            or_(*(rule.is_not(None) for rule in _RULES)),
        )
    )
    row_of = {row.name: row for row in rows}
    return {
        (name, is_first): RowRules(
            min_rows=row.min_rows,
            min_rows_per_input=row.min_rows_per_input,
            min_success_rate=row.min_success_rate,
            max_fall_percent=row.max_fall_percent,
            usual=() if row.max_fall_percent is None else _usual_rows(conn, row.name, is_first),
        )
        for name, is_first in wanted
        if (row := row_of.get(name)) is not None
    }


_RULES = (
    schedules.c.min_rows,
    schedules.c.min_rows_per_input,
    schedules.c.min_success_rate,
    schedules.c.max_fall_percent,
)
_USUAL = 10
_LOOKED_THROUGH = 100


def _usual_rows(conn: Connection, schedule: str, is_first: bool) -> list[int]:
    """Return what the last good runs brought, among as many as a look through them may cost."""
    newest = (
        select(runs.c.id, runs.c.state, runs.c.collection_id)
        .where(runs.c.schedule == schedule, (runs.c.chunk == 1) == is_first)
        .order_by(runs.c.id.desc())
        .limit(_LOOKED_THROUGH)
        .subquery()
    )
    rows = conn.scalars(
        select(collections.c.lines)
        .join(newest, newest.c.collection_id == collections.c.id)
        .where(newest.c.state == RunState.SUCCEEDED, collections.c.lines.is_not(None))
        .order_by(newest.c.id.desc())
        .limit(_USUAL)
    )
    return list(rows)
