"""The wall-clock times of a crontab expression, found by cronsim; zones are not its matter."""

from bisect import bisect_left, bisect_right
from copy import copy
from datetime import datetime, timedelta
from functools import cached_property

from cronsim import CronSim, CronSimError

from scheduler.domain.errors import InvalidInput
from scheduler.domain.timetable.crontab import Crontab

# The rarest possible date, a weekday on 29 February across 2100, comes within 40 years.
_DAY = timedelta(days=1)
_SECOND = timedelta(seconds=1)
_ANY_TIME = datetime.fromisoformat("2000-01-01T00:00:00")


class CronCalendar:
    """Debian cron's days and times, as cronsim finds them; asked with naive times only."""

    def __init__(self, crontab: Crontab) -> None:
        """Raise InvalidInput if *crontab* can never be true."""
        self.crontab = crontab
        never = f"cron {crontab.text!r} can never be true: these months have no such day"
        try:
            self._cronsim = CronSim(crontab.expression, _ANY_TIME)
        except CronSimError:
            raise InvalidInput(never) from None
        if self.next_wall(_ANY_TIME) is None:
            raise InvalidInput(never)

    def next_wall(self, wall: datetime) -> datetime | None:
        """Return the first time strictly after *wall*."""
        # A copy with its time set starts anew without reading the expression again.
        cronsim = copy(self._cronsim)
        cronsim.dt = wall.replace(microsecond=0)
        return next(cronsim, None)

    def count(self, start: datetime, end: datetime) -> int:
        """Count the times later than *start*, up to *end*: each day that has any has the same."""
        times = self._times_of_a_day
        count, first = 0, self.next_wall(start)
        while first is not None and first <= end:
            midnight = _midnight(first)
            skipped = bisect_left(times, first - midnight)
            count += bisect_right(times, end - midnight) - skipped
            first = self.next_wall(midnight + _DAY - _SECOND)
        return count

    @cached_property
    def _times_of_a_day(self) -> list[timedelta]:
        times, wall = [], self.next_wall(_ANY_TIME)
        midnight = _midnight(wall or _ANY_TIME)
        wall = self.next_wall(midnight - _SECOND)
        while wall is not None and wall < midnight + _DAY:
            times.append(wall - midnight)
            wall = self.next_wall(wall)
        return times


def _midnight(wall: datetime) -> datetime:
    return wall.replace(hour=0, minute=0, second=0, microsecond=0)
