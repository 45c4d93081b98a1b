"""The one transaction of a dispatch: what was answered is recorded, what may leave is claimed."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from scheduler.domain.records import RunState, RunToSend
from scheduler.domain.request import time_to_send
from scheduler.engine.answered import Answered, feedbacks, result_of
from scheduler.engine.body_cache import BodyCache
from scheduler.engine.failures import pause_failing
from scheduler.engine.in_flight import key_of
from scheduler.engine.limit_gate import LimitGate, settle_canaries
from scheduler.engine.rate_limiter import RateLimiter, close_limiters, open_limiters
from scheduler.engine.send_buffer import Claim, expiry
from scheduler.engine.tuning import LONGEST_PREFETCH
from scheduler.storage import collections_
from scheduler.storage.database import Connection
from scheduler.storage.departures import ClaimKey
from scheduler.storage.runs import claims, end_queued, outcomes, queued
from scheduler.storage.runs.outcomes import AttemptResult
from scheduler.storage.runs.queued import AtWork, QueueOutlook
from scheduler.views.waiting import why_missed


@dataclass(frozen=True, slots=True, kw_only=True)
class PassResult:
    """What one pass did, for the log and the sending."""

    claims: list[Claim]
    slots: dict[str, int]
    released: list[RunToSend]
    not_kept: list[AttemptResult]
    run_again_at: datetime | None
    poll_at: datetime | None
    """When the first of the collections that are new is to be polled."""
    look_up_at: datetime | None
    """When the first of those whose answers were lost is to be looked for."""
    full: frozenset[collections_.CollectorKey]
    """Collectors with as many collections running as may run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DispatchPass:
    """
    What a pass is made of; `carry_out` is the transaction.

    *held_back* are the claims that may have to go back. Where the commit before was not
    confirmed, *known* are all claims that this daemon knows of. *claimed_at* is `boot_seconds`,
    read before *now*.
    """

    answers: Sequence[Answered]
    held_back: Sequence[Claim]
    known: frozenset[ClaimKey] | None
    prefetch: Mapping[str, int]
    accepting: bool
    may_hasten: bool
    now: datetime
    claimed_at: float
    owner: str
    lease: timedelta
    request_timeout: timedelta
    first_lookup: timedelta
    upstream_times: Mapping[str, datetime]
    bodies: BodyCache

    def carry_out(self, conn: Connection) -> PassResult:
        """
        Make the pass.

        1. Record what was answered, and pause the schedules that fail too often.
        2. Skip what is too late, cancel the collections that waiting runs replace, and end or let
           go what waits for a canary that has ended.
        3. Open the limiters of the accounts concerned or with work, and tell them the answers.
        4. Release claims that wait for the wire and may not leave soon.
        5. Claim what may leave of the accounts whose time has come, and end what is over a limit.
        6. Close the limiters.
        """
        results = [self._result_of(answer) for answer in self.answers]
        not_kept = self._record(conn, results)
        outlook = queued.read_outlook(conn, now=self.now)
        self._clear_the_way(conn, outlook)
        at_work = self._list_at_work(conn)
        limiters = self._open_limiters(conn, at_work)
        released = self._release(conn, limiters)
        ready = {row.account.name: row for row in at_work if row.is_ready and self.accepting}
        sending = [limiter for limiter in limiters if limiter.account.name in ready]
        replacing = {name for name, row in ready.items() if row.replaces}
        end_queued.supersede_older(conn, replacing, now=self.now)
        gate = LimitGate(conn, self.now, has_finish=outlook.has_finish)
        claimed, full = self._claim(conn, sending, gate)
        close_limiters(conn, limiters)
        moments = [limiter.permits().ask_again_at for limiter in sending]
        moments += [outlook.next_ready_at, self.now if gate.has_refused else None]
        return PassResult(
            claims=claimed,
            slots={limiter.account.name: limiter.slots(self.owner) for limiter in limiters},
            released=released,
            not_kept=not_kept,
            run_again_at=_first(moments),
            poll_at=_first(collections_.first_poll_at(one.change, self.now) for one in results),
            look_up_at=_first(one.change.next_lookup_at for one in results),
            full=full,
        )

    def _result_of(self, answer: Answered) -> AttemptResult:
        return result_of(answer, now=self.now, first_lookup=self.first_lookup)

    def _record(self, conn: Connection, results: Sequence[AttemptResult]) -> list[AttemptResult]:
        if self.known is not None:
            claimed = outcomes.list_claimed_by(conn, self.owner)
            unsent = [run for run in claimed if key_of(run) not in self.known]
            why = "the claim's commit was not confirmed"
            outcomes.release_unsent(conn, unsent, now=self.now, detail=why)
        not_kept = outcomes.record_outcomes(conn, results, now=self.now)
        failed = {
            result.run.schedule for result in results if result.change.state is RunState.FAILED
        }
        pause_failing(conn, failed, now=self.now)
        return not_kept

    def _clear_the_way(self, conn: Connection, outlook: QueueOutlook) -> None:
        if outlook.is_late:
            missed = end_queued.list_too_late(conn, now=self.now)
            why = why_missed(conn, missed, now=self.now)
            end_queued.skip_too_late(conn, now=self.now, why=why)
        if outlook.replaces:
            collections_.cancel_replaced(conn, now=self.now)
        if outlook.has_canary:
            settle_canaries(conn, self.now)

    def _list_at_work(self, conn: Connection) -> list[AtWork]:
        answered = {answer.run.account for answer in self.answers}
        concerned = answered | {claim.run.account for claim in self.held_back}
        return queued.list_at_work(conn, concerned, now=self.now)

    def _open_limiters(self, conn: Connection, at_work: Sequence[AtWork]) -> list[RateLimiter]:
        limiters = open_limiters(conn, [row.account for row in at_work], now=self.now)
        for limiter in limiters:
            limiter.apply(conn, feedbacks(limiter, self.answers))
        return limiters

    def _release(self, conn: Connection, limiters: Sequence[RateLimiter]) -> list[RunToSend]:
        calm = {limiter.account.name for limiter in limiters if limiter.is_calm}
        released = [
            claim.run
            for claim in self.held_back
            if not self.accepting
            or claim.account.name not in calm
            or self.claimed_at - claim.claimed_at > LONGEST_PREFETCH
        ]
        why = "it was claimed ahead, and not sent"
        outcomes.release_unsent(conn, released, now=self.now, detail=why)
        counts = Counter(run.account for run in released)
        for limiter in limiters:
            limiter.give_back(counts[limiter.account.name], owner=self.owner)
        return released

    def _claim(
        self, conn: Connection, limiters: Sequence[RateLimiter], gate: LimitGate
    ) -> tuple[list[Claim], frozenset[collections_.CollectorKey]]:
        room = {}
        for limiter in limiters:
            prefetch = self.prefetch.get(limiter.account.name, 0)
            most = limiter.most_to_claim(self.owner, prefetch=prefetch)
            if most > 0:
                room[limiter.account.name] = most
        if not room:
            return [], frozenset()
        claimed = claims.claim_runs(
            conn,
            room,
            now=self.now,
            owner=self.owner,
            lease_until=self.now + self.lease,
            upstream_times=self.upstream_times,
            admit=gate.admit,
        )
        if self.may_hasten:
            collections_.hasten_polls(conn, claimed.full, now=self.now)
        counts = Counter(run.account for run in claimed.runs)
        limiter_of = {limiter.account.name: limiter for limiter in limiters}
        for name, limiter in limiter_of.items():
            limiter.claim(counts[name], owner=self.owner)
        return [
            self._claim_of(conn, run, limiter_of[run.account]) for run in claimed.runs
        ], claimed.full

    def _claim_of(self, conn: Connection, run: RunToSend, limiter: RateLimiter) -> Claim:
        body = self.bodies.get(conn, str(run.body))
        if longer := time_to_send(body.byte_count):
            claims.lengthen_lease(conn, run.id, until=self.now + self.lease + longer)
        return Claim(
            run=run,
            account=limiter.account,
            body=body,
            claimed_at=self.claimed_at,
            lease_until=self.claimed_at + (self.lease - self.request_timeout).total_seconds(),
            expires_at=expiry(run, self.now, self.claimed_at),
        )


def _first(moments: Iterable[datetime | None]) -> datetime | None:
    return min((moment for moment in moments if moment is not None), default=None)
