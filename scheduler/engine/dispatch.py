"""
Queued runs are claimed and sent, and what the upstream answers is recorded.

One transaction records the answers that came since the last and claims what may leave next:
however many there are, a pass costs one durable commit, and a lone run waits for nobody.
"""

import asyncio
from collections import Counter, OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import assert_never
from urllib.parse import parse_qsl

import structlog

from scheduler.clock import Clock, boot_seconds
from scheduler.domain.errors import DatabaseError, InvalidInput
from scheduler.domain.records import Account, Outcome, Reason, Run, RunState, StoredBody
from scheduler.domain.reply import Accepted, Deferred, Lost, Rejected, TriggerReply
from scheduler.domain.request import TriggerRequest, body_content, expand_secrets
from scheduler.domain.transition import Transition, after_reply
from scheduler.engine.accounts import Upstreams
from scheduler.engine.budget import Budget, close_budgets, open_budgets, signal_of_reply
from scheduler.engine.failures import pause_failing
from scheduler.engine.loop import Wake
from scheduler.storage import accounts, claims, definitions, settle
from scheduler.storage.claims import NewAttempt
from scheduler.storage.database import Connection, Database
from scheduler.storage.settle import Settled

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Unsendable:
    """The request could not be made: a secret that it names is not there. Nothing was sent."""

    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """A claimed run and what came back for it."""

    run: Run
    reply: TriggerReply | Unsendable
    token_mark: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """A run that may be sent now, and all that sending takes."""

    run: Run
    account: Account
    body: StoredBody


@dataclass(frozen=True, slots=True, kw_only=True)
class _Pass:
    """What one transaction did, for the log and the sending."""

    claims: list[Claim]
    not_kept: list[Settled]
    ended: list[Run]
    look_again_at: datetime | None


_Sent = tuple[int, int]
"""A claim whose request was handed to the network: the run's id and its fence."""


@dataclass(slots=True, kw_only=True)
class DispatchStep:
    """
    Claim, send, record: many at a time, each POST at most once.

    A claim and its attempt are on disk before the request leaves; an answer is kept here
    until it is on disk, whatever happens to the database meanwhile.
    """

    db: Database
    upstreams: Upstreams
    clock: Clock
    owner: str
    lease: timedelta
    request_timeout: timedelta
    first_look: timedelta
    secret: Callable[[str], str | None]
    wake: Wake
    wake_settled: Wake
    accepting: bool = True
    _answers: list[Answered] = field(default_factory=list)
    _sending: dict[_Sent, asyncio.Task[None]] = field(default_factory=dict)
    _bodies: "OrderedDict[str, StoredBody]" = field(default_factory=OrderedDict)
    _unsure: bool = False

    @property
    def in_flight(self) -> int:
        """How many requests are out, or answered and not yet recorded."""
        return len(self._sending) + len(self._answers)

    async def run(self, now: datetime) -> datetime | None:
        """Record what was answered, and send what may be sent; return when there is more."""
        if not self._answers and not await self._has_work(now):
            return await self.db.read(partial(claims.find_next_ready, now=now))

        # In this order: however long a daemon is stopped, it never trusts a lease too long.
        claimed_at, now = boot_seconds(), self.clock()
        # Here and not in the transaction: meanwhile, what was sent may be answered.
        answers, sent = list(self._answers), self._list_sent()
        try:
            done = await self.db.write(partial(self._pass, answers=answers, sent=sent, now=now))
        except BaseException:
            # The claims may be on disk without us knowing: they were not sent.
            self._unsure = True
            raise
        self._unsure = False
        del self._answers[: len(answers)]
        # Before anything is logged: a log that cannot be written fails, too.
        send_before = claimed_at + (self.lease - self.request_timeout).total_seconds()
        for claim in done.claims:
            self._send(claim, send_before)
        self._report(answers, done)
        return done.look_again_at

    async def drain(self, grace: timedelta) -> list[int]:
        """
        Claim no more, wait for the requests in flight, record their answers.

        Return the runs still without one after *grace*: the next start looks for them.
        """
        self.accepting = False
        if self._sending:
            await asyncio.wait(list(self._sending.values()), timeout=grace.total_seconds())
        try:
            await self.run(self.clock())
        except DatabaseError as error:
            # The last place where an answer can be kept: these runs are looked for, too.
            for one in self._answers:
                log.error("answer_not_recorded", run_id=one.run.id, reply=str(one.reply))
            log.error("trouble", loop="dispatch", trouble=str(error))
        return [run_id for run_id, _ in sorted(self._list_sent())]

    async def _has_work(self, now: datetime) -> bool:
        return self._unsure or (
            self.accepting
            and bool(await self.db.read(partial(claims.list_accounts_with_work, now=now)))
        )

    def _list_sent(self) -> frozenset[_Sent]:
        answered = ((one.run.id, one.run.fence) for one in self._answers)
        return frozenset({*self._sending, *answered})

    def _pass(
        self,
        conn: Connection,
        *,
        answers: Sequence[Answered],
        sent: frozenset[_Sent],
        now: datetime,
    ) -> _Pass:
        if self._unsure:
            self._release_unknown_claims(conn, sent, now)
        settled = [self._settled(one, now) for one in answers]
        not_kept = settle.settle(conn, settled, now=now)
        failed = {one.run.schedule for one in settled if one.change.state is RunState.FAILED}
        pause_failing(conn, failed, now=now)
        ended = claims.skip_too_late(conn, now=now)
        waiting = claims.list_accounts_with_work(conn, now=now) if self.accepting else []
        named = accounts.list_named(conn, {*waiting, *(one.run.account for one in answers)})
        budgets = open_budgets(conn, named, now=now)
        for budget in budgets:
            self._hear(conn, budget, answers)
        sending = [budget for budget in budgets if budget.account.name in waiting]
        claimed: list[Claim] = []
        if sending:
            ended += claims.supersede_older(conn, waiting, now=now)
            claimed = self._claim(conn, sending, now)
        close_budgets(conn, budgets)
        moments = [budget.allowance().ask_again_at for budget in sending]
        moments.append(claims.find_next_ready(conn, now=now))
        return _Pass(
            claims=claimed,
            not_kept=not_kept,
            ended=ended,
            look_again_at=min((moment for moment in moments if moment is not None), default=None),
        )

    def _release_unknown_claims(
        self, conn: Connection, sent: frozenset[_Sent], now: datetime
    ) -> None:
        claimed = settle.list_claimed_by(conn, self.owner)
        unsent = [run for run in claimed if (run.id, run.fence) not in sent]
        settle.release_unsent(conn, unsent, now=now, detail="the claim's commit was not confirmed")

    def _settled(self, one: Answered, now: datetime) -> Settled:
        if isinstance(one.reply, Unsendable):
            return Settled(run=one.run, change=_after_unsendable(one.reply))
        change = after_reply(one.reply, now=now, first_look=self.first_look)
        return Settled(run=one.run, change=change, http_status=one.reply.status)

    def _hear(self, conn: Connection, budget: Budget, answers: Sequence[Answered]) -> None:
        name = budget.account.name
        signals = [
            signal_of_reply(one.reply, token_mark=one.token_mark)
            for one in answers
            if one.run.account == name and not isinstance(one.reply, Unsendable)
        ]
        budget.heard(conn, signals)

    def _claim(self, conn: Connection, budgets: Sequence[Budget], now: datetime) -> list[Claim]:
        allowed = {budget.account.name: budget.allowance().count for budget in budgets}
        room = {name: count for name, count in allowed.items() if count > 0}
        if not room:
            return []
        lease_until = now + self.lease
        claimed = claims.claim_runs(conn, room, now=now, owner=self.owner, lease_until=lease_until)
        claims.insert_attempts(conn, [self._attempt(run, now) for run in claimed])
        taken = Counter(run.account for run in claimed)
        account_of = {}
        for budget in budgets:
            account_of[budget.account.name] = budget.account
            budget.spend(taken[budget.account.name])
        return [
            Claim(run=run, account=account_of[run.account], body=self._body(conn, run))
            for run in claimed
        ]

    def _attempt(self, run: Run, now: datetime) -> NewAttempt:
        return NewAttempt(
            run_id=run.id,
            number=run.fence,
            daemon=self.owner,
            request=f"POST /dca/trigger?{run.query}",
            claimed_at=now,
        )

    def _body(self, conn: Connection, run: Run) -> StoredBody:
        fingerprint = str(run.body)
        if fingerprint not in self._bodies:
            self._bodies[fingerprint] = definitions.get_body(conn, fingerprint)
            self._forget_bodies()
        return self._bodies[fingerprint]

    def _forget_bodies(self) -> None:
        held = sum(body.byte_count for body in self._bodies.values())
        while len(self._bodies) > 1 and (
            len(self._bodies) > _BODIES_KEPT or held > _BODY_BYTES_KEPT
        ):
            held -= self._bodies.popitem(last=False)[1].byte_count

    def _send(self, claim: Claim, send_before: float) -> None:
        task = asyncio.create_task(self._trigger(claim, send_before))
        self._sending[claim.run.id, claim.run.fence] = task

    async def _trigger(self, claim: Claim, send_before: float) -> None:
        run = claim.run
        mark = self.upstreams.token_mark(claim.account)
        try:
            reply = await self._ask(claim, send_before)
        except Exception as error:  # a bug: what has left is not known
            log.exception("trigger_failed", run_id=run.id)
            reply = Lost(detail=f"{type(error).__name__} while sending")
        self._answers.append(Answered(run=run, reply=reply, token_mark=mark))
        self._sending.pop((run.id, run.fence), None)
        self.wake()

    async def _ask(self, claim: Claim, send_before: float) -> TriggerReply | Unsendable:
        stored = parse_qsl(claim.run.query, keep_blank_values=True, strict_parsing=True)
        try:
            params = expand_secrets(stored, self.secret)
        except InvalidInput as error:
            return Unsendable(str(error))
        content_type, content = body_content(claim.body)
        request = TriggerRequest(params, content_type, content)
        client = self.upstreams.client(claim.account)
        return await client.trigger(request, send_before=send_before)

    def _report(self, answers: Sequence[Answered], done: _Pass) -> None:
        lost_touch = {one.run.id for one in done.not_kept}
        for one in answers:
            _log_answer(one, kept=one.run.id not in lost_touch)
        for run in done.ended:
            log.info("run_ended", run_id=run.id, state=run.state.value, reason=run.reason.value)
        for claim in done.claims:
            log.debug("run_claimed", run_id=claim.run.id, attempt=claim.run.fence)
        if answers:
            self.wake_settled()


_BODIES_KEPT = 64
_BODY_BYTES_KEPT = 64 * 1024**2


def _after_unsendable(reply: Unsendable) -> Transition:
    return Transition(
        state=RunState.FAILED,
        reason=Reason.BAD_DEFINITION,
        outcome=Outcome.DEFERRED,
        detail=reply.detail,
        counts=False,
    )


def _log_answer(one: Answered, *, kept: bool) -> None:
    told = {"run_id": one.run.id, "schedule": one.run.schedule, "attempt": one.run.fence}
    match one.reply:
        case Accepted(collection_id=collection_id) if not kept:
            # The run went on without this answer: what it brought is billed, and kept.
            log.error("second_collection_for_run", **told, collection_id=collection_id)
        case Accepted(collection_id=collection_id, start_eta=start_eta):
            eta = start_eta.isoformat() if start_eta else None
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
