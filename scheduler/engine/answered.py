"""What came back for a claimed run, and what it says of the account."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog

from scheduler.domain.records import Outcome, Reason, RunState, RunToSend
from scheduler.domain.reply import Accepted, TriggerReply
from scheduler.domain.transition import Transition, after_reply
from scheduler.engine.rate_limiter import ALL_IS_WELL, Feedback, RateLimiter, feedback_of_reply
from scheduler.storage.runs.outcomes import AttemptResult

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Unsendable:
    """The request could not be made: a secret that it names is not there. Nothing was sent."""

    detail: str


@dataclass(frozen=True, slots=True)
class Withheld:
    """Its misfire grace ended before the first byte. Nothing was sent."""

    detail: str


Reply = TriggerReply | Unsendable | Withheld


@dataclass(slots=True, kw_only=True)
class Answered:
    """A claimed run and what came back for it."""

    run: RunToSend
    reply: Reply
    token_fingerprint: str

    @property
    def feedback(self) -> Feedback | None:
        """What the answer says about the account; None if nothing was asked."""
        if isinstance(self.reply, Unsendable | Withheld):
            return None
        return feedback_of_reply(self.reply, token_fingerprint=self.token_fingerprint)

    @property
    def is_plain(self) -> bool:
        """Tell whether the account's brake has nothing to hear but that all is well."""
        return isinstance(self.reply, Accepted) or self.feedback in (None, ALL_IS_WELL)


def feedbacks(limiter: RateLimiter, answers: Sequence[Answered]) -> list[Feedback]:
    """Return what the *answers* of its account say to a limiter."""
    of_account = (answer for answer in answers if answer.run.account == limiter.account.name)
    said = (answer.feedback for answer in of_account)
    return [feedback for feedback in said if feedback is not None]


def result_of(answer: Answered, *, now: datetime, first_lookup: timedelta) -> AttemptResult:
    """Say what becomes of the run that was answered."""
    if isinstance(answer.reply, Unsendable | Withheld):
        return AttemptResult(run=answer.run, change=_after_nothing_sent(answer.reply))
    change = after_reply(answer.reply, now=now, first_lookup=first_lookup)
    return AttemptResult(run=answer.run, change=change, http_status=answer.reply.status)


def _after_nothing_sent(reply: Unsendable | Withheld) -> Transition:
    """Say what becomes of a run: one that cannot be sent ends, one that was late waits again."""
    cannot = isinstance(reply, Unsendable)
    return Transition(
        state=RunState.FAILED if cannot else RunState.QUEUED,
        reason=Reason.BAD_DEFINITION if cannot else Reason.LEASE_ENDED,
        outcome=Outcome.DEFERRED,
        detail=reply.detail,
        counts=False,
    )


def log_second_collection(answer: Answered) -> None:
    """Tell of an answer whose run went on without it: what it brought is billed, and kept."""
    if isinstance(answer.reply, Accepted):
        log.error(
            "second_collection_for_run",
            run_id=answer.run.id,
            schedule=answer.run.schedule,
            collection_id=answer.reply.collection_id,
        )
