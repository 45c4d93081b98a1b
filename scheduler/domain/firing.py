"""Which occurrences of a schedule are owed now, and what becomes of each."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Protocol

from scheduler.domain.records import CatchUp, Reason

PROMPT: Final = timedelta(seconds=10)
"""Up to this late an occurrence is on time; what is later is caught up with by policy."""

MOST_AT_ONCE: Final = 1000
"""Occurrences of one schedule decided in one plan; the next plan goes on where it ended."""


class Timetable(Protocol):
    """All that planning needs to know of a timetable."""

    def next_after(self, moment: datetime) -> datetime | None:
        """Return the first occurrence strictly after *moment*; None when there is none."""

    def delay(self, slot: datetime) -> timedelta:
        """Return how long after *slot*, an occurrence, its run is to start."""


@dataclass(frozen=True, slots=True)
class Owed:
    """One due time and its fate: DUE becomes a run to send, any other reason a skipped one."""

    due_at: datetime
    fate: Reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a schedule owes, the mark up to which all is decided, and when to look again."""

    owed: tuple[Owed, ...]
    fired_until: datetime
    next_fire_at: datetime | None


def plan_firing(
    timetable: Timetable,
    *,
    fired_until: datetime,
    now: datetime,
    misfire_grace: timedelta,
    catch_up: CatchUp,
    window: timedelta | None = None,
    keep: int | None = None,
    also: datetime | None = None,
    most: int = MOST_AT_ONCE,
) -> Plan:
    """
    Decide every occurrence after *fired_until* up to *now*, at most *most* of them.

    Of late ones, those up to *window* (else *misfire_grace*) late are caught up with, the
    newest *keep* of them at most. *also* is an occurrence that an earlier timetable still
    owed when it was edited; it is decided whatever the clock shows. The mark never goes back: a
    clock behind *fired_until* owes nothing else. Planning in two passes decides the same as
    planning in one.
    """
    due = [] if also is None else [also]
    following = timetable.next_after(fired_until)
    while following is not None and following <= now and len(due) < most + (keep or 0):
        due.append(following)
        following = timetable.next_after(following)
    all_seen = following is None or following > now
    if keep is not None and not all_seen:
        # Which are the newest is not known yet: the next pass decides these.
        following, due = due[-keep], due[:-keep]

    newest = _newest(due, catch_up, keep, all_seen=all_seen)
    late_until = window or misfire_grace
    return Plan(
        owed=tuple(
            Owed(due_at, _fate(now - starts_at, due_at in newest, late_until, catch_up))
            for due_at in due
            for starts_at in [due_at + timetable.delay(due_at)]
        ),
        fired_until=max([fired_until, *due]),
        next_fire_at=following,
    )


def _newest(
    due: list[datetime], catch_up: CatchUp, keep: int | None, *, all_seen: bool
) -> frozenset[datetime]:
    """Return those that are caught up with however late, within the limit."""
    if catch_up is CatchUp.ALL and keep is None:
        return frozenset(due)
    if catch_up is CatchUp.NONE or not all_seen:
        return frozenset()
    return frozenset(due[-(keep or 1) :] if catch_up is CatchUp.ALL else due[-1:])


def _fate(lateness: timedelta, is_newest: bool, late_until: timedelta, catch_up: CatchUp) -> Reason:
    if lateness > late_until:
        return Reason.MISSED
    if lateness <= PROMPT:
        return Reason.DUE
    if catch_up is CatchUp.NONE:
        return Reason.MISSED
    return Reason.DUE if is_newest else Reason.COALESCED
