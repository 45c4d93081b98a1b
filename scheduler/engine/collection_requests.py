"""What persons ask the upstream to do with collections is asked, inside the account's brake."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Final, assert_never

import structlog

from scheduler.actions.relayed import accepted_rerun, follow_rerun, lost_rerun
from scheduler.clock import Clock, boot_seconds
from scheduler.domain.answers import CancelAnswer, Done, Refused, Unanswered
from scheduler.domain.collection_acts import CollectionAct, RequestOutcome
from scheduler.domain.records import Account
from scheduler.domain.reply import Accepted, Deferred, Lost, Rejected, TriggerReply
from scheduler.domain.transition import Transition
from scheduler.engine.accounts import Upstreams
from scheduler.engine.loop import Wake
from scheduler.engine.rate_limiter import (
    Feedback,
    feedback_of_answer,
    feedback_of_reply,
    open_limiter,
)
from scheduler.engine.tuning import LEASE_MARGIN, QUESTIONS_AT_ONCE
from scheduler.storage import accounts, collection_requests
from scheduler.storage.collection_requests import CollectionRequest
from scheduler.storage.database import Connection, Database

log = structlog.get_logger()

_AGAIN: Final = timedelta(seconds=30)
_GIVEN_UP_AFTER: Final = timedelta(hours=1)
_FULL: Final = timedelta(seconds=2)

Record = Callable[[Connection, datetime], int | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class CollectionRequestsStep:
    """
    Ask the upstream to pause, resume or rerun collections, as persons have asked for.

    1. What is due is marked as sent, within what the account may ask now.
    2. It is asked. Pausing and resuming may be asked twice, a rerun is billed: once it may have
       left and no answer was read, it becomes a run that is looked for like any lost trigger.
    3. What came of it is noted.
    """

    db: Database
    upstreams: Upstreams
    clock: Clock
    owner: str
    request_timeout: timedelta
    first_lookup: timedelta
    wake_follow: Wake

    async def run(self, now: datetime) -> datetime | None:
        """Ask what is due; return when something is next."""
        due = await self.db.read(collection_requests.find_next)
        if due is None or due > now:
            return due
        taken = await self.db.write(partial(self._claim, now=now))
        await asyncio.gather(*(self._ask(request, account) for request, account in taken))
        if taken:
            self.wake_follow()
        following = await self.db.read(collection_requests.find_next)
        return following and max(following, now + _FULL)

    def _claim(self, conn: Connection, *, now: datetime) -> list[tuple[CollectionRequest, Account]]:
        """Mark what may leave now; end what was sent by who died."""
        taken: list[tuple[CollectionRequest, Account]] = []
        concerned = collection_requests.list_accounts(conn, now=now)
        for account in accounts.list_named(conn, concerned):
            limiter = open_limiter(conn, account, now=now)
            most = max(0, min(QUESTIONS_AT_ONCE, limiter.questions().count))
            due = collection_requests.list_due(conn, account.name, now=now, limit=most)
            dead = [one for one in due if one.sent_at and one.verb is CollectionAct.RERUN]
            for request in dead:
                self._lose(conn, request, "its daemon died before it was answered", now)
            leaving = [one for one in due if one not in dead]
            self._mark_sent(conn, [one.id for one in leaving], now)
            limiter.ask(len(leaving))
            limiter.close(conn)
            taken += [(replace(request, sent_at=now), account) for request in leaving]
        return taken

    def _mark_sent(self, conn: Connection, ids: Sequence[int], now: datetime) -> None:
        until = now + 2 * self.request_timeout + LEASE_MARGIN
        collection_requests.mark_sent(conn, ids, now=now, until=until)

    def open_rerun(
        self, conn: Connection, collection_id: str, *, account: str, failed_only: bool, by: str
    ) -> CollectionRequest:
        """Note that a rerun leaves now: whoever finds it open later looks for what it made."""
        now = self.clock()
        id_ = collection_requests.insert_request(
            conn,
            collection_id=collection_id,
            account=account,
            verb=CollectionAct.RERUN,
            failed_only=failed_only,
            asked_at=now,
            asked_by=by,
        )
        self._mark_sent(conn, [id_], now)
        (*_, request) = collection_requests.list_of(conn, [collection_id])
        return request

    async def rerun(
        self, request: CollectionRequest, account: Account
    ) -> tuple[TriggerReply, int | None]:
        """Ask for what was opened; return the answer, and the run that follows what it made."""
        reply, feedback = await self._rerun(request, account)
        record = partial(self._record_rerun, request, reply, is_once=True)
        made_run = await self.db.write(partial(self._record, account, feedback, record))
        self.wake_follow()
        return reply, made_run

    async def _rerun(
        self, request: CollectionRequest, account: Account
    ) -> tuple[TriggerReply, Feedback]:
        fingerprint = self.upstreams.token_fingerprint(account)
        reply = await self.upstreams.client(account).rerun(
            request.collection_id,
            failed_only=request.failed_only,
            send_before=boot_seconds() + self.request_timeout.total_seconds(),
        )
        return reply, feedback_of_reply(reply, token_fingerprint=fingerprint)

    async def _ask(self, request: CollectionRequest, account: Account) -> None:
        record: Record
        if request.verb is CollectionAct.RERUN:
            reply, feedback = await self._rerun(request, account)
            record = partial(self._record_rerun, request, reply)
        else:
            fingerprint = self.upstreams.token_fingerprint(account)
            client = self.upstreams.client(account)
            answer = await client.change(request.collection_id, request.verb)
            feedback = feedback_of_answer(answer, token_fingerprint=fingerprint)
            record = partial(self._record_change, request, answer)
        await self.db.write(partial(self._record, account, feedback, record))

    def _record(
        self, account: Account, feedback: Feedback, record: Record, conn: Connection
    ) -> int | None:
        now = self.clock()
        limiter = open_limiter(conn, account, now=now)
        limiter.apply(conn, [feedback])
        limiter.close(conn)
        return record(conn, now)

    def _record_change(
        self, request: CollectionRequest, answer: CancelAnswer, conn: Connection, now: datetime
    ) -> None:
        match answer:
            case Done():
                self._settle(conn, request, RequestOutcome.DONE, now)
            case Refused(detail=detail):
                self._settle(conn, request, RequestOutcome.REFUSED, now, detail=detail)
            case Unanswered(detail=detail, retry_after=retry_after):
                self._ask_again(conn, request, detail, retry_after, now)
            case _:
                assert_never(answer)

    def _record_rerun(
        self,
        request: CollectionRequest,
        reply: TriggerReply,
        conn: Connection,
        now: datetime,
        *,
        is_once: bool = False,
    ) -> int | None:
        """Note the answer; what was deferred is asked again, but *is_once*, for who waits does."""
        match reply:
            case Accepted(collection_id=again, start_eta=start_eta):
                detail = f"rerun of {request.collection_id}"
                detail += ", what failed" * request.failed_only
                change = accepted_rerun(again, start_eta, detail)
                run_id = self._follow(conn, request, change, now)
                self._settle(conn, request, RequestOutcome.DONE, now, detail=again, made_run=run_id)
                return run_id
            case Deferred(detail=detail, retry_after=retry_after) if not is_once:
                self._ask_again(conn, request, detail, retry_after, now)
            case Rejected(detail=detail) | Deferred(detail=detail):
                self._settle(conn, request, RequestOutcome.REFUSED, now, detail=detail)
            case Lost(detail=detail):
                return self._lose(conn, request, detail, now)
            case _:
                assert_never(reply)
        return None

    def _ask_again(
        self,
        conn: Connection,
        request: CollectionRequest,
        detail: str,
        after: timedelta | None,
        now: datetime,
    ) -> None:
        if now - request.asked_at > _GIVEN_UP_AFTER:
            detail = f"given up after an hour: {detail}"
            self._settle(conn, request, RequestOutcome.LOST, now, detail=detail)
        else:
            until = now + max(_AGAIN, after or _AGAIN)
            collection_requests.put_off(conn, request.id, until=until, detail=detail)

    def _lose(
        self, conn: Connection, request: CollectionRequest, detail: str, now: datetime
    ) -> int | None:
        change = lost_rerun(detail, next_lookup_at=now + self.first_lookup)
        run_id = self._follow(conn, request, change, now)
        self._settle(conn, request, RequestOutcome.LOST, now, detail=detail, made_run=run_id)
        return run_id

    def _follow(
        self, conn: Connection, request: CollectionRequest, change: Transition, now: datetime
    ) -> int | None:
        return follow_rerun(
            conn,
            request.collection_id,
            change,
            f"POST /dca/jobs/{request.collection_id}/rerun",
            owner=self.owner,
            by=request.asked_by,
            now=now,
            sent_at=request.sent_at,
        )

    def _settle(
        self,
        conn: Connection,
        request: CollectionRequest,
        outcome: RequestOutcome,
        now: datetime,
        *,
        detail: str | None = None,
        made_run: int | None = None,
    ) -> None:
        collection_requests.settle(
            conn, request, outcome, now=now, detail=detail, made_run=made_run
        )
        log.info(
            "collection_request_answered",
            verb=request.verb,
            outcome=outcome,
            collection_id=request.collection_id,
            by=request.asked_by,
            detail=detail,
        )
