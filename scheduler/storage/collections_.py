"""Collections: the upstream's jobs that accepted triggers became, and how they are followed."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Insert, Integer, bindparam, case, or_, select, update

from scheduler.domain.records import Collection, Reason, RunState, RunToSend
from scheduler.domain.transition import Transition
from scheduler.storage.dialect import insert_new
from scheduler.storage.given import Given, GivenValues
from scheduler.storage.rows import records
from scheduler.storage.tables import collections, in_state, runs


def insert_collections(
    conn: Connection, accepted: Iterable[tuple[RunToSend, Transition]], *, now: datetime
) -> int:
    """
    Keep the collections of accepted runs, and return how many are new.

    The first look is due when they are to start; at once, to cancel it, where a waiting run is
    to replace the run.
    """
    rows = [
        (run.id, change.collection_id, change.start_eta, _first_look(change, now))
        for run, change in accepted
    ]
    if not rows:
        return 0
    return conn.execute(_KEPT, _ACCEPTED.of(rows) | {"now": now}).rowcount


REPLACED_NOTE = "replaced by a later occurrence (overlap = replace)"

_ACCEPTED = Given(
    "accepted",
    run_id=runs.c.id.type,
    id=collections.c.id.type,
    start_eta=collections.c.start_eta.type,
    look_at=collections.c.look_at.type,
)


def _kept() -> Insert:
    now = bindparam("now", type_=collections.c.accepted_at.type)
    later = runs.alias("later")
    replaces = (later.c.replaces, in_state(later, RunState.QUEUED))
    # Not EXISTS, for which PostgreSQL would read all that is queued.
    replacing = select(later.c.id).where(later.c.waits_for == runs.c.id, *replaces).limit(1)
    is_replaced = replacing.scalar_subquery().is_not(None)
    values = {
        "id": _ACCEPTED.c["id"],
        "run_id": runs.c.id,
        # An account may have been renamed since its run was claimed.
        "account": runs.c.account,
        "collector_id": runs.c.collector_id,
        "start_eta": _ACCEPTED.c["start_eta"],
        "accepted_at": now,
        "look_at": case((is_replaced, now), else_=_ACCEPTED.c["look_at"]),
        "cancel_requested_at": case((is_replaced, now)),
        "cancel_note": case((is_replaced, REPLACED_NOTE)),
    }
    found = select(*values.values()).where(runs.c.id == _ACCEPTED.c["run_id"])
    # Otherwise SQLAlchemy tells the number of rows of an UPDATE only.
    insert = insert_new(collections).execution_options(preserve_rowcount=True)
    return insert.from_select(tuple(values), found)


_KEPT = _kept()

_LONGEST_WAIT = timedelta(hours=1)


def _first_look(change: Transition, now: datetime) -> datetime:
    # A promised start is only a promise: never wait long for one.
    return min(max(change.start_eta or now, now), now + _LONGEST_WAIT)


def list_owners(conn: Connection, ids: Sequence[str]) -> dict[str, int]:
    """Return, for each of *ids* that some run has, the id of that run."""
    if not ids:
        return {}
    return {row.id: row.run_id for row in conn.execute(_OWNERS, _IDS.of(ids))}


_IDS = GivenValues("ids", collections.c.id.type)
_OWNERS = select(collections.c.id, collections.c.run_id).where(_IDS.has(collections.c.id))


def list_collections(conn: Connection, run_id: int) -> list[Collection]:
    """Return the collections of a run: one, unless a late answer brought a second."""
    found = conn.execute(
        select(collections)
        .where(collections.c.run_id == run_id)
        .order_by(collections.c.accepted_at, collections.c.id)
    )
    return records(Collection, found)


def mark_replaced(conn: Connection, run: RunToSend, collection_id: str) -> None:
    """Note which open collections of the collector the confirm_cancel of *run* ended."""
    conn.execute(
        update(collections)
        .where(
            collections.c.account == run.account,
            collections.c.collector_id == run.collector_id,
            collections.c.look_at.is_not(None),
            collections.c.id != collection_id,
            collections.c.replaced_by.is_(None),
        )
        .values(replaced_by=run.id)
    )


def hasten_looks(conn: Connection, account: str, collector_id: str, *, now: datetime) -> None:
    """Look now at the oldest collections of a collector that is full: some may have ended."""
    oldest = (
        select(collections.c.id)
        .where(
            collections.c.account == account,
            collections.c.collector_id == collector_id,
            collections.c.look_at.is_not(None),
        )
        .order_by(collections.c.accepted_at)
        .limit(_HASTENED)
    )
    conn.execute(
        update(collections)
        .where(
            collections.c.id.in_(oldest.scalar_subquery()),
            collections.c.look_at > now,
            # Not again and again: what was just seen to run is left alone for a while.
            or_(
                collections.c.looked_at.is_(None),
                collections.c.looked_at < now - _LEFT_ALONE_FOR,
            ),
        )
        .values(look_at=now)
    )


_HASTENED = 20
_LEFT_ALONE_FOR = timedelta(seconds=5)


def claim_looks(
    conn: Connection,
    account: str,
    *,
    now: datetime,
    owner: str,
    lease_until: datetime,
    limit: int,
) -> list[Collection]:
    """Take up to *limit* collections of the account that are due for a look."""
    due = (
        select(collections.c.id)
        .where(
            collections.c.account == account,
            collections.c.look_at <= now,
            or_(collections.c.lease_until.is_(None), collections.c.lease_until < now),
        )
        .order_by(collections.c.look_at)
        # Said in the statement itself: PostgreSQL takes a number that it does not know for many.
        .limit(bindparam("limit", limit, type_=Integer(), literal_execute=True))
        .with_for_update(skip_locked=True)
        .cte("due")
    )
    taken = conn.execute(
        update(collections)
        .where(collections.c.id.in_(select(due.c.id)))
        .values(lease_owner=owner, lease_until=lease_until, looks=collections.c.looks + 1)
        .returning(collections)
    )
    return records(Collection, taken)


def record_look(
    conn: Connection,
    collection: Collection,
    seen: dict[str, Any],
    *,
    now: datetime,
    look_at: datetime | None,
) -> None:
    """Store what was *seen* of a collection, by column, and when to look again (None: it ended)."""
    conn.execute(
        update(collections)
        .where(collections.c.id == collection.id)
        .values(**seen, looked_at=now, look_at=look_at, lease_owner=None, lease_until=None)
    )


def end_run(
    conn: Connection,
    collection: Collection,
    *,
    state: RunState,
    reason: Reason,
    detail: str | None,
    now: datetime,
) -> bool:
    """End the run of a collection; False when the run does not wait for this collection."""
    ended = conn.execute(
        update(runs)
        .where(
            runs.c.id == collection.run_id,
            runs.c.collection_id == collection.id,
            in_state(runs, RunState.COLLECTING),
        )
        .values(state=state, reason=reason, detail=detail, ended_at=now)
    )
    return ended.rowcount == 1


def request_cancel(conn: Connection, collection_id: str, *, now: datetime, note: str) -> bool:
    """Ask for the upstream's job to be cancelled, at once; False when it has ended."""
    asked = conn.execute(
        update(collections)
        .where(collections.c.id == collection_id, collections.c.look_at.is_not(None))
        .values(cancel_requested_at=now, cancel_note=note, look_at=now)
    )
    return asked.rowcount == 1


def find_next_look(conn: Connection) -> datetime | None:
    """Return when a collection is next due for a look; None when all have ended."""
    return conn.scalar(
        select(collections.c.look_at)
        .where(collections.c.look_at.is_not(None))
        .order_by(collections.c.look_at)
        .limit(1)
    )


def list_accounts_to_look_at(conn: Connection, *, now: datetime) -> list[str]:
    """Return the accounts that have a collection due for a look."""
    found = conn.scalars(
        select(collections.c.account).where(collections.c.look_at <= now).distinct()
    )
    return sorted(found)
