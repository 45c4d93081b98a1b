"""Whether the first inputs of a batch, its canary, ended well enough for the others to be sent."""

from dataclasses import dataclass
from datetime import datetime

from scheduler.domain.definition import duration_of
from scheduler.domain.errors import InvalidInput
from scheduler.domain.records import Reason, RunState


@dataclass(frozen=True, slots=True, kw_only=True)
class AfterCanary:
    """
    A run that waits for the run *canary*, which has ended so, or is overdue.

    *has_floor* where its schedule has a `min_success_rate`, below which the canary would have
    failed. One that a person asked for has no *misfire_grace*: it is never too late.
    """

    run_id: int
    canary: int
    state: RunState
    reason: Reason
    detail: str | None
    ended_at: datetime | None
    has_floor: bool
    misfire_grace: str | None

    @property
    def send_before(self) -> datetime | None:
        """When its grace ends, which begins with the end of the canary."""
        try:
            grace = duration_of("misfire_grace", self.misfire_grace)
        except InvalidInput:
            return None  # a row that was made wrong meanwhile holds up nothing
        return None if grace is None or self.ended_at is None else self.ended_at + grace


def why_not_sent(waiting: AfterCanary) -> tuple[Reason, str] | None:
    """Say for which reason it is not sent; None where its canary ended well."""
    named = f"its canary, run {waiting.canary},"
    why = f"{waiting.reason}: {waiting.detail}" if waiting.detail else waiting.reason.value
    is_above = waiting.has_floor and waiting.reason is Reason.SOME_INPUTS_FAILED
    match waiting.state:
        case RunState.SUCCEEDED:
            return None
        case RunState.PARTIAL if is_above:
            return None
        case RunState.SKIPPED:
            return waiting.reason, f"{named} was skipped: {why}"
        case _ if waiting.ended_at is None:
            return Reason.CANARY_FAILED, f"{named} has not ended by its deadline"
        case _:
            return Reason.CANARY_FAILED, f"{named} ended {waiting.state}: {why}"
