"""What others run on a collector is asked for before something is decided that it counts for."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Final

import structlog

from scheduler.clock import Clock, boot_seconds
from scheduler.domain.answers import JobsPage, ListedJob, Refused, Unanswered
from scheduler.domain.matching import date_trigger
from scheduler.domain.other_jobs import LISTED_EVERY, find_others, list_again_at, other_job, runs_on
from scheduler.domain.records import Account
from scheduler.engine.accounts import Upstreams
from scheduler.engine.loop import Wake
from scheduler.engine.polls import FARTHEST_ZONE, is_last
from scheduler.engine.rate_limiter import Feedback, feedback_of_answer, open_limiter
from scheduler.engine.tuning import LEASE_MARGIN, NO_LIST_FOR, QUESTIONS_AT_ONCE
from scheduler.storage import accounts, collections_, other_jobs
from scheduler.storage.collections_ import CollectorKey
from scheduler.storage.database import Connection, Database
from scheduler.storage.other_jobs import WantedList

log = structlog.get_logger()

_MOST_PAGES: Final = 2
"""The newest 1,000 jobs: what runs is hardly older, and each page is a request."""


@dataclass(slots=True)
class _Listed:
    """What a list came to: its jobs, whether they are all, why it could not be read, its cost."""

    jobs: dict[str, ListedJob] = field(default_factory=dict)
    is_whole: bool = False
    trouble: Refused | Unanswered | None = None
    feedbacks: list[Feedback] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class OtherJobsStep:
    """
    List the jobs of collectors of which something is decided soon, and keep what is not ours.

    1. Collectors are found of which a schedule is about to be due, or something waits.
    2. A few of each account are taken under its limiter, each list under a lease.
    3. The jobs of the last day or so are listed, the newest first.
    4. Those that run and are neither ours nor may be are kept; what waited for them is woken up.
    """

    db: Database
    upstreams: Upstreams
    clock: Clock
    owner: str
    poll_initial: timedelta
    overdue_after: timedelta
    request_timeout: timedelta
    wake_dispatch: Wake

    async def run(self, now: datetime) -> datetime | None:
        """List what is to be listed; return when more is, as far as is known."""
        wanted = await self.db.read(partial(other_jobs.list_wanted, now=now))
        due = [one for one in wanted if one.next_at is None or one.next_at <= now]
        if due:
            taken = await self.db.write(partial(self._claim, due=due, now=now))
            await asyncio.gather(*(self._ask(one, account) for one, account in taken))
            return now if 0 < len(taken) < len(due) else None
        return min((one.next_at for one in wanted if one.next_at is not None), default=None)

    def _claim(
        self, conn: Connection, *, due: Sequence[WantedList], now: datetime
    ) -> list[tuple[WantedList, Account]]:
        taken: list[tuple[WantedList, Account]] = []
        for account in accounts.list_named(conn, {one.account for one in due}):
            limiter = open_limiter(conn, account, now=now)
            most = max(0, min(QUESTIONS_AT_ONCE, limiter.questions().count))
            # Again, for another daemon may have taken them meanwhile.
            free = {one.collector for one in other_jobs.list_wanted(conn, now=now)}
            mine = [one for one in due if one.account == account.name and one.collector in free]
            other_jobs.claim(
                conn,
                mine[:most],
                owner=self.owner,
                now=now,
                lease_until=now + 2 * self.request_timeout + LEASE_MARGIN,
            )
            limiter.ask(len(mine[:most]))
            limiter.close(conn)
            taken += [(one, account) for one in mine[:most]]
        return taken

    async def _ask(self, wanted: WantedList, account: Account) -> None:
        try:
            listed = await self._list(wanted, account)
        except Exception as error:  # a bug: the others go on
            log.exception("look_failed", collector_id=wanted.collector_id)
            detail = f"{type(error).__name__} while asking"
            listed = _Listed(trouble=Unanswered(detail=detail))
        record = partial(self._record, collector=wanted.collector, account=account, listed=listed)
        if await self.db.write(record):
            self.wake_dispatch()

    async def _list(self, wanted: WantedList, account: Account) -> _Listed:
        client = self.upstreams.client(account)
        fingerprint = self.upstreams.token_fingerprint(account)
        listed, offset, now = _Listed(), 0, self.clock()
        for _ in range(_MOST_PAGES):
            page = await client.list_newest(
                wanted.collector_id,
                from_date=(now - self.overdue_after - FARTHEST_ZONE).date(),
                to_date=(now + FARTHEST_ZONE).date(),
                offset=offset,
            )
            listed.feedbacks.append(feedback_of_answer(page, token_fingerprint=fingerprint))
            if not isinstance(page, JobsPage):
                listed.trouble = page
                break
            listed.jobs.update((job.id, job) for job in page.jobs)
            offset += len(page.jobs) + page.unread
            if is_last(page, offset):
                listed.is_whole = True
                break
        return listed

    def _record(
        self, conn: Connection, *, collector: CollectorKey, account: Account, listed: _Listed
    ) -> bool:
        """Keep what was listed; tell whether fewer jobs of others run than were known to."""
        now, trouble = self.clock(), listed.trouble
        have_ended = False
        next_at = now + (NO_LIST_FOR if isinstance(trouble, Refused) else LISTED_EVERY)
        if trouble is None:
            have_ended = self._keep(conn, collector, account, listed, now)
            others = other_jobs.list_counted(conn, [collector[1]], now=now)
            next_at = list_again_at(others, now, poll_initial=self.poll_initial)
        else:
            _log_trouble(collector, trouble)
        why = None if trouble is None else trouble.detail
        other_jobs.note_asked(conn, collector, next_at=next_at, now=now, why=why)
        limiter = open_limiter(conn, account, now=now)
        limiter.apply(conn, listed.feedbacks)
        limiter.pay(max(0, len(listed.feedbacks) - 1))
        limiter.close(conn)
        return have_ended

    def _keep(
        self,
        conn: Connection,
        collector: CollectorKey,
        account: Account,
        listed: _Listed,
        now: datetime,
    ) -> bool:
        return keep_others(
            conn,
            collector,
            listed.jobs,
            is_whole=listed.is_whole,
            lasts=self.overdue_after,
            now=now,
            upstream_now=self.upstreams.client(account).time_at(boot_seconds()),
        )


def keep_others(
    conn: Connection,
    collector: CollectorKey,
    jobs: Mapping[str, ListedJob],
    *,
    is_whole: bool,
    lasts: timedelta,
    now: datetime,
    upstream_now: datetime | None,
) -> bool:
    """
    Keep which of the *jobs* that a list showed are others' and run; tell whether any has ended.

    What a list that *is_whole* does not show has ended, too.
    """
    known = other_jobs.list_known(conn, collector)
    running = [job for job in jobs.values() if runs_on(job)]
    owned = collections_.list_owners(conn, [job.id for job in running])
    unowned = [job for job in running if job.id not in owned]
    in_doubt = other_jobs.list_in_doubt(conn, collector) if unowned else []
    others = find_others(
        unowned,
        owned=owned,
        known=known,
        in_doubt=[date_trigger(*moments, upstream_now or now)[1] for moments in in_doubt],
    )
    run_on = {job.id for job in others}
    gone = {id_ for id_ in known if id_ not in run_on and (is_whole or id_ in jobs)}
    seen = [other_job(job, *collector, known=known, now=now, lasts=lasts) for job in others]
    other_jobs.record_jobs(conn, collector, seen, gone=gone)
    _log_changes(collector, run_on - known.keys(), gone)
    return bool(gone)


def _log_changes(collector: CollectorKey, new: set[str], gone: set[str]) -> None:
    told = {"account": collector[0], "collector_id": collector[1]}
    for id_ in sorted(new):
        log.info("other_job_seen", collection_id=id_, **told)
    for id_ in sorted(gone):
        log.info("other_job_ended", collection_id=id_, **told)


def _log_trouble(collector: CollectorKey, trouble: Refused | Unanswered) -> None:
    account, collector_id = collector
    log.warning(
        "others_not_listed", account=account, collector_id=collector_id, detail=trouble.detail
    )
