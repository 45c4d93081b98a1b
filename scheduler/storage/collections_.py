"""Collections: the upstream's jobs that accepted triggers became, and how they are followed."""

from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    FromClause,
    Insert,
    Integer,
    ScalarSelect,
    Update,
    and_,
    bindparam,
    case,
    func,
    or_,
    select,
    update,
)

from scheduler.domain.records import Collection, Reason, RunState, RunToSend
from scheduler.domain.transition import Transition
from scheduler.storage.dialect import insert_new
from scheduler.storage.given import Given, GivenValues
from scheduler.storage.rows import records
from scheduler.storage.tables import accounts, collections, in_state, runs


def insert_collections(
    conn: Connection, accepted: Iterable[tuple[RunToSend, Transition]], *, now: datetime
) -> int:
    """
    Keep the collections of accepted runs, and return how many are new.

    The first look is due when they are to start.
    """
    rows = [
        (run.id, change.collection_id, change.start_eta, _first_look_at(change, now))
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
    values = {
        "id": _ACCEPTED.c["id"],
        "run_id": runs.c.id,
        # An account may have been renamed since its run was claimed.
        "account": runs.c.account,
        "collector_id": runs.c.collector_id,
        "start_eta": _ACCEPTED.c["start_eta"],
        "accepted_at": bindparam("now", type_=collections.c.accepted_at.type),
        "look_at": _ACCEPTED.c["look_at"],
    }
    found = select(*values.values()).where(runs.c.id == _ACCEPTED.c["run_id"])
    # Otherwise SQLAlchemy tells the number of rows of an UPDATE only.
    insert = insert_new(collections).execution_options(preserve_rowcount=True)
    return insert.from_select(tuple(values), found)


_KEPT = _kept()

_LONGEST_WAIT = timedelta(hours=1)


def _first_look_at(change: Transition, now: datetime) -> datetime:
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


_HASTENED = 20
_LEFT_ALONE_FOR = timedelta(seconds=5)

CollectorKey = tuple[str, str]
"""An account's name and the upstream's id of a collector."""


def hasten_looks(conn: Connection, full: AbstractSet[CollectorKey], *, now: datetime) -> None:
    """Look now at the oldest collections of collectors that are full: some may have ended."""
    if full:
        values = _FULL.of(full) | {"now": now, "before": now - _LEFT_ALONE_FOR}
        conn.execute(_HASTEN, values)


_FULL = Given(
    "full", account=collections.c.account.type, collector_id=collections.c.collector_id.type
)


def _hasten() -> Update:
    now = bindparam("now", type_=collections.c.look_at.type)
    before = bindparam("before", type_=collections.c.looked_at.type)

    def of_collector(table: FromClause) -> list[ColumnElement[bool]]:
        return [
            table.c.account == _FULL.c["account"],
            table.c.collector_id == _FULL.c["collector_id"],
            table.c.look_at.is_not(None),
        ]

    others = collections.alias("others")
    last_of_oldest = (
        select(others.c.accepted_at)
        .where(*of_collector(others))
        .order_by(others.c.accepted_at)
        .offset(_HASTENED - 1)
        .limit(1)
        .scalar_subquery()
    )
    return (
        update(collections)
        .where(
            *of_collector(collections),
            collections.c.accepted_at <= func.coalesce(last_of_oldest, now),
            collections.c.look_at > now,
            # Not again and again: what was just seen to run is left alone for a while.
            or_(collections.c.looked_at.is_(None), collections.c.looked_at < before),
        )
        .values(look_at=now)
    )


_HASTEN = _hasten()


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Looked:
    """What was *seen* of a collection, by column, and when to look again (None: it has ended)."""

    collection: Collection
    seen: Mapping[str, Any]
    look_at: datetime | None


def record_looks(conn: Connection, looked: Iterable[Looked], *, now: datetime) -> None:
    """
    Store what was seen; of a collection of which nothing was seen the rest stays.

    A look that was asked for meanwhile, to cancel it, is due all the same, unless it has ended.
    """
    free = {"looked_at": now, "lease_owner": None, "lease_until": None}
    rows = [
        {
            "of": one.collection.id,
            "was": one.collection.look_at,
            "next": one.look_at,
            **free,
            **one.seen,
        }
        for one in looked
    ]
    for _, alike in groupby(sorted(rows, key=len), key=len):
        conn.execute(_LOOKED, list(alike))


def _looked() -> Update:
    was, following = (bindparam(name, type_=collections.c.look_at.type) for name in ("was", "next"))
    is_asked_for = and_(following.is_not(None), collections.c.look_at != was)
    return (
        update(collections)
        .where(collections.c.id == bindparam("of"))
        .values(look_at=case((is_asked_for, collections.c.look_at), else_=following))
    )


_LOOKED = _looked()


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """How the run of a collection has ended."""

    collection: Collection
    state: RunState
    reason: Reason
    detail: str | None


def end_runs(conn: Connection, ended: Sequence[Ended], *, now: datetime) -> None:
    """End the runs of collections; one that does not wait for this collection is left alone."""
    rows = [
        {
            "of": one.collection.run_id,
            "by": one.collection.id,
            "state": one.state,
            "reason": one.reason,
            "detail": one.detail,
            "ended_at": now,
        }
        for one in ended
    ]
    if rows:
        conn.execute(_ENDED, rows)


_ENDED = update(runs).where(
    runs.c.id == bindparam("of"),
    runs.c.collection_id == bindparam("by"),
    in_state(runs, RunState.COLLECTING),
)


def request_cancel(conn: Connection, collection_id: str, *, now: datetime, note: str) -> bool:
    """Ask for the upstream's job to be cancelled, at once; False when it has ended."""
    asked = conn.execute(
        update(collections)
        .where(collections.c.id == collection_id, collections.c.look_at.is_not(None))
        .values(cancel_requested_at=now, cancel_note=note, look_at=now)
    )
    return asked.rowcount == 1


def cancel_replaced(conn: Connection, *, now: datetime) -> None:
    """
    Ask for the jobs to be cancelled that waiting runs are to replace, at once.

    A run may be accepted at the same time as the one that replaces it is written.
    """
    conn.execute(_CANCEL_REPLACED, {"now": now})


def _cancel_replaced() -> Update:
    now = bindparam("now", type_=collections.c.look_at.type)
    return (
        update(collections)
        .where(
            collections.c.run_id.in_(select(runs.c.waits_for).where(REPLACING)),
            collections.c.look_at.is_not(None),
            collections.c.cancel_requested_at.is_(None),
        )
        .values(cancel_requested_at=now, cancel_note=REPLACED_NOTE, look_at=now)
    )


REPLACING = and_(in_state(runs, RunState.QUEUED), runs.c.replaces)
"""The condition that a run waits for the end of one that it is to replace."""

_CANCEL_REPLACED = _cancel_replaced()


def find_next_look(conn: Connection, *, after: datetime | None = None) -> datetime | None:
    """Return when a collection is next due for a look, *after* that moment; None for never."""
    if after is None:
        return conn.scalar(_NEXT)
    return conn.scalar(_NEXT_AFTER, {"now": after})


def list_accounts_to_look_at(conn: Connection, *, now: datetime) -> list[str]:
    """Return the accounts that have a collection due for a look, by name."""
    return list(conn.scalars(_TO_LOOK_AT, {"now": now}))


def first_look(
    account: ColumnElement[str], *conditions: ColumnElement[bool]
) -> ScalarSelect[datetime]:
    """Select an account's next look: a step into the index, however many collections are open."""
    return (
        select(collections.c.look_at)
        .where(collections.c.account == account, collections.c.look_at.is_not(None), *conditions)
        .order_by(collections.c.look_at)
        .limit(1)
        .scalar_subquery()
    )


_NOW = bindparam("now", type_=collections.c.look_at.type)
_NEXT = select(func.min(first_look(accounts.c.name))).select_from(accounts)
_NEXT_AFTER = select(
    func.min(first_look(accounts.c.name, collections.c.look_at > _NOW))
).select_from(accounts)
_TO_LOOK_AT = (
    select(accounts.c.name).where(first_look(accounts.c.name) <= _NOW).order_by(accounts.c.name)
)
