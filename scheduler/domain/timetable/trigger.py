"""
From wall-clock times to instants, by Debian cron's rule for clock changes (cron.c, main loop).

APScheduler's CronTrigger and CalendarIntervalTrigger are not used: the first
reads weekdays and day fields unlike cron and can stand still in a fold; the
second drops a day in a gap, skips short months and steps from its start.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Protocol
from zoneinfo import ZoneInfo

from apscheduler.triggers.base import BaseTrigger

from scheduler.domain.timetable.clock_changes import (
    SECOND,
    ClockChange,
    changes_after,
    folds_around,
    next_change,
    wall_of,
)

# Debian cron takes a larger jump for a correction of the clock: what the gap held is not
# made up for (cron.c counts the current minute too, so three hours are already too far),
# what a fold repeats runs again.
_LARGEST_GAP = timedelta(hours=3) - timedelta(minutes=1)
_LARGEST_FOLD = timedelta(hours=3)
_DAY = timedelta(days=1)


class WallCalendar(Protocol):
    """Wall-clock times, whole seconds, without a zone."""

    def next_wall(self, wall: datetime) -> datetime | None:
        """Return the first time strictly after *wall*; both naive."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class DstRule:
    """Whether times in a gap *catch_up* right after it, and times in a fold *repeat*."""

    catch_up: bool
    repeat: bool

    def catches_up(self, change: ClockChange) -> bool:
        """Tell whether a time in this gap happens right after it."""
        return self.catch_up and change.size <= _LARGEST_GAP

    def repeats(self, fold: ClockChange) -> bool:
        """Tell whether times of this fold happen in its second pass, too."""
        return self.repeat or -fold.size > _LARGEST_FOLD


# APScheduler 3 has no type information.
class WallClockTrigger(BaseTrigger):  # type: ignore[misc]
    """Fires when the wall clock of *zone* shows a time of *calendar*."""

    __slots__ = ("calendar", "rule", "zone")

    def __init__(self, calendar: WallCalendar, zone: ZoneInfo, rule: DstRule) -> None:
        self.calendar = calendar
        self.zone = zone
        self.rule = rule

    def get_next_fire_time(
        self, previous_fire_time: datetime | None, now: datetime
    ) -> datetime | None:
        """Return the first instant, in UTC, at or after *now* and after *previous_fire_time*."""
        # Occurrences are on whole seconds, so strictly after the second before is at or after.
        before = (now - timedelta.resolution).replace(microsecond=0)
        if previous_fire_time is None:
            return self._next_after(before)
        return self._next_after(max(before, previous_fire_time))

    def _next_after(self, instant: datetime) -> datetime | None:
        """
        Walk from clock change to clock change; on most days there is none on the way.

        1. The next wall-clock time after now's comes before the next change: that is it.
        2. It lies in the gap: it happens at the gap's end, or the next one after the gap counts.
        3. The change is a fold: the search starts again at the fold's beginning,
           unless what it repeats has had its turn.
        """
        calm = next_change(self.zone, instant - _DAY)
        if calm.at > instant:
            wall = self.calendar.next_wall((instant + calm.before).replace(tzinfo=None))
            if wall is not None and wall < calm.wall_before:
                return wall.replace(tzinfo=UTC) - calm.before
        wall = self.calendar.next_wall(self._wall_done(instant))
        for change in changes_after(self.zone, instant):
            if wall is None:
                return None
            if wall < change.wall_before:
                return wall.replace(tzinfo=UTC) - change.before
            if change.wall_before <= wall < change.wall_after:
                if self.rule.catches_up(change):
                    return change.at
                wall = self.calendar.next_wall(change.wall_after - SECOND)
            elif change.size < timedelta(0) and self.rule.repeats(change):
                wall = self.calendar.next_wall(change.wall_after - SECOND)
        return None

    def _wall_done(self, instant: datetime) -> datetime:
        """Return the wall-clock time up to which all is done at *instant*."""
        done = wall_of(self.zone, instant)
        for fold in folds_around(self.zone, instant):
            if not self.rule.repeats(fold):
                done = max(done, fold.wall_before - SECOND)
        return done
