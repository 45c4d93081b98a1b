"""Many occurrences at once: how many there are, without a look at each where that is possible."""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

from apscheduler.triggers.base import BaseTrigger
from apscheduler.triggers.interval import IntervalTrigger

from scheduler.domain.timetable.clock_changes import SECOND, changes_after, next_change, wall_of
from scheduler.domain.timetable.cron_calendar import CronCalendar
from scheduler.domain.timetable.trigger import WallClockTrigger

NextAfter = Callable[[datetime], datetime | None]

_HOUR = timedelta(hours=1)
_DAY = timedelta(days=1)
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


def count_hours_quickly(
    triggers: tuple[BaseTrigger, ...], next_after: NextAfter, start: datetime, end: datetime
) -> list[int] | None:
    """Count each hour from *start* to *end*, whole ones of UTC; None where each is looked at."""
    if len(triggers) != 1:
        return None
    (trigger,) = triggers
    if isinstance(trigger, IntervalTrigger):
        return _hours_of_interval(trigger, next_after, start, end)
    if isinstance(trigger, WallClockTrigger) and isinstance(trigger.calendar, CronCalendar):
        return _hours_of_cron(trigger.calendar, trigger.zone, next_after, start, end)
    return None


def guess_previous(
    triggers: tuple[BaseTrigger, ...], next_after: NextAfter, end: datetime
) -> datetime | None:
    """Return what is, on most days, the last occurrence before *end*: who asks has to look."""
    if len(triggers) != 1:
        return None
    (trigger,) = triggers
    if isinstance(trigger, IntervalTrigger):
        return next_after(end - trigger.interval - SECOND)
    if isinstance(trigger, WallClockTrigger) and isinstance(trigger.calendar, CronCalendar):
        wall = trigger.calendar.previous_wall(wall_of(trigger.zone, end))
        return None if wall is None else end - (wall_of(trigger.zone, end) - wall)
    return None


def _hours_of_interval(
    trigger: IntervalTrigger, next_after: NextAfter, start: datetime, end: datetime
) -> list[int]:
    first = next_after(start - SECOND)
    hours = range((end - start) // _HOUR)
    if first is None:
        return [0 for _ in hours]
    step, lead = trigger.interval // SECOND, (first - start) // SECOND
    # How many there are before each hour begins; its own are the difference.
    before = [max(0, -((lead - 3600 * hour) // step)) for hour in (*hours, len(hours))]
    return [after - until for until, after in pairwise(before)]


def _hours_of_cron(
    calendar: CronCalendar, zone: ZoneInfo, next_after: NextAfter, start: datetime, end: datetime
) -> list[int]:
    counts: list[int] = []
    for since, until, offset in _parts(zone, start, end):
        if offset is not None:
            counts += calendar.count_hours(since, until, offset)
        else:
            moments = _each(next_after, since - SECOND, until - SECOND)
            each = Counter((moment - since) // _HOUR for moment in moments)
            counts += [each[hour] for hour in range((until - since) // _HOUR)]
    return counts


def _count_cron(
    calendar: CronCalendar, zone: ZoneInfo, next_after: NextAfter, start: datetime, end: datetime
) -> int:
    """Count by days where no clock is changed, and one by one around a change."""
    return sum(
        sum(1 for _ in _each(next_after, since, until))
        if offset is None
        else calendar.count(_wall(since, offset), _wall(until, offset))
        for since, until, offset in _parts(zone, start, end)
    )


def _wall(instant: datetime, offset: timedelta) -> datetime:
    return (instant + offset).replace(tzinfo=None)


def _parts(
    zone: ZoneInfo, start: datetime, end: datetime
) -> Iterator[tuple[datetime, datetime, timedelta | None]]:
    """
    Yield the parts of the time from *start* to *end*, each with how far the clock is ahead.

    That is None for the hours around a change of it: there, each time is to be looked at.
    """
    calm = next_change(zone, start - _DAY)
    if start < end < calm.at - _DAY:
        yield start, end, calm.before
        return
    for change in changes_after(zone, start - _DAY):
        if start >= end:
            return
        if not change.size:  # a new year
            if change.at < end:
                continue
            yield start, end, change.before
            return
        margin = abs(change.size) + _AROUND_A_CHANGE
        before = min(_whole_hour(change.at - margin), end)
        after = min(_whole_hour(change.at + margin) + _HOUR, end)
        if before > start:
            yield start, before, change.before
            start = before
        if after > start:
            yield start, after, None
            start = after


def _whole_hour(moment: datetime) -> datetime:
    return moment.replace(minute=0, second=0, microsecond=0)


def _each(next_after: NextAfter, start: datetime, end: datetime) -> Iterator[datetime]:
    moment = next_after(start)
    while moment is not None and moment <= end:
        yield moment
        moment = next_after(moment)
