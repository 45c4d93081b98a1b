"""Questions of clients, passed on to the upstream with the account's token, inside its brake."""

import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import partial
from math import ceil
from typing import Final, assert_never

from scheduler.clock import Clock
from scheduler.domain.answers import Unanswered
from scheduler.domain.records import Account
from scheduler.domain.relayed import RelayCall, RelayHead, RelayQuestion
from scheduler.domain.reply import Accepted, Deferred, Lost, Refusal, Rejected, TriggerReply
from scheduler.domain.timestamps import vendor_time
from scheduler.engine.accounts import Upstreams
from scheduler.engine.collection_requests import CollectionRequestsStep
from scheduler.engine.rate_limiter import feedback_of_answer, open_limiter
from scheduler.storage import accounts
from scheduler.storage.collection_requests import CollectionRequest
from scheduler.storage.database import Connection, Database
from scheduler.upstream import NOT_PASSED_ON

_ASK_AGAIN: Final = 30
_DOCTOR: Final = "`dca-scheduler doctor` says what to do"

Begin = Callable[[RelayHead], Awaitable[None]]
Forward = Callable[[bytes], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Relay:
    """Asks for clients; what the brake, the token or the upstream's state forbid is our word."""

    db: Database
    upstreams: Upstreams
    clock: Clock
    requests: CollectionRequestsStep

    async def ask(self, question: RelayQuestion, begin: Begin, forward: Forward) -> bool:
        """Hand the answer to *begin* and then *forward*; return whether all of it was handed."""
        taken = await self.db.write(partial(self._take, question=question))
        if isinstance(taken, RelayHead):
            await begin(taken)
            return True
        if isinstance(taken, tuple):
            head, body = _rerun_answer(*await self.requests.rerun(*taken), question)
            await begin(head)
            if body:
                await forward(body)
            return True
        client = self.upstreams.client(taken)
        fingerprint = self.upstreams.token_fingerprint(taken)
        passing = _Passing(begin, forward)
        answer = await client.relay(question.method, question.path, passing.take)
        feedback = feedback_of_answer(answer, token_fingerprint=fingerprint)

        def record(conn: Connection) -> None:
            limiter = open_limiter(conn, taken, now=self.clock())
            limiter.apply(conn, [feedback])
            limiter.close(conn)

        await self.db.write(record)
        if isinstance(answer, Unanswered) and not passing.has_begun:
            await begin(_head_of(answer, question))
            return True
        return not isinstance(answer, Unanswered)

    def _take(
        self, conn: Connection, *, question: RelayQuestion
    ) -> Account | tuple[CollectionRequest, Account] | RelayHead:
        """
        Take one question out of what the account may ask now, or say why not.

        A rerun is billed: that it leaves is on disk before it does.
        """
        account = accounts.find_account(conn, question.account)
        if account is None:
            return RelayHead(
                status=404, error=f"no account is called {question.account!r} any more"
            )
        now = self.clock()
        limiter = open_limiter(conn, account, now=now)
        allowed = limiter.questions()
        if allowed.count >= 1:
            limiter.ask(1)
            limiter.close(conn)
            if question.call is not RelayCall.RERUN:
                return account
            request = self.requests.open_rerun(
                conn,
                question.subject,
                account=account.name,
                failed_only=question.failed_only,
                by=question.by,
            )
            return request, account
        wait = (allowed.ask_again_at - now).total_seconds() if allowed.ask_again_at else _ASK_AGAIN
        way_out = _DOCTOR if limiter.brake.is_paused(now) else "ask again"
        return RelayHead(
            status=503,
            error=f"account {account.name} may ask nothing now ({allowed.waits_for}): {way_out}",
            retry_after=max(1, ceil(wait)),
        )


class _Passing:
    """Passes on what is meant for the client."""

    def __init__(self, begin: Begin, forward: Forward) -> None:
        self.has_begun = False
        self._begin = begin
        self._forward = forward

    async def take(self, status: int, headers: Mapping[str, str], piece: bytes) -> None:
        if status >= 500 or status in NOT_PASSED_ON:
            return
        if not self.has_begun:
            self.has_begun = True
            is_json = "json" in headers.get("content-type", "").lower()
            await self._begin(RelayHead(status=status, is_json=is_json))
        if piece:
            await self._forward(piece)


def _rerun_answer(
    reply: TriggerReply, run_id: int | None, question: RelayQuestion
) -> tuple[RelayHead, bytes]:
    match reply:
        case Accepted(collection_id=again, start_eta=eta):
            told = {"collection_id": again, "start_eta": eta and vendor_time(eta)}
            head = RelayHead(status=reply.status, is_json=True, run_id=run_id)
            return head, json.dumps(told).encode()
        case Rejected(refusal=Refusal.INVALID, status=status, detail=detail):
            return RelayHead(status=status, error=detail), b""
        case Lost(detail=detail):
            error = (
                f"no answer was read ({detail}): what it made is looked for as run {run_id}:"
                " do not ask again, for a rerun is billed"
            )
            return RelayHead(status=502, error=error, run_id=run_id), b""
        case Rejected() | Deferred():
            unanswered = Unanswered(
                detail=reply.detail,
                throttled=reply.status == 429,
                credentials=isinstance(reply, Rejected),
                retry_after=reply.retry_after if isinstance(reply, Deferred) else None,
            )
            return _head_of(unanswered, question), b""
        case _:
            assert_never(reply)


def _head_of(answer: Unanswered, question: RelayQuestion) -> RelayHead:
    if answer.throttled:
        wait = ceil(answer.retry_after.total_seconds()) if answer.retry_after else _ASK_AGAIN
        error = "the upstream is asked too much: ask again"
        return RelayHead(status=503, error=error, retry_after=wait)
    if answer.credentials:
        error = (
            f"the upstream refuses the token of account {question.account}, not yours: {_DOCTOR}"
        )
        return RelayHead(status=502, error=error)
    error = f"the upstream gave no answer that is passed on ({answer.detail}): ask again"
    return RelayHead(status=502, error=error, retry_after=_ASK_AGAIN)
