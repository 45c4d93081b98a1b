"""What came back for a claimed run: what it says of the account, and its line in the log."""

from dataclasses import dataclass
from typing import assert_never

import structlog

from scheduler.domain.moments import moment_iso
from scheduler.domain.records import Outcome, Reason, RunState, RunToSend
from scheduler.domain.reply import Accepted, Deferred, Lost, Rejected, TriggerReply
from scheduler.domain.transition import Transition
from scheduler.engine.budget import Signal, signal_of_reply

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Unsendable:
    """The request could not be made: a secret that it names is not there. Nothing was sent."""

    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """A claimed run and what came back for it."""

    run: RunToSend
    reply: TriggerReply | Unsendable
    token_mark: str

    @property
    def signal(self) -> Signal | None:
        """What the answer says about the account; None if nothing was asked."""
        if isinstance(self.reply, Unsendable):
            return None
        return signal_of_reply(self.reply, token_mark=self.token_mark)

    @property
    def is_plain(self) -> bool:
        """Tell whether the account's brake has nothing to hear but that all is well."""
        return isinstance(self.reply, Accepted) or self.signal in (None, Signal())


def after_unsendable(reply: Unsendable) -> Transition:
    """Say what becomes of a run whose request could not be made: it ends."""
    return Transition(
        state=RunState.FAILED,
        reason=Reason.BAD_DEFINITION,
        outcome=Outcome.DEFERRED,
        detail=reply.detail,
        counts=False,
    )


def log_answer(one: Answered, *, kept: bool) -> None:
    """Write the line of an answer that is on disk; *kept* unless its run went on without it."""
    told = {"run_id": one.run.id, "schedule": one.run.schedule, "attempt": one.run.fence}
    match one.reply:
        case Accepted(collection_id=collection_id) if not kept:
            # The run went on without this answer: what it brought is billed, and kept.
            log.error("second_collection_for_run", **told, collection_id=collection_id)
        case Accepted(collection_id=collection_id, start_eta=start_eta):
            eta = moment_iso(start_eta) if start_eta else None
            log.info("run_accepted", **told, collection_id=collection_id, start_eta=eta)
        case Rejected(detail=detail, status=status):
            log.error("run_rejected", **told, detail=detail, status=status)
        case Deferred(deferral=deferral, detail=detail):
            log.warning("run_deferred", **told, why=deferral.value, detail=detail)
        case Lost(detail=detail):
            log.warning("run_unconfirmed", **told, detail=detail)
        case Unsendable(detail=detail):
            log.error("run_unsendable", **told, detail=detail)
        case _:
            assert_never(one.reply)
