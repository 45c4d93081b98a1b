"""
Runs whose trigger may have been accepted are looked for among the upstream's jobs.

Never guessed: one job that fits is adopted; none, after the last look, is what the run's
`on_unconfirmed` says; several, or a list that cannot be read, are left to a person.
"""

import asyncio
import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from urllib.parse import parse_qs

import structlog

from scheduler.clock import Clock
from scheduler.domain.answers import EchoedInputs, ListedJob, Unanswered
from scheduler.domain.durations import parse_duration
from scheduler.domain.matching import (
    LostTrigger,
    by_their_clock,
    candidates,
    dates_to_search,
    may_be_ours,
    possible_counts,
)
from scheduler.domain.records import Account, JsonObject, Run, RunState, StoredBody
from scheduler.domain.request import body_inputs
from scheduler.domain.transition import (
    Absent,
    Backoff,
    Finding,
    Found,
    Several,
    Transition,
    Unreadable,
    after_looking,
)
from scheduler.engine.accounts import Upstreams
from scheduler.engine.budget import Signal, open_budget, signal_of_answer
from scheduler.engine.failures import pause_failing
from scheduler.engine.loop import Wake
from scheduler.storage import accounts, collections_, definitions, settle, unconfirmed
from scheduler.storage.database import Connection, Database
from scheduler.storage.settle import Settled
from scheduler.storage.unconfirmed import LostRun

log = structlog.get_logger()

_AT_ONCE = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class _Look:
    """A lost run, and all that looking for it takes."""

    lost: LostRun
    account: Account
    body: StoredBody


@dataclass(frozen=True, slots=True, kw_only=True)
class ReconcileStep:
    """Take over what dead daemons left, look for what was lost, and settle what is found."""

    db: Database
    upstreams: Upstreams
    clock: Clock
    owner: str
    look_after: tuple[timedelta, ...]
    request_timeout: timedelta
    wake_dispatch: Wake
    wake_follow: Wake

    async def run(self, now: datetime) -> datetime | None:
        """Look for up to a few runs that are due; return when the next is."""
        due = await self.db.read(unconfirmed.find_next_look)
        if due is None or due > now:
            return due
        looks = await self.db.write(partial(self._claim, now=now))
        if not looks:
            return None  # the brake holds, or others look: the loop comes again by itself
        await asyncio.gather(*(self._look(look) for look in looks))
        self.wake_dispatch()
        self.wake_follow()
        return await self.db.read(unconfirmed.find_next_look)

    async def take_over(self, now: datetime) -> None:
        """Treat every claim of another daemon as lost: the caller knows that none is alive."""
        look_at = now + self.look_after[0]
        dead = await self.db.write(
            partial(unconfirmed.expire_leases_of_others, owner=self.owner, look_at=look_at, now=now)
        )
        _log_lost(dead)

    def _claim(self, conn: Connection, *, now: datetime) -> list[_Look]:
        dead = unconfirmed.expire_leases(conn, now=now, look_at=now + self.look_after[0])
        _log_lost(dead)
        looks = []
        for name in unconfirmed.list_accounts_to_look_for(conn, now=now):
            account = accounts.find_account(conn, name)
            if account is None:
                continue  # renamed by a client that checks no references
            budget = open_budget(conn, account, now=now)
            found = unconfirmed.claim_looks(
                conn,
                name,
                now=now,
                owner=self.owner,
                lease_until=now + 2 * self.request_timeout,
                limit=min(_AT_ONCE, budget.allowance().count),
            )
            budget.ask(len(found))
            budget.close(conn)
            looks += [
                _Look(
                    lost=lost,
                    account=account,
                    body=definitions.get_body(conn, str(lost.run.body)),
                )
                for lost in found
            ]
        return looks

    async def _look(self, look: _Look) -> None:
        finding, signals = await self._find(look)
        now = self.clock()
        change = after_looking(
            finding,
            look.lost.run,
            now=now,
            look_for_lost_after=self.look_after,
            backoff=Backoff(
                first=parse_duration(look.lost.run.first_pause),
                most=parse_duration(look.lost.run.longest_pause),
            ),
            chance=random.random(),  # noqa: S311 - jitter, not a secret
        )
        settled = await self.db.write(
            partial(self._record, look=look, change=change, signals=signals, now=now)
        )
        _log_look(look.lost.run, finding, change, kept=settled)

    async def _find(self, look: _Look) -> tuple[Finding, list[Signal]]:
        run, attempt = look.lost.run, look.lost.attempt
        client = self.upstreams.client(look.account)
        mark = self.upstreams.token_mark(look.account)
        claimed_at = by_their_clock(attempt.claimed_at, client.clock_difference)
        first, last = dates_to_search(claimed_at, self.clock())
        listed = await client.list_jobs(run.collector_id, from_date=first, to_date=last)
        signals = [signal_of_answer(listed, token_mark=mark)]
        if isinstance(listed, Unanswered):
            return Unreadable(listed.detail), signals
        sent = body_inputs(look.body)
        trigger = LostTrigger(
            # This answer has told their clock, too.
            claimed_at=by_their_clock(attempt.claimed_at, client.clock_difference),
            inputs=possible_counts(sent),
            name=_name_of(run),
        )
        ids = [job.id for job in listed]
        owned = await self.db.read(partial(collections_.list_owners, ids=ids))
        fitting = candidates(trigger, listed, owned=owned)
        if len(fitting) > 1:
            fitting, more = await self._with_our_inputs(look, sent, fitting)
            signals += more
        return _finding(fitting), signals

    async def _with_our_inputs(
        self, look: _Look, sent: Sequence[JsonObject], fitting: Sequence[ListedJob]
    ) -> tuple[list[ListedJob], list[Signal]]:
        """Return those whose datasets echo nothing but what was *sent*; unread ones stay."""
        client = self.upstreams.client(look.account)
        mark = self.upstreams.token_mark(look.account)
        kept, signals = list(fitting), []
        for job in fitting[:_MOST_COMPARED]:
            echoed = await client.get_inputs(job.id)
            signals.append(signal_of_answer(echoed, token_mark=mark))
            if signals[-1].throttled:
                break  # a look is one request to the brake: it collects no second 429
            if isinstance(echoed, EchoedInputs) and not may_be_ours(sent, echoed):
                kept.remove(job)
        return kept, signals

    def _record(
        self,
        conn: Connection,
        *,
        look: _Look,
        change: Transition,
        signals: Sequence[Signal],
        now: datetime,
    ) -> bool:
        budget = open_budget(conn, look.account, now=now)
        budget.heard(conn, signals)
        budget.ask(len(signals) - 1)  # the first was taken with the claim
        budget.close(conn)
        run = look.lost.run
        if change.state is RunState.UNCONFIRMED and change.look_at is not None:
            unconfirmed.put_off_look(conn, run, look_at=change.look_at, looks=run.looks + 1)
            return True
        kept = not settle.settle(conn, [Settled(run=run, change=change)], now=now)
        if change.state is RunState.FAILED:
            pause_failing(conn, {run.schedule}, now=now)
        return kept


_MOST_COMPARED = 3


def _finding(fitting: Sequence[ListedJob]) -> Finding:
    match fitting:
        case []:
            return Absent()
        case [job]:
            return Found(job.id, job.queued_at)
        case _:
            return Several(tuple(job.id for job in fitting))


def _name_of(run: Run) -> str | None:
    return next(iter(parse_qs(run.query).get("name", [])), None)


def _log_lost(dead: Sequence[Run]) -> None:
    for run in dead:
        log.warning("run_unconfirmed", run_id=run.id, schedule=run.schedule, detail=run.detail)


def _log_look(run: Run, finding: Finding, change: Transition, *, kept: bool) -> None:
    log.info(
        "run_looked_for",
        run_id=run.id,
        schedule=run.schedule,
        look=run.looks + 1,
        finding=type(finding).__name__.lower(),
        state=change.state.value,
        collection_id=change.collection_id,
        kept=kept,
    )
