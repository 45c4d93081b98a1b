"""Schedules with what became of their last runs."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from scheduler.domain.errors import InvalidInput
from scheduler.domain.records import Origin
from scheduler.storage import schedules
from scheduler.storage.database import Connection
from scheduler.views.history import ScheduleFigures, figures_of
from scheduler.views.page import Page
from scheduler.views.schedules import ScheduleFilter, ScheduleView, page_schedules

_MOST_CHOSEN: Final = 1_000
MOST_FIRED: Final = 200
"""So many schedules may be fired at once."""


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


@dataclass(frozen=True, slots=True, kw_only=True)
class ToLabel:
    """The schedules whose labels would change; *owned* would, too, but a file owns those."""

    schedules: tuple[ScheduleView, ...]
    owned: tuple[ScheduleView, ...]


def list_chosen(
    conn: Connection, wanted: ScheduleFilter, *, now: datetime, most: int = _MOST_CHOSEN
) -> tuple[ScheduleView, ...]:
    """
    Return all schedules that *wanted* chooses, by name.

    Raises NotFound for a name that none bears, InvalidInput for more than *most*.
    """
    page = page_schedules(conn, wanted, limit=most, now=now)
    if page.next is not None:
        raise InvalidInput(
            f"more than {most} schedules are chosen: narrow the filter, as by its label"
        )
    for name in {*wanted.names} - {row.name for row in page.items}:
        schedules.get_schedule(conn, name)
    return tuple(page.items)


def list_paused(
    conn: Connection, wanted: ScheduleFilter, *, now: datetime
) -> tuple[ScheduleView, ...]:
    """Return those of the chosen that are paused: what a resume is for."""
    return tuple(row for row in list_chosen(conn, wanted, now=now) if row.paused_at is not None)


def list_to_label(
    conn: Connection, wanted: ScheduleFilter, label: str, *, is_on: bool, now: datetime
) -> ToLabel:
    """Return those of the chosen that have *label* otherwise than *is_on* says."""
    chosen = list_chosen(conn, wanted, now=now)
    otherwise = [row for row in chosen if (label in row.labels) is not is_on]
    return ToLabel(
        schedules=tuple(row for row in otherwise if row.origin is not Origin.FILE),
        owned=tuple(row for row in otherwise if row.origin is Origin.FILE),
    )
