"""Reasons and states in words, for whoever asks what became of an occurrence."""

from collections.abc import Mapping
from typing import Final

from scheduler.domain.firing import PROMPT
from scheduler.domain.overlap import UNENDED
from scheduler.domain.records import Reason, Run, RunState
from scheduler.domain.timestamps import display_time

_SKIPPED: Final[Mapping[Reason, str]] = {
    Reason.MISSED: "it could not be sent in time",
    Reason.COALESCED: "a later occurrence stands for it",
    Reason.SUPERSEDED: "a later one took its place before it was sent",
    Reason.OVERLAPPED: "an earlier run of the schedule had not ended",
    Reason.PAUSED: "the schedule was paused",
    Reason.FROZEN: "it was frozen",
    Reason.PREDECESSOR_FAILED: "what it comes after did not succeed",
    Reason.QUEUE_FULL: "its queue was full",
    Reason.OVER_LIMIT: "it was beyond what may be sent",
    Reason.BUDGET: "its budget was spent",
    Reason.NO_TIME: "too little time was left until it had to have ended",
    Reason.UNCHANGED: "its inputs had not changed (only_if_changed)",
    Reason.PARKED: "all its inputs were parked (park_after)",
    Reason.STALE_BATCH: "the file of its batch was too old (batch_max_age)",
    Reason.CANARY_FAILED: "its first inputs, its canary, did not end well",
    Reason.FLUSHED: "it waited, and was flushed",
}
_STATES: Final[Mapping[RunState, str]] = {
    RunState.QUEUED: "waits to be sent",
    RunState.DISPATCHING: "is being sent",
    RunState.UNCONFIRMED: "was sent, and its answer was lost: the daemon looks for it",
    RunState.NEEDS_ATTENTION: "was sent, and a person must say what became of it",
    RunState.COLLECTING: "was accepted and is collecting",
    RunState.SUCCEEDED: "succeeded",
    RunState.PARTIAL: "succeeded in part",
    RunState.FAILED: "failed",
    RunState.CANCELLED: "was cancelled",
    RunState.SKIPPED: "was skipped",
}


def skip_sentence(run: Run, *, stand_in: Run | None = None) -> str:
    """Say why the occurrence of *run* was never sent; *stand_in* is the run that stands for it."""
    why = _SKIPPED.get(run.reason, run.reason.value)
    if run.reason is Reason.MISSED and run.created_at - run.due_at > PROMPT:
        decided = display_time(run.created_at)
        why = f"no daemon was there at its time, and when one was, at {decided}, it was too late"
    if run.reason is Reason.COALESCED and stand_in is not None:
        why = f"run {stand_in.id}, due {display_time(stand_in.due_at)}, stands for it"
    detail = _detail(run)
    if run.reason is Reason.OVERLAPPED:
        # Its detail says the same again, or else what it was for.
        detail, why = "", why if run.detail in (None, UNENDED) else str(run.detail)
    return f"it was skipped, {run.reason}: {why}{detail}"


def run_sentence(run: Run) -> str:
    """Say what became of *run*."""
    collection = f", collection {run.collection_id}" if run.collection_id is not None else ""
    chunk = f" (chunk {run.chunk} of {run.chunks})" if run.chunks > 1 else ""
    return f"run {run.id}{chunk} {_STATES[run.state]}, {run.reason}{collection}{_detail(run)}"


def _detail(run: Run) -> str:
    return f" ({run.detail})" if run.detail else ""
