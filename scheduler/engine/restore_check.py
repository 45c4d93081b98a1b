"""After a restored backup: which of the upstream's jobs since then are in no run."""

from dataclasses import dataclass
from datetime import datetime
from functools import partial

import structlog

from scheduler.clock import Clock
from scheduler.domain.answers import ListedJob, Unanswered
from scheduler.domain.matching import CLOCK_DIFFERENCE, dates_to_search
from scheduler.domain.records import Account, Collector
from scheduler.domain.timestamps import iso_time
from scheduler.engine.accounts import Upstreams
from scheduler.engine.rate_limiter import Feedback, feedback_of_answer, open_limiter
from scheduler.storage import accounts, collections_, definitions, restores
from scheduler.storage.database import Connection, Database
from scheduler.storage.restores import UnknownJob

log = structlog.get_logger()


@dataclass(slots=True, kw_only=True)
class RestoreStep:
    """
    List the jobs of all collectors since a backup that was settled, and keep those of no run.

    One collector a pass, under its account's brake. What is listed may be adopted later: who
    shows the jobs leaves out what has a run by then.
    """

    db: Database
    upstreams: Upstreams
    clock: Clock
    _found: dict[str, list[UnknownJob]] | None = None

    async def run(self, now: datetime) -> datetime | None:
        """Ask about the next collector, if there is something to settle; else do nothing."""
        since = await self.db.read(_since)
        if since is None:
            return None
        found = self._found = {} if self._found is None else self._found
        for collector in await self.db.read(definitions.list_collectors):
            if collector.collector_id in found:
                continue
            jobs = await self._list(collector, since, now)
            if jobs is None:
                return None  # the brake holds, or nobody answered: the loop comes again
            found[collector.collector_id] = jobs
        unknown = [job for jobs in found.values() for job in jobs]
        await self.db.write(partial(restores.note_jobs, jobs=unknown))
        for job in unknown:
            log.warning("job_without_a_run", **job._asdict())
        self._found = None
        return None

    async def _list(
        self, collector: Collector, since: datetime, now: datetime
    ) -> list[UnknownJob] | None:
        account = await self.db.read(partial(accounts.find_account, name=collector.account))
        if account is None or not await self.db.write(partial(self._may_ask, account=account)):
            return None
        client = self.upstreams.client(account)
        first, last = dates_to_search(since, now)
        listed = await client.list_jobs(collector.collector_id, from_date=first, to_date=last)
        fingerprint = self.upstreams.token_fingerprint(account)
        feedback = feedback_of_answer(listed, token_fingerprint=fingerprint)
        await self.db.write(partial(self._heard, account=account, feedback=feedback))
        if isinstance(listed, Unanswered):
            return None
        owned = await self.db.read(
            partial(collections_.list_owners, ids=[job.id for job in listed])
        )
        return [
            _unknown(job, collector)
            for job in listed
            if job.id not in owned
            and (job.queued_at is None or job.queued_at >= since - CLOCK_DIFFERENCE)
        ]

    def _may_ask(self, conn: Connection, *, account: Account) -> bool:
        limiter = open_limiter(conn, account, now=self.clock())
        may = limiter.questions().count > 0
        limiter.ask(1 if may else 0)
        limiter.close(conn)
        return may

    def _heard(self, conn: Connection, *, account: Account, feedback: Feedback) -> None:
        limiter = open_limiter(conn, account, now=self.clock())
        limiter.apply(conn, [feedback])
        limiter.close(conn)


def _since(conn: Connection) -> datetime | None:
    return None if restores.has_jobs(conn) else restores.find_looked_into(conn)


def _unknown(job: ListedJob, collector: Collector) -> UnknownJob:
    return UnknownJob(
        id=job.id,
        collector_id=collector.collector_id,
        queued_at=None if job.queued_at is None else iso_time(job.queued_at),
        name=job.name,
        inputs=job.inputs,
    )
