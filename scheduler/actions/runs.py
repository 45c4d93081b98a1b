"""What a person can do with runs: retry, adopt, resend, abandon, cancel."""

import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from shlex import quote
from typing import Final

from scheduler.actions.guards import MOST_AT_ONCE
from scheduler.actions.limits import within_limits
from scheduler.domain.errors import Conflict, InvalidInput, NeedsConfirmation, NotFound
from scheduler.domain.finish import without_finish
from scheduler.domain.new_run import retried_run
from scheduler.domain.reasons import check_reason
from scheduler.domain.records import ENDED_STATES, NewRun, Outcome, Reason, Run, RunState
from scheduler.domain.run_acts import DONE, RunAct
from scheduler.domain.transition import Transition
from scheduler.storage import accounts, collections_, runs, schedules
from scheduler.storage.audit import record_change
from scheduler.storage.database import Connection
from scheduler.storage.dialect import announce
from scheduler.storage.runs import end_queued, outcomes
from scheduler.storage.runs.outcomes import AttemptResult
from scheduler.views.acting import list_chosen
from scheduler.views.retrying import commands_anew, list_retryable
from scheduler.views.runs import RunFilter, RunView, get_run

_COLLECTION_ID: Final = re.compile(r"j_\w{1,190}", re.ASCII)
_UNRESOLVED = (RunState.UNCONFIRMED, RunState.NEEDS_ATTENTION)
_HAS_A_RESULT = (RunState.SUCCEEDED, RunState.PARTIAL)


def retry_runs(
    conn: Connection,
    run_ids: Sequence[int],
    *,
    by: str,
    now: datetime,
    confirmed: bool = False,
    only_new: bool = False,
) -> tuple[RunView, ...]:
    """
    Send ended runs once more, all or none, each as a run of its own; return the new ones.

    With *only_new*, what was retried before is left out. NeedsConfirmation for runs that have
    their result, which is paid for twice then, for very many, and for what is beyond a limit.
    """
    retried = runs.list_retried(conn, run_ids) if only_new else set()
    chosen = [runs.get_run(conn, run_id) for run_id in dict.fromkeys(run_ids)]
    chosen = [run for run in chosen if run.id not in retried]
    for run in chosen:
        _check_retry(conn, run)
    if not confirmed:
        _ask_about_cost(chosen)
    new = [_once_more(conn, run, now) for run in chosen]
    new = within_limits(conn, new, now=now, confirmed=confirmed)
    return tuple(_retry(conn, run, again, by, now) for run, again in zip(chosen, new, strict=True))


def _once_more(conn: Connection, run: Run, now: datetime) -> NewRun:
    again = retried_run(run, now=now)
    if run.finish_by_at is None:
        return again
    # What was left until its finish_before is in its query; a person's word has the whole time.
    own = None
    with suppress(NotFound):
        whole = schedules.get_schedule(conn, str(run.schedule))
        own = whole.schedule.deadline or (whole.collector.deadline if whole.collector else None)
    return replace(again, query=without_finish(again.query, own))


def retry_chosen(
    conn: Connection, wanted: RunFilter, *, by: str, now: datetime, confirmed: bool
) -> tuple[RunView, ...]:
    """Retry what `list_retryable` chooses; NeedsConfirmation while that is any."""
    ids = [run.id for run in list_retryable(conn, wanted).runs]
    if ids and not confirmed:
        raise NeedsConfirmation(f"{len(ids)} runs would be sent again", len(ids))
    return retry_runs(conn, ids, by=by, now=now, confirmed=True, only_new=True)


def _check_retry(conn: Connection, run: Run) -> None:
    if run.state not in ENDED_STATES:
        raise Conflict(f"run {run.id} is {run.state}, not ended: there is nothing to retry yet")
    if run.body is None:
        raise Conflict(
            f"run {run.id} was never given its inputs ({run.reason}): {_anew(conn, run)}"
        )
    accounts.get_account(conn, run.account)


def _ask_about_cost(chosen: Sequence[Run]) -> None:
    paid = [str(run.id) for run in chosen if run.state in _HAS_A_RESULT]
    if paid:
        raise NeedsConfirmation(
            f"run {', '.join(paid)} has its result, and would be sent and paid again", len(paid)
        )
    if len(chosen) > MOST_AT_ONCE:
        raise NeedsConfirmation(f"{len(chosen)} runs would be sent again at once", len(chosen))


def _retry(conn: Connection, run: Run, again: NewRun, by: str, now: datetime) -> RunView:
    new_id = runs.insert_run(conn, again, by=by)
    record_change(conn, by, "retry", f"runs.{run.id}", {"retried_as": (None, new_id)}, now=now)
    announce(conn)
    return get_run(conn, new_id)


def _anew(conn: Connection, run: Run) -> str:
    (command,) = commands_anew(conn, [run])
    if " backfill " not in command:
        return f"mend its batch, then send what that holds by {command}"
    return (
        "mend its batch, then send what that holds by dca-scheduler schedules fire"
        f" {quote(run.schedule or '')}, or for its own time by {command}"
    )


def adopt_run(
    conn: Connection,
    run_id: int,
    collection_id: str,
    *,
    by: str,
    now: datetime,
    why: str | None = None,
) -> RunView:
    """
    Resolve a run whose answer was lost: *collection_id* is the upstream's job it became.

    If the upstream does not know it, the daemon gives the run back to a person.
    """
    run = _unresolved(conn, run_id)
    if not _COLLECTION_ID.fullmatch(collection_id):
        raise InvalidInput(f"{collection_id!r} is not a collection's id, such as j_abc123")
    owner = collections_.list_owners(conn, [collection_id]).get(collection_id)
    if owner is not None and owner != run_id:
        raise Conflict(f"collection {collection_id} already belongs to run {owner}")
    change = Transition(
        state=RunState.COLLECTING,
        reason=Reason.ADOPTED,
        outcome=Outcome.ADOPTED,
        detail=_by_hand("adopted by hand", why),
        collection_id=collection_id,
    )
    return _resolve(conn, run, change, "adopt", by, now)


def resend_run(
    conn: Connection, run_id: int, *, by: str, now: datetime, why: str | None = None
) -> RunView:
    """Resolve a run whose answer was lost: a person says that it was not accepted. Send again."""
    run = _unresolved(conn, run_id)
    change = Transition(
        state=RunState.QUEUED,
        reason=Reason.REQUESTED,
        outcome=Outcome.ABSENT,
        detail=_by_hand("resent by hand", why),
        not_before=now,
    )
    _resolve(conn, run, change, "resend", by, now)
    # A person's word is newer than the misfire grace, which would end the run at once.
    runs.set_sendable_for_ever(conn, run_id)
    return get_run(conn, run_id)


def abandon_run(
    conn: Connection, run_id: int, *, by: str, now: datetime, why: str | None = None
) -> RunView:
    """Resolve a run whose answer was lost: give it up, whether it was accepted or not."""
    run = _unresolved(conn, run_id)
    change = Transition(
        state=RunState.FAILED,
        reason=Reason.ABANDONED,
        outcome=Outcome.ABANDONED,
        detail=_by_hand("abandoned by hand", why),
    )
    return _resolve(conn, run, change, "abandon", by, now)


def cancel_run(
    conn: Connection, run_id: int, *, by: str, now: datetime, why: str | None = None
) -> RunView:
    """End a run that waits, or let the daemon ask the upstream to cancel its collection."""
    run = runs.get_run(conn, run_id)
    ended = end_queued.end_waiting(
        conn,
        run_id,
        from_states=(RunState.QUEUED,),
        state=RunState.CANCELLED,
        reason=Reason.CANCELLED_BY_HAND,
        detail=_by_hand("cancelled by hand before it was sent", why),
        now=now,
    )
    if ended:
        columns: dict[str, tuple[object, object]] = {"state": (run.state, RunState.CANCELLED)}
        record_change(conn, by, "cancel", f"runs.{run_id}", columns, now=now)
        return get_run(conn, run_id)
    if run.collection_id is not None and collections_.request_cancel(
        conn, run.collection_id, now=now, note=_by_hand("cancelled by hand", why)
    ):
        columns = {"cancel_requested": (None, run.collection_id)}
        record_change(conn, by, "cancel", f"runs.{run_id}", columns, now=now)
        announce(conn)
        return get_run(conn, run_id)
    raise Conflict(
        f"run {run_id} is {run.state}: only a waiting or collecting run can be cancelled"
    )


_ONE: Final[Mapping[RunAct, Callable[..., RunView]]] = {
    RunAct.CANCEL: cancel_run,
    RunAct.RESEND: resend_run,
    RunAct.ABANDON: abandon_run,
}


def act_on_runs(
    conn: Connection,
    act: RunAct,
    run_ids: Sequence[int],
    *,
    by: str,
    now: datetime,
    why: str | None = None,
) -> tuple[RunView, ...]:
    """Do *act* to each of these runs, all or none; Conflict where one is in no state for it."""
    ids = dict.fromkeys(run_ids)
    return tuple(_ONE[act](conn, run_id, by=by, now=now, why=why) for run_id in ids)


def act_on_chosen(
    conn: Connection,
    act: RunAct,
    wanted: RunFilter,
    *,
    by: str,
    now: datetime,
    confirmed: bool,
    why: str | None = None,
) -> tuple[RunView, ...]:
    """Do *act* to what `list_chosen` chooses; NeedsConfirmation, with the count, if it is any."""
    chosen = [run.id for run in list_chosen(conn, act, wanted).runs]
    if chosen and not confirmed:
        raise NeedsConfirmation(f"{len(chosen)} runs would be {DONE[act]}", len(chosen))
    return act_on_runs(conn, act, chosen, by=by, now=now, why=why)


def _by_hand(what: str, why: str | None) -> str:
    """Return what the history says: what was done, and why where the person said so."""
    return what if why is None else f"{what}: {check_reason(why)}"


def _unresolved(conn: Connection, run_id: int) -> Run:
    run = runs.get_run(conn, run_id)
    if run.state not in _UNRESOLVED:
        raise Conflict(
            f"run {run_id} is {run.state}: only an unconfirmed run, or one that needs attention,"
            " can be resolved by hand"
        )
    return run


def _resolve(
    conn: Connection, run: Run, change: Transition, action: str, by: str, now: datetime
) -> RunView:
    if outcomes.record_outcomes(conn, [AttemptResult(run=run, change=change)], now=now):
        raise Conflict(f"run {run.id} was resolved by somebody else just now: look at it again")
    columns: dict[str, tuple[object, object]] = {"state": (run.state, change.state)}
    if change.collection_id is not None:
        columns["collection_id"] = (run.collection_id, change.collection_id)
    record_change(conn, by, action, f"runs.{run.id}", columns, now=now)
    announce(conn)
    return get_run(conn, run.id)
