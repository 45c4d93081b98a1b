"""Questions of clients, passed on to the upstream with the account's token, inside its brake."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from math import ceil
from typing import Final

import structlog

from scheduler.actions.relayed import accepted_rerun, follow_rerun
from scheduler.clock import Clock
from scheduler.domain.answers import Unanswered
from scheduler.domain.errors import DatabaseError, NotFound
from scheduler.domain.records import Account
from scheduler.domain.relayed import RelayCall, RelayHead, RelayQuestion
from scheduler.engine.accounts import Upstreams
from scheduler.engine.rate_limiter import feedback_of_answer, open_limiter
from scheduler.storage import accounts
from scheduler.storage.database import Connection, Database
from scheduler.upstream import NOT_PASSED_ON
from scheduler.upstream.fields import read_fields, read_id, read_json, read_moment

log = structlog.get_logger()

_ASK_AGAIN: Final = 30
_DOCTOR: Final = "`dca-scheduler doctor` says what to do"
_LARGEST_HELD: Final = 64 * 1024

Begin = Callable[[RelayHead], Awaitable[None]]
Forward = Callable[[bytes], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Relay:
    """Asks for clients; what the brake, the token or the upstream's state forbid is our word."""

    db: Database
    upstreams: Upstreams
    clock: Clock
    owner: str
    """The daemon."""

    async def ask(self, question: RelayQuestion, begin: Begin, forward: Forward) -> bool:
        """Hand the answer to *begin* and then *forward*; return whether all of it was handed."""
        taken = await self.db.write(partial(self._take, question=question))
        if isinstance(taken, RelayHead):
            await begin(taken)
            return True
        client = self.upstreams.client(taken)
        fingerprint = self.upstreams.token_fingerprint(taken)
        is_rerun = question.call is RelayCall.RERUN
        passing = _Passing(begin, forward, is_held=is_rerun)
        answer = await client.relay(question.method, question.path, question.content, passing.take)
        feedback = feedback_of_answer(answer, token_fingerprint=fingerprint)

        def record(conn: Connection) -> None:
            limiter = open_limiter(conn, taken, now=self.clock())
            limiter.apply(conn, [feedback])
            limiter.close(conn)

        await self.db.write(record)
        if is_rerun:
            await passing.release(await self._follow(question, passing.body))
        if isinstance(answer, Unanswered) and not passing.has_begun:
            await begin(_head_of(answer, question))
            return True
        return not isinstance(answer, Unanswered)

    async def _follow(self, question: RelayQuestion, body: bytes) -> int | None:
        """Write the run that a rerun's answer tells of, and return its id."""
        answer = read_fields(read_json(body))
        collection_id = read_id(answer.get("collectionid"))
        if collection_id is None:
            return None
        detail = f"rerun of {question.subject}" + ", what failed" * question.failed_only
        rerun = accepted_rerun(collection_id, read_moment(answer.get("starteta")), detail)
        request = f"{question.method} {question.path}"

        def write(conn: Connection) -> int | None:
            return follow_rerun(
                conn,
                question.subject,
                rerun,
                request,
                owner=self.owner,
                by=question.by,
                now=self.clock(),
            )

        try:
            return await self.db.write(write)
        except (DatabaseError, NotFound) as error:
            log.error("rerun_not_followed", collection_id=collection_id, error=str(error))
            return None

    def _take(self, conn: Connection, *, question: RelayQuestion) -> Account | RelayHead:
        """Take one question out of what the account may ask now, or say why not."""
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
            return account
        wait = (allowed.ask_again_at - now).total_seconds() if allowed.ask_again_at else _ASK_AGAIN
        way_out = _DOCTOR if limiter.brake.is_paused(now) else "ask again"
        return RelayHead(
            status=503,
            error=f"account {account.name} may ask nothing now ({allowed.waits_for}): {way_out}",
            retry_after=max(1, ceil(wait)),
        )


class _Passing:
    """Passes on what is meant for the client; what *is_held* only when it is released."""

    def __init__(self, begin: Begin, forward: Forward, *, is_held: bool) -> None:
        self.has_begun = False
        self.body = b""
        self._begin = begin
        self._forward = forward
        self._is_held = is_held
        self._head: RelayHead | None = None

    async def take(self, status: int, headers: Mapping[str, str], piece: bytes) -> None:
        if status >= 500 or status in NOT_PASSED_ON:
            return
        if not self.has_begun:
            self.has_begun = True
            is_json = "json" in headers.get("content-type", "").lower()
            self._head = RelayHead(status=status, is_json=is_json)
            if not self._is_held:
                await self._begin(self._head)
        if self._is_held:
            self.body = (self.body + piece)[:_LARGEST_HELD]
        elif piece:
            await self._forward(piece)

    async def release(self, run_id: int | None) -> None:
        """Pass on what was held, with the run that it became."""
        if self._head is not None:
            await self._begin(replace(self._head, run_id=run_id))
            if self.body:
                await self._forward(self.body)


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
