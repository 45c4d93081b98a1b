"""Is one of these upstream jobs the one whose answer was lost?"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import Enum
from typing import Final

from scheduler.domain.answers import EchoedInputs, ListedJob, input_key
from scheduler.domain.batch import input_digest
from scheduler.domain.records import JsonObject
from scheduler.domain.transition import Absent, Finding, Found, Several

CLOCK_DIFFERENCE: Final = timedelta(minutes=1)
"""How far what dates a job may be from the clock that its answers tell, or from ours."""

RESTORED: Final = "restored"
"""Who had claimed what waited in a backup: it may never have been sent, and others were."""

MISDATED: Final = timedelta(days=1)
"""How far a list may be from the upstream's `Date`, unless it is seen to date our jobs by it."""

_WRONG_BY: Final = timedelta(days=2)
"""A clock of ours that nobody vouches for is taken to have been wrong by this much."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LostTrigger:
    """
    What is known of a trigger whose answer was lost.

    Its job is dated *sent_at* or later if no clock was wrong, and *not_before* or later whatever
    was wrong: see `date_trigger`. The job's count of inputs is one of *inputs*.
    """

    sent_at: datetime
    not_before: datetime
    inputs: frozenset[int]
    name: str | None


def date_trigger(
    claimed_at: datetime, upstream_at: datetime | None, now: datetime
) -> tuple[datetime, datetime]:
    """
    Return when a trigger was sent as far as is known, and the earliest that it can have been.

    *upstream_at* is what the upstream's clock showed at the claim: no clock of ours can be more
    right about it. Where it is not known, ours may have been set since *claimed_at*; *now* is by
    the upstream's clock.
    """
    if upstream_at is not None:
        return upstream_at, max(min(upstream_at, claimed_at), upstream_at - _WRONG_BY)
    return claimed_at, min(claimed_at, now) - _WRONG_BY


def dates_to_search(not_before: datetime, now: datetime) -> tuple[date, date]:
    """
    Return the first and last day (UTC) on which the upstream may have queued the job.

    By whatever zone or clock the list dates it; the day before shows how it dates ours.
    """
    return (not_before - MISDATED).date(), (now + MISDATED).date()


@dataclass(frozen=True, slots=True, kw_only=True)
class ListHabits:
    """
    Whether the list shows our own jobs with the name and the count that we sent, and how dated.

    None where no job of ours tells. "A row may carry `name`, do not count on it" (DCA, 2).
    *dated_early* is how long before their claim, by the clock of the upstream's answers.
    """

    shows_names: bool | None = None
    shows_counts: bool | None = None
    dated_early: timedelta | None = None


@dataclass(frozen=True, slots=True)
class SentJob:
    """What is known of a job of ours: *upstream_at* is the upstream's clock at its claim."""

    name: str | None
    inputs: int
    upstream_at: datetime | None = None


def learn_habits(own: Iterable[tuple[ListedJob, SentJob]]) -> ListHabits:
    """Compare the rows of our own jobs with what was sent, and when."""
    names, counts, early = set(), set(), set()
    for job, sent in own:
        if job.name is not None and sent.name is not None:
            names.add(job.name == sent.name)
        if job.inputs:
            counts.add(job.inputs == sent.inputs)
        if job.queued_at is not None and sent.upstream_at is not None:
            early.add(sent.upstream_at - job.queued_at)
    return ListHabits(
        shows_names=all(names) if names else None,
        shows_counts=all(counts) if counts else None,
        dated_early=_dated_early(early),
    )


def _dated_early(early: Collection[timedelta]) -> timedelta | None:
    most = max(early, default=None)
    if most is not None and most <= CLOCK_DIFFERENCE:
        return timedelta()
    # What is early now by this, now by that, tells nothing.
    is_steady = most is not None and most - min(early) <= 2 * CLOCK_DIFFERENCE
    return most if is_steady else None


class Fit(Enum):
    """How well a listed job fits the lost trigger."""

    NAMED = "named"  # it bears the name that was sent
    PLAIN = "plain"  # nothing speaks against it
    UNCOUNTED = "uncounted"  # its inputs are not all counted yet
    DOUBTFUL = "doubtful"  # its name or its count is another, which proves nothing
    TOO_OLD = "too_old"  # it is dated before the trigger was sent, which a wrong clock may do


@dataclass(frozen=True, slots=True)
class Candidate:
    """A listed job that may be the lost one."""

    job: ListedJob
    fit: Fit


def candidates(
    trigger: LostTrigger, jobs: Iterable[ListedJob], *, owned: Collection[str], habits: ListHabits
) -> list[Candidate]:
    """
    Return the jobs that can be the lost one: nobody's, and queued since it was sent.

    Older ones are told only where there is no other: a clock may have been wrong, or the
    list's own, unless it is seen to date our jobs as the upstream's answers tell the time.

    A name or a count supports a match. Neither rules one out, but for a whole count where the
    list is seen to count as we do. What a row does not tell speaks neither for it nor
    against it; a row that cannot be dated may be the one.
    """
    early = habits.dated_early
    not_before = trigger.not_before - CLOCK_DIFFERENCE - (MISDATED if early is None else early)
    possible = [
        Candidate(job, fit)
        for job in jobs
        if job.id not in owned
        and (job.queued_at is None or job.queued_at >= not_before)
        and (fit := _fit(trigger, job, habits)) is not None
    ]
    earliest = trigger.sent_at - CLOCK_DIFFERENCE - (early or timedelta())
    fitting = [
        candidate for candidate in possible if (candidate.job.queued_at or earliest) >= earliest
    ]
    if not fitting:
        return [Candidate(candidate.job, Fit.TOO_OLD) for candidate in possible]
    named = [candidate for candidate in fitting if candidate.fit is Fit.NAMED]
    return named or fitting


def _fit(trigger: LostTrigger, job: ListedJob, habits: ListHabits) -> Fit | None:
    is_whole = _is_counted(trigger, job)
    has_another_count = is_whole and job.inputs not in trigger.inputs
    if has_another_count and habits.shows_counts:
        return None
    tells_name = None not in (job.name, trigger.name) and habits.shows_names is not False
    if tells_name and job.name == trigger.name:
        return Fit.NAMED
    if tells_name or has_another_count:
        return Fit.DOUBTFUL
    return Fit.PLAIN if is_whole or job.inputs is None else Fit.UNCOUNTED


def _is_counted(trigger: LostTrigger, job: ListedJob) -> bool:
    """Tell whether the row's count is whole: a smaller one may grow until the job has ended."""
    if not job.inputs:
        return False
    return job.inputs >= min(trigger.inputs) or job.finished_at is not None


def in_doubt(fitting: Iterable[Candidate]) -> list[Candidate]:
    """Return the candidates, none of which is believed for its count alone."""
    return [one if one.fit is Fit.NAMED else Candidate(one.job, Fit.DOUBTFUL) for one in fitting]


def conclude(fitting: Sequence[Candidate], *, is_last_look: bool) -> Finding:
    """
    Say what the candidates come to, once their datasets were compared.

    A single one is it, unless it is doubtful; one that is not counted yet is asked about
    again, until the last look.
    """
    match fitting:
        case []:
            return Absent()
        case [Candidate(job=job, fit=Fit.NAMED | Fit.PLAIN)]:
            return Found(job.id, job.queued_at)
        case [Candidate(job=job, fit=Fit.UNCOUNTED)] if is_last_look:
            return Found(job.id, job.queued_at)
        case _:
            return Several(tuple(candidate.job.id for candidate in fitting))


_MOST_TOLD_APART: Final = 1_000_000


def possible_counts(count: int, sent: Iterable[JsonObject]) -> frozenset[int]:
    """
    Return the counts that a job of *sent* may be listed with: all, or equal ones once.

    Of more than a million, each of which would have to be remembered, only all.
    """
    if count > _MOST_TOLD_APART:
        return frozenset({count})
    return frozenset({count, len({input_digest(item) for item in sent})})


def may_be_ours(echoed: EchoedInputs, sent: Iterable[JsonObject]) -> bool:
    """Tell whether a dataset that echoes those inputs can be of a trigger that *sent* these."""
    missing = set(echoed.keys)
    for item in sent:
        missing.discard(input_key(item))
    return not missing


def is_ours(echoed: EchoedInputs, sent: Iterable[JsonObject]) -> bool:
    """Tell whether a dataset echoes all that was *sent*, and nothing else."""
    if not echoed.is_whole:
        return False
    missing = set(echoed.keys)
    for item in sent:
        key = input_key(item)
        if key not in echoed.keys:
            return False
        missing.discard(key)
    return not missing
