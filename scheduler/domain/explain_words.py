"""Reasons and states in words, for whoever asks what became of an occurrence."""

from collections.abc import Mapping
from typing import Final

from scheduler.domain.records import Reason, Run, RunState

_SKIPPED: Final[Mapping[Reason, str]] = {
    Reason.MISSED: "nothing could send it at its time, and it was too late afterwards",
    Reason.COALESCED: "a later occurrence that was owed with it stands for it",
    Reason.SUPERSEDED: "a later one took its place before it was sent",
    Reason.OVERLAPPED: "an earlier run of the schedule had not ended",
    Reason.PAUSED: "the schedule was paused",
    Reason.FROZEN: "it was frozen",
    Reason.PREDECESSOR_FAILED: "what it comes after did not succeed",
    Reason.QUEUE_FULL: "its queue was full",
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


def skip_sentence(run: Run) -> str:
    """Say why the occurrence of *run* was never sent."""
    why = _SKIPPED.get(run.reason, run.reason.value)
    return f"it was skipped, {run.reason}: {why}{_detail(run)}"


def run_sentence(run: Run) -> str:
    """Say what became of *run*."""
    collection = f", collection {run.collection_id}" if run.collection_id is not None else ""
    part = f" (part {run.part} of {run.parts})" if run.parts > 1 else ""
    return f"run {run.id}{part} {_STATES[run.state]}, {run.reason}{collection}{_detail(run)}"


def _detail(run: Run) -> str:
    return f" ({run.detail})" if run.detail else ""
