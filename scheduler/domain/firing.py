"""Which occurrences of a schedule are owed now, and what becomes of each."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Protocol

from scheduler.domain.records import CatchUp, Reason

PROMPT: Final = timedelta(seconds=10)
"""Up to this late an occurrence is on time; what is later is caught up with by policy."""

MOST_AT_ONCE: Final = 1000
"""Occurrences of one schedule decided in one plan; the next plan goes on where it ended."""


class PlannableTimetable(Protocol):
    """All that planning needs to know of a timetable."""

    def next_after(self, moment: datetime) -> datetime | None:
        """Return the first occurrence strictly after *moment*; None when there is none."""

    def delay(self, slot: datetime) -> timedelta:
        """Return how long after *slot*, an occurrence, its run is to start."""


@dataclass(frozen=True, slots=True)
class DueOccurrence:
    """
    One due time and its reason: DUE becomes a run to send, any other reason a skipped one.

    *count* occurrences up to *until* may stand as one, if none of them is sent.
    """

    due_at: datetime
    reason: Reason
    until: datetime | None = None
    count: int = 1

    @property
    def last_due_at(self) -> datetime:
        """Return when the last of them was due."""
        return self.until or self.due_at


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a schedule owes, the mark up to which all is decided, and when to look again."""

    owed: tuple[DueOccurrence, ...]
    fired_until: datetime
    next_fire_at: datetime | None


def plan_firing(
    timetable: PlannableTimetable,
    *,
    fired_until: datetime,
    now: datetime,
    misfire_grace: timedelta,
    catch_up: CatchUp,
    window: timedelta | None = None,
    catch_up_limit: int | None = None,
    leftover: datetime | None = None,
    limit: int = MOST_AT_ONCE,
) -> Plan:
    """
    Decide every occurrence after *fired_until* up to *now*, at most *limit* of them.

    Of late ones, those up to *window* (else *misfire_grace*) late are caught up with, the
    newest *catch_up_limit* of them at most. *leftover* is an occurrence that an earlier
    timetable still owed when it was edited; it is decided whatever the clock shows. The mark
    never goes back: a clock behind *fired_until* owes nothing else. Planning in two passes
    decides the same as planning in one.
    """
    due = [] if leftover is None else [leftover]
    following = timetable.next_after(fired_until)
    while following is not None and following <= now and len(due) < limit + (catch_up_limit or 0):
        due.append(following)
        following = timetable.next_after(following)
    all_seen = following is None or following > now
    if catch_up_limit is not None and not all_seen:
        # Which are the newest is not known yet: the next pass decides these.
        following, due = due[-catch_up_limit], due[:-catch_up_limit]

    newest = _newest(due, catch_up, catch_up_limit, all_seen=all_seen)
    late_until = window or misfire_grace
    return Plan(
        owed=tuple(
            DueOccurrence(due_at, _reason(now - starts_at, due_at in newest, late_until, catch_up))
            for due_at in due
            for starts_at in [due_at + timetable.delay(due_at)]
        ),
        fired_until=max([fired_until, *due]),
        next_fire_at=following,
    )


def _newest(
    due: list[datetime], catch_up: CatchUp, catch_up_limit: int | None, *, all_seen: bool
) -> frozenset[datetime]:
    """Return those that are caught up with however late, within the limit."""
    if catch_up is CatchUp.ALL and catch_up_limit is None:
        return frozenset(due)
    if catch_up is CatchUp.NONE or not all_seen:
        return frozenset()
    return frozenset(due[-(catch_up_limit or 1) :] if catch_up is CatchUp.ALL else due[-1:])


def _reason(
    lateness: timedelta, is_newest: bool, late_until: timedelta, catch_up: CatchUp
) -> Reason:
    if lateness > late_until:
        return Reason.MISSED
    if lateness <= PROMPT:
        return Reason.DUE
    if catch_up is CatchUp.NONE:
        return Reason.MISSED
    return Reason.DUE if is_newest else Reason.COALESCED
