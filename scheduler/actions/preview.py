"""What will fire in the days to come, by day and in sum; what will not, and why."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from scheduler.domain.definition import timetable_of
from scheduler.domain.errors import InvalidInput
from scheduler.domain.moments import moment_text
from scheduler.domain.pauses import Freeze
from scheduler.domain.preview import Days, count_days, fires_from
from scheduler.domain.records import Calendar, Schedule
from scheduler.storage import definitions, freezes, runs, schedules
from scheduler.storage.database import Connection


@dataclass(frozen=True, slots=True, kw_only=True)
class SchedulePreview:
    """
    One schedule's runs to come, by day of its own zone.

    *note* says why nothing, or less than its timetable has, fires. *counted_until* is None
    when all was counted.
    """

    schedule: str
    timezone: str
    runs: int
    first: datetime | None
    days: Mapping[date, int]
    counted_until: datetime | None
    note: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """All of them, and the sums; *is_whole* is False where one was not counted to the end."""

    start: datetime
    end: datetime
    schedules: tuple[SchedulePreview, ...]
    days: Mapping[date, int]
    runs: int
    is_whole: bool


def preview_schedules(
    conn: Connection, names: Sequence[str], *, days: int, now: datetime
) -> Preview:
    """Count what *names* (all schedules if there is none) will fire in *days* from *now* on."""
    chosen = [schedules.get_schedule(conn, name).schedule for name in dict.fromkeys(names)]
    chosen = chosen or schedules.list_schedules(conn)
    limited = [one.name for one in chosen if one.max_runs is not None]
    desk = _Desk(
        calendars=definitions.list_calendars(conn),
        freezes=freezes.list_freezes(conn),
        made=runs.count_made(conn, limited),
        start=now,
        end=now + timedelta(days=days),
    )
    found = tuple(desk.preview(schedule) for schedule in chosen)
    total: Counter[date] = Counter()
    for one in found:
        total.update(one.days)
    return Preview(
        start=desk.start,
        end=desk.end,
        schedules=found,
        days=dict(sorted(total.items())),
        runs=total.total(),
        is_whole=all(one.counted_until is None for one in found),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Desk:
    calendars: Mapping[str, Calendar]
    freezes: Sequence[Freeze]
    made: Mapping[str, int]
    start: datetime
    end: datetime

    def preview(self, schedule: Schedule) -> SchedulePreview:
        """Count one schedule, or say why there is nothing to count."""
        if not schedule.enabled:
            return _told(schedule, None, "disabled")
        if schedule.error is not None:
            return _told(schedule, None, f"set aside: {schedule.error}")
        if schedule.after is not None:
            return _told(schedule, None, f"due whenever a run of {schedule.after} ends")
        if schedule.manual:
            return _told(schedule, None, "manual: only run by hand")
        try:
            return self._count(schedule)
        except InvalidInput as error:
            return _told(schedule, None, f"set aside: {error}")

    def _count(self, schedule: Schedule) -> SchedulePreview:
        timetable = timetable_of(schedule, self.calendars)
        free, stop = fires_from(schedule, self.freezes, self.start)
        note = None if stop is None else f"{stop.detail}{_until(free)}"
        if free is None or free > self.end:
            return _told(schedule, None, note)
        left = None
        if schedule.max_runs is not None:
            left = max(0, schedule.max_runs - self.made.get(schedule.name, 0))
        if left == 0:
            return _told(schedule, None, f"max_runs = {schedule.max_runs} are made")
        start = free if stop is None else free - timedelta.resolution
        counted = count_days(timetable, start=start, end=self.end, most_runs=left)
        return _told(schedule, counted, note, is_whole=counted.counted_until == self.end)


def _told(
    schedule: Schedule, days: Days | None, note: str | None, *, is_whole: bool = True
) -> SchedulePreview:
    counts = {} if days is None else days.counts
    return SchedulePreview(
        schedule=schedule.name,
        timezone=schedule.timezone,
        runs=sum(counts.values()),
        first=None if days is None else days.first,
        days=counts,
        counted_until=None if is_whole or days is None else days.counted_until,
        note=note,
    )


def _until(free: datetime | None) -> str:
    return "" if free is None else f", until {moment_text(free)}"
