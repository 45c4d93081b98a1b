"""Is one of these upstream jobs the one whose answer was lost?"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final

from scheduler.domain.answers import EchoedInputs, ListedJob, input_key

CLOCK_DIFFERENCE: Final = timedelta(minutes=1)
"""How far the upstream's clock may be from ours, beyond what its answers tell."""

_MOST_BEHIND: Final = timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class LostTrigger:
    """
    What is known of a trigger whose answer was lost.

    *claimed_at* is by the upstream's clock, as far as that is known: see by_their_clock.
    The job's count of inputs is one of *inputs*.
    """

    claimed_at: datetime
    inputs: frozenset[int]
    name: str | None


def by_their_clock(claimed_at: datetime, difference: timedelta | None) -> datetime:
    """
    Return when the trigger was claimed by a clock that is *difference* ahead of ours.

    Only a clock that is behind moves it, and by a day at most: what is too early finds more
    candidates, what is too late would miss the one.
    """
    return claimed_at - min(max(-(difference or timedelta()), timedelta()), _MOST_BEHIND)


def dates_to_search(claimed_at: datetime, now: datetime) -> tuple[date, date]:
    """Return the first and last day (UTC) on which the upstream may have queued the job."""
    return (claimed_at - CLOCK_DIFFERENCE).date(), (now + CLOCK_DIFFERENCE).date()


def candidates(
    trigger: LostTrigger, jobs: Iterable[ListedJob], *, owned: Collection[str]
) -> list[ListedJob]:
    """
    Return the jobs that can be the lost one: queued since it was claimed, with as many inputs.

    A job that a run already owns is none of them. What a row does not tell speaks
    neither for it nor against it; a row that cannot be dated may be the one.
    """
    earliest = trigger.claimed_at - CLOCK_DIFFERENCE
    return [
        job
        for job in jobs
        if job.id not in owned
        and (job.queued_at is None or job.queued_at >= earliest)
        and (job.inputs is None or job.inputs in trigger.inputs)
        and (job.name is None or trigger.name is None or job.name == trigger.name)
    ]


def possible_counts(sent: Sequence[Mapping[str, object]]) -> frozenset[int]:
    """Return the counts that a job of *sent* may be listed with: all, or equal ones once."""
    return frozenset({len(sent), len({input_key(one) for one in sent})})


def may_be_ours(sent: Iterable[Mapping[str, object]], echoed: EchoedInputs) -> bool:
    """Tell whether a dataset that echoes those inputs can be of a trigger that *sent* these."""
    return echoed.keys <= {input_key(one) for one in sent}
