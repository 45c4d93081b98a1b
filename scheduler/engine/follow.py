"""Collections are followed, gently, until they have ended; and cancelled where that was asked."""

import asyncio
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any, assert_never
from urllib.parse import parse_qs

import structlog

from scheduler.clock import Clock
from scheduler.domain.answers import CollectionLog, Gone, Unanswered
from scheduler.domain.durations import parse_duration
from scheduler.domain.records import Account, Collection, Reason, Run, RunState
from scheduler.domain.verdict import (
    Verdict,
    judge,
    judge_endless,
    judge_unknown,
    next_look_after,
)
from scheduler.engine.accounts import Upstreams
from scheduler.engine.budget import open_budget, signal_of_answer
from scheduler.engine.failures import pause_failing
from scheduler.engine.loop import Wake
from scheduler.storage import accounts, collections_, runs
from scheduler.storage.database import Connection, Database

log = structlog.get_logger()

_AT_ONCE = 4
"""Of an account's requests in flight, so many at most are questions: triggers go first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Look:
    collection: Collection
    run: Run
    account: Account


@dataclass(frozen=True, slots=True, kw_only=True)
class FollowStep:
    """Ask how collections are doing, a few at a time, and end their runs when they have ended."""

    db: Database
    upstreams: Upstreams
    clock: Clock
    owner: str
    first_pause: timedelta
    longest_pause: timedelta
    request_timeout: timedelta
    wake_dispatch: Wake

    async def run(self, now: datetime) -> datetime | None:
        """Look at the collections that are due; return when the next is."""
        due = await self.db.read(collections_.find_next_look)
        if due is None or due > now:
            return due
        looks = await self.db.write(partial(self._claim, now=now))
        if not looks:
            return None  # the brake holds: the loop comes again by itself
        ended = await asyncio.gather(*(self._look(look) for look in looks))
        if any(ended):
            self.wake_dispatch()  # the collector has room for another
        return await self.db.read(collections_.find_next_look)

    def _claim(self, conn: Connection, *, now: datetime) -> list[_Look]:
        looks = []
        for name in collections_.list_accounts_to_look_at(conn, now=now):
            account = accounts.get_account(conn, name)
            budget = open_budget(conn, account, now=now)
            due = collections_.claim_looks(
                conn,
                name,
                now=now,
                owner=self.owner,
                lease_until=now + self.request_timeout + _MARGIN,
                limit=min(_AT_ONCE, budget.allowance().count),
            )
            budget.spend(len(due))
            budget.close(conn)
            looks += [
                _Look(collection=one, run=runs.get_run(conn, one.run_id), account=account)
                for one in due
            ]
        return looks

    async def _look(self, look: _Look) -> bool:
        client = self.upstreams.client(look.account)
        if look.collection.cancel_requested_at is not None:
            await self._cancel(look)
        answer = await client.get_log(look.collection.id)
        now = self.clock()
        verdict = _verdict_of(answer, look, now)
        await self.db.write(
            partial(self._record, look=look, answer=answer, verdict=verdict, now=now)
        )
        _log_look(look, answer, verdict)
        return verdict is not None

    async def _cancel(self, look: _Look) -> None:
        answer = await self.upstreams.client(look.account).cancel(look.collection.id)
        log.info(
            "collection_cancel_asked",
            collection_id=look.collection.id,
            run_id=look.run.id,
            answer=type(answer).__name__.lower(),
        )

    def _record(
        self,
        conn: Connection,
        *,
        look: _Look,
        answer: CollectionLog | Gone | Unanswered,
        verdict: Verdict | None,
        now: datetime,
    ) -> None:
        budget = open_budget(conn, look.account, now=now)
        mark = self.upstreams.token_mark(look.account)
        budget.heard(conn, [signal_of_answer(answer)], token_mark=mark)
        budget.close(conn)
        collection = look.collection
        seen = _columns_of(answer) if isinstance(answer, CollectionLog) else {}
        look_at = None if verdict is not None else self._next_look(collection, now)
        collections_.record_look(conn, collection, seen, look_at=look_at)
        if verdict is not None:
            verdict = _named(verdict, collection)
            collections_.end_run(
                conn,
                collection,
                state=verdict.state,
                values={"reason": verdict.reason, "detail": verdict.detail, "ended_at": now},
            )
            if verdict.state is RunState.FAILED:
                pause_failing(conn, {look.run.schedule}, now=now)

    def _next_look(self, collection: Collection, now: datetime) -> datetime:
        return next_look_after(
            collection.accepted_at,
            now,
            first_pause=self.first_pause,
            longest_pause=self.longest_pause,
        )


_MARGIN = timedelta(seconds=30)


def _verdict_of(
    answer: CollectionLog | Gone | Unanswered, look: _Look, now: datetime
) -> Verdict | None:
    accepted_at = look.collection.accepted_at
    match answer:
        case CollectionLog():
            return judge(answer, deadline=_deadline_of(look.run)) or judge_endless(accepted_at, now)
        case Gone():
            return judge_unknown(accepted_at, now)
        case Unanswered():
            return judge_endless(accepted_at, now)
        case _:
            assert_never(answer)


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


def _log_look(look: _Look, answer: object, verdict: Verdict | None) -> None:
    told = {"run_id": look.run.id, "collection_id": look.collection.id}
    if verdict is not None:
        log.info(
            "run_ended",
            **told,
            schedule=look.run.schedule,
            state=verdict.state.value,
            reason=verdict.reason.value,
            detail=verdict.detail,
        )
    elif isinstance(answer, Unanswered):
        log.warning("collection_unanswered", **told, detail=answer.detail)
