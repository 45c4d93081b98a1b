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


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """
    How an occurrence stands to the unfinished: sent or not, after whom, in whose place.

    *supersedes* are waiting runs that are skipped for it; *waits_for* is the run whose
    end it waits for, and which it *replaces*, if it does: its collection is cancelled, by id.
    """

    is_sent: bool = True
    waits_for: int | None = None
    replaces: bool = False
    supersedes: tuple[int, ...] = ()


def stand(overlap: Overlap, unfinished: Sequence[Unfinished]) -> Standing:
    """Decide by *overlap*; *unfinished* are in the order in which they were due."""
    waiting = tuple(one.run_id for one in unfinished if one.state is RunState.QUEUED)
    begun = [one.run_id for one in unfinished if one.state is not RunState.QUEUED]
    match overlap:
        case Overlap.QUEUE | Overlap.ALLOW:
            return Standing()
        case Overlap.SKIP:
            return Standing(is_sent=not unfinished)
        case Overlap.QUEUE_ONE:
            last = begun[-1] if begun else None
            return Standing(is_sent=not waiting, waits_for=last)
        case Overlap.REPLACE:
            last = begun[-1] if begun else None
            return Standing(waits_for=last, replaces=last is not None, supersedes=waiting)
