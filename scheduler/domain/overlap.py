"""What becomes of an occurrence while an earlier run of its schedule has not ended."""

from collections.abc import Sequence
from dataclasses import dataclass

from scheduler.domain.records import Overlap, RunState


@dataclass(frozen=True, slots=True)
class Unfinished:
    """A run of the schedule that has not ended."""

    run_id: int
    state: RunState
    collection_id: str | None
    is_overdue: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class OverlapDecision:
    """
    How an occurrence stands to the unfinished: sent or not, after whom, in whose place.

    *supersedes* are waiting runs that are skipped for it; *waits_for* is the run whose
    end it waits for, and which it *replaces*, if it does: its collection is cancelled, by id.
    """

    is_sent: bool = True
    waits_for: int | None = None
    replaces: bool = False
    supersedes: tuple[int, ...] = ()


def decide_overlap(overlap: Overlap, unfinished: Sequence[Unfinished]) -> OverlapDecision:
    """
    Decide by *overlap*; *unfinished* are in the order in which they were due.

    One that is overdue holds nobody up; it may still be replaced.
    """
    in_time = [run for run in unfinished if not run.is_overdue]
    waiting = tuple(run.run_id for run in unfinished if run.state is RunState.QUEUED)
    may_be_replaced = unfinished if overlap is Overlap.REPLACE else in_time
    begun = [run.run_id for run in may_be_replaced if run.state is not RunState.QUEUED]
    match overlap:
        case Overlap.QUEUE | Overlap.ALLOW:
            return OverlapDecision()
        case Overlap.SKIP:
            return OverlapDecision(is_sent=not in_time)
        case Overlap.QUEUE_ONE:
            last = begun[-1] if begun else None
            return OverlapDecision(is_sent=not waiting, waits_for=last)
        case Overlap.REPLACE:
            last = begun[-1] if begun else None
            return OverlapDecision(waits_for=last, replaces=last is not None, supersedes=waiting)
