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
    also: datetime | None = None,
    most: int = MOST_AT_ONCE,
) -> Plan:
    """
    Decide every occurrence after *fired_until* up to *now*, at most *most* of them.

    *also* is an occurrence that an earlier timetable still owed when it was edited; it is
    decided whatever the clock shows. The mark never goes back: a clock behind *fired_until*
    owes nothing else. Planning in two passes decides the same as planning in one.
    """
    due = [] if also is None else [also]
    following = timetable.next_after(fired_until)
    while following is not None and following <= now and len(due) < most:
        due.append(following)
        following = timetable.next_after(following)
    all_seen = following is None or following > now
    newest = due[-1] if due and all_seen else None
    return Plan(
        owed=tuple(
            Owed(due_at, _fate(now - starts_at, due_at == newest, misfire_grace, catch_up))
            for due_at in due
            for starts_at in [due_at + timetable.delay(due_at)]
        ),
        fired_until=max([fired_until, *due]),
        next_fire_at=following,
    )


def _fate(
    lateness: timedelta, is_newest: bool, misfire_grace: timedelta, catch_up: CatchUp
) -> Reason:
    if lateness > misfire_grace:
        return Reason.MISSED
    if lateness <= PROMPT:
        return Reason.DUE
    match catch_up:
        case CatchUp.ALL:
            return Reason.DUE
        case CatchUp.LATEST:
            return Reason.DUE if is_newest else Reason.COALESCED
        case CatchUp.NONE:
            return Reason.MISSED
