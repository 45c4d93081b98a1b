"""How a changed timetable changes what is to come: occurrences counted before and after."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice
from typing import Final

from scheduler.domain.timetable import Timetable

MOST_COUNTED: Final = 5_000
"""So many occurrences of a schedule are counted at most: one that fires each second has more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outlook:
    """
    A schedule's occurrences before and after a change, up to *until*.

    *until* is nearer than was asked for where there are too many to count. Of those that come
    and those that go, as many pairs as there are count as *moved*; *runs* is the rest.
    """

    schedule: str
    next_before: datetime | None
    next_after: datetime | None
    runs: int
    moved: int
    until: datetime
    is_whole: bool

    @property
    def is_the_same(self) -> bool:
        """Tell whether nothing is due at another time."""
        return not (self.runs or self.moved)


def compare_timetables(
    schedule: str,
    before: Timetable | None,
    after: Timetable | None,
    *,
    now: datetime,
    until: datetime,
    most: int = MOST_COUNTED,
) -> Outlook:
    """Count what is due after *now*, up to *until*; None is a timetable that is never due."""
    old, old_until = _occurrences(before, now, until, most)
    new, new_until = _occurrences(after, now, until, most)
    end = min(old_until, new_until)
    gone = {moment for moment in old if moment <= end} - set(new)
    come = {moment for moment in new if moment <= end} - set(old)
    return Outlook(
        schedule=schedule,
        next_before=old[0] if old else _first(before, until),
        next_after=new[0] if new else _first(after, until),
        runs=len(come) - len(gone),
        moved=min(len(come), len(gone)),
        until=end,
        is_whole=end == until,
    )


def _occurrences(
    timetable: Timetable | None, now: datetime, until: datetime, most: int
) -> tuple[list[datetime], datetime]:
    if timetable is None:
        return [], until
    found = list(islice(timetable.occurrences(now, until), most + 1))
    if len(found) <= most:
        return found, until
    return found[:most], found[most] - timedelta(seconds=1)


def _first(timetable: Timetable | None, after: datetime) -> datetime | None:
    return None if timetable is None else timetable.next_after(after)
