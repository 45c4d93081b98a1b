"""Runs written: when due, or asked for by hand."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, delete, insert, select, update

from scheduler.domain.gap import gap_text
from scheduler.domain.records import NewRun, Run, RunState
from scheduler.domain.timetable import Stretch
from scheduler.storage.dialect import insert_new
from scheduler.storage.json_rows import insert_rows
from scheduler.storage.rows import values_of
from scheduler.storage.run_events import who
from scheduler.storage.runs.canaries import let_wait
from scheduler.storage.tables import ONE_RUN_PER_KEY, ONE_RUN_PER_OCCURRENCE, in_state, runs


def insert_runs(conn: Connection, new: Sequence[NewRun]) -> list[NewRun]:
    """Write runs and return them; an occurrence that already has its run is left as it is."""
    rows = [as_row(conn, run) for run in new]
    written = set(insert_rows(conn, runs, rows, key=ONE_RUN_PER_OCCURRENCE))
    let_wait(conn, new)
    return [run for run in new if (run.schedule, run.due_at, run.chunk) in written]


def insert_run(conn: Connection, new: NewRun, *, by: str) -> int:
    """Write one run asked for by hand and return its id."""
    made = insert(runs).values(**as_row(conn, new), created_by=by).returning(runs.c.id)
    return int(conn.execute(made).scalar_one())


def insert_keyed(conn: Connection, new: NewRun, *, by: str, key: str, digest: str) -> int | None:
    """Write one run asked for by hand and return its id; None if its *key* has a run already."""
    asked = {"created_by": by, "request_key": key, "request_digest": digest}
    made = insert_new(runs, ONE_RUN_PER_KEY).values(**as_row(conn, new), **asked)
    run_id = conn.execute(made.returning(runs.c.id)).scalar()
    return None if run_id is None else int(run_id)


def as_row(conn: Connection, new: NewRun) -> dict[str, Any]:
    """Return a new run as its row, signed by who writes it."""
    return {**values_of(new), "moved_at": new.created_at, "moved_by": who(conn)}


def list_finishing(conn: Connection, run_ids: Sequence[int]) -> list[tuple[int, str, datetime]]:
    """Return id, query and `finish_by_at` of those of these queued runs that have one."""
    rows = conn.execute(
        select(runs.c.id, runs.c.query, runs.c.finish_by_at).where(
            runs.c.id.in_(run_ids),
            in_state(runs, RunState.QUEUED),
            runs.c.finish_by_at.is_not(None),
        )
    )
    return [(row.id, row.query, row.finish_by_at) for row in rows]


def set_query(conn: Connection, run_id: int, query: str) -> None:
    """Let a run that waits send something else: as much time as is left until its end."""
    conn.execute(update(runs).where(runs.c.id == run_id).values(query=query))


def set_sendable_for_ever(conn: Connection, run_id: int) -> None:
    """Take a waiting run's misfire grace away: it is sent however late."""
    conn.execute(
        update(runs)
        .where(runs.c.id == run_id, runs.c.state == RunState.QUEUED)
        .values(send_before=None)
    )


def set_not_before(
    conn: Connection, chosen: Iterable[ColumnElement[bool]], *, at: datetime
) -> None:
    """Let the runs that are *chosen* wait until then only."""
    conn.execute(update(runs).where(*chosen).values(not_before=at))


def delete_skipped(conn: Connection, schedules: Sequence[str], *, due_after: datetime) -> int:
    """Forget occurrences that were skipped before their time came; return how many."""
    skipped = was_skipped_unsent(due_after=due_after)
    return conn.execute(delete(runs).where(runs.c.schedule.in_(schedules), *skipped)).rowcount


def was_skipped_unsent(*, due_after: datetime) -> tuple[ColumnElement[bool], ...]:
    """Return the conditions that a run due after then was skipped before it was ever sent."""
    return (
        runs.c.due_at > due_after,
        runs.c.state == RunState.SKIPPED,
        runs.c.fence == 0,
        runs.c.retry_of.is_(None),
    )


def cut_gap(conn: Connection, gap: Run, stretch: Stretch) -> None:
    """Let *gap* stand for what is in *stretch* only, its beginning."""
    text = gap_text(gap.due_at, stretch.last, stretch.count)
    values = {"due_until": stretch.last, "occurrences": stretch.count, "detail": text}
    conn.execute(update(runs).where(runs.c.id == gap.id).values(values))
