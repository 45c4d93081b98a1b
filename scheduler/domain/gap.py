"""A long gap: what was not sent for so long that a row each would be millions is one row."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from scheduler.domain.firing import PROMPT, DueOccurrence
from scheduler.domain.records import CatchUp, Reason
from scheduler.domain.timestamps import display_time
from scheduler.domain.timetable import Timetable

ROW_EACH: Final = 100
"""Up to so many occurrences that are passed over in one go have a row each."""

_WALKED = 10
"""For each occurrence that a plan may decide, so many may be passed over, or days be counted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lateness:
    """What decides about late occurrences: see `plan_firing`."""

    now: datetime
    late_until: timedelta
    catch_up: CatchUp
    catch_up_limit: int | None
    limit: int


@dataclass(frozen=True, slots=True)
class PassedOver:
    """What was passed over, up to *mark*; *goes_on_at* has what a later pass goes on with."""

    owed: list[DueOccurrence]
    mark: datetime
    goes_on_at: datetime | None = None


def pass_over(
    timetable: Timetable, fired_until: datetime, rules: Lateness, ends: Sequence[datetime]
) -> PassedOver:
    """
    Return what after *fired_until* is surely not sent, the more than ROW_EACH of a gap as one.

    No gap goes over one of *ends*, moments at which a pause or a freeze begins or ends. What
    comes after the last gap is for `plan_firing`.
    """
    passed: list[DueOccurrence] = []
    mark = fired_until
    for until, reason in _unsent(timetable, rules):
        for end in sorted({*(end - timedelta.resolution for end in ends if end < until), until}):
            gap = _gap(timetable, mark, end, reason, rules)
            if gap is None:
                continue
            passed += _rows_of(gap, timetable, mark)
            mark = gap.last_due_at
            following = timetable.next_after(mark)
            if following is not None and following <= end:
                return PassedOver(passed, mark, goes_on_at=following)
    return PassedOver(passed, mark)


def _rows_of(gap: DueOccurrence, timetable: Timetable, mark: datetime) -> list[DueOccurrence]:
    if gap.count > ROW_EACH:
        return [gap]
    each = timetable.occurrences(mark, gap.last_due_at)
    return [DueOccurrence(due_at, gap.reason) for due_at in each]


def _unsent(timetable: Timetable, rules: Lateness) -> Iterator[tuple[datetime, Reason]]:
    """Yield up to which moments everything has which reason, one after the other."""
    prompt = rules.now - PROMPT - timetable.longest_delay
    late = rules.now - rules.late_until
    if rules.catch_up is CatchUp.NONE:
        yield prompt - timedelta.resolution, Reason.MISSED
        return
    yield late - timetable.longest_delay - timedelta.resolution, Reason.MISSED
    if rules.catch_up is CatchUp.ALL and rules.catch_up_limit is None:
        return
    if not timetable.longest_delay:  # else each says for itself whether it is late or too late
        newest = _first_of_the_newest(timetable, rules, late)
        if newest is not None:
            yield min(newest, prompt) - timedelta.resolution, Reason.COALESCED


def _first_of_the_newest(timetable: Timetable, rules: Lateness, late: datetime) -> datetime | None:
    """Return the first occurrence that is caught up with, if many others come before it."""
    count = rules.catch_up_limit or 1 if rules.catch_up is CatchUp.ALL else 1
    many = timetable.stretch(late, rules.now, most=ROW_EACH + 1)
    if count > ROW_EACH or many is None or many.count <= ROW_EACH:
        return None
    moment = rules.now + timedelta.resolution
    for _ in range(count):
        moment = timetable.previous_before(moment) or moment
    return moment


def _gap(
    timetable: Timetable, mark: datetime, end: datetime, reason: Reason, rules: Lateness
) -> DueOccurrence | None:
    most = _WALKED * rules.limit
    stretch = timetable.stretch(mark, min(end, mark + timedelta(days=most)), most=most)
    if stretch is None:
        return None
    return DueOccurrence(stretch.first, reason, until=stretch.last, count=stretch.count)


def gap_text(first: datetime, last: datetime, count: int) -> str:
    """Say what a gap's one row stands for."""
    return f"{count} occurrences from {display_time(first)} to {display_time(last)}"
