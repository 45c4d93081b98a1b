"""Runs of a past that never was, for a demo: whole lives, written by moves that there are."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import Connection, bindparam, insert, select, update

from scheduler.domain.errors import Conflict
from scheduler.domain.records import ENDED_STATES, NewRun, Outcome, Reason, RunState
from scheduler.storage.rows import values_of
from scheduler.storage.tables import attempts, collections, runs

_DAEMON: Final = "rehearsed"
_LEASE: Final = timedelta(minutes=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class PastAttempt:
    """A trigger that was sent, and what was answered: accepted, deferred or rejected."""

    claimed_at: datetime
    resolved_at: datetime
    outcome: Outcome
    http_status: int
    detail: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PastCollection:
    """What an accepted trigger became."""

    id: str
    start_eta: datetime
    status: str
    inputs: int
    lines: int
    fails: int
    pages: int
    started_at: datetime
    finished_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class PastRun:
    """A run as it was written, what was sent for it, and how it stands: *state* and *reason*."""

    new: NewRun
    state: RunState
    reason: Reason
    detail: str | None = None
    ended_at: datetime | None = None
    attempts: tuple[PastAttempt, ...] = ()
    collection: PastCollection | None = None


def insert_past(conn: Connection, past: Sequence[PastRun]) -> None:
    """
    Write a past, each run by the moves that the diagram has.

    Raises Conflict where the database has any run: what really happened is never mixed with it.
    """
    if conn.scalar(select(runs.c.id).limit(1)) is not None:
        raise Conflict("this database has runs of its own: a rehearsed past is for an empty one")
    numbered = list(enumerate(past, start=1))
    _insert(conn, numbered)
    most = max((len(run.attempts) for run in past), default=0)
    for number in range(1, most + 1):
        sent = [(run_id, run) for run_id, run in numbered if len(run.attempts) >= number]
        _send(conn, sent, number)
    _end(conn, numbered)
    # The rows went their way one beside the other: what keeps them in order comes last.
    _change(conn, [{"run": run_id, "order_key": run.new.order_key} for run_id, run in numbered])


_Numbered = tuple[int, PastRun]


def _insert(conn: Connection, numbered: Iterable[_Numbered]) -> None:
    rows = []
    for run_id, run in numbered:
        is_sent = bool(run.attempts) or run.state is RunState.QUEUED
        first = {} if is_sent else _state(run)
        more = {"moved_at": run.new.created_at, "moved_by": _DAEMON, "order_key": None}
        rows.append({"id": run_id, **values_of(run.new), **more, **first})
    if rows:
        conn.execute(insert(runs), rows)


def _state(run: PastRun) -> dict[str, Any]:
    ended_at = run.ended_at if run.state in ENDED_STATES else None
    return {"state": run.state, "reason": run.reason, "detail": run.detail, "ended_at": ended_at}


def _send(conn: Connection, sent: Sequence[_Numbered], number: int) -> None:
    """Claim each of these runs for its attempt of that number, and record the answer."""
    claims, answers, rows = [], [], []
    for run_id, run in sent:
        attempt = run.attempts[number - 1]
        claims.append(_claim(run_id, number, attempt))
        rows.append(_attempt(run_id, number, run, attempt))
        if attempt.outcome is not Outcome.REJECTED:
            answers.append(_answer(run_id, number, run))
    _change(conn, claims)
    conn.execute(insert(attempts), rows)
    _change(conn, [answer for answer in answers if answer["state"] is RunState.QUEUED])
    _change(conn, [answer for answer in answers if answer["state"] is RunState.COLLECTING])


def _claim(run_id: int, number: int, attempt: PastAttempt) -> dict[str, Any]:
    return {
        "run": run_id,
        "state": RunState.DISPATCHING,
        "fence": number,
        "attempt_count": number,
        "lease_owner": _DAEMON,
        "lease_until": attempt.claimed_at + _LEASE,
        "moved_at": attempt.claimed_at,
        "moves": 2 * number - 1,
    }


def _answer(run_id: int, number: int, run: PastRun) -> dict[str, Any]:
    attempt = run.attempts[number - 1]
    moved = {"run": run_id, "moved_at": attempt.resolved_at, "moves": 2 * number, **_FREE}
    if run.collection is None or attempt.outcome is Outcome.DEFERRED:
        again = run.attempts[number].claimed_at
        waits = {"reason": Reason.THROTTLED, "detail": attempt.detail, "not_before": again}
        return {**moved, "state": RunState.QUEUED, **waits}
    return {
        **moved,
        "state": RunState.COLLECTING,
        "reason": Reason.ACCEPTED,
        "detail": None,
        "collection_id": run.collection.id,
        "triggered_at": attempt.claimed_at,
        "start_eta": run.collection.start_eta,
    }


_FREE: Final[Mapping[str, None]] = {"lease_owner": None, "lease_until": None}


def _attempt(run_id: int, number: int, run: PastRun, attempt: PastAttempt) -> dict[str, Any]:
    is_accepted = attempt.outcome is Outcome.ACCEPTED and run.collection is not None
    return {
        "run_id": run_id,
        "number": number,
        "daemon": _DAEMON,
        "request": f"POST /dca/trigger?{run.new.query}",
        "outcome": attempt.outcome,
        "claimed_at": attempt.claimed_at,
        "resolved_at": attempt.resolved_at,
        "http_status": attempt.http_status,
        "detail": attempt.detail,
        "collection_id": run.collection.id if is_accepted and run.collection else None,
    }


def _end(conn: Connection, numbered: Iterable[_Numbered]) -> None:
    ended, rows = [], []
    for run_id, run in numbered:
        if run.attempts and run.state in ENDED_STATES:
            moves = {"moves": 2 * len(run.attempts) + 1, "moved_at": run.ended_at}
            ended.append({"run": run_id, **_state(run), **moves, **_FREE})
        if run.collection is not None:
            rows.append(_collection(run_id, run, run.collection))
    if rows:
        conn.execute(insert(collections), rows)
    _change(conn, ended)


def _collection(run_id: int, run: PastRun, collection: PastCollection) -> dict[str, Any]:
    return {
        **values_of(collection),
        "run_id": run_id,
        "account": run.new.account,
        "collector_id": run.new.collector_id,
        "accepted_at": run.attempts[-1].resolved_at,
        "polled_at": run.ended_at,
        "polls": 3,
        "success_rate": 1 - collection.fails / max(1, collection.inputs),
    }


def _change(conn: Connection, rows: Sequence[dict[str, Any]]) -> None:
    """Change many runs alike; each row names its *run*, and all of them the same columns."""
    if rows:
        named: dict[str, Any] = {
            name: bindparam(f"new_{name}") for name in rows[0] if name != "run"
        }
        statement = update(runs).where(runs.c.id == bindparam("run")).values(named)
        values = [
            {name if name == "run" else f"new_{name}": value for name, value in row.items()}
            for row in rows
        ]
        conn.execute(statement, values)
