"""Schedules with what became of their last runs."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from scheduler.storage import schedules
from scheduler.storage.database import Connection
from scheduler.views.history import ScheduleFigures, figures_of
from scheduler.views.page import Page
from scheduler.views.schedules import ScheduleFilter, ScheduleView, get_schedule, page_schedules

MOST_CHOSEN: Final = 1_000
"""So many schedules may be paused or resumed at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleRow:
    """A schedule, and what became of its last runs."""

    schedule: ScheduleView
    figures: ScheduleFigures


def page_schedule_rows(
    conn: Connection,
    wanted: ScheduleFilter,
    *,
    limit: int,
    after: str | None = None,
    now: datetime,
) -> Page[ScheduleRow]:
    """Return a page of the schedules that *wanted* chooses by name: those *after* a name."""
    page = page_schedules(conn, wanted, limit=limit, after=after, now=now)
    figures = figures_of(conn, [schedule.name for schedule in page.items])
    rows = tuple(
        ScheduleRow(schedule=schedule, figures=figures[schedule.name]) for schedule in page.items
    )
    return Page(items=rows, next=page.next)


def list_chosen_names(conn: Connection, wanted: ScheduleFilter) -> list[str]:
    """Return the names of the schedules that *wanted* chooses, MOST_CHOSEN at most."""
    return [row.name for row in schedules.list_page(conn, wanted, limit=MOST_CHOSEN)]


def list_named(
    conn: Connection, names: Sequence[str], *, now: datetime
) -> tuple[ScheduleView, ...]:
    """Return schedules by their names, in that order; raises NotFound."""
    return tuple(get_schedule(conn, name, now=now) for name in names)
