"""
Queued runs are claimed and sent, and what the upstream answers is recorded.

One transaction records the answers that came since the last and claims what may leave next:
however many there are, a pass costs one durable commit, and a lone run waits for nobody.
"""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import lru_cache, partial
from typing import TypeVar
from urllib.parse import parse_qsl

import structlog

from scheduler.clock import Clock, boot_seconds
from scheduler.domain.batch import Asked
from scheduler.domain.errors import DatabaseError, InvalidInput
from scheduler.domain.reply import Deferral, Deferred, Lost
from scheduler.domain.request import Params, TriggerRequest, expand_secrets
from scheduler.engine.accounts import Upstreams
from scheduler.engine.answered import (
    Answered,
    Reply,
    Unsendable,
    Withheld,
    log_second_collection,
    result_of,
)
from scheduler.engine.body_cache import BodyCache
from scheduler.engine.dispatch_pass import DispatchPass, PassResult
from scheduler.engine.fired import Fired, Firing
from scheduler.engine.in_flight import InFlight, key_of
from scheduler.engine.loop import Wake, WakeBy
from scheduler.engine.send_buffer import Claim, SendBuffer
from scheduler.engine.singly import log_unrecorded, record_singly
from scheduler.engine.stored_body import content_of
from scheduler.engine.tuning import (
    CLAIMED_WITH_FIRING,
    HASTEN_EVERY,
    LONGEST_PREFETCH,
    RECORD_TOGETHER,
)
from scheduler.storage.database import Connection, Database
from scheduler.storage.departures import Departures
from scheduler.storage.runs import queued

log = structlog.get_logger()

_Result = TypeVar("_Result")


@dataclass(slots=True, kw_only=True)
class DispatchStep:
    """
    Claim, send, record: many at a time, each POST at most once.

    1. A look at what is queued, which only reads, tells whether there is anything to do.
    2. One transaction records the answers and claims what may leave: `DispatchPass`.
    3. If it fails, the next takes back what it may have claimed; answers that cannot be stored
       together are recorded one by one.
    4. A claim is on disk before its request leaves, from its account's buffer, as slots come free.
    5. An answer is kept until it is on disk, whatever happens to the database meanwhile.
    """

    db: Database
    upstreams: Upstreams
    clock: Clock
    owner: str
    lease: timedelta
    request_timeout: timedelta
    first_lookup: timedelta
    secret: Callable[[str], str | None]
    wake: Wake
    wake_follow: WakeBy
    wake_reconcile: WakeBy
    accepting: bool = True
    departures: Departures | None = None
    may_go: Callable[[str, str], bool] = lambda name, destination: True
    _flight: InFlight = field(default_factory=InFlight)
    _bodies: BodyCache = field(default_factory=BodyCache)
    _unsure: bool = False
    _is_expected: bool = False
    _soon: asyncio.TimerHandle | None = None
    _hasten_from: float = 0.0
    _passing: asyncio.Lock = field(default_factory=asyncio.Lock)

    @property
    def in_flight(self) -> int:
        """How many runs are claimed, and not answered and recorded."""
        return len(self._flight.list_claimed())

    async def fire(self, firing: Firing) -> tuple[Fired, list[Asked]]:
        """
        Make the transaction of a *firing*, and send what it leaves.

        Where it is of few schedules and nothing else is to be recorded they are claimed in the same
        transaction: one commit less before a trigger leaves. Should that fail, it is fired by
        itself, and what it leaves is claimed by the next pass.
        """
        if firing.number <= CLAIMED_WITH_FIRING and self.is_free():
            with suppress(_NotClaimed):
                return await self._fire_and_claim(firing)
        fired, asked = await self.db.write(firing)
        if fired.has_queued:
            # There is no need to ask whether anything was queued.
            self._is_expected = True
            self.wake()
        return fired, asked

    def is_free(self) -> bool:
        """Tell whether nothing waits to be sent or recorded: who holds the database delays none."""
        is_passing = self._passing.locked() or self._unsure
        return self.accepting and not (
            is_passing or self._flight.answers or self._flight.has_waiting()
        )

    async def _fire_and_claim(self, firing: Firing) -> tuple[Fired, list[Asked]]:
        def fire_and_claim(conn: Connection) -> tuple[Fired, list[Asked], PassResult | None]:
            fired, asked = firing.write(conn)
            result = None
            if fired.has_queued:
                try:
                    result = work.carry_out(conn)
                except Exception as error:
                    raise _NotClaimed from error
            firing.hold()
            return fired, asked, result

        async with self._passing:
            work = self._next_pass(firing.now)
            fired, asked, result = await self._write(fire_and_claim)
            if result is not None:
                self._follow(work, result)
                self._pass_soon()
            return fired, asked

    async def run(self, now: datetime) -> datetime | None:
        """Record what was answered, and send what may be sent; return when there is more."""
        async with self._passing:
            return await self._run(now)

    async def _run(self, now: datetime) -> datetime | None:
        is_expected, self._is_expected = self._is_expected, False
        held_back = self._flight.hold_back(accepting=self.accepting)
        if not (self._flight.answers or held_back or self._unsure or is_expected):
            outlook = await self.db.read(partial(queued.read_outlook, now=now))
            if not (self.accepting and (outlook.is_ready or outlook.is_late)):
                return self._run_again_at(outlook.next_ready_at, now)

        if self._soon is not None:
            self._soon.cancel()
            self._soon = None
        work = self._next_pass()
        try:
            result = await self._write(work.carry_out)
        except Exception as error:
            if not isinstance(error, DatabaseError):
                await self._record_singly(work.answers, work.now)
            raise
        # Before anything is logged: a log that cannot be written fails, too.
        self._follow(work, result)
        self._report(work.answers, result)
        return self._run_again_at(result.run_again_at, work.now)

    async def _write(self, work: Callable[[Connection], _Result]) -> _Result:
        """Make a transaction that may claim."""
        try:
            result = await self.db.write(work)
        except BaseException:
            # The claims may be on disk without us knowing: they were not sent.
            self._unsure = True
            raise
        self._unsure = False
        return result

    def _next_pass(self, fired_at: datetime | None = None) -> DispatchPass:
        # In this order: however long a daemon is stopped, it never trusts a lease too long.
        claimed_at, now = boot_seconds(), self.clock()
        if fired_at is not None:  # what is committed at its instant is made before
            now = max(now, fired_at)
        # Here and not in the transaction: meanwhile, what was sent may be answered.
        answers = list(self._flight.answers)
        return DispatchPass(
            answers=answers,
            held_back=self._flight.hold_back(accepting=self.accepting),
            known=self._flight.list_claimed() if self._unsure else None,
            prefetch=self._flight.note_pass(answers),
            accepting=self.accepting,
            may_hasten=claimed_at >= self._hasten_from,
            now=now,
            claimed_at=claimed_at,
            owner=self.owner,
            lease=self.lease,
            request_timeout=self.request_timeout,
            first_lookup=self.first_lookup,
            upstream_times=self.upstreams.times_at(claimed_at),
            bodies=self._bodies,
        )

    def _follow(self, work: DispatchPass, result: PassResult) -> None:
        """Let go of what was recorded and released, and send what was claimed."""
        if result.full and work.may_hasten:
            self._hasten_from = work.claimed_at + HASTEN_EVERY
        if self.departures is not None:
            self.departures.settle(key_of(answer.run) for answer in work.answers)
        for answer in work.answers:
            self._flight.forget(answer)
        self._flight.update(result.claims, result.released, result.slots, accepting=self.accepting)
        for buffer in self._flight.buffers.values():
            self._fill(buffer)

    async def _record_singly(self, answers: Sequence[Answered], now: datetime) -> None:
        """Keep what can be kept of a pass that failed for something that it was to write."""
        settled = partial(result_of, now=now, first_lookup=self.first_lookup)
        await record_singly(self.db, answers, settled=settled, done=self._flight.forget, now=now)
        self.wake_follow(now)
        self.wake_reconcile(now)

    def log_unrecorded(self, why: str) -> None:
        """Write to the log what could not be written to the database: runs are looked for, too."""
        log_unrecorded(self._flight.answers, why=why)

    async def drain(self, grace: timedelta) -> list[int]:
        """
        Claim no more, wait for the requests in flight, record their answers.

        Return the runs still without one after *grace*: the next start looks for them.
        """
        self.accepting = False
        self._flight.hold_back(accepting=False)
        if self._flight.sending:
            await asyncio.wait(list(self._flight.sending.values()), timeout=grace.total_seconds())
        try:
            await self.run(self.clock())
        except Exception as error:
            self.log_unrecorded(type(error).__name__)
            log.error("loop_failed", loop="dispatch", error=str(error))
        return [run_id for run_id, _ in sorted(self._flight.list_claimed())]

    def _run_again_at(self, moment: datetime | None, now: datetime) -> datetime | None:
        """Return *moment*, or before what waits for the wire has waited too long."""
        if not self._flight.has_waiting():
            return moment
        soon = now + timedelta(seconds=LONGEST_PREFETCH)
        return min(moment or soon, soon)

    def _fill(self, buffer: SendBuffer[Claim]) -> None:
        for claim in buffer.take():
            self._send(claim, buffer)

    def _send(self, claim: Claim, buffer: SendBuffer[Claim]) -> None:
        task = asyncio.create_task(self._send_in_turn(claim, buffer))
        self._flight.sending[key_of(claim.run)] = task

    async def _send_in_turn(self, claim: Claim, buffer: SendBuffer[Claim]) -> None:
        """Send *claim*, and then, one after the other, what its slot comes free for."""
        sending: Claim | None = claim
        while sending is not None:
            answer = await self._trigger(sending)
            self._flight.answers.append(answer)
            task = self._flight.sending.pop(key_of(sending.run), None)
            buffer.answered(plainly=answer.is_plain)
            sending = next(buffer.take(), None)
            if sending is not None and task is not None:
                self._flight.sending[key_of(sending.run)] = task
            self._ask_for_pass(buffer)

    async def _trigger(self, claim: Claim) -> Answered:
        fingerprint = self.upstreams.token_fingerprint(claim.account)
        try:
            reply = await self._ask(claim)
        except Exception as error:  # a bug: what has left is not known
            log.exception("trigger_failed", run_id=claim.run.id)
            reply = Lost(detail=f"{type(error).__name__} while sending")
        return Answered(run=claim.run, reply=reply, token_fingerprint=fingerprint)

    def _ask_for_pass(self, buffer: SendBuffer[Claim]) -> None:
        """Have answers recorded: at once if *buffer* needs more claims, else with those to come."""
        if buffer.is_short:
            self.wake()
        else:
            self._pass_soon()

    def _pass_soon(self) -> None:
        if self._soon is None:
            self._soon = asyncio.get_running_loop().call_later(RECORD_TOGETHER, self.wake)

    async def _ask(self, claim: Claim) -> Reply:
        try:
            params = expand_secrets(_stored_params(claim.run.query), self.secret, self.may_go)
        except InvalidInput as error:
            return Unsendable(str(error))
        except RecursionError:
            return Unsendable("its query is nested too deeply to be sent")
        request = TriggerRequest(params, *content_of(self.db, claim.body))
        client = self.upstreams.client(claim.account)
        if self.departures is not None:
            self.departures.note(key_of(claim.run))
        reply = await client.trigger(request, send_before=claim.send_before)
        if isinstance(reply, Deferred) and reply.deferral is _NOT_SENT and claim.has_expired:
            # Its own time was over: that says nothing about the account.
            return Withheld("its misfire grace ended before it could leave")
        return reply

    def _report(self, answers: Sequence[Answered], result: PassResult) -> None:
        not_kept = {outcome.run.id for outcome in result.not_kept}
        for answer in answers:
            if answer.run.id in not_kept:
                log_second_collection(answer)
        if result.poll_at is not None:
            self.wake_follow(result.poll_at)
        if result.look_up_at is not None:
            self.wake_reconcile(result.look_up_at)


_NOT_SENT = Deferral.NOT_SENT


class _NotClaimed(Exception):
    """What was fired could not be claimed in the same transaction, which is taken back."""


@lru_cache(maxsize=4096)  # the runs of a schedule have mostly the same
def _stored_params(query: str) -> Params:
    """Return the parameters as they are stored, secrets as references."""
    return tuple(parse_qsl(query, keep_blank_values=True, strict_parsing=True))
