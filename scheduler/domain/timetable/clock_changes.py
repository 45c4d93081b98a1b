"""Where a zone's clocks jump. Wall-clock times here are naive datetimes; instants are aware UTC."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from itertools import count
from zoneinfo import ZoneInfo

SECOND = timedelta(seconds=1)
_DAY = timedelta(days=1)
_ZERO = timedelta(0)


@dataclass(frozen=True, slots=True)
class ClockChange:
    """At the instant *at*, the offset from UTC goes from *before* to *after*."""

    at: datetime
    before: timedelta
    after: timedelta

    @property
    def size(self) -> timedelta:
        """How far the wall clock jumps: positive over a gap, negative into a fold."""
        return self.after - self.before

    @property
    def wall_before(self) -> datetime:
        """What the clock would have shown without the change: where a gap starts, a fold ends."""
        return (self.at + self.before).replace(tzinfo=None)

    @property
    def wall_after(self) -> datetime:
        """What the clock shows instead: where a gap ends, a fold starts."""
        return (self.at + self.after).replace(tzinfo=None)


def offset_of(zone: ZoneInfo, instant: datetime) -> timedelta:
    """Return the zone's offset from UTC at *instant*."""
    return instant.astimezone(zone).utcoffset() or _ZERO


def wall_of(zone: ZoneInfo, instant: datetime) -> datetime:
    """Return what the wall clock shows at *instant*, naive; its fold tells the second pass."""
    return instant.astimezone(zone).replace(tzinfo=None)


def instant_of(zone: ZoneInfo, wall: datetime) -> datetime:
    """Return the instant at which the clock shows *wall* (with its fold); in a gap, its end."""
    instant = wall.replace(tzinfo=zone).astimezone(UTC)
    if wall_of(zone, instant) == wall:
        return instant
    changes = changes_after(zone, instant - 2 * _DAY)
    return next(change.at for change in changes if change.wall_before <= wall < change.wall_after)


def in_utc(zone: ZoneInfo, moment: datetime) -> datetime:
    """Return *moment* in UTC; without an offset of its own it is wall-clock time in *zone*."""
    return moment.astimezone(UTC) if moment.tzinfo else instant_of(zone, moment)


def changes_after(zone: ZoneInfo, instant: datetime) -> Iterator[ClockChange]:
    """Yield without end the changes after *instant*; each new year in UTC is one of size zero."""
    for year in count(instant.year):
        yield from (change for change in _changes_in(zone, year) if change.at > instant)


def next_change(zone: ZoneInfo, instant: datetime) -> ClockChange:
    """Return the first of them."""
    return next(change for change in _changes_in(zone, instant.year) if change.at > instant)


def folds_around(zone: ZoneInfo, instant: datetime) -> Iterator[ClockChange]:
    """Yield the folds whose second pass holds *instant*."""
    for change in changes_after(zone, instant - _DAY):
        if change.at > instant:
            return
        if instant < change.at - change.size:
            yield change


# A year of one zone costs about 0.2 ms to look through: the memory is what makes a step cheap.
@lru_cache(maxsize=8192)
def _changes_in(zone: ZoneInfo, year: int) -> tuple[ClockChange, ...]:
    start = datetime(year, 1, 1, tzinfo=UTC)
    end = datetime(year + 1, 1, 1, tzinfo=UTC)
    changes = []
    # No zone ever changed its clock twice within a day.
    while start < end:
        stop = min(start + _DAY, end)
        if offset_of(zone, start) != offset_of(zone, stop):
            changes.append(_find_change(zone, start, stop))
        start = stop
    if not changes or changes[-1].at < end:
        offset = offset_of(zone, end)
        changes.append(ClockChange(end, offset, offset))
    return tuple(changes)


def _find_change(zone: ZoneInfo, start: datetime, stop: datetime) -> ClockChange:
    before, after = offset_of(zone, start), offset_of(zone, stop)
    while stop - start > SECOND:
        middle = start + (stop - start) // 2
        middle = middle.replace(microsecond=0)
        if offset_of(zone, middle) == before:
            start = middle
        else:
            stop = middle
    return ClockChange(stop, before, after)
