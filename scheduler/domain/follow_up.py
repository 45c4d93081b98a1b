"""When a schedule with `after` is due: whenever the one before it has ended."""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from scheduler.domain.records import AfterWhen, RunState


@dataclass(frozen=True, slots=True, kw_only=True)
class EndedRun:
    """A run of the schedule before, whose collection has ended."""

    run_id: int
    state: RunState
    ended_at: datetime

    def satisfies(self, after_when: AfterWhen) -> bool:
        """Tell whether the schedule that comes after it is to be sent."""
        return after_when is AfterWhen.ENDED or self.state is RunState.SUCCEEDED


@dataclass(frozen=True, slots=True)
class FollowUp:
    """A timetable made of ends: each is an occurrence at the moment it happened."""

    ends: Sequence[EndedRun]

    def next_after(self, moment: datetime) -> datetime | None:
        """Return the first end strictly after *moment*; ends are in order."""
        index = bisect_right(self.ends, moment, key=lambda end: end.ended_at)
        return self.ends[index].ended_at if index < len(self.ends) else None

    def delay(self, slot: datetime) -> timedelta:
        """Return no delay: what comes after something comes at once."""
        return timedelta()

    def at(self, due_at: datetime) -> EndedRun:
        """Return the end that happened at *due_at*."""
        return next(end for end in self.ends if end.ended_at == due_at)
