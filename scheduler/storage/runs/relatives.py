"""Runs that belong together: a run's retries, and the chunks of one occurrence."""

from sqlalchemy import Connection, or_, select

from scheduler.domain.records import Run
from scheduler.storage.rows import records
from scheduler.storage.tables import runs


def list_retries(conn: Connection, run_id: int, *, limit: int) -> list[Run]:
    """Return the runs that send it once more, in the order they were made."""
    query = select(runs).where(runs.c.retry_of == run_id).order_by(runs.c.id).limit(limit)
    return records(Run, conn.execute(query))


def list_chunks(conn: Connection, run: Run, *, limit: int) -> list[Run]:
    """Return the other chunks of the run's occurrence; none of one that was asked for by hand."""
    if run.chunks == 1 or run.schedule is None:
        return []
    query = (
        select(runs)
        .where(
            runs.c.schedule == run.schedule,
            runs.c.due_at == run.due_at,
            runs.c.id != run.id,
            or_(runs.c.retry_of.is_(None), runs.c.retry_of == run.retry_of),
        )
        .order_by(runs.c.chunk, runs.c.id)
        .limit(limit)
    )
    return records(Run, conn.execute(query))
