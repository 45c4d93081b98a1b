"""Whether the first inputs of a batch, its canary, ended well enough for the others to be sent."""

from dataclasses import dataclass
from datetime import datetime

from scheduler.domain.records import Reason, RunState


@dataclass(frozen=True, slots=True, kw_only=True)
class Canary:
    """
    The run of a canary that has ended, or outlived its deadline: *is_overdue*.

    *has_floor* where its schedule has a `min_success_rate`, below which it would have failed.
    """

    run_id: int
    state: RunState
    reason: Reason
    detail: str | None
    ended_at: datetime | None
    is_overdue: bool
    has_floor: bool


def why_not_sent(canary: Canary) -> tuple[Reason, str] | None:
    """Say for which reason what waits for it is not sent; None where it ended well."""
    named = f"its canary, run {canary.run_id},"
    why = f"{canary.reason}: {canary.detail}" if canary.detail else canary.reason.value
    match canary.state:
        case RunState.SUCCEEDED:
            return None
        case RunState.PARTIAL if canary.has_floor and canary.reason is Reason.SOME_INPUTS_FAILED:
            return None
        case RunState.SKIPPED:
            return canary.reason, f"{named} was skipped: {why}"
        case _ if canary.is_overdue:
            return Reason.CANARY_FAILED, f"{named} has not ended by its deadline"
        case _:
            return Reason.CANARY_FAILED, f"{named} ended {canary.state}: {why}"
