"""Many occurrences at once: how many there are, without a look at each where that is possible."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from apscheduler.triggers.base import BaseTrigger
from apscheduler.triggers.interval import IntervalTrigger

from scheduler.domain.timetable.clock_changes import changes_after, wall_of
from scheduler.domain.timetable.cron_calendar import CronCalendar
from scheduler.domain.timetable.trigger import WallClockTrigger

NextAfter = Callable[[datetime], datetime | None]

_AROUND_A_CHANGE = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Stretch:
    """All occurrences from *first* to *last*, both included."""

    first: datetime
    last: datetime
    count: int


def walk(next_after: NextAfter, start: datetime, end: datetime, *, most: int) -> Stretch | None:
    """Return the first *most* occurrences later than *start*, up to *end*, one after the other."""
    first = last = None
    count = 0
    for moment in _each(next_after, start, end):
        first, last, count = first or moment, moment, count + 1
        if count == most:
            break
    return None if first is None or last is None else Stretch(first, last, count)


def count_quickly(
    triggers: tuple[BaseTrigger, ...], next_after: NextAfter, start: datetime, end: datetime
) -> int | None:
    """Count what comes after *start*, up to *end*; None where each has to be looked at."""
    if len(triggers) != 1:
        return None
    (trigger,) = triggers
    if isinstance(trigger, IntervalTrigger):
        first = next_after(start)
        return 0 if first is None or first > end else (end - first) // trigger.interval + 1
    if isinstance(trigger, WallClockTrigger) and isinstance(trigger.calendar, CronCalendar):
        return _count_cron(trigger.calendar, trigger.zone, next_after, start, end)
    return None


def _count_cron(
    calendar: CronCalendar, zone: ZoneInfo, next_after: NextAfter, start: datetime, end: datetime
) -> int:
    """Count by days where no clock is changed, and one by one around a change."""
    count = 0
    for change in changes_after(zone, start):
        if start >= end:
            break
        if not change.size and change.at < end:
            continue  # a new year
        margin = abs(change.size) + _AROUND_A_CHANGE
        before, after = min(change.at - margin, end), min(change.at + margin, end)
        if before > start:
            count += calendar.count(wall_of(zone, start), wall_of(zone, before))
            start = before
        count += sum(1 for _ in _each(next_after, start, after))
        start = max(start, after)
    return count


def _each(next_after: NextAfter, start: datetime, end: datetime) -> Iterator[datetime]:
    moment = next_after(start)
    while moment is not None and moment <= end:
        yield moment
        moment = next_after(moment)
