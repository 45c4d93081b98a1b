"""What will fire in the days to come, by day and in sum; what will not, and why."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from itertools import accumulate

from scheduler.domain.batch import canary_words
from scheduler.domain.durations import format_duration
from scheduler.domain.finish import LEAST_TIME, finish_by
from scheduler.storage import definitions, schedules
from scheduler.storage.database import Connection
from scheduler.tools.calendar.day_counts import Days, count_days
from scheduler.tools.calendar.desk import Desk, Firing
from scheduler.tools.calendar.hours import HOUR, MOST_WALKED, HourLoad, load_of, whole_hour


@dataclass(frozen=True, slots=True, kw_only=True)
class SchedulePreview:
    """
    One schedule's runs to come, by day of its own zone.

    *note* says why nothing, or less than its timetable has, fires. *counted_until* is None
    when all was counted.
    """

    schedule: str
    timezone: str
    run_count: int
    first_due_at: datetime | None
    days: Mapping[date, int]
    counted_until: datetime | None
    note: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """All of them, and the sums; *is_whole* is False where one was not counted to the end."""

    since: datetime
    until: datetime
    schedules: tuple[SchedulePreview, ...]
    days: Mapping[date, int]
    run_count: int
    is_whole: bool


def preview_schedules(
    conn: Connection,
    names: Sequence[str],
    *,
    days: int,
    now: datetime,
    start: datetime | None = None,
) -> Preview:
    """Count what *names* (all if there is none) will fire in *days* from *start* on, or *now*."""
    start = max(now, start or now)
    desk = Desk.read(conn, start=start, end=start + timedelta(days=days))
    chosen = [schedules.get_schedule(conn, name).schedule for name in dict.fromkeys(names)]
    found = map(desk.find, chosen or desk.schedules.values())
    canaries = definitions.list_canaries(conn)
    previews = tuple(
        _preview(firing, desk.end, canaries.get(firing.schedule.batch)) for firing in found
    )
    total: Counter[date] = Counter()
    for preview in previews:
        total.update(preview.days)
    return Preview(
        since=desk.start,
        until=desk.end,
        schedules=previews,
        days=dict(sorted(total.items())),
        run_count=total.total(),
        is_whole=all(preview.counted_until is None for preview in previews),
    )


def preview_with_hours(
    conn: Connection, name: str, *, days: int, now: datetime
) -> tuple[SchedulePreview, tuple[HourLoad, ...]]:
    """Count one of them by the day, and by the hour as far as it can be in a moment."""
    desk = Desk.read(conn, start=now, end=now + timedelta(days=days), of=name)
    firing = desk.find(desk.schedules[name])
    canary = definitions.list_canaries(conn).get(firing.schedule.batch)
    preview = _preview(firing, desk.end, canary)
    end = _soon(firing, preview, desk.end)
    return preview, load_of([firing], start=now, end=end).hours


def _soon(firing: Firing, preview: SchedulePreview, end: datetime) -> datetime:
    """Return up to when hours are counted: where each time must be looked at, not for long."""
    start = whole_hour(firing.start)
    if firing.timetable is None or firing.timetable.count_hours(start, start + HOUR) is not None:
        return end
    so_far = accumulate(count for _, count in sorted(preview.days.items()))
    days = sum(1 for count in so_far if count <= MOST_WALKED)
    return min(end, firing.start + timedelta(days=max(days, 1)))


def _preview(firing: Firing, end: datetime, canary: str | None) -> SchedulePreview:
    timetable = firing.timetable
    if timetable is None:
        return _preview_of(firing, None)
    counted = count_days(timetable, start=firing.start, end=end, most_runs=firing.left)
    preview = _preview_of(firing, counted, is_whole=counted.counted_until == end)
    daily = firing.schedule.max_runs_per_day
    if preview.note is None and daily is not None and max(preview.days.values(), default=0) > daily:
        return replace(preview, note=f"max_runs_per_day = {daily}: what is beyond is skipped")
    if preview.note is None and firing.schedule.finish_before is not None:
        return replace(preview, note=_finish_note(firing, preview.first_due_at))
    if preview.note is None and firing.schedule.only_if_changed:
        return replace(preview, note="only_if_changed: what has not changed is skipped")
    if preview.note is None and canary is not None:
        return replace(preview, note=canary_words(canary))
    return preview


def _finish_note(firing: Firing, first: datetime | None) -> str:
    schedule = firing.schedule
    at = str(schedule.finish_before)
    note = f"finish_before = {at}: what is left is the deadline"
    if first is None:
        return note
    left = finish_by(at, timezone=schedule.timezone, due_at=first) - first
    if left < LEAST_TIME:
        return f"finish_before = {at}: too soon after it is due, it is skipped"
    return f"{note}, {format_duration(left)} of the first"


def _preview_of(firing: Firing, days: Days | None, *, is_whole: bool = True) -> SchedulePreview:
    counts = {} if days is None else days.counts
    return SchedulePreview(
        schedule=firing.schedule.name,
        timezone=firing.schedule.timezone,
        run_count=sum(counts.values()),
        first_due_at=None if days is None else days.first,
        days=counts,
        counted_until=None if is_whole or days is None else days.counted_until,
        note=firing.note,
    )
