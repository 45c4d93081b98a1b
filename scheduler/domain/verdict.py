"""Did a collection succeed? Its status alone does not tell (DCA, 2)."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from scheduler.domain.answers import CollectionLog
from scheduler.domain.records import Reason, RunState

FORGOTTEN_AFTER: Final = timedelta(minutes=10)
"""From this age on, a collection that the upstream does not know is gone; before, it is new."""

KEPT_FOR: Final = timedelta(days=16)
"""The upstream keeps results for so long (DCA, 1); past it no end will be seen any more."""

LATE_AFTER: Final = timedelta(seconds=10)
"""
A collection may wait so long to be looked at while triggers go first.

After that questions do, by turns, until they have caught up: runs that never end let nothing begin.
"""

_FAILED: Final = frozenset({"failed", "error"})
_CANCELLED: Final = frozenset({"cancelled", "canceled"})
_DONE: Final = frozenset({"done", "finished", "ready", "success"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """How a collection ended: the state of its run, why, and what a person should know."""

    state: RunState
    reason: Reason
    detail: str | None = None


def judge(log: CollectionLog, *, deadline: timedelta | None) -> Verdict | None:
    """
    Return how the collection ended, None while it has not.

    A log without a status has ended when it tells a finish. What *deadline* cut off is partial:
    the document has no status for it, so pages left, or a life as long as the deadline, tell.
    """
    status = log.status.strip().lower() if log.status else None
    if status in _CANCELLED:
        return Verdict(state=RunState.CANCELLED, reason=Reason.COLLECTION_CANCELLED)
    if status in _FAILED:
        return Verdict(
            state=RunState.FAILED, reason=Reason.COLLECTION_FAILED, detail=_counts(log) or None
        )
    if status in _DONE or (status is None and log.finished_at is not None):
        return _judge_done(log, deadline)
    return None


def _judge_done(log: CollectionLog, deadline: timedelta | None) -> Verdict:
    if log.pages_left or _lived_to(log, deadline):
        return Verdict(
            state=RunState.PARTIAL, reason=Reason.DEADLINE_REACHED, detail=_counts(log) or None
        )
    if not log.fails and log.success_rate in (None, 1.0):
        return Verdict(state=RunState.SUCCEEDED, reason=Reason.DONE)
    if _brought_nothing(log):
        return Verdict(
            state=RunState.FAILED, reason=Reason.COLLECTION_FAILED, detail=_counts(log) or None
        )
    return Verdict(
        state=RunState.PARTIAL, reason=Reason.SOME_INPUTS_FAILED, detail=_counts(log) or None
    )


def _brought_nothing(log: CollectionLog) -> bool:
    if log.lines is None:
        return log.success_rate == 0.0 or (log.success_rate is None and _all_failed(log))
    return log.lines == 0 and (bool(log.fails) or log.success_rate == 0.0)


def _all_failed(log: CollectionLog) -> bool:
    return log.fails is not None and log.inputs is not None and log.fails >= log.inputs


def _lived_to(log: CollectionLog, deadline: timedelta | None) -> bool:
    if deadline is None or log.started_at is None or log.finished_at is None:
        return False
    return log.finished_at - log.started_at >= deadline


def _counts(log: CollectionLog) -> str:
    counts = (
        ("inputs", log.inputs),
        ("lines", log.lines),
        ("failed pages", log.fails),
        ("pages left", log.pages_left),
    )
    return ", ".join(f"{count} {what}" for what, count in counts if count is not None)


def next_look_after(
    accepted_at: datetime, now: datetime, *, first_pause: timedelta, longest_pause: timedelta
) -> datetime:
    """Return when to look again: a tenth of the collection's age from now, within both pauses."""
    age = now - accepted_at
    return now + min(max(age / 10, first_pause), longest_pause)


def judge_unknown(accepted_at: datetime, now: datetime) -> Verdict | None:
    """Return what becomes of a collection that the upstream does not know; None: ask again."""
    if now - accepted_at < FORGOTTEN_AFTER:
        return None
    return Verdict(
        state=RunState.FAILED,
        reason=Reason.COLLECTION_GONE,
        detail="the upstream does not know it (any more)",
    )


def judge_endless(accepted_at: datetime, now: datetime) -> Verdict | None:
    """Return what becomes of a collection that has not ended; None: it may still."""
    if now - accepted_at < KEPT_FOR:
        return None
    return Verdict(
        state=RunState.FAILED,
        reason=Reason.COLLECTION_GONE,
        detail="no end was seen for as long as the upstream keeps results",
    )
