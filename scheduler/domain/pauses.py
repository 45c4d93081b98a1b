"""Pauses and freezes: when a schedule does not fire, by whose word, and why."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from scheduler.domain.errors import InvalidInput
from scheduler.domain.records import Reason, ScheduleTimes
from scheduler.domain.timestamps import display_time

ALL: Final = "all"


@dataclass(frozen=True, slots=True, kw_only=True)
class Freeze:
    """A pause of many: *scope* is `all`, `collector:NAME` or `label:NAME`."""

    scope: str
    frozen_at: datetime
    frozen_by: str
    reason: str
    until: datetime | None

    def concerns(self, schedule: ScheduleTimes) -> bool:
        """Tell whether the schedule is one of them."""
        return self.holds(schedule.collector, schedule.labels)

    def holds(self, collector: str, labels: str | None) -> bool:
        """Tell whether what has this collector and these labels is one of them."""
        kind, _, name = self.scope.partition(":")
        match kind:
            case "collector":
                return collector == name
            case "label":
                return f",{name}," in (labels or "")
            case _:
                return self.scope == ALL


@dataclass(frozen=True, slots=True)
class Stop:
    """
    Why an occurrence is not sent though it is due.

    *detail* is kept with a run; *why_held* says when it ends, too, which may still be changed.
    """

    reason: Reason
    detail: str
    why_held: str


def check_scope(scope: str) -> str:
    """Return *scope* if it can be frozen; InvalidInput otherwise."""
    kind, _, name = scope.partition(":")
    if scope != ALL and (kind not in ("collector", "label") or name.strip() in ("", ",")):
        raise InvalidInput(f"{scope!r} cannot be frozen: write all, collector:NAME or label:NAME")
    return scope


def stop_at(due_at: datetime, schedule: ScheduleTimes, freezes: Iterable[Freeze]) -> Stop | None:
    """Return what stops the occurrence of *schedule* at *due_at*; None if nothing does."""
    if _within(due_at, schedule.paused_at, schedule.paused_until):
        who = schedule.paused_by, schedule.paused_reason
        return _stop(Reason.PAUSED, "paused", who, schedule.paused_until)
    for freeze in freezes:
        if freeze.concerns(schedule) and _within(due_at, freeze.frozen_at, freeze.until):
            who = freeze.frozen_by, freeze.reason
            return _stop(Reason.FROZEN, f"{freeze.scope} frozen", who, freeze.until)
    return None


def why_skipped(
    due_at: datetime | None, schedule: ScheduleTimes, freezes: Iterable[Freeze]
) -> Reason | None:
    """Return the reason for which the occurrence at *due_at* is skipped, if one stops it."""
    stop = None if due_at is None else stop_at(due_at, schedule, freezes)
    return None if stop is None else stop.reason


def _stop(
    reason: Reason, what: str, who: tuple[str | None, str | None], until: datetime | None
) -> Stop:
    return Stop(reason, f"{what}{stopped_by(*who)}", f"{what}{stopped_by(*who, until)}")


def stops_change_at(schedule: ScheduleTimes, freezes: Iterable[Freeze]) -> list[datetime]:
    """Return the moments at which `stop_at` may begin to answer otherwise."""
    moments = [schedule.paused_at, schedule.paused_until]
    for freeze in freezes:
        if freeze.concerns(schedule):
            moments += [freeze.frozen_at, freeze.until]
    return [moment for moment in moments if moment is not None]


def stopped_by(by: str | None, reason: str | None, until: datetime | None = None) -> str:
    """Say by whom something is stopped, until when and why; an SQL client may leave both out."""
    end = f" until {display_time(until)}" if until is not None else ""
    who = f" by {by}" if by else " by hand"
    return f"{who}{end}: {reason or 'no reason given'}"


def is_paused(paused_at: datetime | None, paused_until: datetime | None, now: datetime) -> bool:
    """Tell whether a pause that began then, and ends by itself then or never, lasts at *now*."""
    return paused_at is not None and (paused_until is None or paused_until > now)


def _within(moment: datetime, start: datetime | None, until: datetime | None) -> bool:
    return start is not None and start <= moment and (until is None or moment < until)
