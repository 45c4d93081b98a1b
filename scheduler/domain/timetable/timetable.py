"""A schedule's timetable: what comes after a moment, and why a moment is no occurrence."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

from apscheduler.triggers.base import BaseTrigger

from scheduler.domain.timetable.clock_changes import SECOND, changes_after, instant_of, wall_of
from scheduler.domain.timetable.delay import delay
from scheduler.domain.timetable.exclusions import Exclusion
from scheduler.domain.timetable.stretch import (
    Stretch,
    count_hours_quickly,
    count_quickly,
    guess_previous,
    walk,
)
from scheduler.domain.timetable.trigger import WallClockTrigger

# What bounds the search when exclusions leave nothing: about eleven years of excluded days.
_MOST_EXCLUDED = 4_000
_FURTHEST = timedelta(days=50 * 366)
_EARLIEST = datetime(1900, 1, 1, tzinfo=UTC)
_LATEST = datetime(9000, 1, 1, tzinfo=UTC)


class MomentKind(StrEnum):
    """What a moment is to a timetable."""

    OCCURRENCE = "occurrence"
    EXCLUDED = "excluded"  # it would be one, but a calendar or a blackout window covers it
    NOT_YET_VALID = "not_yet_valid"  # it would be one, but for valid_from
    NO_LONGER_VALID = "no_longer_valid"  # it would be one, but for valid_until
    NO_OCCURRENCE = "no_occurrence"


class DstMark(StrEnum):
    """What a clock change did to an occurrence."""

    SHIFTED = "shifted"  # its own time fell into the gap that ends at this moment
    FIRST_PASS = "first_pass"  # noqa: S105 - no password: the clock shows this time once more
    SECOND_PASS = "second_pass"  # noqa: S105 - no password: the clock showed this time before


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """What a moment is, what excludes it (as people named it), and the occurrences around it."""

    kind: MomentKind
    excluded_by: str | None = None
    previous: datetime | None = None
    following: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Timetable:
    """
    When one schedule is due. Pure: the same question has the same answer, whenever it is asked.

    Moments go in aware and come out in UTC, on whole seconds. Without *triggers*
    (a manual schedule, or one that follows another) there is no occurrence.
    """

    name: str
    zone: ZoneInfo
    triggers: tuple[BaseTrigger, ...]
    valid_from: datetime | None = None
    valid_until: datetime | None = None
    exclusions: tuple[Exclusion, ...] = ()
    jitter: timedelta | None = None
    spread: timedelta | None = None

    def next_after(self, moment: datetime) -> datetime | None:
        """
        Return the first occurrence strictly later than *moment*, None when there is none.

        The search is bounded: None also when exclusions leave nothing for decades, or
        cover four thousand stretches of time in a row.
        """
        after = min(max(moment.astimezone(UTC), _EARLIEST), _LATEST)
        if self.valid_from is not None:
            start = min(max(self.valid_from, _EARLIEST), _LATEST)
            after = max(after, start - timedelta.resolution)
        horizon = min(after + _FURTHEST, self.valid_until or _LATEST, _LATEST)
        for _ in range(_MOST_EXCLUDED):
            candidate = self._candidate_after(after)
            if candidate is None or candidate > horizon:
                return None
            excluded = self._exclusion_at(candidate)
            if excluded is None:
                return candidate
            # The end itself may be an occurrence; in a fold it may lie behind.
            after = max(candidate, self._instant_near(candidate, excluded[1]) - SECOND)
        return None

    def occurrences(self, start: datetime, end: datetime) -> Iterator[datetime]:
        """Yield the occurrences later than *start*, up to and including *end*, in order."""
        occurrence = self.next_after(start)
        while occurrence is not None and occurrence <= end:
            yield occurrence
            occurrence = self.next_after(occurrence)

    def count(self, start: datetime, end: datetime) -> int | None:
        """Count the occurrences later than *start*, up to *end*; None if each must be looked at."""
        if self.exclusions or (self.valid_from is not None and self.valid_from > start):
            return None
        end = min(end, self.valid_until or end)
        return count_quickly(self.triggers, self.next_after, start, end)

    def count_hours(self, start: datetime, end: datetime) -> list[int] | None:
        """
        Count the occurrences of each hour from *start* to *end*, both whole hours of UTC.

        None if each must be looked at.
        """
        is_valid = (self.valid_from or start) <= start and end <= (self.valid_until or end)
        if self.exclusions or not is_valid:
            return None
        return count_hours_quickly(self.triggers, self.next_after, start, end)

    def stretch(self, start: datetime, end: datetime, *, most: int) -> Stretch | None:
        """
        Return all occurrences later than *start*, up to *end*, as one; None when there is none.

        Where they cannot be counted but by looking at each, only the first *most* of them.
        """
        end = min(end, self.valid_until or end)
        counted = self.count(start, end)
        if not counted:
            return walk(self.next_after, start, end, most=most)
        first, last = self.next_after(start), self.previous_before(end + timedelta.resolution)
        return None if first is None or last is None else Stretch(first, last, counted)

    def previous_before(self, moment: datetime) -> datetime | None:
        """Return the last occurrence strictly earlier than *moment*, looking back fifty years."""
        end = moment.astimezone(UTC)
        if end <= _EARLIEST:
            return None
        guess = guess_previous(self.triggers, self.next_after, end)
        if guess is not None and self._is_last_before(end, guess):
            return guess
        back = SECOND
        while (last := self._next_between(end - back, end)) is None:
            back *= 4
            if end - _EARLIEST < back or back > _FURTHEST:
                return None

        # Halve the stretch: *last* is an occurrence, and from *high* on there is none.
        high = end
        while high - last > SECOND:
            middle = last + (high - last) // 2
            later = self._next_between(middle - timedelta.resolution, end)
            last, high = (last, middle) if later is None else (later, high)
        return last

    def explain(self, moment: datetime) -> Explanation:
        """Tell what *moment* is to this timetable, and the two occurrences nearest to it."""
        instant = moment.astimezone(UTC)
        kind, excluded_by = self._kind(instant)
        return Explanation(
            kind=kind,
            excluded_by=excluded_by,
            previous=self.previous_before(instant),
            following=self.next_after(instant),
        )

    def dst_mark(self, occurrence: datetime) -> DstMark | None:
        """Tell what a clock change did to *occurrence*; None on all other days."""
        local = occurrence.astimezone(self.zone)
        if local.replace(fold=1 - local.fold).utcoffset() != local.utcoffset():
            return DstMark.SECOND_PASS if local.fold else DstMark.FIRST_PASS
        change = next(changes_after(self.zone, occurrence.astimezone(UTC) - SECOND), None)
        if change is None or change.at != occurrence or change.size <= timedelta(0):
            return None
        walls = [trigger for trigger in self.triggers if isinstance(trigger, WallClockTrigger)]
        on_time = any(
            w.calendar.next_wall(change.wall_after - SECOND) == change.wall_after for w in walls
        )
        return None if on_time or not walls else DstMark.SHIFTED

    def delay(self, slot: datetime) -> timedelta:
        """Return how long after *slot*, an occurrence, the run starts: see delay.py."""
        if self.jitter is None and self.spread is None:
            return timedelta(0)
        return delay(self.name, slot, self.next_after(slot), self.jitter, self.spread)

    @property
    def longest_delay(self) -> timedelta:
        """How long after an occurrence its run starts at most."""
        return (self.jitter or timedelta(0)) + (self.spread or timedelta(0))

    def excluded_by(self, instant: datetime) -> str | None:
        """Return what excludes *instant*, as people named it; None if nothing does."""
        excluded = self._exclusion_at(instant)
        return excluded[0] if excluded else None

    def _candidate_after(self, moment: datetime) -> datetime | None:
        # APScheduler's triggers answer "at or after", some of them in floating-point
        # seconds: every occurrence is on a whole second, so ask from the next one on.
        now = moment.replace(microsecond=0) + SECOND
        first = None
        for trigger in self.triggers:
            at = trigger.get_next_fire_time(None, now)
            # A DateTrigger answers with its date even when that has passed.
            if at is not None and at >= now and (first is None or at < first):
                first = at
        return None if first is None else first.astimezone(UTC)

    def _exclusion_at(self, instant: datetime) -> tuple[str, datetime] | None:
        if not self.exclusions:
            return None
        wall = wall_of(self.zone, instant)
        covers = (exclusion.covers(wall) for exclusion in self.exclusions)
        return next((cover for cover in covers if cover is not None), None)

    def _instant_near(self, candidate: datetime, wall: datetime) -> datetime:
        # Of two passes of *wall*, the one that *candidate* is in.
        return instant_of(self.zone, wall.replace(fold=candidate.astimezone(self.zone).fold))

    def _kind(self, instant: datetime) -> tuple[MomentKind, str | None]:
        if instant < _EARLIEST or self._candidate_after(instant - SECOND) != instant:
            return MomentKind.NO_OCCURRENCE, None
        if self.valid_from is not None and instant < self.valid_from:
            return MomentKind.NOT_YET_VALID, None
        if self.valid_until is not None and instant > self.valid_until:
            return MomentKind.NO_LONGER_VALID, None
        excluded_by = self.excluded_by(instant)
        return MomentKind.EXCLUDED if excluded_by else MomentKind.OCCURRENCE, excluded_by

    def _is_last_before(self, end: datetime, guess: datetime) -> bool:
        is_one = guess < end and self.next_after(guess - SECOND) == guess
        return is_one and self._next_between(guess, end) is None

    def _next_between(self, start: datetime, end: datetime) -> datetime | None:
        occurrence = self.next_after(start)
        return occurrence if occurrence is not None and occurrence < end else None
