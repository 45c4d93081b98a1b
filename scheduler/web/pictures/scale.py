"""From a value to a place, and the values that are worth a tick."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from itertools import takewhile
from math import ceil, floor, log10
from typing import Final
from zoneinfo import ZoneInfo

from scheduler.domain.timetable.clock_changes import ClockChange, changes_after, instant_of, wall_of


@dataclass(frozen=True, slots=True)
class Scale:
    """
    A value between *low* and *high* to a place between *start* and *end*; beyond them, to an end.

    Where *is_log*, each tenfold takes the same room, and what is below *low* is at *start*.
    """

    low: float
    high: float
    start: float
    end: float
    is_log: bool = False

    def place(self, value: float) -> float:
        """Return where *value* is."""
        share = _share(self._at(value), self._at(self.low), self._at(self.high))
        return self.start + share * (self.end - self.start)

    def _at(self, value: float) -> float:
        return log10(max(value, self.low)) if self.is_log else value


@dataclass(frozen=True, slots=True)
class TimeScale:
    """A moment to a place; beyond the ends, to an end."""

    begin: datetime
    finish: datetime
    start: float
    end: float

    def place(self, moment: datetime) -> float:
        """Return where *moment* is."""
        whole = (self.finish - self.begin).total_seconds()
        share = _share((moment - self.begin).total_seconds(), 0, whole)
        return self.start + share * (self.end - self.start)


def _share(value: float, low: float, high: float) -> float:
    """Return how far *value* is on the way from *low* to *high*, 0 to 1; between equals, half."""
    return 0.5 if high <= low else (min(max(value, low), high) - low) / (high - low)


def count_ticks(high: float, most: int = 5, *, whole: bool = True) -> list[float]:
    """Return round numbers from 0 up to the first that is not below *high*."""
    return list(_multiples(_round_step(max(high, 0) / most, whole=whole), high))


def _multiples(step: float, high: float) -> Iterator[float]:
    for number in range(max(1, ceil(high / step - 1e-9)) + 1):
        yield number * step


def _round_step(least: float, *, whole: bool) -> float:
    """Return the least of 1, 2, 5, 10, 20 … that is not below *least*."""
    if least <= (1 if whole else 1e-9):
        return 1
    power = 10.0 ** floor(log10(least))
    return next(power * digit for digit in (1, 2, 5, 10, 20) if power * digit >= least * (1 - 1e-9))


_SECOND_STEPS: Final = (
    *(0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30),
    *(60, 120, 300, 600, 900, 1800, 3600, 7200, 10_800, 21_600, 43_200),
)
_DAY: Final = 86_400


def duration_ticks(high: float, most: int = 5) -> list[float]:
    """Return round durations in seconds, from 0 up to the first that is not below *high*."""
    step = next((step for step in _SECOND_STEPS if step * most >= high), None)
    return list(_multiples(step or _DAY * _round_step(high / _DAY / most, whole=True), high))


LATENESS_TICKS: Final = (0.01, 0.1, 1, 10, 60, 600, 3600, 6 * 3600, _DAY, 7 * _DAY, 28 * _DAY)
"""Round durations for a scale where each tenfold takes the same room."""


def log_ticks(low: float, high: float) -> list[float]:
    """Return the round durations between these two."""
    return [tick for tick in LATENESS_TICKS if low <= tick <= high]


_MINUTE_STEPS: Final = (1, 2, 5, 10, 15, 30, 60, 120, 180, 360, 720)
_DAY_STEPS: Final = (1, 2, 7, 14, 28, 91, 182, 364, 1820, 3640)


def time_ticks(
    begin: datetime, finish: datetime, zone: ZoneInfo, *, most: int = 12
) -> list[tuple[datetime, str]]:
    """Return round moments of the zone's clock, and how each is written."""
    seconds = (finish - begin).total_seconds()
    if seconds <= 0:
        return [(begin, f"{begin.astimezone(zone):%H:%M:%S}")]
    if seconds < 60 * most / 4:
        return _second_ticks(begin, finish, zone, most)
    minutes = next((step for step in _MINUTE_STEPS if step * 60 * most >= seconds), None)
    if minutes is not None:
        return list(_clock_ticks(begin, finish, zone, minutes))
    days = next((step for step in _DAY_STEPS if step * _DAY * most >= seconds), _DAY_STEPS[-1])
    return list(_date_ticks(begin, finish, zone, days))


def _second_ticks(
    begin: datetime, finish: datetime, zone: ZoneInfo, most: int
) -> list[tuple[datetime, str]]:
    seconds = (finish - begin).total_seconds()
    step = next(step for step in (*_SECOND_STEPS, _DAY) if step * most >= seconds and step >= 1)
    first = datetime.fromtimestamp(ceil(begin.timestamp() / step) * step, UTC)
    count = floor((finish - first).total_seconds() / step) + 1
    moments = (first + timedelta(seconds=step * number) for number in range(max(0, count)))
    return [(moment, f"{moment.astimezone(zone):%H:%M:%S}") for moment in moments]


def _clock_ticks(
    begin: datetime, finish: datetime, zone: ZoneInfo, step: int
) -> Iterator[tuple[datetime, str]]:
    """Yield what the clock shows as a multiple of *step* minutes, also across its changes."""
    beat = min(step, 30) * 60 if step % 30 == 0 else step * 60
    # Zones are apart by whole quarters of an hour.
    beat = min(beat, 15 * 60) if step > 15 else beat
    moment = datetime.fromtimestamp(ceil(begin.timestamp() / beat) * beat, UTC)
    while moment <= finish:
        wall = moment.astimezone(zone)
        minutes = wall.hour * 60 + wall.minute
        if minutes % step == 0:
            yield moment, day_words(wall.date()) if minutes == 0 else f"{wall:%H:%M}"
        moment += timedelta(seconds=beat)


def _date_ticks(
    begin: datetime, finish: datetime, zone: ZoneInfo, step: int
) -> Iterator[tuple[datetime, str]]:
    day = wall_of(zone, begin).date()
    last = wall_of(zone, finish).date()
    while day <= last and day < date.max - timedelta(days=step):
        moment = midnight(day, zone)
        if begin <= moment <= finish:
            yield moment, f"{day.day} {day:%b}" if step < 182 else f"{day:%b %Y}"
            day += timedelta(days=step)
        else:
            day += timedelta(days=1)


def day_words(day: date) -> str:
    """Write a day of this year: `Tue 3 Mar`."""
    return f"{_WEEKDAYS[day.weekday()]} {day.day} {_MONTHS[day.month - 1]}"


# `strftime` takes ten times as long, and a year has hundreds of days.
_WEEKDAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS: Final = (
    *("Jan", "Feb", "Mar", "Apr", "May", "Jun"),
    *("Jul", "Aug", "Sep", "Oct", "Nov", "Dec"),
)


def midnight(day: date, zone: ZoneInfo) -> datetime:
    """Return the instant at which a day begins."""
    return instant_of(zone, datetime.combine(day, time())).astimezone(UTC)


def clock_changes(begin: datetime, finish: datetime, zone: ZoneInfo) -> list[ClockChange]:
    """Return how the zone's clock is set between these two."""
    changes = changes_after(zone, begin)
    passed = takewhile(lambda change: change.at < finish, changes)
    return [change for change in passed if change.size]
