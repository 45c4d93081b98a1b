"""What others run on our collectors, and where that is not known."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from scheduler.domain.errors import NotFound
from scheduler.domain.other_jobs import BESIDE_NOTHING, OtherJob, name_others
from scheduler.domain.records import Overlap, Run, Schedule
from scheduler.storage import definitions, other_jobs
from scheduler.storage.database import Connection
from scheduler.storage.other_jobs import JobList
from scheduler.views.decoding import view

_TOLD_FOR: Final = timedelta(minutes=15)
"""A list that was not asked for of late matters to nobody."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OtherJobView(OtherJob):
    """A job on a collector of ours that no run here has, as it is shown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UnreadListView(JobList):
    """A collector whose jobs could not be listed: only our own runs count there."""


def list_other_jobs(conn: Connection, *, now: datetime) -> tuple[OtherJobView, ...]:
    """Return what others are known to run, the longest running first."""
    return tuple(view(OtherJobView, job) for job in other_jobs.list_all_counted(conn, now=now))


def list_unread(conn: Connection, *, now: datetime) -> tuple[UnreadListView, ...]:
    """Return the lists that were asked for of late, and could not be read."""
    return tuple(
        view(UnreadListView, row)
        for row in other_jobs.list_lists(conn)
        if row.trouble is not None and row.asked_at > now - _TOLD_FOR
    )


def list_waited_for(conn: Connection, run: Run, *, now: datetime) -> list[str]:
    """Return the jobs of others whose end *run* waits for, by their ids."""
    if not run.waits_for_others:
        return []
    jobs = other_jobs.list_counted(conn, [run.collector_id], now=now)
    return [job.id for job in jobs if job.account == run.account]


def say_others(conn: Connection, schedule: Schedule, *, now: datetime) -> str | None:
    """Say what others run on the collector of a schedule that runs beside nothing."""
    if schedule.overlap not in BESIDE_NOTHING:
        return None
    try:
        collector = definitions.get_collector(conn, schedule.collector)
    except NotFound:
        return None
    key = (collector.account, collector.collector_id)
    jobs = other_jobs.list_counted(conn, [collector.collector_id], now=now)
    if mine := [job.id for job in jobs if (job.account, job.collector_id) == key]:
        then = "it is skipped" if schedule.overlap is Overlap.SKIP else "it waits"
        return f"now {name_others(mine)}: if that is so then, {then}"
    for row in list_unread(conn, now=now):
        if (row.account, row.collector_id) == key:
            return f"only our own runs count, for the collector's jobs are not known: {row.trouble}"
    return None
