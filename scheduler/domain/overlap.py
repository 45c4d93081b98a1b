"""What becomes of an occurrence while an earlier run of its schedule has not ended."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from scheduler.domain.records import Overlap, RunState

UNENDED: Final = "an earlier run of the schedule has not ended"
"""Why an occurrence is not sent, unless it is for what others run."""


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
    end it waits for, and which it *replaces*, if it does: its collection is cancelled, by id. If it
    *waits_for_others* it is not sent while a job that no run has is known to run. One that is not
    sent is *held_by* a run of the schedule; None: only by jobs that no run has.
    """

    is_sent: bool = True
    held_by: int | None = None
    waits_for: int | None = None
    replaces: bool = False
    supersedes: tuple[int, ...] = ()
    waits_for_others: bool = False


def decide_overlap(
    overlap: Overlap, unfinished: Sequence[Unfinished], *, others_run: bool = False
) -> OverlapDecision:
    """
    Decide by *overlap*; *unfinished* are in the order in which they were due.

    One that is overdue holds nobody up; it may still be replaced. Where *others_run* something on
    the collector, that is waited for, and never replaced.
    """
    in_time = [run for run in unfinished if not run.is_overdue]
    waiting = tuple(run.run_id for run in unfinished if run.state is RunState.QUEUED)
    may_be_replaced = unfinished if overlap is Overlap.REPLACE else in_time
    begun = [run.run_id for run in may_be_replaced if run.state is not RunState.QUEUED]
    match overlap:
        case Overlap.QUEUE | Overlap.ALLOW:
            return OverlapDecision()
        case Overlap.SKIP:
            held_by = in_time[-1].run_id if in_time else None
            return OverlapDecision(is_sent=not in_time and not others_run, held_by=held_by)
        case Overlap.QUEUE_ONE:
            last = begun[-1] if begun else None
            return OverlapDecision(
                is_sent=not waiting,
                held_by=waiting[-1] if waiting else None,
                waits_for=last,
                waits_for_others=others_run,
            )
        case Overlap.REPLACE:
            last = begun[-1] if begun else None
            return OverlapDecision(
                waits_for=last,
                replaces=last is not None,
                supersedes=waiting,
                waits_for_others=others_run,
            )
