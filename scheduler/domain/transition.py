"""A run's next state after an answer, after looking for a lost one, and after its collection."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, NamedTuple, assert_never

from scheduler.domain.brake import LONGEST_RETRY_AFTER
from scheduler.domain.records import OnUnconfirmed, Outcome, Reason, Run, RunState
from scheduler.domain.reply import (
    Accepted,
    Deferral,
    Deferred,
    Lost,
    Refusal,
    Rejected,
    TriggerReply,
)

JOB_LIMIT_PAUSE: Final = timedelta(seconds=30)
"""A full collector is asked again after this: its jobs take minutes to hours."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Backoff:
    """Exponential growth from *first* to *most*; the caller brings the chance."""

    first: timedelta
    most: timedelta

    def pause(self, failures: int, *, chance: float) -> timedelta:
        """Return the pause after *failures* in a row, with full jitter by *chance* (0-1)."""
        # In seconds: a timedelta would overflow where a float is far from it.
        grown = self.first.total_seconds() * 2.0 ** min(failures - 1, 40)
        return timedelta(seconds=min(self.most.total_seconds(), grown)) * chance


class Transition(NamedTuple):  # made in a quarter of a frozen class's time, for each answer
    """What to write of a run and of the attempt that caused it."""

    state: RunState
    reason: Reason
    outcome: Outcome
    detail: str | None = None
    not_before: datetime | None = None
    next_lookup_at: datetime | None = None
    counts: bool = True
    collection_id: str | None = None
    start_eta: datetime | None = None
    triggered_at: datetime | None = None


def after_reply(
    reply: TriggerReply,
    *,
    now: datetime,
    first_lookup: timedelta,
) -> Transition:
    """Say what a run becomes; it is first looked for *first_lookup* after its answer was lost."""
    match reply:
        case Accepted(collection_id=collection_id, start_eta=start_eta):
            return Transition(
                state=RunState.COLLECTING,
                reason=Reason.ACCEPTED,
                outcome=Outcome.ACCEPTED,
                collection_id=collection_id,
                start_eta=start_eta,
            )
        case Rejected(refusal=refusal, detail=detail):
            return Transition(
                state=RunState.FAILED,
                reason=_REFUSED[refusal],
                outcome=Outcome.REJECTED,
                detail=detail,
            )
        case Deferred(deferral=deferral, detail=detail, retry_after=retry_after):
            # After 429, or when nothing can be reached, the account's brake holds everybody back.
            pause = JOB_LIMIT_PAUSE if deferral is Deferral.JOB_LIMIT else timedelta()
            asked = min(retry_after or timedelta(), LONGEST_RETRY_AFTER)
            return Transition(
                state=RunState.QUEUED,
                reason=_PUT_OFF[deferral],
                outcome=Outcome.DEFERRED,
                detail=detail,
                not_before=now + max(pause, asked),
                counts=False,
            )
        case Lost(detail=detail):
            return Transition(
                state=RunState.UNCONFIRMED,
                reason=Reason.ANSWER_LOST,
                outcome=Outcome.LOST,
                detail=detail,
                next_lookup_at=now + first_lookup,
            )
        case _:
            assert_never(reply)


_REFUSED: Final = {
    Refusal.INVALID: Reason.REFUSED,
    Refusal.CREDENTIALS: Reason.BAD_CREDENTIALS,
}
_PUT_OFF: Final = {
    Deferral.NOT_SENT: Reason.NOT_SENT,
    Deferral.THROTTLED: Reason.THROTTLED,
    Deferral.JOB_LIMIT: Reason.JOB_LIMIT,
}


@dataclass(frozen=True, slots=True)
class Found:
    """Exactly one of the upstream's jobs can be the lost one; *queued_at* as the upstream tells."""

    collection_id: str
    queued_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Absent:
    """None of the upstream's jobs can be the lost one."""


@dataclass(frozen=True, slots=True)
class Several:
    """More than one of the upstream's jobs can be the lost one."""

    collection_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Unreadable:
    """The upstream's list of jobs could not be read."""

    detail: str


Finding = Found | Absent | Several | Unreadable


def after_lookup(
    finding: Finding,
    run: Run,
    *,
    now: datetime,
    lookup_after: tuple[timedelta, ...],
    backoff: Backoff,
    chance: float,
    sent_for: timedelta | None = None,
) -> Transition:
    """
    Say what an unconfirmed run becomes after its lookup number `run.lookups + 1`.

    Only the last lookup decides anything but a find: a job may appear late in the list. It is not
    the last while less time has passed by the upstream's clock, *sent_for*, however ours was set.
    """
    if isinstance(finding, Found):
        return Transition(
            state=RunState.COLLECTING,
            reason=Reason.ADOPTED,
            outcome=Outcome.ADOPTED,
            collection_id=finding.collection_id,
            triggered_at=finding.queued_at,
        )
    pause = _pause_until_next(run.lookups, lookup_after, sent_for)
    if pause is not None:
        return Transition(
            state=RunState.UNCONFIRMED,
            reason=run.reason,
            outcome=Outcome.LOST,
            detail=run.detail,
            next_lookup_at=now + max(pause, _SHORTEST_PAUSE),
        )
    match finding:
        case Absent():
            return _after_absence(
                run, now=now, pause=backoff.pause(run.attempt_count, chance=chance)
            )
        case Several(collection_ids=ids):
            more = f" and {len(ids) - _MOST_NAMED} more" if len(ids) > _MOST_NAMED else ""
            detail = f"could be any of {', '.join(ids[:_MOST_NAMED])}{more}"
            return _for_a_person(Reason.SEVERAL_CANDIDATES, detail)
        case Unreadable(detail=detail):
            return _for_a_person(Reason.LOOKUP_FAILED, detail)
        case _:
            assert_never(finding)


_SHORTEST_PAUSE: Final = timedelta(seconds=1)
_MOST_NAMED: Final = 10


def _pause_until_next(
    lookups: int, lookup_after: tuple[timedelta, ...], sent_for: timedelta | None
) -> timedelta | None:
    """Return how long to wait for the next lookup after this one; None if this one was the last."""
    if lookups + 1 < len(lookup_after):
        return lookup_after[lookups + 1] - lookup_after[lookups]
    # The upstream tells whole seconds.
    is_early = sent_for is not None and sent_for < lookup_after[-1] - 2 * _SHORTEST_PAUSE
    return lookup_after[-1] - sent_for if is_early and sent_for is not None else None


def _after_absence(run: Run, *, now: datetime, pause: timedelta) -> Transition:
    match run.on_unconfirmed:
        case OnUnconfirmed.HOLD:
            return _for_a_person(
                Reason.HELD, "not among the upstream's jobs; the policy is to hold"
            )
        case OnUnconfirmed.SKIP:
            return Transition(
                state=RunState.FAILED,
                reason=Reason.ABANDONED,
                outcome=Outcome.ABSENT,
                detail="not among the upstream's jobs; the policy is to skip",
            )
        case OnUnconfirmed.RESEND if run.attempt_count >= run.max_attempts:
            return Transition(
                state=RunState.FAILED,
                reason=Reason.ATTEMPTS_EXHAUSTED,
                outcome=Outcome.ABSENT,
                detail=f"{run.attempt_count} attempts, none accepted; last: {run.detail}",
            )
        case OnUnconfirmed.RESEND:
            return Transition(
                state=RunState.QUEUED,
                reason=Reason.ABSENT,
                outcome=Outcome.ABSENT,
                detail=run.detail,
                not_before=now + pause,
            )


def _for_a_person(reason: Reason, detail: str) -> Transition:
    return Transition(
        state=RunState.NEEDS_ATTENTION, reason=reason, outcome=Outcome.LOST, detail=detail
    )
