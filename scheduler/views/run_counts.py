"""Trends: what each day of a schedule came to, however long ago."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from scheduler.domain.records import RunState
from scheduler.storage.database import Connection
from scheduler.storage.run_counts import list_day_counts


@dataclass(frozen=True, slots=True, kw_only=True)
class DayCountView:
    """What a schedule's ended runs of a day came to in one state: the upstream's own counts."""

    day: str
    schedule: str | None
    collector: str
    state: RunState
    run_count: int
    occurrence_count: int
    input_count: int
    line_count: int
    fail_count: int
    page_count: int


def list_counts(
    conn: Connection, *, now: datetime, days: int, schedule: str | None = None
) -> tuple[DayCountView, ...]:
    """Return the counts of the last so many *days*, today's included; forgotten runs count."""
    since = now - timedelta(days=days - 1)
    return tuple(
        DayCountView(
            day=count.day,
            schedule=count.schedule,
            collector=count.collector,
            state=count.state,
            run_count=count.runs,
            occurrence_count=count.occurrences,
            input_count=count.inputs,
            line_count=count.lines,
            fail_count=count.fails,
            page_count=count.pages,
        )
        for count in list_day_counts(conn, since=since, schedule=schedule)
    )
