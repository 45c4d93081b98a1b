"""A time as a person writes it: a date, a time of day, or so long from now. The same everywhere."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from scheduler.domain.durations import parse_duration
from scheduler.domain.errors import InvalidInput
from scheduler.domain.timetable.clock_changes import in_utc, wall_of

_DAYS: Final = {"yesterday": -1, "today": 0, "tomorrow": 1}
_DAY: Final = timedelta(days=1)
_AGO: Final = re.compile(r"-\s*(?P<minus>.+)|(?P<ago>.+?)\s+ago|(?:\+|in\s)\s*(?P<ahead>.+)")
_WHOLE_DAY: Final = re.compile(r"\d{4}-\d\d-\d\d|\d{8}|yesterday|today|tomorrow")
_ANY: Final = datetime(2000, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class WrittenTime:
    """
    A time that was written, to be read once it is known when, and in which zone, it is meant.

    ISO 8601 (`2026-03-02`, `2026-03-02 09:00`, `2026-03-02T09:00:00Z`), `09:00`, `yesterday`,
    `tomorrow 09:00`, `now`, `-12h`, `12h ago`, `+2h`. Without an offset it is wall-clock time.
    """

    text: str

    @classmethod
    def checked(cls, text: str) -> "WrittenTime":
        """Return it if it can be read; InvalidInput otherwise."""
        written = cls(text)
        written.wall(_ANY, ZoneInfo("UTC"))
        return written

    def wall(self, now: datetime, zone: ZoneInfo) -> datetime:
        """Return the moment, or without an offset the time on the wall clock of *zone*."""
        text = self.text.strip().lower()
        if text == "now":
            return now
        if apart := _AGO.fullmatch(text):
            return _apart(apart, now)
        name, _, rest = text.partition(" ")
        today = datetime.combine(wall_of(zone, now).date(), time())
        try:
            if name in _DAYS:
                clock = time.fromisoformat(rest) if rest else time()
                return datetime.combine(today + _DAYS[name] * _DAY, clock)
            if re.match(r"\d{1,2}:", text):
                return datetime.combine(today, time.fromisoformat(text.zfill(5)))
            return datetime.fromisoformat(self.text.strip())
        except ValueError:
            raise InvalidInput(
                f"{self.text!r} is not a time: write it like 2026-03-02T09:00:00Z,"
                " 2026-03-02, 09:00, yesterday, tomorrow 09:00, -12h or +2h"
            ) from None

    def at(self, now: datetime, zone: ZoneInfo) -> datetime:
        """Return the moment that is meant, in UTC."""
        return in_utc(zone, self.wall(now, zone))

    def end(self, now: datetime, zone: ZoneInfo) -> datetime:
        """Return the same for the end of a stretch: a day that is named is in it, to its end."""
        wall = self.wall(now, zone)
        is_day = _WHOLE_DAY.fullmatch(self.text.strip().lower())
        return in_utc(zone, wall + _DAY) - timedelta.resolution if is_day else in_utc(zone, wall)


def _apart(apart: re.Match[str], now: datetime) -> datetime:
    before = apart["minus"] or apart["ago"]
    try:
        return now - parse_duration(before) if before else now + parse_duration(apart["ahead"])
    except OverflowError:
        raise InvalidInput(f"{apart[0]!r} is too far from now") from None
