"""
What became of attempts, written by guarded updates.

An attempt's own outcome is always recorded, so that a collection_id in hand is never dropped;
its run moves only if it still waits for that attempt.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Update, bindparam, func, or_, select, update

from scheduler.domain.records import (
    ENDED_STATES,
    OPEN_OUTCOMES,
    UNSETTLED_STATES,
    Outcome,
    Reason,
    Run,
    RunState,
)
from scheduler.domain.transition import Transition
from scheduler.storage.collections_ import (
    cancel_replaced,
    insert_collections,
    list_owners,
    mark_replaced,
)
from scheduler.storage.rows import record
from scheduler.storage.tables import attempts, in_state, runs


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    """What became of the attempt that *run* was claimed for: number *run.fence*."""

    run: Run
    change: Transition
    http_status: int | None = None


def settle(conn: Connection, outcomes: Sequence[Settled], *, now: datetime) -> list[Settled]:
    """
    Record all *outcomes*; return those whose run had gone on without them.

    Repeatable: recording the same outcome twice changes nothing. An id that another run
    already has is not believed: its run is left for a person.
    """
    outcomes = _without_duplicates(conn, outcomes)
    _settle_attempts(conn, outcomes, now=now)
    accepted = [one for one in outcomes if one.change.collection_id is not None]
    insert_collections(conn, [(one.run, one.change) for one in accepted], now=now)
    _move_runs(conn, outcomes, now=now)
    cancel_replaced(conn, [one.run.id for one in accepted], now=now)
    for one in accepted:
        if one.run.confirm_cancel:
            mark_replaced(conn, one.run, str(one.change.collection_id))
    return _not_kept(conn, outcomes)


def _without_duplicates(conn: Connection, outcomes: Sequence[Settled]) -> list[Settled]:
    ids = [one.change.collection_id for one in outcomes if one.change.collection_id is not None]
    owners = list_owners(conn, ids)
    checked = []
    for one in outcomes:
        collection_id = one.change.collection_id
        if collection_id is not None:
            owner = owners.setdefault(collection_id, one.run.id)
            if owner != one.run.id:
                checked.append(_disbelieve(one, collection_id, owner))
                continue
        checked.append(one)
    return checked


def _disbelieve(one: Settled, collection_id: str, owner: int) -> Settled:
    change = Transition(
        state=RunState.NEEDS_ATTENTION,
        reason=Reason.DUPLICATE_ID,
        outcome=Outcome.LOST,
        detail=f"the upstream answered with {collection_id}, which run {owner} already has",
    )
    return Settled(run=one.run, change=change, http_status=one.http_status)


def _settle_attempts(conn: Connection, outcomes: Sequence[Settled], *, now: datetime) -> None:
    if outcomes:
        conn.execute(_SETTLED, [_attempt_values(one, now) for one in outcomes])


_SETTLED = (
    update(attempts)
    .where(
        attempts.c.run_id == bindparam("of_run"),
        attempts.c.number == bindparam("of_number"),
        # What was accepted stays so, and an answer that was looked for is not lost again.
        attempts.c.collection_id.is_(None),
        or_(
            attempts.c.settled_at.is_(None),
            bindparam("to_collection_id", type_=attempts.c.collection_id.type).is_not(None),
        ),
    )
    .values(
        outcome=bindparam("to_outcome"),
        settled_at=bindparam("to_settled_at", type_=attempts.c.settled_at.type),
        http_status=func.coalesce(bindparam("to_http_status"), attempts.c.http_status),
        detail=func.coalesce(bindparam("to_detail"), attempts.c.detail),
        collection_id=bindparam("to_collection_id"),
    )
)


def _attempt_values(one: Settled, now: datetime) -> dict[str, object]:
    is_open = one.change.outcome in OPEN_OUTCOMES
    return {
        "of_run": one.run.id,
        "of_number": one.run.fence,
        "to_outcome": one.change.outcome,
        "to_settled_at": None if is_open else now,
        "to_http_status": one.http_status,
        "to_detail": one.change.detail,
        "to_collection_id": one.change.collection_id,
    }


# Whatever a run has become since, the id that its own last attempt brought is its collection.
_HAS_NONE = runs.c.collection_id.is_(None)
_WAITS_FOR_ITS_ANSWER = in_state(
    runs, RunState.DISPATCHING, RunState.UNCONFIRMED, RunState.NEEDS_ATTENTION
)
_IS_ON_THE_WIRE = in_state(runs, RunState.DISPATCHING)
_IS_UNSETTLED = in_state(runs, *UNSETTLED_STATES)


def _move_runs(conn: Connection, outcomes: Sequence[Settled], *, now: datetime) -> None:
    for moved, concerned in (
        (_ACCEPTED, [one for one in outcomes if one.change.collection_id is not None]),
        (_DECIDED, [one for one in outcomes if one.change.outcome in _DECIDED_OUTCOMES]),
        (_LOST, [one for one in outcomes if one.change.state is RunState.UNCONFIRMED]),
        (_FOR_A_PERSON, [one for one in outcomes if one.change.state is RunState.NEEDS_ATTENTION]),
    ):
        if concerned:
            conn.execute(moved, [_run_values(one, now) for one in concerned])


_DECIDED_OUTCOMES = tuple(
    outcome
    for outcome in Outcome
    if outcome not in (*OPEN_OUTCOMES, Outcome.ACCEPTED, Outcome.ADOPTED)
)


def _move(guard: ColumnElement[bool]) -> Update:
    moment = runs.c.not_before.type
    return (
        update(runs)
        .where(runs.c.id == bindparam("of_run"), runs.c.fence == bindparam("of_number"), guard)
        .values(
            state=bindparam("to_state"),
            reason=bindparam("to_reason"),
            detail=bindparam("to_detail"),
            not_before=func.coalesce(bindparam("to_not_before", type_=moment), runs.c.not_before),
            look_at=bindparam("to_look_at", type_=moment),
            looks=0,
            attempts=runs.c.attempts - bindparam("uncounted"),
            lease_owner=None,
            lease_until=None,
            triggered_at=bindparam("to_triggered_at", type_=moment),
            collection_id=bindparam("to_collection_id"),
            start_eta=bindparam("to_start_eta", type_=moment),
            ended_at=bindparam("to_ended_at", type_=moment),
        )
    )


_ACCEPTED, _DECIDED, _LOST, _FOR_A_PERSON = map(
    _move, (_HAS_NONE, _WAITS_FOR_ITS_ANSWER, _IS_ON_THE_WIRE, _IS_UNSETTLED)
)


def _run_values(one: Settled, now: datetime) -> dict[str, object]:
    change = one.change
    accepted_at = (change.triggered_at or now) if change.collection_id is not None else None
    return {
        "of_run": one.run.id,
        "of_number": one.run.fence,
        "to_state": change.state,
        "to_reason": change.reason,
        "to_detail": change.detail,
        "to_not_before": change.not_before,
        "to_look_at": change.look_at,
        "uncounted": 0 if change.counts else 1,
        "to_triggered_at": accepted_at,
        "to_collection_id": change.collection_id,
        "to_start_eta": change.start_eta,
        "to_ended_at": now if change.state in ENDED_STATES else None,
    }


def _not_kept(conn: Connection, outcomes: Sequence[Settled]) -> list[Settled]:
    found = conn.execute(_STANDS, {"run_ids": [one.run.id for one in outcomes]})
    stands = {row.id: row for row in found}
    return [one for one in outcomes if not _is_kept(one, stands[one.run.id])]


_STANDS = select(runs.c.id, runs.c.fence, runs.c.state, runs.c.collection_id).where(
    runs.c.id.in_(bindparam("run_ids", expanding=True))
)


def _is_kept(one: Settled, stands: Any) -> bool:
    if one.change.collection_id is not None:
        return bool(stands.collection_id == one.change.collection_id)
    return bool(stands.fence == one.run.fence and stands.state == one.change.state)


def release_unsent(conn: Connection, claimed: Iterable[Run], *, now: datetime, detail: str) -> None:
    """Put claimed runs back whose requests provably never left; the attempts do not count."""
    change = Transition(
        state=RunState.QUEUED,
        reason=Reason.LEASE_ENDED,
        outcome=Outcome.DEFERRED,
        detail=detail,
        counts=False,
    )
    settle(conn, [Settled(run=run, change=change) for run in claimed], now=now)


def list_claimed_by(conn: Connection, owner: str) -> list[Run]:
    """Return the runs that this daemon has claimed and not settled."""
    found = conn.execute(
        select(runs).where(in_state(runs, RunState.DISPATCHING), runs.c.lease_owner == owner)
    )
    return [record(Run, row) for row in found.mappings()]
