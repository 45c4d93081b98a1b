"""
The judge of what a daemon really did: the upstream's own jobs against the database.

Every trigger that is judged bears a name of its own, so that a doubled one shows whatever the
database believes.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import Connection, select, text

from scheduler.domain.moves import MOVES, RunEvent
from scheduler.domain.records import ENDED_STATES
from scheduler.sandbox import Sandbox
from scheduler.storage.invariants import list_violations
from scheduler.storage.rows import records
from scheduler.storage.tables import run_events


@dataclass(frozen=True, slots=True)
class Job:
    """A job that the upstream accepted, and the name that its trigger bore."""

    id: str
    name: str | None


def jobs_of(sandbox: Sandbox) -> list[Job]:
    """Return every job that *sandbox* accepted."""
    # A copy at one go: the sandbox may be at work in a thread of its own.
    return [Job(job.id, job.order.name) for job in list(sandbox.account.book.jobs.values())]


def complaints(conn: Connection, jobs: Iterable[Job]) -> list[str]:
    """
    Return everything that breaks the promise, one line each.

    1. No two jobs bear one name: nothing was sent twice.
    2. The upstream's jobs are the collections that are stored: no id was lost or made up.
    3. No run has two collections, and each run has its own.
    4. The invariants' SQL returns no row.
    5. The life of each run, read from its events, is one that there is, and ends where its row is.
    """
    jobs = list(jobs)
    stored = _ids(conn, "SELECT id FROM collections")
    of_runs = _ids(conn, "SELECT collection_id FROM runs WHERE collection_id IS NOT NULL")
    accepted = {job.id for job in jobs}
    names = Counter(job.name for job in jobs if job.name is not None)
    violations = list_violations(conn)
    return [
        *(f"sent {count} times: {name}" for name, count in names.items() if count > 1),
        *(f"accepted and not stored: {one}" for one in sorted(accepted - stored)),
        *(f"stored and never accepted: {one}" for one in sorted(stored - accepted)),
        *(f"stored, but no run has it: {one}" for one in sorted(stored - of_runs)),
        *(f"invariant {one.invariant.name}: {list(one.rows)}" for one in violations),
        *broken_lives(conn),
    ]


def broken_lives(conn: Connection) -> list[str]:
    """Return the runs whose events are not their life, one line each."""
    lives: dict[int, list[RunEvent]] = {}
    for event in records(RunEvent, conn.execute(select(run_events).order_by(run_events.c.id))):
        lives.setdefault(event.run_id, []).append(event)
    found = conn.execute(text("SELECT id, state FROM runs"))
    return [
        f"run {run.id} is {run.state}: {[event.to_state.value for event in lives.get(run.id, [])]}"
        for run in found
        if not _is_whole(lives.get(run.id, []), run.state)
    ]


def _is_whole(life: list[RunEvent], state: str) -> bool:
    before = [None, *(event.to_state for event in life)]
    times = [event.happened_at for event in life]
    return (
        before[-1] == state
        and all((event.from_state, event.to_state) in MOVES for event in life)
        and [event.from_state for event in life] == before[:-1]
        and times == sorted(times)
    )


def not_ended(conn: Connection) -> list[str]:
    """Return the runs that have not ended, one line each."""
    ended = ", ".join(f"'{state}'" for state in ENDED_STATES)
    found = conn.execute(
        text(f"SELECT id, schedule, state, reason, detail FROM runs WHERE state NOT IN ({ended})")
    )
    return [f"run {row.id} of {row.schedule}: {row.state} ({row.reason}) {row.detail or ''}"
            for row in found]  # fmt: skip


def states(conn: Connection) -> dict[str, int]:
    """Count the runs by state and reason, for a failing test to show."""
    found = conn.execute(text("SELECT state, reason, count(*) AS n FROM runs GROUP BY 1, 2"))
    return {f"{row.state}/{row.reason}": row.n for row in found}


def _ids(conn: Connection, sql: str) -> set[str]:
    return set(conn.scalars(text(sql)))
