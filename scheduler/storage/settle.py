"""
What became of attempts, written by guarded updates.

An attempt's own outcome is always recorded, so that a collection_id in hand is never dropped;
its run moves only if it still waits for that attempt.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import (
    Connection,
    Text,
    Update,
    and_,
    case,
    false,
    func,
    literal,
    or_,
    select,
    true,
    update,
)

from scheduler.domain.records import (
    ENDED_STATES,
    OPEN_OUTCOMES,
    UNSETTLED_STATES,
    Outcome,
    Reason,
    Run,
    RunState,
    RunToSend,
)
from scheduler.domain.transition import Transition
from scheduler.storage.collections_ import (
    insert_collections,
    list_owners,
    mark_replaced,
)
from scheduler.storage.dialect import text_of
from scheduler.storage.given import Given, GivenValues
from scheduler.storage.rows import records
from scheduler.storage.tables import attempts, in_state, runs


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    """What became of the attempt that *run* was claimed for: number *run.fence*."""

    run: RunToSend
    change: Transition
    http_status: int | None = None


def settle(conn: Connection, outcomes: Sequence[Settled], *, now: datetime) -> list[Settled]:
    """
    Record all *outcomes*, each attempt's once; return those whose run had gone on without them.

    Repeatable: recording the same outcome twice changes nothing. An id that another run, or an
    earlier attempt, already has is not believed: its run is left for a person.
    """
    if not outcomes:
        return []
    outcomes = _keep_collections(conn, outcomes, now)
    # As text, once: it stands in every row.
    at = text_of(now)
    values = _OUTCOMES.of(_values(one, at) for one in outcomes)
    conn.execute(_SETTLED, values)
    moved = conn.execute(_MOVED, values).rowcount
    for one in outcomes:
        if one.run.confirm_cancel and one.change.collection_id is not None:
            mark_replaced(conn, one.run, one.change.collection_id)
    return [] if moved == len(outcomes) else _not_kept(conn, outcomes)


def _keep_collections(
    conn: Connection, outcomes: Sequence[Settled], now: datetime
) -> Sequence[Settled]:
    accepted = [(one.run, one.change) for one in outcomes if one.change.collection_id is not None]
    are_new = insert_collections(conn, accepted, now=now) == len(accepted)
    return outcomes if are_new else _without_duplicates(conn, outcomes)


def _without_duplicates(conn: Connection, outcomes: Sequence[Settled]) -> list[Settled]:
    ids = [one.change.collection_id for one in outcomes if one.change.collection_id is not None]
    owners = list_owners(conn, ids)
    known = conn.execute(_BROUGHT, _IDS.of(ids))
    attempt_of = {(row.collection_id, row.run_id): row.number for row in known}
    checked = []
    for one in outcomes:
        collection_id = one.change.collection_id
        if collection_id is None:
            checked.append(one)
            continue
        owner = owners.get(collection_id, one.run.id)
        number = attempt_of.get((collection_id, one.run.id), one.run.fence)
        if owner != one.run.id:
            one = _disbelieve(one, collection_id, f"run {owner}")
        elif number > one.run.fence:
            continue  # it was found meanwhile, for a later attempt: there is nothing to add
        elif number < one.run.fence:
            one = _disbelieve(one, collection_id, f"its attempt {number}")
        checked.append(one)
    return checked


_IDS = GivenValues("ids", attempts.c.collection_id.type)
_BROUGHT = select(attempts.c.collection_id, attempts.c.run_id, attempts.c.number).where(
    _IDS.has(attempts.c.collection_id)
)


def _disbelieve(one: Settled, collection_id: str, owner: str) -> Settled:
    change = Transition(
        state=RunState.NEEDS_ATTENTION,
        reason=Reason.DUPLICATE_ID,
        outcome=Outcome.LOST,
        detail=f"the upstream answered with {collection_id}, which {owner} already has",
    )
    return Settled(run=one.run, change=change, http_status=one.http_status)


class _Guard(StrEnum):
    """What a run must be for an outcome of its last attempt to move it."""

    HAS_NO_COLLECTION = "has no collection"
    WAITS_FOR_ITS_ANSWER = "waits for its answer"
    IS_ON_THE_WIRE = "is on the wire"
    IS_UNSETTLED = "is unsettled"


def _guard(change: Transition) -> _Guard:
    if change.collection_id is not None:
        # Whatever a run has become since, the id that its own last attempt brought is its own.
        return _Guard.HAS_NO_COLLECTION
    if change.outcome not in OPEN_OUTCOMES:
        return _Guard.WAITS_FOR_ITS_ANSWER
    if change.state is RunState.UNCONFIRMED:
        return _Guard.IS_ON_THE_WIRE
    return _Guard.IS_UNSETTLED


_IS_AS_GUARDED = {
    _Guard.HAS_NO_COLLECTION: runs.c.collection_id.is_(None),
    _Guard.WAITS_FOR_ITS_ANSWER: in_state(
        runs, RunState.DISPATCHING, RunState.UNCONFIRMED, RunState.NEEDS_ATTENTION
    ),
    _Guard.IS_ON_THE_WIRE: in_state(runs, RunState.DISPATCHING),
    _Guard.IS_UNSETTLED: in_state(runs, *UNSETTLED_STATES),
}

_OUTCOMES = Given(
    "outcomes",
    run_id=runs.c.id.type,
    fence=runs.c.fence.type,
    guard=Text(),
    outcome=attempts.c.outcome.type,
    settled_at=attempts.c.settled_at.type,
    http_status=attempts.c.http_status.type,
    detail=runs.c.detail.type,
    collection_id=runs.c.collection_id.type,
    state=runs.c.state.type,
    reason=runs.c.reason.type,
    not_before=runs.c.not_before.type,
    look_at=runs.c.look_at.type,
    uncounted=runs.c.attempts.type,
    triggered_at=runs.c.triggered_at.type,
    start_eta=runs.c.start_eta.type,
    ended_at=runs.c.ended_at.type,
)


def _values(one: Settled, now: str) -> tuple[Any, ...]:
    change = one.change
    is_accepted = change.collection_id is not None
    return (
        one.run.id,
        one.run.fence,
        _guard(change),
        change.outcome,
        None if change.outcome in OPEN_OUTCOMES else now,
        one.http_status,
        change.detail,
        change.collection_id,
        change.state,
        change.reason,
        change.not_before,
        change.look_at,
        0 if change.counts else 1,
        (change.triggered_at or now) if is_accepted else None,
        change.start_eta,
        now if change.state in ENDED_STATES else None,
    )


def _settled() -> Update:
    given = _OUTCOMES.c
    return (
        update(attempts)
        .where(
            attempts.c.run_id == given["run_id"],
            attempts.c.number == given["fence"],
            # What was accepted stays so, and an answer that was looked for is not lost again.
            # CASE, as PostgreSQL would read by an index all that have no collection.
            case(
                (attempts.c.settled_at.is_(None), true()),
                (attempts.c.collection_id.is_(None), given["collection_id"].is_not(None)),
                else_=false(),
            ),
        )
        .values(
            outcome=given["outcome"],
            settled_at=given["settled_at"],
            http_status=func.coalesce(given["http_status"], attempts.c.http_status),
            detail=func.coalesce(given["detail"], attempts.c.detail),
            collection_id=given["collection_id"],
        )
    )


def _moved() -> Update:
    given = _OUTCOMES.c
    is_as_guarded = [
        and_(given["guard"] == literal(guard), holds) for guard, holds in _IS_AS_GUARDED.items()
    ]
    return (
        update(runs)
        .where(runs.c.id == given["run_id"], runs.c.fence == given["fence"], or_(*is_as_guarded))
        .values(
            state=given["state"],
            reason=given["reason"],
            detail=given["detail"],
            not_before=func.coalesce(given["not_before"], runs.c.not_before),
            look_at=given["look_at"],
            looks=0,
            attempts=runs.c.attempts - given["uncounted"],
            lease_owner=None,
            lease_until=None,
            triggered_at=given["triggered_at"],
            collection_id=given["collection_id"],
            start_eta=given["start_eta"],
            ended_at=given["ended_at"],
        )
    )


_SETTLED = _settled()
_MOVED = _moved()


def _not_kept(conn: Connection, outcomes: Sequence[Settled]) -> list[Settled]:
    found = conn.execute(_STANDS, _CONCERNED.of(one.run.id for one in outcomes))
    stands = {row.id: row for row in found}
    return [one for one in outcomes if not _is_kept(one, stands.get(one.run.id))]


_CONCERNED = GivenValues("concerned", runs.c.id.type)
_STANDS = select(runs.c.id, runs.c.fence, runs.c.state, runs.c.collection_id).where(
    _CONCERNED.has(runs.c.id)
)


def _is_kept(one: Settled, stands: Any) -> bool:
    if stands is None:
        return False
    if one.change.collection_id is not None:
        return bool(stands.collection_id == one.change.collection_id)
    return bool(stands.fence == one.run.fence and stands.state == one.change.state)


def release_unsent(
    conn: Connection, claimed: Iterable[RunToSend], *, now: datetime, detail: str
) -> None:
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
    return records(Run, found)
