"""Jobs that somebody else started on a collector: which rows of its jobs list are theirs."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from scheduler.domain.answers import ListedJob
from scheduler.domain.matching import CLOCK_DIFFERENCE
from scheduler.domain.records import Overlap
from scheduler.domain.verdict import judge

COUNTS_FOR: Final = timedelta(minutes=1)
"""So long what a list showed to run is taken to run; after that only our own runs decide."""

LISTED_AHEAD: Final = timedelta(seconds=20)
"""So long before something is decided the list is read."""

LISTED_EVERY: Final = timedelta(seconds=25)
"""And so often while something is to be decided again and again: longer than what is above."""

BESIDE_NOTHING: Final = (Overlap.SKIP, Overlap.QUEUE_ONE, Overlap.REPLACE)
"""For these it matters what else runs on their collector."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OtherJob:
    """
    A job that runs on a collector and that no run of ours has, as its list last showed it.

    *started_by* is the upstream's word for where it was started. It counts until *counts_until*.
    """

    account: str
    collector_id: str
    id: str
    status: str
    inputs: int | None
    started_by: str | None
    began_at: datetime
    seen_at: datetime
    counts_until: datetime


def runs_on(job: ListedJob) -> bool:
    """Tell whether a listed job runs, or will: by the upstream's word, and without a finish."""
    if job.status is None or job.finished_at is not None or job.expired:
        return False
    return judge(job.as_log(), deadline=None) is None


def find_others(
    running: Iterable[ListedJob],
    *,
    owned: Collection[str],
    known: Collection[str],
    in_doubt: Sequence[datetime],
) -> list[ListedJob]:
    """
    Return those of the *running* jobs that are neither ours nor may be.

    *in_doubt* is since when each trigger without a readable answer may have become a job, by the
    upstream's clock. What was *known* before such a trigger was sent is not its job.
    """
    earliest = min(in_doubt, default=None)
    return [
        job
        for job in running
        if job.id not in owned and (job.id in known or not _may_be_ours(job, earliest))
    ]


def _may_be_ours(job: ListedJob, earliest: datetime | None) -> bool:
    if earliest is None:
        return False
    return job.queued_at is None or job.queued_at >= earliest - CLOCK_DIFFERENCE


def other_job(
    job: ListedJob,
    account: str,
    collector_id: str,
    *,
    known: Mapping[str, OtherJob],
    now: datetime,
    lasts: timedelta,
) -> OtherJob:
    """
    Return what is kept of somebody's *job*, which was *known* before or not.

    It *lasts* so long at most: what runs for longer than any sane time holds up nobody.
    """
    before = known.get(job.id)
    seen = before.began_at if before is not None else now
    began_at = min(job.started_at or job.queued_at or seen, now)
    return OtherJob(
        account=account,
        collector_id=collector_id,
        id=job.id,
        status=job.status or "",
        inputs=job.inputs,
        started_by=job.trigger_type,
        began_at=began_at,
        seen_at=now,
        counts_until=min(now + COUNTS_FOR, began_at + lasts),
    )


def list_again_at(
    others: Collection[OtherJob], now: datetime, *, poll_initial: timedelta
) -> datetime:
    """Return when the list may be read again: sooner where something young may end."""
    ages = [max(now - job.began_at, timedelta()) for job in others if job.counts_until > now]
    wait = max(min(ages, default=10 * LISTED_EVERY) / 10, poll_initial)
    return now + min(wait, LISTED_EVERY)


def name_others(ids: Sequence[str]) -> str:
    """Say that these jobs run, and are of nobody here."""
    if len(ids) == 1:
        return f"job {ids[0]} runs on the collector, and no run here has it"
    first = ", ".join(ids[:_MOST_NAMED])
    more = f" and {len(ids) - _MOST_NAMED} more" if len(ids) > _MOST_NAMED else ""
    return f"jobs {first}{more} run on the collector, and no run here has them"


_MOST_NAMED: Final = 3
