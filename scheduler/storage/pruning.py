"""What hangs on definitions that are about to be deleted. History stays, whatever is deleted."""

from collections.abc import Sequence

from sqlalchemy import Connection, select

from scheduler.domain.records import Run, RunState
from scheduler.storage.rows import records
from scheduler.storage.tables import accounts, in_state, overrides, runs


def list_waiting(conn: Connection, schedules: Sequence[str]) -> list[Run]:
    """Return the runs of *schedules* that wait to be sent, in the order they were due."""
    if not schedules:
        return []
    rows = conn.execute(
        select(runs)
        .where(runs.c.schedule.in_(schedules), in_state(runs, RunState.QUEUED))
        .order_by(runs.c.due_at, runs.c.id)
    )
    return records(Run, rows)


def list_used(conn: Connection, names: Sequence[str]) -> list[str]:
    """Return those of the accounts *names* that a run was made for: history names them."""
    if not names:
        return []
    has_runs = select(runs.c.id).where(runs.c.account == accounts.c.name).exists()
    query = select(accounts.c.name).where(accounts.c.name.in_(names), has_runs)
    return list(conn.scalars(query.order_by(accounts.c.name)))


def list_overriding(conn: Connection, batches: Sequence[str]) -> list[tuple[str, str]]:
    """Return the schedules whose override names one of *batches*, each with that batch."""
    if not batches:
        return []
    rows = conn.execute(
        select(overrides.c.schedule, overrides.c.value)
        .where(overrides.c.field == "batch", overrides.c.value.in_(batches))
        .order_by(overrides.c.schedule)
    )
    return [(row.schedule, row.value) for row in rows]
