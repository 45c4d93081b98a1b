"""
What became of attempts, written by guarded updates.

An attempt's own outcome is always recorded, so that a collection_id in hand is never dropped;
its run moves only if it still waits for that attempt.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any, NamedTuple

from sqlalchemy import (
    ColumnElement,
    Connection,
    Text,
    Update,
    and_,
    case,
    delete,
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
    UNRESOLVED_STATES,
    Collection,
    Outcome,
    Reason,
    Run,
    RunState,
    SentRun,
)
from scheduler.domain.transition import Transition
from scheduler.storage.collections_ import insert_collections, list_owners, mark_replaced
from scheduler.storage.dialect import text_of
from scheduler.storage.json_rows import JsonRows, JsonValues
from scheduler.storage.rows import records
from scheduler.storage.run_events import SIGNED, signature
from scheduler.storage.tables import ON_THE_WIRE, attempts, collections, in_state, runs


class AttemptResult(NamedTuple):
    """What became of the attempt that *run* was claimed for: number *run.fence*."""

    run: SentRun
    change: Transition
    http_status: int | None = None


def record_outcomes(
    conn: Connection, outcomes: Sequence[AttemptResult], *, now: datetime
) -> list[AttemptResult]:
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
    values = _OUTCOMES.of(_values(outcome, at) for outcome in outcomes)
    conn.execute(_RESOLVED, values)
    moved = conn.execute(_MOVED, values | signature(conn, now)).rowcount
    for outcome in outcomes:
        if outcome.run.confirm_cancel and outcome.change.collection_id is not None:
            mark_replaced(conn, outcome.run, outcome.change.collection_id)
    return [] if moved == len(outcomes) else _not_kept(conn, outcomes)


def _keep_collections(
    conn: Connection, outcomes: Sequence[AttemptResult], now: datetime
) -> Sequence[AttemptResult]:
    accepted = [
        (outcome.run, outcome.change)
        for outcome in outcomes
        if outcome.change.collection_id is not None
    ]
    are_new = insert_collections(conn, accepted, now=now) == len(accepted)
    return outcomes if are_new else _without_duplicates(conn, outcomes)


def _without_duplicates(conn: Connection, outcomes: Sequence[AttemptResult]) -> list[AttemptResult]:
    ids = [
        outcome.change.collection_id
        for outcome in outcomes
        if outcome.change.collection_id is not None
    ]
    owners = list_owners(conn, ids)
    rows = conn.execute(_BROUGHT, _CONCERNED.of(outcome.run.id for outcome in outcomes))
    attempt_of = {(row.collection_id, row.run_id): row.number for row in rows}
    checked = []
    for outcome in outcomes:
        collection_id = outcome.change.collection_id
        if collection_id is None:
            checked.append(outcome)
            continue
        owner = owners.get(collection_id, outcome.run.id)
        number = attempt_of.get((collection_id, outcome.run.id), outcome.run.fence)
        if owner != outcome.run.id:
            outcome = _as_duplicate(outcome, collection_id, f"run {owner}")
        elif number > outcome.run.fence:
            continue  # it was found meanwhile, for a later attempt: there is nothing to add
        elif number < outcome.run.fence:
            outcome = _as_duplicate(outcome, collection_id, f"its attempt {number}")
        checked.append(outcome)
    return checked


_CONCERNED = JsonValues("concerned", runs.c.id.type)
_BROUGHT = select(attempts.c.collection_id, attempts.c.run_id, attempts.c.number).where(
    _CONCERNED.has(attempts.c.run_id), attempts.c.collection_id.is_not(None)
)


def _as_duplicate(outcome: AttemptResult, collection_id: str, owner: str) -> AttemptResult:
    change = Transition(
        state=RunState.NEEDS_ATTENTION,
        reason=Reason.DUPLICATE_ID,
        outcome=Outcome.LOST,
        detail=f"the upstream answered with {collection_id}, which {owner} already has",
    )
    return AttemptResult(run=outcome.run, change=change, http_status=outcome.http_status)


class _Guard(StrEnum):
    """What a run must be for an outcome of its last attempt to move it."""

    HAS_NO_COLLECTION = "has no collection"
    WAITS_FOR_ITS_ANSWER = "waits for its answer"
    IS_ON_THE_WIRE = "is on the wire"
    IS_UNRESOLVED = "is unresolved"


def _guard(change: Transition) -> _Guard:
    if change.collection_id is not None:
        # Whatever a run has become since, the id that its own last attempt brought is its own.
        return _Guard.HAS_NO_COLLECTION
    if change.outcome not in OPEN_OUTCOMES:
        return _Guard.WAITS_FOR_ITS_ANSWER
    if change.state is RunState.UNCONFIRMED:
        return _Guard.IS_ON_THE_WIRE
    return _Guard.IS_UNRESOLVED


_IS_AS_GUARDED = {
    _Guard.HAS_NO_COLLECTION: runs.c.collection_id.is_(None),
    _Guard.WAITS_FOR_ITS_ANSWER: in_state(
        runs, RunState.DISPATCHING, RunState.UNCONFIRMED, RunState.NEEDS_ATTENTION
    ),
    _Guard.IS_ON_THE_WIRE: in_state(runs, RunState.DISPATCHING),
    _Guard.IS_UNRESOLVED: in_state(runs, *UNRESOLVED_STATES),
}

_OUTCOMES = JsonRows(
    "outcomes",
    run_id=runs.c.id.type,
    fence=runs.c.fence.type,
    guard=Text(),
    outcome=attempts.c.outcome.type,
    resolved_at=attempts.c.resolved_at.type,
    http_status=attempts.c.http_status.type,
    detail=runs.c.detail.type,
    collection_id=runs.c.collection_id.type,
    state=runs.c.state.type,
    reason=runs.c.reason.type,
    not_before=runs.c.not_before.type,
    next_lookup_at=runs.c.next_lookup_at.type,
    uncounted=runs.c.attempt_count.type,
    triggered_at=runs.c.triggered_at.type,
    start_eta=runs.c.start_eta.type,
    ended_at=runs.c.ended_at.type,
)


def _values(outcome: AttemptResult, now: str) -> tuple[Any, ...]:
    change = outcome.change
    is_accepted = change.collection_id is not None
    return (
        outcome.run.id,
        outcome.run.fence,
        _guard(change),
        change.outcome,
        None if change.outcome in OPEN_OUTCOMES else now,
        outcome.http_status,
        change.detail,
        change.collection_id,
        change.state,
        change.reason,
        change.not_before,
        change.next_lookup_at,
        0 if change.counts else 1,
        (change.triggered_at or now) if is_accepted else None,
        change.start_eta,
        now if change.state in ENDED_STATES else None,
    )


def _resolved() -> Update:
    given = _OUTCOMES.c
    return (
        update(attempts)
        .where(
            attempts.c.run_id == given["run_id"],
            attempts.c.number == given["fence"],
            # What was accepted stays so, and an answer that was looked for is not lost again.
            # CASE, as PostgreSQL would read by an index all that have no collection.
            case(
                (attempts.c.resolved_at.is_(None), true()),
                (attempts.c.collection_id.is_(None), given["collection_id"].is_not(None)),
                else_=false(),
            ),
        )
        .values(
            outcome=given["outcome"],
            # The answer's daemon may be behind the one that claimed.
            resolved_at=_not_before(given["resolved_at"], attempts.c.claimed_at),
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
            next_lookup_at=given["next_lookup_at"],
            lookups=0,
            attempt_count=runs.c.attempt_count - given["uncounted"],
            lease_owner=None,
            lease_until=None,
            triggered_at=given["triggered_at"],
            collection_id=given["collection_id"],
            start_eta=given["start_eta"],
            ended_at=_not_before(given["ended_at"], runs.c.created_at),
            **SIGNED,
        )
    )


def _not_before(moment: ColumnElement[Any], earliest: ColumnElement[Any]) -> ColumnElement[Any]:
    """Return *moment*, but no time from before *earliest*; NULL stays NULL."""
    return case((moment < earliest, earliest), else_=moment)


_RESOLVED = _resolved()
_MOVED = _moved()


def _not_kept(conn: Connection, outcomes: Sequence[AttemptResult]) -> list[AttemptResult]:
    rows = conn.execute(_STANDS, _CONCERNED.of(outcome.run.id for outcome in outcomes))
    stands = {row.id: row for row in rows}
    return [outcome for outcome in outcomes if not _is_kept(outcome, stands.get(outcome.run.id))]


_STANDS = select(runs.c.id, runs.c.fence, runs.c.state, runs.c.collection_id).where(
    _CONCERNED.has(runs.c.id)
)


def _is_kept(outcome: AttemptResult, stands: Any) -> bool:
    if stands is None:
        return False
    if outcome.change.collection_id is not None:
        return bool(stands.collection_id == outcome.change.collection_id)
    return bool(stands.fence == outcome.run.fence and stands.state == outcome.change.state)


def undo_adoption(
    conn: Connection, collection: Collection, *, reason: Reason, detail: str | None, now: datetime
) -> None:
    """Give a run back to a person whose adopted collection the upstream does not know."""
    conn.execute(delete(collections).where(collections.c.id == collection.id))
    conn.execute(
        update(attempts)
        .where(attempts.c.run_id == collection.run_id, attempts.c.collection_id == collection.id)
        .values(outcome=Outcome.LOST, resolved_at=None, collection_id=None)
    )
    conn.execute(
        update(runs)
        .where(runs.c.id == collection.run_id, runs.c.collection_id == collection.id)
        .values(
            state=RunState.NEEDS_ATTENTION,
            reason=reason,
            detail=detail,
            collection_id=None,
            triggered_at=None,
            **SIGNED,
        ),
        signature(conn, now),
    )


def release_unsent(
    conn: Connection, claimed: Iterable[SentRun], *, now: datetime, detail: str
) -> None:
    """Put claimed runs back whose requests provably never left; the attempts do not count."""
    change = Transition(
        state=RunState.QUEUED,
        reason=Reason.LEASE_ENDED,
        outcome=Outcome.DEFERRED,
        detail=detail,
        counts=False,
    )
    record_outcomes(conn, [AttemptResult(run=run, change=change) for run in claimed], now=now)


def list_claimed_by(conn: Connection, owner: str) -> list[Run]:
    """Return the runs that this daemon has claimed and not resolved."""
    rows = conn.execute(select(runs).where(ON_THE_WIRE, runs.c.lease_owner == owner))
    return records(Run, rows)
