"""Collections are followed, gently, until they have ended; and cancelled where that was asked."""

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Any, assert_never
from urllib.parse import parse_qs

import structlog

from scheduler.clock import Clock
from scheduler.domain.answers import CollectionLog, Gone, LogAnswer, Unanswered
from scheduler.domain.durations import parse_duration
from scheduler.domain.errors import DatabaseError
from scheduler.domain.records import Account, Collection, Reason, Run, RunState
from scheduler.domain.verdict import (
    Verdict,
    judge,
    judge_endless,
    judge_unknown,
    next_look_after,
)
from scheduler.engine.accounts import Upstreams
from scheduler.engine.budget import (
    QUESTIONS_AT_ONCE,
    Budget,
    Signal,
    close_budgets,
    open_budgets,
    signal_of_answer,
)
from scheduler.engine.failures import pause_failing
from scheduler.engine.loop import Wake
from scheduler.storage import accounts, collections_, runs
from scheduler.storage.collections_ import Ended, Looked
from scheduler.storage.database import Connection, Database

log = structlog.get_logger()

_MARGIN = timedelta(seconds=30)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Look:
    collection: Collection
    run: Run
    account: Account


@dataclass(frozen=True, slots=True, kw_only=True)
class _Seen:
    """What a look came to, and what all its answers say of the account."""

    look: _Look
    answer: LogAnswer
    signals: Sequence[Signal]
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class _Pass:
    """What one transaction did: the looks to take, and the verdict on each that was taken."""

    looks: list[_Look]
    verdicts: list[Verdict | None]
    next_due_at: datetime | None
    ask_again_at: datetime | None


@dataclass(slots=True, kw_only=True)
class FollowStep:
    """
    Ask how collections are doing, a few at a time, and end their runs when they have ended.

    As in DispatchStep, one transaction records what was seen and takes what is due next: a look
    that hangs holds up no other.
    """

    db: Database
    upstreams: Upstreams
    clock: Clock
    owner: str
    first_pause: timedelta
    longest_pause: timedelta
    request_timeout: timedelta
    wake: Wake
    wake_dispatch: Wake
    accepting: bool = True
    _seen: list[_Seen] = field(default_factory=list)
    _looking: dict[str, asyncio.Task[None]] = field(default_factory=dict)

    @property
    def in_flight(self) -> int:
        """How many looks are out, or answered and not yet recorded."""
        return len(self._looking) + len(self._seen)

    async def run(self, now: datetime) -> datetime | None:
        """Record what was seen, and look at what is due; return when the next is."""
        seen = list(self._seen)
        if not seen:
            due = await self.db.read(collections_.find_next_look)
            if due is None or due > now:
                return due
        # Here and not in the transaction: meanwhile, what was asked may be answered.
        looking = Counter(task.get_name() for task in self._looking.values())
        done = await self.db.write(partial(self._pass, seen=seen, looking=looking, now=now))
        del self._seen[: len(seen)]
        for one, verdict in zip(seen, done.verdicts, strict=True):
            _log_look(one, verdict)
        if any(done.verdicts):
            self.wake_dispatch()  # a collector has room for another
        for look in done.looks:
            task = asyncio.create_task(self._look(look), name=look.account.name)
            self._looking[look.collection.id] = task
        # What is due and was not taken waits for an answer, or for the brake.
        moments = (done.next_due_at, done.ask_again_at)
        return min((moment for moment in moments if moment is not None), default=None)

    async def drain(self, grace: timedelta) -> None:
        """Look at nothing more, wait for the looks under way, and record what they saw."""
        self.accepting = False
        if self._looking:
            await asyncio.wait(list(self._looking.values()), timeout=grace.total_seconds())
        try:
            await self.run(self.clock())
        except DatabaseError as error:
            log.warning("trouble", loop="follow", trouble=str(error))

    def _pass(
        self, conn: Connection, *, seen: Sequence[_Seen], looking: Mapping[str, int], now: datetime
    ) -> _Pass:
        verdicts = self._record(conn, seen, now)
        heard = {one.look.account.name for one in seen}
        concerned = {*heard, *collections_.list_accounts_to_look_at(conn, now=now)}
        budgets = open_budgets(conn, accounts.list_named(conn, concerned), now=now)
        taken: list[tuple[Account, Collection]] = []
        again: list[datetime | None] = []
        for budget in budgets:
            name = budget.account.name
            mine = [one for one in seen if one.look.account.name == name]
            budget.heard(conn, [signal for one in mine for signal in one.signals])
            most = min(QUESTIONS_AT_ONCE - looking.get(name, 0), budget.questions().count)
            due = self._take(conn, budget, most, now=now)
            taken += [(budget.account, one) for one in due]
            if len(due) >= most:
                again.append(budget.questions().ask_again_at)
        close_budgets(conn, budgets)
        run_of = runs.get_runs(conn, {one.run_id for _, one in taken}) if taken else {}
        return _Pass(
            looks=[
                _Look(collection=one, run=run_of[one.run_id], account=account)
                for account, one in taken
                if one.run_id in run_of
            ],
            verdicts=verdicts,
            next_due_at=collections_.find_next_look(conn, after=now),
            ask_again_at=min((moment for moment in again if moment is not None), default=None),
        )

    def _take(
        self, conn: Connection, budget: Budget, most: int, *, now: datetime
    ) -> list[Collection]:
        if most <= 0 or not self.accepting:
            return []
        due = collections_.claim_looks(
            conn,
            budget.account.name,
            now=now,
            owner=self.owner,
            lease_until=now + 2 * self.request_timeout + _MARGIN,
            limit=most,
        )
        budget.ask(len(due))
        return due

    async def _look(self, look: _Look) -> None:
        mark = self.upstreams.token_mark(look.account)
        signals = []
        answer: LogAnswer | None = None
        if look.collection.cancel_requested_at is not None:
            cancelled = await self.upstreams.client(look.account).cancel(look.collection.id)
            _log_cancel(look, cancelled)
            signals.append(signal_of_answer(cancelled, token_mark=mark))
            # Who does not answer is not asked the next thing at once.
            answer = cancelled if isinstance(cancelled, Unanswered) else None
        if answer is None:
            answer = await self.upstreams.client(look.account).get_log(look.collection.id)
            signals.append(signal_of_answer(answer, token_mark=mark))
        self._seen.append(_Seen(look=look, answer=answer, signals=signals, at=self.clock()))
        self._looking.pop(look.collection.id, None)
        self.wake()

    def _record(
        self, conn: Connection, seen: Sequence[_Seen], now: datetime
    ) -> list[Verdict | None]:
        verdicts = [_verdict_of(one) for one in seen]
        judged = list(zip(seen, verdicts, strict=True))
        looked = [
            self._looked(one, has_ended=verdict is not None, now=now) for one, verdict in judged
        ]
        collections_.record_looks(conn, looked, now=now)
        ended = [
            Ended(
                collection=one.look.collection,
                state=verdict.state,
                reason=verdict.reason,
                detail=verdict.detail,
            )
            for one, verdict in judged
            if verdict is not None
        ]
        collections_.end_runs(conn, ended, now=now)
        failed = {
            one.look.run.schedule
            for one, verdict in judged
            if verdict is not None and verdict.state is RunState.FAILED
        }
        pause_failing(conn, failed, now=now)
        return verdicts

    def _looked(self, one: _Seen, *, has_ended: bool, now: datetime) -> Looked:
        collection = one.look.collection
        next_look = next_look_after(
            collection.accepted_at,
            now,
            first_pause=self.first_pause,
            longest_pause=self.longest_pause,
        )
        return Looked(
            collection=collection,
            seen=_columns_of(one.answer) if isinstance(one.answer, CollectionLog) else {},
            look_at=None if has_ended else next_look,
        )


def _verdict_of(one: _Seen) -> Verdict | None:
    collection = one.look.collection
    verdict = _judged(one, collection.accepted_at)
    return None if verdict is None else _named(verdict, collection)


def _judged(one: _Seen, accepted_at: datetime) -> Verdict | None:
    match one.answer:
        case CollectionLog():
            verdict = judge(one.answer, deadline=_deadline_of(one.look.run))
            return verdict or judge_endless(accepted_at, one.at)
        case Gone():
            return judge_unknown(accepted_at, one.at)
        case Unanswered():
            return judge_endless(accepted_at, one.at)
        case _:
            assert_never(one.answer)


def _deadline_of(run: Run) -> timedelta | None:
    sent = parse_qs(run.query).get("deadline")
    return parse_duration(sent[0]) if sent else None


def _named(verdict: Verdict, collection: Collection) -> Verdict:
    """Say by whom a collection was cancelled, where that is known."""
    if verdict.state is not RunState.CANCELLED:
        return verdict
    if collection.replaced_by is not None:
        return Verdict(
            state=verdict.state,
            reason=Reason.REPLACED,
            detail=f"run {collection.replaced_by} was triggered with confirm_cancel",
        )
    if collection.cancel_requested_at is not None:
        note = collection.cancel_note
        by_us = note == collections_.REPLACED_NOTE
        reason = Reason.REPLACED if by_us else Reason.CANCELLED_BY_HAND
        return Verdict(state=verdict.state, reason=reason, detail=note)
    return verdict


def _columns_of(answer: CollectionLog) -> dict[str, Any]:
    return {
        "status": answer.status,
        "inputs": answer.inputs,
        "lines": answer.lines,
        "fails": answer.fails,
        "pages": answer.pages,
        "success_rate": answer.success_rate,
        "started_at": answer.started_at,
        "finished_at": answer.finished_at,
    }


def _log_cancel(look: _Look, answer: object) -> None:
    log.info(
        "collection_cancel_asked",
        collection_id=look.collection.id,
        run_id=look.run.id,
        answer=type(answer).__name__.lower(),
    )


def _log_look(one: _Seen, verdict: Verdict | None) -> None:
    told = {"run_id": one.look.run.id, "collection_id": one.look.collection.id}
    if verdict is not None:
        log.info(
            "run_ended",
            **told,
            schedule=one.look.run.schedule,
            state=verdict.state.value,
            reason=verdict.reason.value,
            detail=verdict.detail,
        )
    elif isinstance(one.answer, Unanswered):
        log.warning("collection_unanswered", **told, detail=one.answer.detail)
