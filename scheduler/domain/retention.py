"""Which runs of the past may be forgotten: what is old enough, and nothing that is still needed."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

SAFE_AFTER: Final = timedelta(days=17)
"""What ended since then is never forgotten: the upstream keeps its jobs for 16 days."""

KEPT_OF_A_SCHEDULE: Final = 100
"""So many of the newest of each schedule are never forgotten: baselines and checks read them."""


USAGE_KEPT: Final = timedelta(days=62)
"""What was sent within this time is never forgotten: this month and the one before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Retention:
    """
    How long each class of rows is kept; None: for ever.

    Runs are forgotten by age, or beyond the newest *runs_per_schedule*, whichever comes first; one
    that was asked for with a key not before *request_keys*.
    """

    runs: timedelta | None = None
    runs_per_schedule: int | None = None
    request_keys: timedelta | None = None
    changes: timedelta | None = None
    holds: timedelta | None = None
    notices: timedelta | None = None
    results: timedelta | None = None
    usage: timedelta | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PastRun:
    """A run as far as its being forgotten goes; *ended_at* is None while it is open."""

    id: int
    schedule: str | None
    collector: str
    batch: str | None
    body: str | None
    due_at: datetime
    ended_at: datetime | None
    state: str
    occurrences: int
    collection_id: str | None
    request_key: str | None
    retry_of: int | None
    waits_for: int | None
    chunk: int
    chunks: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Newest:
    """
    What of a schedule is kept: what is due, or written, at these marks or later.

    *most_due_at* is the mark of `runs_per_schedule`. *is_counted*: its runs are counted, for
    `max_runs`, and none is forgotten.
    """

    due_at: datetime | None
    id: int | None
    most_due_at: datetime | None
    is_counted: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Needed:
    """
    What is needed of the past at *now*.

    *last_sent* has the run that each schedule last sent of a batch, and its due time: what the next
    is compared with. *highest* is the newest run of all: its number is not given again.
    """

    now: datetime
    unresolved_since: datetime | None
    highest: int
    newest: Mapping[str, Newest]
    last_sent: Mapping[tuple[str | None, str], tuple[int, datetime]]


def may_go(run: PastRun, rules: Retention, needed: Needed) -> bool:
    """Tell whether *run* is old enough, and nobody needs it."""
    if run.ended_at is None or run.id == needed.highest or _is_recent(run.ended_at, needed):
        return False
    age = needed.now - run.ended_at
    if run.request_key is not None and (rules.request_keys is None or age <= rules.request_keys):
        return False
    if _was_last_sent(run, needed):
        return False
    newest = needed.newest[run.schedule] if run.schedule is not None else None
    if newest is not None and _is_among(run, newest):
        return False
    is_old = rules.runs is not None and age > rules.runs
    return is_old or (
        newest is not None and newest.most_due_at is not None and run.due_at < newest.most_due_at
    )


def _is_recent(ended_at: datetime, needed: Needed) -> bool:
    since = min(needed.unresolved_since or needed.now, needed.now)
    return ended_at >= since - SAFE_AFTER


def _is_among(run: PastRun, newest: Newest) -> bool:
    # Where there are fewer, all are.
    if newest.is_counted or newest.due_at is None or newest.id is None:
        return True
    return run.due_at >= newest.due_at or run.id >= newest.id


def _was_last_sent(run: PastRun, needed: Needed) -> bool:
    if run.batch is None:
        return False
    last = needed.last_sent.get((run.schedule, run.batch))
    if last is None:
        return False
    run_id, due_at = last
    return run.id == run_id or (run.schedule is not None and run.due_at == due_at)


def without_torn(group: Mapping[int, PastRun], going: Collection[int]) -> set[int]:
    """
    Return those of *going* that leave nothing behind which names them.

    *group* has all runs that belong together: the chunks of an occurrence, a run and its retries,
    one and those that wait for it.
    """
    left = set(going)
    while True:
        kept = [run for run in group.values() if run.id not in left]
        named = {run.retry_of for run in kept} | {run.waits_for for run in kept}
        torn = {_occurrence(run) for run in kept if run.chunks > 1}
        staying = {
            run_id
            for run_id in left
            if run_id in named or (group[run_id].chunks > 1 and _occurrence(group[run_id]) in torn)
        }
        if not staying:
            return left
        left -= staying


def _occurrence(run: PastRun) -> tuple[str | None, datetime, bool]:
    return run.schedule, run.due_at, run.retry_of is None
