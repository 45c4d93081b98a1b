"""What became of a trigger that somebody waits for."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from scheduler.domain.errors import NotFound
from scheduler.domain.records import ENDED_STATES, Outcome, Reason, Run, RunState
from scheduler.storage import collections_, runs
from scheduler.storage.database import Connection
from scheduler.storage.runs import sent
from scheduler.views.decoding import view
from scheduler.views.waiting import why_waits


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestedTrigger:
    """
    One trigger of a request, and what the upstream said to it.

    *refused_with* is the status with which it refused, in the words of *detail*; *why_waiting* is
    what must change before it is accepted.
    """

    run_id: int
    state: RunState
    reason: Reason
    detail: str | None
    collection_id: str | None
    start_eta: datetime | None
    created_at: datetime
    created_by: str | None
    refused_with: int | None
    why_waiting: str | None


def list_request(conn: Connection, run_id: int, *, now: datetime) -> tuple[RequestedTrigger, ...]:
    """Return the triggers of the request that *run_id* is of, in order; raises NotFound."""
    chunks = sent.list_chunks(conn, runs.get_run(conn, run_id))
    return tuple(_trigger(conn, run, now) for run in chunks)


def find_settled(conn: Connection, run_ids: Collection[int]) -> frozenset[int]:
    """Return those that nobody needs to wait for: accepted, ended, or left to a person."""
    return frozenset(
        run_id for run_id, run in runs.get_runs(conn, run_ids).items() if _is_settled(run)
    )


def _is_settled(run: Run) -> bool:
    return (
        run.collection_id is not None
        or run.state in ENDED_STATES
        or run.state is RunState.NEEDS_ATTENTION
    )


def _trigger(conn: Connection, run: Run, now: datetime) -> RequestedTrigger:
    status, detail = None, run.detail
    if run.state is RunState.FAILED and run.collection_id is None:
        rejected = [
            attempt
            for attempt in runs.list_attempts(conn, run.id)
            if attempt.outcome is Outcome.REJECTED
        ]
        if rejected:
            status, detail = rejected[-1].http_status, rejected[-1].detail
    return RequestedTrigger(
        run_id=run.id,
        state=run.state,
        reason=run.reason,
        detail=detail,
        collection_id=run.collection_id,
        start_eta=run.start_eta,
        created_at=run.created_at,
        created_by=run.created_by,
        refused_with=status,
        why_waiting=why_waits(conn, run, now=now),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class AskedCollection:
    """A collection that a client asks about, as last seen, and who its run is of."""

    collection_id: str
    account: str
    collector_id: str
    status: str | None
    inputs: int | None
    lines: int | None
    fails: int | None
    pages: int | None
    success_rate: float | None
    started_at: datetime | None
    finished_at: datetime | None
    created_at: datetime
    created_by: str | None


def find_asked(conn: Connection, collection_id: str) -> AskedCollection | None:
    """Return the collection of that id; None if none of our runs has it."""
    try:
        found = collections_.get_collection(conn, collection_id)
    except NotFound:
        return None
    run = runs.get_run(conn, found.run_id)
    whose = {"created_at": run.created_at, "created_by": run.created_by}
    return view(AskedCollection, found, collection_id=found.id, **whose)
