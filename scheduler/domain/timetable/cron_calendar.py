"""The wall-clock times of a crontab expression, found by cronsim; zones are not its matter."""

from copy import copy
from datetime import datetime

from cronsim import CronSim, CronSimError

from scheduler.domain.errors import InvalidInput
from scheduler.domain.timetable.crontab import Crontab

# The rarest possible date, a weekday on 29 February across 2100, comes within 40 years.
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
