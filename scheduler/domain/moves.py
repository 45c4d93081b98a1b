"""The diagram of docs/promise.md as data: every move of a run, and the event that each leaves."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from scheduler.domain.records import Reason, RunState

_QUEUED = RunState.QUEUED
_DISPATCHING = RunState.DISPATCHING
_UNCONFIRMED = RunState.UNCONFIRMED
_ATTENTION = RunState.NEEDS_ATTENTION
_COLLECTING = RunState.COLLECTING
_FAILED = RunState.FAILED
_CANCELLED = RunState.CANCELLED
_SKIPPED = RunState.SKIPPED

Move = tuple[RunState | None, RunState]
"""From a state, or from nothing, to a state."""

MOVES: Final[dict[Move, str]] = {
    (None, _QUEUED): "due, or asked for",
    (None, _SKIPPED): "due, and not to be sent",
    (None, _FAILED): "due, and its inputs or its definition cannot be used",
    (_QUEUED, _DISPATCHING): "claimed",
    (
        _QUEUED,
        _SKIPPED,
    ): "missed, coalesced, superseded, flushed or over a limit before it was sent",
    (_QUEUED, _FAILED): "its grace ended, or it was over a limit, after an attempt",
    (_QUEUED, _CANCELLED): "cancelled by a person before it was sent",
    (_QUEUED, _COLLECTING): "a late answer",
    (_DISPATCHING, _COLLECTING): "accepted",
    (_DISPATCHING, _FAILED): "refused, or it cannot be sent",
    (_DISPATCHING, _QUEUED): "deferred, or given back unsent",
    (_DISPATCHING, _UNCONFIRMED): "the answer was lost, or the daemon died",
    (_DISPATCHING, _ATTENTION): "answered with an id that another run has",
    (_UNCONFIRMED, _COLLECTING): "found and adopted, or a late answer",
    (_UNCONFIRMED, _QUEUED): "not found, or a person says so: to be sent again",
    (_UNCONFIRMED, _FAILED): "not found and out of attempts, or given up",
    (_UNCONFIRMED, _ATTENTION): "looking it up did not resolve it",
    (_ATTENTION, _COLLECTING): "adopted by a person, or a late answer",
    (_ATTENTION, _QUEUED): "resent by a person, or a late answer: not received",
    (_ATTENTION, _FAILED): "abandoned by a person, or a late answer: refused",
    (_COLLECTING, RunState.SUCCEEDED): "the collection ended",
    (_COLLECTING, RunState.PARTIAL): "the collection ended, some of its inputs failed",
    (_COLLECTING, _FAILED): "the collection failed, or is gone",
    (_COLLECTING, _CANCELLED): "the collection was cancelled",
    (_COLLECTING, _ATTENTION): "adopted by hand, and the upstream knows no such collection",
    (_FAILED, _COLLECTING): "a late answer: what was given up had been accepted",
    (_CANCELLED, _COLLECTING): "a late answer: what was given up had been accepted",
    (_SKIPPED, _COLLECTING): "a late answer: what was given up had been accepted",
}
"""Every move that there is, and when it is made."""


ENDS: Final[dict[RunState, tuple[Reason, ...]]] = {
    RunState.SUCCEEDED: (Reason.DONE,),
    RunState.PARTIAL: (
        Reason.SOME_INPUTS_FAILED,
        Reason.TOO_FEW_ROWS,
        Reason.DEADLINE_REACHED,
    ),
    RunState.FAILED: (
        *(Reason.REFUSED, Reason.BAD_CREDENTIALS, Reason.BAD_INPUTS, Reason.BAD_DEFINITION),
        *(Reason.ATTEMPTS_EXHAUSTED, Reason.ABANDONED, Reason.MISSED, Reason.OVER_LIMIT),
        *(Reason.BUDGET, Reason.NO_TIME, Reason.COLLECTION_FAILED, Reason.COLLECTION_GONE),
        *(Reason.NO_ROWS, Reason.TOO_FEW_ROWS, Reason.LOW_SUCCESS_RATE),
    ),
    RunState.CANCELLED: (
        Reason.COLLECTION_CANCELLED,
        Reason.CANCELLED_BY_HAND,
        Reason.REPLACED,
        Reason.OVERRUN,
    ),
    RunState.SKIPPED: (
        *(Reason.MISSED, Reason.COALESCED, Reason.SUPERSEDED, Reason.OVERLAPPED),
        *(Reason.PAUSED, Reason.FROZEN, Reason.PREDECESSOR_FAILED, Reason.QUEUE_FULL),
        *(Reason.OVER_LIMIT, Reason.BUDGET, Reason.NO_TIME, Reason.UNCHANGED, Reason.PARKED),
        *(Reason.STALE_BATCH, Reason.CANARY_FAILED, Reason.FLUSHED),
    ),
}
"""The usual ends: they count from 0, so that the first of them is seen as an increase."""


@dataclass(frozen=True, kw_only=True)
class RunEvent:
    """
    One move of a run: the database writes it, with the move, whoever makes that.

    *by* is a daemon's id, a person with their command, `sql` for any other client, or `upgrade`
    for what was there before events were kept.
    """

    id: int
    happened_at: datetime
    run_id: int
    from_state: RunState | None
    to_state: RunState
    reason: Reason
    detail: str | None
    by: str


@dataclass(frozen=True, kw_only=True)
class EventOfRun(RunEvent):
    """A move, and what its run is by now."""

    schedule: str | None
    collector: str
    due_at: datetime
    not_before: datetime
    created_at: datetime
    triggered_at: datetime | None
    created_by: str | None
    fence: int
    collection_id: str | None


_TOLD_OF: Final = frozenset(
    {RunState.UNCONFIRMED, RunState.NEEDS_ATTENTION, RunState.FAILED, RunState.PARTIAL}
)
_UNASKED: Final = frozenset(
    {
        *(Reason.THROTTLED, Reason.NOT_SENT, Reason.JOB_LIMIT, Reason.MISSED),
        *(Reason.COALESCED, Reason.OVERLAPPED, Reason.QUEUE_FULL, Reason.OVER_LIMIT),
        *(Reason.BUDGET, Reason.NO_TIME, Reason.PARKED, Reason.STALE_BATCH),
        *(Reason.CANARY_FAILED, Reason.PREDECESSOR_FAILED, Reason.COLLECTION_CANCELLED),
        *(Reason.OVERRUN,),
    }
)
"""Nobody decided these at that moment."""


def is_notable(event: RunEvent) -> bool:
    """Tell whether an operator should hear of it: it failed, waits for them, or was not to be."""
    return event.to_state in _TOLD_OF or event.reason in _UNASKED
