"""How a changed timetable changes what is to come: occurrences counted before and after."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice
from typing import Final

from scheduler.domain.timetable import Timetable

MOST_COUNTED: Final = 5_000
"""So many occurrences of a schedule are counted at most: one that fires each second has more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Coming:
    """
    What a schedule has to come: its timetable's occurrences, less what is stopped, up to a number.

    *left* is how many runs `max_runs` still allows; None is no limit.
    """

    timetable: Timetable
    is_stopped: Callable[[datetime], bool] = lambda moment: False
    left: int | None = None

    def occurrences(self, now: datetime, until: datetime, most: int) -> list[datetime]:
        """Return what comes after *now*, up to *until*; *most* are looked at."""
        seen = islice(self.timetable.occurrences(now, until), most)
        return list(islice((moment for moment in seen if not self.is_stopped(moment)), self.left))

    def looked_until(self, now: datetime, until: datetime, most: int) -> datetime:
        """Return up to where *most* occurrences reach."""
        beyond = next(islice(self.timetable.occurrences(now, until), most, None), None)
        return until if beyond is None else beyond - timedelta(seconds=1)

    def first(self, after: datetime) -> datetime | None:
        """Return the first occurrence after a moment, if that one comes."""
        first = None if self.left == 0 else self.timetable.next_after(after)
        return None if first is None or self.is_stopped(first) else first


@dataclass(frozen=True, slots=True, kw_only=True)
class Outlook:
    """
    A schedule's occurrences before and after a change, up to *counted_until*.

    That is nearer than was asked for where there are too many to count. Of those that come
    and those that go, as many pairs as there are count as *moved*; *more_runs* is the rest,
    negative where fewer are due.
    """

    schedule: str
    old_next_fire_at: datetime | None
    new_next_fire_at: datetime | None
    more_runs: int
    moved: int
    counted_until: datetime
    is_whole: bool

    @property
    def is_the_same(self) -> bool:
        """Tell whether nothing is due at another time."""
        return not (self.more_runs or self.moved)


def compare_coming(
    schedule: str,
    before: Coming | None,
    after: Coming | None,
    *,
    now: datetime,
    until: datetime,
    most: int = MOST_COUNTED,
) -> Outlook:
    """Count what comes after *now*, up to *until*; None is a schedule that is never due."""
    old = before.occurrences(now, until, most) if before else []
    new = after.occurrences(now, until, most) if after else []
    end = min(
        coming.looked_until(now, until, most) if coming else until for coming in (before, after)
    )
    gone = {moment for moment in old if moment <= end} - set(new)
    come = {moment for moment in new if moment <= end} - set(old)
    return Outlook(
        schedule=schedule,
        old_next_fire_at=_first(before, old, until),
        new_next_fire_at=_first(after, new, until),
        more_runs=len(come) - len(gone),
        moved=min(len(come), len(gone)),
        counted_until=end,
        is_whole=end == until,
    )


def _first(
    coming: Coming | None, occurrences: Sequence[datetime], until: datetime
) -> datetime | None:
    if occurrences or coming is None:
        return occurrences[0] if occurrences else None
    return coming.first(until)
