"""A stretch of each week, `fri 19:00..sun 13:00`, in a zone."""

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Self
from zoneinfo import ZoneInfo

from scheduler.domain.errors import InvalidInput

_DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_MOMENT: Final = r"([a-z]{3}) ([01]\d|2[0-3]):([0-5]\d)"
_STRETCH: Final = re.compile(rf" *{_MOMENT} *\.\. *{_MOMENT} *")
_DAY: Final = 24 * 60
_WEEK: Final = 7 * _DAY


@dataclass(frozen=True, slots=True)
class WeeklyStretch:
    """From one minute of the week until before another, by the wall clock of *zone*."""

    begins: int
    ends: int
    zone: ZoneInfo

    @classmethod
    def parse(cls, text: str, zone: ZoneInfo) -> Self:
        """Read `fri 19:00..sun 13:00`; raises InvalidInput for anything else."""
        found = _STRETCH.fullmatch(text.lower())
        if found is None or not {found[1], found[4]} <= set(_DAYS):
            raise InvalidInput(f"{text!r} is no part of a week: write it like fri 19:00..sun 13:00")
        begins, ends = (
            _DAYS.index(day) * _DAY + int(hour) * 60 + int(minute)
            for day, hour, minute in (found.group(1, 2, 3), found.group(4, 5, 6))
        )
        if begins == ends:
            raise InvalidInput(f"{text!r} begins when it ends")
        return cls(begins, ends, zone)

    def holds(self, now: datetime) -> bool:
        """Tell whether *now* is in it."""
        return (self._minute(now) - self.begins) % _WEEK < (self.ends - self.begins) % _WEEK

    def next_edge(self, now: datetime) -> datetime:
        """Return when it next begins, or ends, after *now*."""
        this = self._minute(now)
        ahead = min((edge - this - 1) % _WEEK + 1 for edge in (self.begins, self.ends))
        wall = now.astimezone(self.zone).replace(second=0, microsecond=0, tzinfo=None)
        return (wall + timedelta(minutes=ahead)).replace(tzinfo=self.zone)

    def _minute(self, now: datetime) -> int:
        wall = now.astimezone(self.zone)
        return wall.weekday() * _DAY + wall.hour * 60 + wall.minute
