"""Pauses and freezes: when a schedule does not fire, by whose word, and why."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from scheduler.domain.errors import InvalidInput
from scheduler.domain.records import Reason, Schedule

ALL: Final = "all"


@dataclass(frozen=True, slots=True, kw_only=True)
class Freeze:
    """A pause of many: *scope* is `all`, `collector:NAME` or `label:NAME`."""

    scope: str
    frozen_at: datetime
    frozen_by: str
    reason: str
    until: datetime | None

    def concerns(self, schedule: Schedule) -> bool:
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
    """Why an occurrence is not sent though it is due."""

    reason: Reason
    detail: str


def check_scope(scope: str) -> str:
    """Return *scope* if it can be frozen; InvalidInput otherwise."""
    kind, _, name = scope.partition(":")
    if scope != ALL and (kind not in ("collector", "label") or not name):
        raise InvalidInput(f"{scope!r} cannot be frozen: write all, collector:NAME or label:NAME")
    return scope


def stop_at(due_at: datetime, schedule: Schedule, freezes: Iterable[Freeze]) -> Stop | None:
    """Return what stops the occurrence of *schedule* at *due_at*; None if nothing does."""
    if _within(due_at, schedule.paused_at, schedule.paused_until):
        by = f"paused by {schedule.paused_by}: {schedule.paused_reason}"
        return Stop(Reason.PAUSED, by)
    for freeze in freezes:
        if freeze.concerns(schedule) and _within(due_at, freeze.frozen_at, freeze.until):
            by = f"{freeze.scope} frozen by {freeze.frozen_by}: {freeze.reason}"
            return Stop(Reason.FROZEN, by)
    return None


def _within(moment: datetime, start: datetime | None, until: datetime | None) -> bool:
    return start is not None and start <= moment and (until is None or moment < until)
