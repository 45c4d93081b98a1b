"""A schedule's runs found by the time they were due, and the runs that a backfill writes."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from sqlalchemy import Connection, Select, bindparam, func, select, update

from scheduler.domain.records import NewRun, Reason, Run, RunState
from scheduler.storage.json_rows import insert_rows
from scheduler.storage.rows import record, records
from scheduler.storage.runs.write import as_row
from scheduler.storage.tables import ONE_RUN_PER_OCCURRENCE, runs, schedules


def list_at(conn: Connection, schedule: str, due_at: datetime) -> list[Run]:
    """Return all runs of one occurrence, retries and chunks included, the oldest first."""
    return list_between(conn, schedule, due_at, due_at)


def list_between(conn: Connection, schedule: str, start: datetime, end: datetime) -> list[Run]:
    """Return all runs due from *start* to *end*, both included, the oldest first."""
    query = select(runs).where(runs.c.schedule == schedule, runs.c.due_at.between(start, end))
    return records(Run, conn.execute(query.order_by(runs.c.id)))


def list_gaps(conn: Connection, schedule: str, start: datetime, end: datetime) -> list[Run]:
    """Return the gaps, each one run for many occurrences, that reach into *start* to *end*."""
    gaps = select(runs).where(
        runs.c.schedule == schedule, runs.c.due_until >= start, runs.c.due_at <= end
    )
    return records(Run, conn.execute(gaps.order_by(runs.c.id)))


def find_before(conn: Connection, schedule: str, moment: datetime) -> Run | None:
    """Return the run of the last occurrence that was due before *moment*."""
    query = _occurrences(schedule).where(runs.c.due_at < moment)
    return _first(conn, query.order_by(runs.c.due_at.desc(), runs.c.chunk))


def find_after(conn: Connection, schedule: str, moment: datetime) -> Run | None:
    """Return the run of the first occurrence that was due after *moment*."""
    query = _occurrences(schedule).where(runs.c.due_at > moment)
    return _first(conn, query.order_by(runs.c.due_at, runs.c.chunk))


def find_sent_after(conn: Connection, schedule: str, moment: datetime) -> Run | None:
    """Return the first run that was due after *moment* and was not skipped."""
    later = _occurrences(schedule).where(runs.c.due_at > moment, runs.c.state != RunState.SKIPPED)
    return _first(conn, later.order_by(runs.c.due_at, runs.c.chunk))


def list_newest(conn: Connection, schedule: str, limit: int) -> list[Run]:
    """Return the runs of the newest occurrences, the latest due first."""
    newest = _occurrences(schedule).where(runs.c.chunk == 1).order_by(runs.c.due_at.desc())
    return records(Run, conn.execute(newest.limit(limit)))


def hold_schedule(conn: Connection, name: str) -> None:
    """Wait until nobody else fires or backfills the schedule, and keep it until the end."""
    conn.execute(select(schedules.c.name).where(schedules.c.name == name).with_for_update())


Key = tuple[datetime, int, int | None]
"""What tells the runs of one backfill apart: due time, chunk, and the run that it retries."""


def insert_backfilled(
    conn: Connection, schedule: str, new: Sequence[NewRun], *, by: str
) -> dict[Key, int]:
    """
    Write runs of *schedule* and return their ids; an occurrence that has its run is left out.

    The caller holds the schedule.
    """
    newest = conn.scalar(select(func.max(runs.c.id))) or 0
    rows = [{**as_row(conn, run), "created_by": by} for run in new]
    insert_rows(conn, runs, rows, key=ONE_RUN_PER_OCCURRENCE)
    written = conn.execute(
        select(runs.c.id, runs.c.due_at, runs.c.chunk, runs.c.retry_of).where(
            runs.c.schedule == schedule, runs.c.reason == Reason.BACKFILL, runs.c.id > newest
        )
    )
    return {(row.due_at, row.chunk, row.retry_of): row.id for row in written}


def set_waits_for(conn: Connection, ahead: Mapping[int, int]) -> None:
    """Let each run wait for the end of the one that *ahead* has for it."""
    if ahead:
        waits = update(runs).where(runs.c.id == bindparam("run_id"))
        conn.execute(
            waits.values(waits_for=bindparam("ahead")),
            [{"run_id": run_id, "ahead": other} for run_id, other in ahead.items()],
        )


def _occurrences(schedule: str) -> Select[tuple[object, ...]]:
    return select(runs).where(runs.c.schedule == schedule, runs.c.retry_of.is_(None))


def _first(conn: Connection, query: Select[tuple[object, ...]]) -> Run | None:
    row = conn.execute(query.limit(1)).mappings().first()
    return None if row is None else record(Run, row)
