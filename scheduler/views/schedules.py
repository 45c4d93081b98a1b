"""Schedules, what is otherwise about them for a while, and what holds them."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from scheduler.domain.errors import InvalidInput, NotFound
from scheduler.domain.pauses import Freeze, stop_at, why_skipped
from scheduler.domain.records import Reason, Schedule, ScheduleColumns
from scheduler.domain.schedule_override import Override
from scheduler.domain.timetable import find_zone
from scheduler.storage import freezes, overrides, schedules
from scheduler.storage.database import Connection
from scheduler.storage.schedules import InvalidSchedule, ScheduleFilter
from scheduler.views.decoding import Duration, view
from scheduler.views.over_limits import list_over_limits
from scheduler.views.page import MOST_COUNTED, Page, by_name, page_of
from scheduler.views.waiting import list_waits

__all__ = ["FreezeView", "OverrideView", "ScheduleFilter", "ScheduleView"]


@dataclass(frozen=True, slots=True, kw_only=True)
class OverrideView(Override):
    """A field that is otherwise for a while; without a *value* it is what it is by default."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FreezeView(Freeze):
    """A pause of many, as it is shown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleView(ScheduleColumns[Duration, tuple[str, ...], dict[str, Any]]):
    """
    A schedule; *held* says that what comes due now is skipped, paused or frozen.

    *why_held* says by whom and why; also where its queue or account is paused, and runs wait,
    or where it has sent all that it may today.
    *next_fire_skipped* is why nothing is sent at *next_fire_at*, as things stand.
    """

    held: Reason | None
    why_held: str | None
    next_fire_skipped: Reason | None
    overrides: tuple[OverrideView, ...]

    @property
    def timetable(self) -> str:
        """Say when it is due, in the words of its row."""
        words = {"every": self.every, "at": self.at, "after": self.after}
        named = (f"{key} {value}" for key, value in words.items() if value is not None)
        return self.cron or next(named, None) or self.calendar_interval or "manual"


def list_schedules(conn: Connection, *, now: datetime) -> tuple[ScheduleView, ...]:
    """Return every schedule, by name."""
    return _views(conn, schedules.list_schedules(conn), list_overrides(conn, now=now), now)


def page_schedules(
    conn: Connection,
    wanted: ScheduleFilter,
    *,
    limit: int,
    after: str | None = None,
    now: datetime,
) -> Page[ScheduleView]:
    """Return a page of the schedules that *wanted* chooses by name: those *after* a name."""
    rows = schedules.list_page(conn, wanted, limit=limit + 1, after=after)
    in_force = overrides.list_in_force(conn, now=now, schedules=[row.name for row in rows])
    shown = _views(conn, rows, [view(OverrideView, one) for one in in_force], now)
    return page_of(shown, limit=limit, key=by_name)


def count_schedules(conn: Connection, wanted: ScheduleFilter) -> int:
    """Return how many *wanted* chooses; more than MOST_COUNTED is one more than that."""
    return schedules.count_schedules(conn, wanted, most=MOST_COUNTED + 1)


def get_schedule(conn: Connection, name: str, *, now: datetime) -> ScheduleView:
    """Return the schedule of that name; raises NotFound."""
    schedule = schedules.get_schedule(conn, name).schedule
    return _views(conn, [schedule], list_overrides(conn, name, now=now), now)[0]


def zone_of(conn: Connection, name: str | None) -> ZoneInfo:
    """Return the zone of the schedule of that name; UTC where there is none, or not a known one."""
    with suppress(NotFound, InvalidInput):
        if name is not None:
            return find_zone(schedules.get_schedule(conn, name).schedule.timezone)
    return find_zone("UTC")


def list_overrides(
    conn: Connection, schedule: str | None = None, *, now: datetime
) -> tuple[OverrideView, ...]:
    """Return the overrides in force, of one schedule or of all; NotFound if there is none."""
    if schedule is not None:
        schedules.get_schedule(conn, schedule)
    names = None if schedule is None else [schedule]
    in_force = overrides.list_in_force(conn, now=now, schedules=names)
    return tuple(view(OverrideView, override) for override in in_force)


def list_invalid(conn: Connection) -> tuple[InvalidSchedule, ...]:
    """Return the enabled schedules that do not fire because something is wrong, by name."""
    return tuple(schedules.list_errors(conn))


def list_freezes(conn: Connection, *, now: datetime) -> tuple[FreezeView, ...]:
    """Return what is frozen, by scope."""
    return tuple(
        view(FreezeView, freeze)
        for freeze in freezes.list_freezes(conn)
        if freeze.until is None or freeze.until > now
    )


def get_freeze(conn: Connection, scope: str, *, now: datetime) -> FreezeView:
    """Return the freeze of that scope; raises NotFound."""
    for freeze in list_freezes(conn, now=now):
        if freeze.scope == scope:
            return freeze
    raise NotFound(f"{scope} is not frozen")


def _views(
    conn: Connection,
    rows: Sequence[Schedule],
    in_force: Sequence[OverrideView],
    now: datetime,
) -> tuple[ScheduleView, ...]:
    frozen, waits = freezes.list_freezes(conn), list_waits(conn, rows, at=now)
    over = list_over_limits(conn, rows, at=now)
    waits = {name: why.detail for name, why in over.items()} | waits
    by_schedule: dict[str, list[OverrideView]] = {}
    for override in in_force:
        by_schedule.setdefault(override.schedule, []).append(override)
    views = []
    for schedule in rows:
        stop = stop_at(now, schedule, frozen)
        views.append(
            view(
                ScheduleView,
                schedule,
                held=stop and stop.reason,
                why_held=stop.why_held if stop else waits.get(schedule.name),
                next_fire_skipped=why_skipped(schedule.next_fire_at, schedule, frozen),
                overrides=tuple(by_schedule.get(schedule.name, ())),
            )
        )
    return tuple(views)
