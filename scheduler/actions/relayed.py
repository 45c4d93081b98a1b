"""What a client asks the upstream to change goes through here on its way: the audit has it."""

from dataclasses import replace
from datetime import datetime

from scheduler.domain.new_run import retried_run
from scheduler.domain.records import OnUnconfirmed, Outcome, Reason, RunState
from scheduler.domain.transition import Transition
from scheduler.storage import collections_, runs
from scheduler.storage.audit import record_change
from scheduler.storage.database import Connection
from scheduler.storage.dialect import announce
from scheduler.storage.runs import claims, outcomes
from scheduler.storage.runs.outcomes import AttemptResult


def record_verb(conn: Connection, collection_id: str, verb: str, *, by: str, now: datetime) -> None:
    """Note that *by* asks the upstream to *verb* a collection, before it is asked."""
    record_change(conn, by, verb, f"collections.{collection_id}", now=now)


def follow_rerun(
    conn: Connection,
    collection_id: str,
    rerun: Transition,
    request: str,
    *,
    owner: str,
    by: str,
    now: datetime,
    sent_at: datetime | None = None,
) -> int | None:
    """
    Write the run that the upstream's *rerun* of a collection is, which is followed as any other.

    It counts as a retry of the collection's run. One whose answer was lost is looked for, and
    never sent again by itself: that would be a trigger. Return its id; None where the id of the
    new collection is known already.
    """
    if rerun.collection_id and collections_.list_owners(conn, [rerun.collection_id]):
        return None
    first = runs.get_run(conn, collections_.get_run_id(conn, collection_id))
    new = replace(
        retried_run(first, now=sent_at or now),
        order_key=None,
        confirm_cancel=False,
        on_unconfirmed=OnUnconfirmed.HOLD,
    )
    run_id = runs.insert_run(conn, new, by=by)
    (claimed,) = claims.claim_rerun(conn, run_id, request, owner=owner, now=sent_at or now)
    outcomes.record_outcomes(conn, [AttemptResult(run=claimed, change=rerun)], now=now)
    record_change(conn, by, "rerun", f"runs.{first.id}", {"retried_as": (None, run_id)}, now=now)
    announce(conn)
    return run_id


def lost_rerun(detail: str, *, next_lookup_at: datetime) -> Transition:
    """Return what a run becomes that may be the upstream's rerun of another: no answer was read."""
    return Transition(
        state=RunState.UNCONFIRMED,
        reason=Reason.ANSWER_LOST,
        outcome=Outcome.LOST,
        detail=detail,
        next_lookup_at=next_lookup_at,
    )


def accepted_rerun(collection_id: str, start_eta: datetime | None, detail: str) -> Transition:
    """Return what a run becomes whose collection is the upstream's rerun of another."""
    return Transition(
        state=RunState.COLLECTING,
        reason=Reason.ACCEPTED,
        outcome=Outcome.ACCEPTED,
        detail=detail,
        collection_id=collection_id,
        start_eta=start_eta,
    )
