"""What a person can have the upstream do with collections: pause, resume, run again."""

from collections.abc import Callable, Sequence
from datetime import datetime

from scheduler.actions.limits import within_limits
from scheduler.domain.collection_acts import KEPT_UPSTREAM, CollectionAct
from scheduler.domain.errors import Conflict, InvalidInput, NeedsConfirmation
from scheduler.domain.new_run import retried_run
from scheduler.domain.records import Collection
from scheduler.domain.run_acts import DONE
from scheduler.storage import collection_requests, collections_, runs
from scheduler.storage.audit import record_change
from scheduler.storage.database import Connection
from scheduler.storage.dialect import announce
from scheduler.views.acting import list_chosen
from scheduler.views.collections import CollectionRequestView, list_requests
from scheduler.views.runs import RunFilter


def request_act(
    conn: Connection,
    act: CollectionAct,
    collection_ids: Sequence[str],
    *,
    by: str,
    now: datetime,
    why: str | None = None,
    failed_only: bool = False,
    confirmed: bool = False,
) -> tuple[CollectionRequestView, ...]:
    """
    Have a daemon ask the upstream to do *act* with each of these, all or none.

    What is asked already is not asked twice. NeedsConfirmation for a rerun, which is paid for;
    Conflict for a collection that it is not for; InvalidInput for *failed_only* elsewhere.
    """
    if failed_only and act is not CollectionAct.RERUN:
        raise InvalidInput(f"only a rerun may be of what failed alone: {act} is of the whole")
    ids = list(dict.fromkeys(collection_ids))
    found = [collections_.get_collection(conn, id_) for id_ in ids]
    for collection in found:
        _CHECKS[act](collection, now)
    waiting = {
        one.collection_id
        for one in collection_requests.list_of(conn, ids)
        if one.next_at is not None and one.verb is act
    }
    new = [collection for collection in found if collection.id not in waiting]
    if act is CollectionAct.RERUN and new:
        _ask_about_cost(conn, new, now=now, confirmed=confirmed)
    for collection in new:
        collection_requests.insert_request(
            conn,
            collection_id=collection.id,
            account=collection.account,
            verb=act,
            failed_only=failed_only,
            asked_at=now,
            asked_by=by,
            why=why,
            next_at=now,
        )
        columns = {"why": (None, why)} if why else None
        record_change(conn, by, act, f"collections.{collection.id}", columns, now=now)
    announce(conn)
    asked = [one for one in list_requests(conn, ids) if one.verb is act and one.answered_at is None]
    return tuple(asked)


def request_chosen(
    conn: Connection,
    act: CollectionAct,
    wanted: RunFilter,
    *,
    by: str,
    now: datetime,
    confirmed: bool,
    why: str | None = None,
    failed_only: bool = False,
) -> tuple[CollectionRequestView, ...]:
    """Do so to the collections of the runs that *wanted* chooses; NeedsConfirmation if any."""
    chosen = list_chosen(conn, act, wanted).runs
    if chosen and not confirmed:
        raise NeedsConfirmation(f"{len(chosen)} collections would be {DONE[act]}", len(chosen))
    ids = [str(run.collection_id) for run in chosen]
    return request_act(
        conn, act, ids, by=by, now=now, why=why, failed_only=failed_only, confirmed=True
    )


def _check_runs(collection: Collection, now: datetime) -> None:
    if collection.next_poll_at is None:
        raise Conflict(
            f"collection {collection.id} has ended: only one that runs can be paused or resumed"
        )


def _check_ended(collection: Collection, now: datetime) -> None:
    if collection.next_poll_at is not None:
        raise Conflict(f"collection {collection.id} has not ended: there is nothing to run again")
    if collection.expired or collection.accepted_at < now - KEPT_UPSTREAM:
        raise Conflict(
            f"collection {collection.id} is older than the {KEPT_UPSTREAM.days} days that the"
            f" upstream keeps it: send the same inputs by dca-scheduler runs retry"
            f" {collection.run_id}"
        )


_CHECKS: dict[CollectionAct, Callable[[Collection, datetime], None]] = {
    CollectionAct.PAUSE: _check_runs,
    CollectionAct.RESUME: _check_runs,
    CollectionAct.RERUN: _check_ended,
}


def _ask_about_cost(
    conn: Connection, found: Sequence[Collection], *, now: datetime, confirmed: bool
) -> None:
    if not confirmed:
        many = f"{len(found)} collections" if len(found) > 1 else f"collection {found[0].id}"
        raise NeedsConfirmation(f"{many} would be {DONE[CollectionAct.RERUN]}", len(found))
    again = [retried_run(runs.get_run(conn, one.run_id), now=now) for one in found]
    within_limits(conn, again, now=now, confirmed=confirmed)
