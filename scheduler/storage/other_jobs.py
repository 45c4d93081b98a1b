"""What others run on our collectors, by the jobs lists; and when those are to be read."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    and_,
    bindparam,
    delete,
    exists,
    or_,
    select,
    tuple_,
    union,
    update,
)

from scheduler.domain.other_jobs import BESIDE_NOTHING, LISTED_AHEAD, OtherJob
from scheduler.domain.records import OPEN_STATES, UNRESOLVED_STATES, RunState
from scheduler.storage.collection_tables import collections, job_lists, other_jobs
from scheduler.storage.collections_ import CollectorKey
from scheduler.storage.dialect import insert_or_update
from scheduler.storage.json_rows import JsonValues
from scheduler.storage.rows import records, values_of
from scheduler.storage.tables import attempts, collectors, in_state, overrides, runs, schedules

UNLIMITED = 100
"""The usual `max_running`, which the upstream keeps by itself."""

_NOW = bindparam("now", type_=other_jobs.c.counts_until.type)


def is_counted(now: ColumnElement[datetime]) -> ColumnElement[bool]:
    """Return the condition that a job counts: it is taken to run, and no run has it by now."""
    is_ours = exists().where(collections.c.id == other_jobs.c.id)
    return and_(other_jobs.c.counts_until > now, ~is_ours)


def list_counted(conn: Connection, collectors: Collection[str], *, now: datetime) -> list[OtherJob]:
    """Return what others run on these collectors, by their ids, the longest running first."""
    if not collectors:
        return []
    return records(OtherJob, conn.execute(_COUNTED, _AMONG.of(collectors) | {"now": now}))


def list_all_counted(conn: Connection, *, now: datetime) -> list[OtherJob]:
    """Return what others run on any collector, the longest running first."""
    return records(OtherJob, conn.execute(_ALL_COUNTED, {"now": now}))


_AMONG = JsonValues("collectors", other_jobs.c.collector_id.type)
_ALL_COUNTED = (
    select(other_jobs).where(is_counted(_NOW)).order_by(other_jobs.c.began_at, other_jobs.c.id)
)
_COUNTED = _ALL_COUNTED.where(_AMONG.has(other_jobs.c.collector_id))


@dataclass(frozen=True, slots=True, kw_only=True)
class WantedList:
    """A collector whose jobs are to be listed, from *next_at* on; None: at once."""

    account: str
    collector_id: str
    next_at: datetime | None

    @property
    def collector(self) -> CollectorKey:
        """Return whose jobs are listed."""
        return self.account, self.collector_id


def list_wanted(conn: Connection, *, now: datetime) -> list[WantedList]:
    """
    Return the collectors of which something is decided soon that others' jobs count for.

    That is: a schedule that runs beside nothing, or any of a collector with `max_running`, is about
    to be due; something waits there to be sent. What is being asked about is left out.
    """
    rows = conn.execute(_WANTED, {"now": now, "soon": now + LISTED_AHEAD})
    return records(WantedList, rows)


def _wanted() -> Select[Any]:
    soon = bindparam("soon", type_=schedules.c.next_fire_at.type)
    key = (collectors.c.account, collectors.c.collector_id)
    is_limited = collectors.c.max_running < UNLIMITED
    overridden = exists().where(
        overrides.c.schedule == schedules.c.name, overrides.c.field == "overlap"
    )
    matters = or_(schedules.c.overlap.in_(BESIDE_NOTHING), is_limited, overridden)
    may_fire = and_(schedules.c.enabled, schedules.c.error.is_(None))
    is_paused = and_(
        schedules.c.paused_at.is_not(None),
        or_(schedules.c.paused_until.is_(None), schedules.c.paused_until > soon),
    )
    firing = (
        select(*key)
        .join(schedules, schedules.c.collector == collectors.c.name)
        .where(may_fire, ~is_paused, matters)
    )
    due = firing.where(schedules.c.next_fire_at <= soon)
    before = exists().where(
        in_state(runs, *OPEN_STATES),
        in_state(runs, RunState.COLLECTING),
        runs.c.schedule == schedules.c.after,
    )
    following = firing.where(schedules.c.after.is_not(None), before)

    def has_waiting(table: Any, *conditions: ColumnElement[bool]) -> ColumnElement[bool]:
        return exists().where(
            in_state(runs, RunState.QUEUED),
            runs.c.account == table.c.account,
            runs.c.collector_id == table.c.collector_id,
            runs.c.not_before <= soon,
            *conditions,
        )

    waiting = select(*key).where(is_limited, has_waiting(collectors))
    held = select(other_jobs.c.account, other_jobs.c.collector_id).where(
        has_waiting(other_jobs, runs.c.waits_for_others)
    )
    wanted = union(due, following, waiting, held).subquery("wanted")
    same = tuple_(wanted.c.account, wanted.c.collector_id)
    listed = select(wanted.c.account, wanted.c.collector_id, job_lists.c.next_at).select_from(
        wanted.outerjoin(
            job_lists,
            and_(
                job_lists.c.account == wanted.c.account,
                job_lists.c.collector_id == wanted.c.collector_id,
            ),
        )
    )
    refuses = select(*key).where(collectors.c.count_others.is_(False))
    is_free = or_(job_lists.c.lease_until.is_(None), job_lists.c.lease_until < _NOW)
    return listed.where(same.not_in(refuses), is_free).order_by(
        job_lists.c.next_at, wanted.c.account, wanted.c.collector_id
    )


_WANTED = _wanted()


def claim(
    conn: Connection,
    wanted: Sequence[WantedList],
    *,
    owner: str,
    now: datetime,
    lease_until: datetime,
) -> None:
    """Take these lists under a lease, which counts as a question on the wire."""
    rows = [
        {
            "account": one.account,
            "collector_id": one.collector_id,
            "asked_at": now,
            "next_at": lease_until,
            "lease_owner": owner,
            "lease_until": lease_until,
        }
        for one in wanted
    ]
    if rows:
        conn.execute(_CLAIM, rows)


_CLAIM = insert_or_update(
    job_lists,
    lambda new: {name: new[name] for name in ("asked_at", "next_at", "lease_owner", "lease_until")},
)


def note_asked(
    conn: Connection, collector: CollectorKey, *, next_at: datetime, now: datetime, why: str | None
) -> None:
    """Note that the jobs were listed, or *why* they could not be; and when they are again."""
    read = {} if why is not None else {"listed_at": now}
    free = {"lease_owner": None, "lease_until": None}
    asked = update(job_lists).where(*_of(job_lists, collector))
    conn.execute(asked.values(next_at=next_at, trouble=why, **free, **read))


def list_known(conn: Connection, collector: CollectorKey) -> dict[str, OtherJob]:
    """Return the jobs of others on that collector that were seen before, by id."""
    rows = conn.execute(select(other_jobs).where(*_of(other_jobs, collector)))
    return {job.id: job for job in records(OtherJob, rows)}


def list_in_doubt(
    conn: Connection, collector: CollectorKey
) -> list[tuple[datetime, datetime | None]]:
    """Return, of each trigger without a readable answer, when it was claimed, by both clocks."""
    rows = conn.execute(
        select(attempts.c.claimed_at, attempts.c.upstream_at)
        .join(runs, and_(runs.c.id == attempts.c.run_id, runs.c.fence == attempts.c.number))
        .where(in_state(runs, *UNRESOLVED_STATES), *_of(runs, collector))
    )
    return [(row.claimed_at, row.upstream_at) for row in rows]


def counts_others(conn: Connection, collector: CollectorKey) -> bool:
    """Tell whether no row of that collector says that others' jobs do not count."""
    refuses = select(collectors.c.name).where(
        *_of(collectors, collector), collectors.c.count_others.is_(False)
    )
    return conn.execute(refuses.limit(1)).first() is None


def record_jobs(
    conn: Connection, collector: CollectorKey, jobs: Sequence[OtherJob], *, gone: Iterable[str]
) -> None:
    """Keep what others run now, and forget those that are *gone*."""
    if jobs:
        conn.execute(_SEEN, [values_of(job) for job in jobs])
    ended = [*gone]
    if ended:
        mine = delete(other_jobs).where(*_of(other_jobs, collector))
        conn.execute(mine.where(other_jobs.c.id.in_(ended)))


_SEEN = insert_or_update(
    other_jobs,
    lambda new: {
        name: new[name]
        for name in ("status", "inputs", "started_by", "began_at", "seen_at", "counts_until")
    },
)


def _of(table: Any, collector: CollectorKey) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    return table.c.account == collector[0], table.c.collector_id == collector[1]


@dataclass(frozen=True, slots=True, kw_only=True)
class JobList:
    """When a collector's jobs were last asked for and read, and what went wrong last, if it did."""

    account: str
    collector_id: str
    asked_at: datetime
    listed_at: datetime | None
    trouble: str | None


def list_lists(conn: Connection) -> list[JobList]:
    """Return what is known of the lists that were asked for lately."""
    return records(JobList, conn.execute(select(job_lists)))


_KEPT = timedelta(days=1)


def prune(conn: Connection, *, now: datetime) -> int:
    """Forget what was not asked about for a day: the collector may be gone; return how much."""
    old = (
        delete(other_jobs).where(other_jobs.c.seen_at < now - _KEPT),
        delete(job_lists).where(job_lists.c.asked_at < now - _KEPT),
    )
    return sum(conn.execute(statement).rowcount for statement in old)
