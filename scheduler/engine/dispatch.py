"""
Queued runs are claimed and sent, and what the upstream answers is recorded.

One transaction records the answers that came since the last and claims what may leave next:
however many there are, a pass costs one durable commit, and a lone run waits for nobody.
"""

import asyncio
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import lru_cache, partial
from urllib.parse import parse_qsl

import structlog

from scheduler.clock import Clock, boot_seconds
from scheduler.domain.errors import DatabaseError, InvalidInput
from scheduler.domain.records import Run, RunState, RunToSend
from scheduler.domain.reply import Lost, TriggerReply
from scheduler.domain.request import Params, TriggerRequest, body_content, expand_secrets
from scheduler.domain.transition import after_reply
from scheduler.engine.accounts import Upstreams
from scheduler.engine.answered import Answered, Unsendable, after_unsendable, log_answer
from scheduler.engine.body_cache import BodyCache
from scheduler.engine.budget import Budget, Signal, close_budgets, open_budgets
from scheduler.engine.failures import pause_failing
from scheduler.engine.loop import Wake
from scheduler.engine.wire import Claim, Wire
from scheduler.storage import claims, collections_, settle, unsent
from scheduler.storage.database import Connection, Database
from scheduler.storage.settle import Settled

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Pass:
    """What one transaction did, for the log and the sending."""

    claims: list[Claim]
    slots: dict[str, int]
    released: list[RunToSend]
    not_kept: list[Settled]
    ended: list[Run]
    look_again_at: datetime | None


_ClaimKey = tuple[int, int]
"""What tells claims apart: the run's id and its fence."""


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
    _sending: dict[_ClaimKey, asyncio.Task[None]] = field(default_factory=dict)
    _wires: defaultdict[str, Wire[Claim]] = field(default_factory=lambda: defaultdict(Wire))
    _bodies: BodyCache = field(default_factory=BodyCache)
    _unsure: bool = False
    _is_expected: bool = False
    _soon: asyncio.TimerHandle | None = None
    _hasten_from: float = 0.0

    @property
    def in_flight(self) -> int:
        """How many runs are claimed, and not answered and recorded."""
        return len(self._list_claimed())

    def expect_work(self) -> None:
        """Wake up for what was just queued: there is no need to ask whether anything was."""
        self._is_expected = True
        self.wake()

    async def run(self, now: datetime) -> datetime | None:
        """Record what was answered, and send what may be sent; return when there is more."""
        is_expected, self._is_expected = self._is_expected, False
        if not (self._answers or self._hold_back() or self._unsure or is_expected):
            outlook = await self.db.read(partial(claims.read_outlook, now=now))
            if not (self.accepting and (outlook.is_ready or outlook.is_late)):
                return self._look_again_at(outlook.next_ready_at, now)

        if self._soon is not None:
            self._soon.cancel()
            self._soon = None
        # In this order: however long a daemon is stopped, it never trusts a lease too long.
        claimed_at, now = boot_seconds(), self.clock()
        # Here and not in the transaction: meanwhile, what was sent may be answered.
        answers, held, known = list(self._answers), self._hold_back(), self._list_claimed()
        work = partial(
            self._pass,
            answers=answers,
            held=held,
            known=known,
            ahead=self._ahead(answers),
            now=now,
            claimed_at=claimed_at,
        )
        try:
            done = await self.db.write(work)
        except BaseException:
            # The claims may be on disk without us knowing: they were not sent.
            self._unsure = True
            raise
        self._unsure = False
        del self._answers[: len(answers)]
        # Before anything is logged: a log that cannot be written fails, too.
        self._open_wires(answers, done)
        self._report(answers, done)
        return self._look_again_at(done.look_again_at, now)

    async def drain(self, grace: timedelta) -> list[int]:
        """
        Claim no more, wait for the requests in flight, record their answers.

        Return the runs still without one after *grace*: the next start looks for them.
        """
        self.accepting = False
        self._hold_back()
        if self._sending:
            await asyncio.wait(list(self._sending.values()), timeout=grace.total_seconds())
        try:
            await self.run(self.clock())
        except DatabaseError as error:
            # The last place where an answer can be kept: these runs are looked for, too.
            for one in self._answers:
                log.error("answer_not_recorded", run_id=one.run.id, reply=str(one.reply))
            log.error("trouble", loop="dispatch", trouble=str(error))
        return [run_id for run_id, _ in sorted(self._list_claimed())]

    def _list_claimed(self) -> frozenset[_ClaimKey]:
        waiting = (claim.run for wire in self._wires.values() for claim in wire.waiting)
        runs = (*waiting, *(one.run for one in self._answers))
        return frozenset({*self._sending, *((run.id, run.fence) for run in runs)})

    def _hold_back(self) -> list[Claim]:
        """Stop the wires whose claims may have to go back; return what waits for them."""
        held: list[Claim] = []
        for wire in self._wires.values():
            if wire.waiting and (
                wire.stands_still
                or not self.accepting
                or boot_seconds() - wire.waiting[0].claimed_at > _LONGEST_AHEAD
            ):
                wire.is_stopped = True
                held += wire.waiting
        return held

    def _ahead(self, answers: Sequence[Answered]) -> dict[str, int]:
        """Return how many claims of each account may wait for the wire."""
        came = Counter(one.run.account for one in answers)
        for name, wire in self._wires.items():
            wire.passed(came[name])
        return {name: wire.ahead for name, wire in self._wires.items()}

    def _open_wires(self, answers: Sequence[Answered], done: _Pass) -> None:
        released = {(run.id, run.fence) for run in done.released}
        for one in answers:
            if not one.is_plain:
                self._wires[one.run.account].heard()
        for claim in done.claims:
            self._wires[claim.account.name].waiting.append(claim)
        for name, wire in self._wires.items():
            wire.slots = done.slots.get(name, wire.slots)
            wire.is_stopped = not self.accepting
            if released:
                kept = (one for one in wire.waiting if (one.run.id, one.run.fence) not in released)
                wire.waiting = deque(kept)
            self._fill(wire)

    def _look_again_at(self, moment: datetime | None, now: datetime) -> datetime | None:
        """Return *moment*, or before what waits for the wire has waited too long."""
        if not any(wire.waiting for wire in self._wires.values()):
            return moment
        soon = now + timedelta(seconds=_LONGEST_AHEAD)
        return min(moment or soon, soon)

    def _pass(
        self,
        conn: Connection,
        *,
        answers: Sequence[Answered],
        held: Sequence[Claim],
        known: frozenset[_ClaimKey],
        ahead: Mapping[str, int],
        now: datetime,
        claimed_at: float,
    ) -> _Pass:
        if self._unsure:
            self._release_unknown_claims(conn, known, now)
        settled = [self._settled(one, now) for one in answers]
        not_kept = settle.settle(conn, settled, now=now)
        failed = {one.run.schedule for one in settled if one.change.state is RunState.FAILED}
        pause_failing(conn, failed, now=now)
        outlook = claims.read_outlook(conn, now=now)
        ended = unsent.skip_too_late(conn, now=now) if outlook.is_late else []
        if outlook.replaces:
            collections_.cancel_replaced(conn, now=now)
        concerned = (*(one.run for one in answers), *(claim.run for claim in held))
        at_work = claims.list_at_work(conn, {run.account for run in concerned}, now=now)
        budgets = open_budgets(conn, [one.account for one in at_work], now=now)
        for budget in budgets:
            budget.heard(conn, _signals(budget, answers))
        released = self._release(conn, budgets, held, now=now, claimed_at=claimed_at)
        ready = {one.account.name for one in at_work if one.is_ready and self.accepting}
        sending = [budget for budget in budgets if budget.account.name in ready]
        claimed: list[Claim] = []
        if sending:
            replacing = ready & {one.account.name for one in at_work if one.replaces}
            ended += unsent.supersede_older(conn, replacing, now=now)
            claimed = self._claim(conn, sending, ahead, now=now, claimed_at=claimed_at)
        close_budgets(conn, budgets)
        moments = [budget.allowance().ask_again_at for budget in sending]
        moments.append(outlook.next_ready_at)
        return _Pass(
            claims=claimed,
            slots={budget.account.name: budget.slots(self.owner) for budget in budgets},
            released=released,
            not_kept=not_kept,
            ended=ended,
            look_again_at=min((moment for moment in moments if moment is not None), default=None),
        )

    def _release_unknown_claims(
        self, conn: Connection, known: frozenset[_ClaimKey], now: datetime
    ) -> None:
        claimed = settle.list_claimed_by(conn, self.owner)
        unsent = [run for run in claimed if (run.id, run.fence) not in known]
        settle.release_unsent(conn, unsent, now=now, detail="the claim's commit was not confirmed")

    def _settled(self, one: Answered, now: datetime) -> Settled:
        if isinstance(one.reply, Unsendable):
            return Settled(run=one.run, change=after_unsendable(one.reply))
        change = after_reply(one.reply, now=now, first_look=self.first_look)
        return Settled(run=one.run, change=change, http_status=one.reply.status)

    def _release(
        self,
        conn: Connection,
        budgets: Sequence[Budget],
        held: Sequence[Claim],
        *,
        now: datetime,
        claimed_at: float,
    ) -> list[RunToSend]:
        """Put back claims that wait for the wire where it is not certain that they leave soon."""
        calm = {budget.account.name for budget in budgets if budget.is_calm}
        back = [
            claim.run
            for claim in held
            if not self.accepting
            or claim.account.name not in calm
            or claimed_at - claim.claimed_at > _LONGEST_AHEAD
        ]
        settle.release_unsent(conn, back, now=now, detail="it was claimed ahead, and not sent")
        for budget in budgets:
            mine = sum(run.account == budget.account.name for run in back)
            budget.give_back(mine, owner=self.owner)
        return back

    def _claim(
        self,
        conn: Connection,
        budgets: Sequence[Budget],
        ahead: Mapping[str, int],
        *,
        now: datetime,
        claimed_at: float,
    ) -> list[Claim]:
        room = {
            budget.account.name: budget.most_to_claim(
                self.owner, ahead=ahead.get(budget.account.name, 0)
            )
            for budget in budgets
        }
        room = {name: count for name, count in room.items() if count > 0}
        if not room:
            return []
        lease_until = now + self.lease
        claimed = claims.claim_runs(conn, room, now=now, owner=self.owner, lease_until=lease_until)
        if claimed.full and claimed_at >= self._hasten_from:
            collections_.hasten_looks(conn, claimed.full, now=now)
            self._hasten_from = claimed_at + _HASTEN_EVERY
        taken = Counter(run.account for run in claimed.runs)
        for budget in budgets:
            budget.claim(taken[budget.account.name], owner=self.owner)
        account_of = {budget.account.name: budget.account for budget in budgets}
        return [
            Claim(
                run=run,
                account=account_of[run.account],
                body=self._bodies.get(conn, str(run.body)),
                claimed_at=claimed_at,
            )
            for run in claimed.runs
        ]

    def _fill(self, wire: Wire[Claim]) -> None:
        for claim in wire.take():
            self._send(claim, wire)

    def _send(self, claim: Claim, wire: Wire[Claim]) -> None:
        task = asyncio.create_task(self._trigger(claim, wire))
        self._sending[claim.run.id, claim.run.fence] = task

    async def _trigger(self, claim: Claim, wire: Wire[Claim]) -> None:
        run = claim.run
        mark = self.upstreams.token_mark(claim.account)
        try:
            reply = await self._ask(claim)
        except Exception as error:  # a bug: what has left is not known
            log.exception("trigger_failed", run_id=run.id)
            reply = Lost(detail=f"{type(error).__name__} while sending")
        answered = Answered(run=run, reply=reply, token_mark=mark)
        self._answers.append(answered)
        self._sending.pop((run.id, run.fence), None)
        wire.answered(plainly=answered.is_plain)
        self._fill(wire)
        self._ask_for_pass(wire)

    def _ask_for_pass(self, wire: Wire[Claim]) -> None:
        """Have answers recorded: at once if *wire* needs more claims, else with those to come."""
        if wire.is_short:
            self.wake()
        elif self._soon is None:
            self._soon = asyncio.get_running_loop().call_later(_TOGETHER, self.wake)

    async def _ask(self, claim: Claim) -> TriggerReply | Unsendable:
        try:
            params = expand_secrets(_stored_params(claim.run.query), self.secret)
        except InvalidInput as error:
            return Unsendable(str(error))
        content_type, content = body_content(claim.body)
        request = TriggerRequest(params, content_type, content)
        client = self.upstreams.client(claim.account)
        send_before = claim.claimed_at + (self.lease - self.request_timeout).total_seconds()
        return await client.trigger(request, send_before=send_before)

    def _report(self, answers: Sequence[Answered], done: _Pass) -> None:
        lost_touch = {one.run.id for one in done.not_kept}
        for one in answers:
            log_answer(one, kept=one.run.id not in lost_touch)
        for run in done.ended:
            log.info("run_ended", run_id=run.id, state=run.state.value, reason=run.reason.value)
        for claim in done.claims:
            log.debug("run_claimed", run_id=claim.run.id, attempt=claim.run.fence)
        if answers:
            self.wake_settled()


_LONGEST_AHEAD = 1.0
"""For so many seconds: what is paused or cancelled meanwhile is not noticed."""

_HASTEN_EVERY = 1.0
"""In seconds: there may be thousands of collectors that are full."""

_TOGETHER = 0.05
"""No answer waits longer than so many seconds for others, to be recorded together with them."""


@lru_cache(maxsize=4096)  # the runs of a schedule have mostly the same
def _stored_params(query: str) -> Params:
    """Return the parameters as they are stored, secrets as references."""
    return tuple(parse_qsl(query, keep_blank_values=True, strict_parsing=True))


def _signals(budget: Budget, answers: Sequence[Answered]) -> list[Signal]:
    signals = (one.signal for one in answers if one.run.account == budget.account.name)
    return [signal for signal in signals if signal is not None]
