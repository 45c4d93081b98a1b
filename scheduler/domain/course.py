"""How long a schedule's runs usually take, and what that says of one that is under way."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import ceil
from statistics import median
from typing import Final

LATE_START_AFTER: Final = timedelta(minutes=10)
"""A collection that begins so long after the promised `start_eta` is late."""

_SUFFICES: Final = 5
"""From so many good runs on, how long they took is usual."""
_MARGIN: Final = timedelta(minutes=10)
_MOST_RUNS_TO_LOSE: Final = 3


def late_start(start_eta: datetime | None, started_at: datetime | None) -> timedelta | None:
    """Return how much later than promised a collection began; None where it was in time."""
    if start_eta is None or started_at is None or started_at - start_eta < LATE_START_AFTER:
        return None
    return started_at - start_eta


@dataclass(frozen=True, slots=True, kw_only=True)
class UsualTime:
    """How long the last good runs of a schedule took: the median, and the 95th percentile."""

    median: timedelta
    longest: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """When a collection is expected to end, and from when on it overruns, once it has begun."""

    end_at: datetime
    overruns_at: datetime | None


def usual_time(durations: Sequence[timedelta]) -> UsualTime | None:
    """Return what is usual by the *durations* of good runs; None where they are too few."""
    if len(durations) < _SUFFICES:
        return None
    ordered = sorted(durations)
    longest = ordered[ceil(len(ordered) * 0.95) - 1]
    return UsualTime(median=timedelta(seconds=median(_seconds(ordered))), longest=longest)


def _seconds(durations: Sequence[timedelta]) -> list[float]:
    return [duration.total_seconds() for duration in durations]


def expect(usual: UsualTime, *, begins_at: datetime, has_begun: bool) -> Expected:
    """
    Return what is to be expected of a collection that begins then.

    It overruns by far: after twice the 95th percentile, and ten minutes beyond it at least.
    """
    patience = max(2 * usual.longest, usual.longest + _MARGIN)
    return Expected(
        end_at=begins_at + usual.median,
        overruns_at=begins_at + patience if has_begun else None,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class GoodRun:
    """A run of the timetable that ended well, and when the one after it was due."""

    due_at: datetime
    triggered_at: datetime
    ended_at: datetime
    next_due_at: datetime | None

    @property
    def outlasted(self) -> bool:
        """Tell whether it took longer than there was until the next."""
        if self.next_due_at is None:
            return False
        return self.ended_at - self.triggered_at > self.next_due_at - self.due_at


def has_lost_cadence(newest_first: Sequence[GoodRun]) -> bool | None:
    """
    Tell whether a schedule's runs outlast its interval: the last three did.

    False where the last did not; None where that is open.
    """
    last = newest_first[:_MOST_RUNS_TO_LOSE]
    if not last:
        return None
    if not last[0].outlasted:
        return False
    is_lost = len(last) == _MOST_RUNS_TO_LOSE and all(run.outlasted for run in last)
    return True if is_lost else None
