"""What a person can do with runs: retry, adopt, resend, abandon, cancel."""

from dataclasses import dataclass
from datetime import datetime

from scheduler.domain.errors import Conflict, InvalidInput
from scheduler.domain.moments import moment_iso
from scheduler.domain.new_run import retried_run
from scheduler.domain.records import ENDED_STATES, Outcome, Reason, Run, RunState
from scheduler.domain.transition import Transition
from scheduler.storage import accounts, audit, collections_, runs, settle, unsent
from scheduler.storage.database import Connection
from scheduler.storage.dialect import announce
from scheduler.storage.settle import Settled

_UNSETTLED = (RunState.UNCONFIRMED, RunState.NEEDS_ATTENTION)


def retry_run(conn: Connection, run_id: int, *, by: str, now: datetime) -> int:
    """Send an ended run's trigger once more, as a run of its own; return the new run's id."""
    run = runs.get_run(conn, run_id)
    if run.state not in ENDED_STATES:
        raise Conflict(f"run {run_id} is {run.state}, not ended: there is nothing to retry yet")
    if run.body is None:
        raise Conflict(f"run {run_id} was never given its inputs ({run.reason}): {_anew(run)}")
    accounts.get_account(conn, run.account)
    new_id = runs.insert_run(conn, retried_run(run, now=now))
    _record(conn, "retry", run_id, {"retried_as": (None, new_id)}, by, now)
    announce(conn)
    return new_id


def _anew(run: Run) -> str:
    if run.schedule is None:
        return f"dca-scheduler trigger {run.collector} sends them anew"
    return (
        "mend its batch, then send what that holds by dca-scheduler schedules fire"
        f" {run.schedule}, or for its own time by dca-scheduler backfill {run.schedule}"
        f" --from {moment_iso(run.due_at)} --to {moment_iso(run.due_at)} --reprocess failed"
    )


def adopt_run(conn: Connection, run_id: int, collection_id: str, *, by: str, now: datetime) -> None:
    """Settle a run whose answer was lost: *collection_id* is the upstream's job it became."""
    run = _unsettled(conn, run_id)
    if not collection_id.strip() or not collection_id.isprintable():
        raise InvalidInput(f"{collection_id!r} is not a collection's id, such as j_abc123")
    owner = collections_.list_owners(conn, [collection_id]).get(collection_id)
    if owner is not None and owner != run_id:
        raise Conflict(f"collection {collection_id} already belongs to run {owner}")
    change = Transition(
        state=RunState.COLLECTING,
        reason=Reason.ADOPTED,
        outcome=Outcome.ADOPTED,
        detail="adopted by hand",
        collection_id=collection_id,
    )
    _settle(conn, run, change, "adopt", by, now)


def resend_run(conn: Connection, run_id: int, *, by: str, now: datetime) -> None:
    """Settle a run whose answer was lost: a person says that it was not accepted. Send again."""
    run = _unsettled(conn, run_id)
    change = Transition(
        state=RunState.QUEUED,
        reason=Reason.REQUESTED,
        outcome=Outcome.ABSENT,
        detail="resent by hand",
        not_before=now,
    )
    _settle(conn, run, change, "resend", by, now)
    # A person's word is newer than the misfire grace, which would end the run at once.
    runs.set_sendable_for_ever(conn, run_id)


def abandon_run(conn: Connection, run_id: int, *, by: str, now: datetime) -> None:
    """Settle a run whose answer was lost: give it up, whether it was accepted or not."""
    run = _unsettled(conn, run_id)
    change = Transition(
        state=RunState.FAILED,
        reason=Reason.ABANDONED,
        outcome=Outcome.ABANDONED,
        detail="abandoned by hand",
    )
    _settle(conn, run, change, "abandon", by, now)


@dataclass(frozen=True, slots=True)
class Cancelled:
    """What cancelling did: *at_once*, or asked of the upstream, which the daemon does."""

    at_once: bool


def cancel_run(conn: Connection, run_id: int, *, by: str, now: datetime) -> Cancelled:
    """End a run that waits, or ask the upstream to cancel its collection, by id."""
    run = runs.get_run(conn, run_id)
    ended = unsent.end_waiting(
        conn,
        run_id,
        from_states=(RunState.QUEUED,),
        state=RunState.CANCELLED,
        reason=Reason.CANCELLED_BY_HAND,
        detail="cancelled by hand before it was sent",
        now=now,
    )
    if ended:
        _record(conn, "cancel", run_id, {"state": (run.state, RunState.CANCELLED)}, by, now)
        return Cancelled(at_once=True)
    if run.collection_id is not None and collections_.request_cancel(
        conn, run.collection_id, now=now, note="cancelled by hand"
    ):
        _record(conn, "cancel", run_id, {"cancel_requested": (None, run.collection_id)}, by, now)
        announce(conn)
        return Cancelled(at_once=False)
    raise Conflict(
        f"run {run_id} is {run.state}: only a waiting or collecting run can be cancelled"
    )


def _unsettled(conn: Connection, run_id: int) -> Run:
    run = runs.get_run(conn, run_id)
    if run.state not in _UNSETTLED:
        raise Conflict(
            f"run {run_id} is {run.state}: only an unconfirmed run, or one that needs attention,"
            " can be settled by hand"
        )
    return run


def _settle(
    conn: Connection, run: Run, change: Transition, action: str, by: str, now: datetime
) -> None:
    if settle.settle(conn, [Settled(run=run, change=change)], now=now):
        raise Conflict(f"run {run.id} was settled by somebody else just now: look at it again")
    columns: dict[str, tuple[object, object]] = {"state": (run.state, change.state)}
    if change.collection_id is not None:
        columns["collection_id"] = (run.collection_id, change.collection_id)
    _record(conn, action, run.id, columns, by, now)
    announce(conn)


def _record(
    conn: Connection, action: str, run_id: int, columns: audit.Columns, by: str, now: datetime
) -> None:
    audit.record_change(
        conn, who=by, action=action, subject=f"runs.{run_id}", columns=columns, now=now
    )
