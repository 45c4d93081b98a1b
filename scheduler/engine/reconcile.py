"""
Runs whose trigger may have been accepted are looked for among the upstream's jobs.

Never guessed: one job that fits is adopted; none, after the last lookup, is what the run's
`on_unconfirmed` says; several, or a list that cannot be read, are left to a person.
"""

import asyncio
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import partial
from urllib.parse import parse_qs

import structlog

from scheduler.clock import Clock, boot_seconds
from scheduler.domain.answers import EchoedInputs, ListedJob, Unanswered
from scheduler.domain.durations import parse_duration
from scheduler.domain.matching import (
    RESTORED,
    Candidate,
    Fit,
    ListHabits,
    LostTrigger,
    SentJob,
    candidates,
    conclude,
    date_trigger,
    dates_to_search,
    in_doubt,
    is_ours,
    learn_habits,
    may_be_ours,
    possible_counts,
)
from scheduler.domain.records import Account, Attempt, Run, RunState, StoredBody
from scheduler.domain.transition import Backoff, Finding, Transition, Unreadable, after_lookup
from scheduler.engine.accounts import Upstreams
from scheduler.engine.failures import pause_failing
from scheduler.engine.loop import Wake
from scheduler.engine.rate_limiter import Feedback, feedback_of_answer, open_limiter
from scheduler.engine.stored_body import SentInputs
from scheduler.engine.tuning import LOOKUPS_AT_ONCE, MOST_COMPARED, MOST_LEARNED
from scheduler.storage import accounts, collections_, definitions
from scheduler.storage.database import Connection, Database
from scheduler.storage.departures import Departed
from scheduler.storage.runs import outcomes, unconfirmed
from scheduler.storage.runs.outcomes import AttemptResult
from scheduler.storage.runs.unconfirmed import LostRun
from scheduler.upstream import Dca

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Lookup:
    """A lost run, and all that looking for it takes."""

    lost: LostRun
    account: Account
    body: StoredBody


@dataclass(frozen=True, slots=True, kw_only=True)
class ReconcileStep:
    """
    Take over what dead daemons left, look for what was lost, and resolve what is found.

    1. Claims whose lease has ended become unconfirmed.
    2. Runs that are due for a lookup are taken, a few of each account, under its limiter.
    3. The collector's jobs are listed, and matched with the lost trigger; where several fit,
       their datasets are read.
    4. What that shows moves the run, puts the lookup off, or leaves it to a person.
    """

    db: Database
    upstreams: Upstreams
    clock: Clock
    owner: str
    lookup_after: tuple[timedelta, ...]
    request_timeout: timedelta
    lease: timedelta
    wake_dispatch: Wake
    wake_follow: Wake

    async def run(self, now: datetime) -> datetime | None:
        """Look for up to a few runs that are due; return when the next is."""
        due = await self.db.read(unconfirmed.find_next_lookup)
        if due is not None and due > (latest := now + self.lookup_after[-1] + self.lease):
            # Nothing is put off so far: the clock was set back meanwhile.
            await self.db.write(partial(unconfirmed.look_at_once, latest=latest, now=now))
            due = await self.db.read(unconfirmed.find_next_lookup)
        if due is None or due > now:
            return due
        lookups = await self.db.write(partial(self._claim, now=now))
        if not lookups:
            return None  # the brake holds, or others do it: the loop comes again by itself
        await asyncio.gather(*(self._lookup(lookup) for lookup in lookups))
        self.wake_dispatch()
        self.wake_follow()
        return await self.db.read(unconfirmed.find_next_lookup)

    async def take_over(self, now: datetime, departed: Departed | None = None) -> None:
        """
        Treat every claim of another daemon as lost: the caller knows that none is alive.

        What *departed* proves never to have left is sent anew.
        """
        next_lookup_at = now + self.lookup_after[0]
        await self.db.write(
            partial(
                unconfirmed.expire_leases_of_others,
                owner=self.owner,
                next_lookup_at=next_lookup_at,
                now=now,
                departed=departed,
            )
        )

    def _claim(self, conn: Connection, *, now: datetime) -> list[_Lookup]:
        unconfirmed.expire_leases(conn, now=now, next_lookup_at=now + self.lookup_after[0])
        lookups = []
        for name in unconfirmed.list_accounts_to_look_up(conn, now=now):
            account = accounts.find_account(conn, name)
            if account is None:
                continue  # renamed by a client that checks no references
            limiter = open_limiter(conn, account, now=now)
            claimed = unconfirmed.claim_lookups(
                conn,
                name,
                now=now,
                owner=self.owner,
                lease_until=now + 2 * self.request_timeout,
                limit=min(LOOKUPS_AT_ONCE, limiter.permits().count),
            )
            limiter.ask(len(claimed))
            limiter.close(conn)
            lookups += [
                _Lookup(
                    lost=lost, account=account, body=definitions.get_body(conn, str(lost.run.body))
                )
                for lost in claimed
            ]
        return lookups

    async def _lookup(self, lookup: _Lookup) -> None:
        finding, feedbacks = await self._find(lookup)
        now = self.clock()
        change = after_lookup(
            finding,
            lookup.lost.run,
            now=now,
            lookup_after=self.lookup_after,
            backoff=Backoff(
                first=parse_duration(lookup.lost.run.backoff_initial),
                most=parse_duration(lookup.lost.run.backoff_max),
            ),
            chance=random.random(),  # noqa: S311 - jitter, not a secret
            sent_for=self._sent_for(lookup),
        )
        await self.db.write(
            partial(self._record, lookup=lookup, change=change, feedbacks=feedbacks, now=now)
        )
        _log_lookup(lookup.lost.run, finding)

    async def _find(self, lookup: _Lookup) -> tuple[Finding, list[Feedback]]:
        run, attempt = lookup.lost.run, lookup.lost.attempt
        client = self.upstreams.client(lookup.account)
        fingerprint = self.upstreams.token_fingerprint(lookup.account)
        sent_at, not_before, days = self._date(attempt, client)
        listed = await client.list_jobs(run.collector_id, from_date=days[0], to_date=days[1])
        feedbacks = [feedback_of_answer(listed, token_fingerprint=fingerprint)]
        if isinstance(listed, Unanswered):
            return Unreadable(listed.detail), feedbacks
        if self._date(attempt, client)[2] != days:
            # The answer has told the time, and ours is another: the next lookup knows.
            return Unreadable("our clock was wrong"), feedbacks
        sent = SentInputs(self.db, lookup.body)
        trigger = LostTrigger(
            sent_at=sent_at,
            not_before=not_before,
            inputs=await sent.ask(partial(possible_counts, lookup.body.row_count)),
            name=_name_in(run.query),
        )
        owned, habits = await self.db.read(partial(_own_jobs, listed=listed))
        fitting = candidates(trigger, listed, owned=owned, habits=habits)
        if attempt.daemon == RESTORED:
            fitting = in_doubt(fitting)
        fits = [candidate.fit for candidate in fitting]
        # What was sent before has often the same inputs.
        if fits not in ([], [Fit.NAMED], [Fit.PLAIN]) and Fit.TOO_OLD not in fits:
            fitting, more = await self._compare_inputs(lookup, sent, fitting)
            feedbacks += more
        is_last_look = run.lookups + 1 >= len(self.lookup_after)
        return conclude(fitting, is_last_look=is_last_look), feedbacks

    def _date(self, attempt: Attempt, client: Dca) -> tuple[datetime, datetime, tuple[date, date]]:
        """Return what `date_trigger` does, and the days to search, by what is known by now."""
        now = client.time_at(boot_seconds()) or self.clock()
        sent_at, not_before = date_trigger(attempt.claimed_at, attempt.upstream_at, now)
        return sent_at, not_before, dates_to_search(not_before, max(now, self.clock()))

    def _sent_for(self, lookup: _Lookup) -> timedelta | None:
        """Return how long ago the trigger was sent by the upstream's clock, if that is known."""
        now = self.upstreams.client(lookup.account).time_at(boot_seconds())
        upstream_at = lookup.lost.attempt.upstream_at
        return None if now is None or upstream_at is None else now - upstream_at

    async def _compare_inputs(
        self, lookup: _Lookup, sent: SentInputs, fitting: Sequence[Candidate]
    ) -> tuple[list[Candidate], list[Feedback]]:
        """
        Drop those whose datasets echo anything but what was *sent*; unread ones stay.

        One that echoes just that is as good as any, whatever its row says. Echoes choose, and
        prove no absence: if all would go, all stay.
        """
        client = self.upstreams.client(lookup.account)
        fingerprint = self.upstreams.token_fingerprint(lookup.account)
        kept, feedbacks = list(fitting), []
        for candidate in fitting[:MOST_COMPARED]:
            echoed = await client.get_inputs(candidate.job.id)
            feedbacks.append(feedback_of_answer(echoed, token_fingerprint=fingerprint))
            if feedbacks[-1].throttled:
                break  # a lookup is one request to the brake: it collects no second 429
            if not isinstance(echoed, EchoedInputs):
                continue
            index = kept.index(candidate)
            if not await sent.ask(partial(may_be_ours, echoed)):
                del kept[index]
            elif await sent.ask(partial(is_ours, echoed)):
                kept[index] = Candidate(candidate.job, Fit.PLAIN)
        return kept or list(fitting), feedbacks

    def _record(
        self,
        conn: Connection,
        *,
        lookup: _Lookup,
        change: Transition,
        feedbacks: Sequence[Feedback],
        now: datetime,
    ) -> None:
        limiter = open_limiter(conn, lookup.account, now=now)
        limiter.apply(conn, feedbacks)
        limiter.ask(len(feedbacks) - 1)  # the first was taken with the claim
        limiter.close(conn)
        run = lookup.lost.run
        if change.state is RunState.UNCONFIRMED and change.next_lookup_at is not None:
            unconfirmed.put_off_lookup(
                conn, run, next_lookup_at=change.next_lookup_at, lookups=run.lookups + 1
            )
            return
        outcomes.record_outcomes(conn, [AttemptResult(run=run, change=change)], now=now)
        if change.state is RunState.FAILED:
            pause_failing(conn, {run.schedule}, now=now)


def _own_jobs(
    conn: Connection, *, listed: Sequence[ListedJob]
) -> tuple[Mapping[str, int], ListHabits]:
    """Return who owns which of the listed jobs, and how the list shows the newest of them."""
    job_of = {job.id: job for job in listed}
    owned = collections_.list_owners(conn, list(job_of))
    sent = collections_.list_sent(conn, sorted(owned, key=owned.__getitem__)[-MOST_LEARNED:])
    return owned, learn_habits(
        (job_of[one.id], SentJob(_name_in(one.query), one.row_count, one.upstream_at))
        for one in sent
    )


def _name_in(query: str) -> str | None:
    return next(iter(parse_qs(query).get("name", [])), None)


def _log_lookup(run: Run, finding: Finding) -> None:
    """Tell what a lookup saw; if it moves the run, that is told as all moves are."""
    kind = type(finding).__name__.lower()
    log.info("lost_trigger_looked_for", run_id=run.id, lookup=run.lookups + 1, finding=kind)
