"""Failed runs by what they failed of: a schedule, a reason, and the upstream's words."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from scheduler.domain.records import Reason
from scheduler.storage import runs
from scheduler.storage.database import Connection
from scheduler.storage.runs.lost import FailedRun, list_failed
from scheduler.views.retrying import Retryable, choose_retryable

MOST: Final = 5_000
"""So many of the newest failures are looked at."""

SINCE: Final = timedelta(days=7)
"""From when on failures are told, unless said."""

_NUMBER: Final = re.compile(r"\d+")
_QUOTED: Final = re.compile(r"j_\w+|[0-9a-f]{12,}|https?://\S+")


@dataclass(frozen=True, slots=True, kw_only=True)
class FailureGroup:
    """
    So many runs that failed of the same.

    *words* is what was said, numbers and addresses left out; *sample* the newest of the runs, and
    *detail* what was said of that. *days* counts them by the day, in UTC.
    """

    schedule: str | None
    collector: str
    reason: Reason
    words: str
    count: int
    first_at: datetime
    last_at: datetime
    sample: int
    detail: str | None
    days: Mapping[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class FailuresView:
    """The groups, the largest first; *is_all* tells whether there were no more than MOST runs."""

    since: datetime
    groups: tuple[FailureGroup, ...]
    is_all: bool


def read_failures(
    conn: Connection, *, since: datetime | None = None, now: datetime
) -> FailuresView:
    """Group the runs that failed since then."""
    begin = since or now - SINCE
    failed = list_failed(conn, since=begin, limit=MOST)
    groups: dict[tuple[str | None, str, Reason, str], list[FailedRun]] = {}
    for run in failed:
        key = (run.schedule, run.collector, run.reason, cause_of(run.detail))
        groups.setdefault(key, []).append(run)
    made = (_group(key[3], found) for key, found in groups.items())
    return FailuresView(
        since=begin,
        groups=tuple(sorted(made, key=lambda group: (-group.count, group.words))),
        is_all=len(failed) < MOST,
    )


def list_of_cause(
    conn: Connection,
    *,
    schedule: str | None,
    collector: str,
    reason: Reason,
    words: str,
    since: datetime,
    limit: int,
) -> Retryable:
    """Return which runs of a group can be retried, of its newest *limit*."""
    ids = [
        run.id
        for run in list_failed(conn, since=since, limit=MOST)
        if (run.schedule, run.collector, run.reason) == (schedule, collector, reason)
        and cause_of(run.detail) == words
    ]
    found = runs.get_runs(conn, ids[:limit])
    return choose_retryable(conn, sorted(found.values(), key=lambda run: run.id))


def cause_of(detail: str | None) -> str:
    """Return what was said without what differs from run to run: numbers, ids, addresses."""
    return _NUMBER.sub("#", _QUOTED.sub("…", detail or ""))


def _group(words: str, alike: list[FailedRun]) -> FailureGroup:
    newest, oldest = alike[0], alike[-1]
    days: dict[str, int] = {}
    for run in alike:
        day = run.ended_at.date().isoformat()
        days[day] = days.get(day, 0) + 1
    return FailureGroup(
        schedule=newest.schedule,
        collector=newest.collector,
        reason=newest.reason,
        words=words,
        count=len(alike),
        first_at=oldest.ended_at,
        last_at=newest.ended_at,
        sample=newest.id,
        detail=newest.detail,
        days=dict(sorted(days.items())),
    )
