"""Collections: the upstream's jobs that accepted triggers became, and how they are followed."""

from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby
from typing import Any, NamedTuple

from sqlalchemy import (
    ColumnElement,
    Connection,
    FromClause,
    Insert,
    Integer,
    ScalarSelect,
    Select,
    Update,
    and_,
    bindparam,
    case,
    func,
    or_,
    select,
    tuple_,
    update,
)

from scheduler.domain.errors import NotFound
from scheduler.domain.records import UNRESOLVED_STATES, Collection, RunState, SentRun
from scheduler.domain.transition import Transition
from scheduler.storage import bounds
from scheduler.storage.dialect import insert_new
from scheduler.storage.json_rows import JsonRows, JsonValues
from scheduler.storage.rows import records
from scheduler.storage.tables import accounts, attempts, bodies, collections, in_state, runs


def insert_collections(
    conn: Connection, accepted: Iterable[tuple[SentRun, Transition]], *, now: datetime
) -> int:
    """
    Keep the collections of accepted runs, and return how many are new.

    The first poll is due when they are to start.
    """
    rows = [
        (run.id, change.collection_id, change.start_eta, first_poll_at(change, now))
        for run, change in accepted
    ]
    if not rows:
        return 0
    return conn.execute(_KEPT, _ACCEPTED.of(rows) | {"now": now}).rowcount


REPLACED_NOTE = "replaced by a later occurrence (overlap = replace)"
OVERRUN_NOTE = "it took much longer than it may, or than is usual (on_overrun = cancel)"

_ACCEPTED = JsonRows(
    "accepted",
    run_id=runs.c.id.type,
    id=collections.c.id.type,
    start_eta=collections.c.start_eta.type,
    next_poll_at=collections.c.next_poll_at.type,
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
        "next_poll_at": _ACCEPTED.c["next_poll_at"],
    }
    query = select(*values.values()).where(runs.c.id == _ACCEPTED.c["run_id"])
    # Otherwise SQLAlchemy tells the number of rows of an UPDATE only.
    insert = insert_new(collections).execution_options(preserve_rowcount=True)
    return insert.from_select(tuple(values), query)


_KEPT = _kept()

_LONGEST_WAIT = timedelta(hours=1)


def first_poll_at(change: Transition, now: datetime) -> datetime | None:
    """Return when the collection of a *change* is to be polled first; None if it brought none."""
    if change.collection_id is None:
        return None
    # A promised start is only a promise: never wait long for one.
    return min(max(change.start_eta or now, now), now + _LONGEST_WAIT)


def list_owners(conn: Connection, ids: Sequence[str]) -> dict[str, int]:
    """Return, for each of *ids* that some run has, the id of that run."""
    if not ids:
        return {}
    return {row.id: row.run_id for row in conn.execute(_OWNERS, _IDS.of(ids))}


_IDS = JsonValues("ids", collections.c.id.type)
_OWNERS = select(collections.c.id, collections.c.run_id).where(_IDS.has(collections.c.id))


class SentCollection(NamedTuple):
    """What a collection's trigger sent, and the upstream's clock at its claim."""

    id: str
    query: str
    row_count: int
    upstream_at: datetime | None


def list_sent(conn: Connection, ids: Sequence[str]) -> list[SentCollection]:
    """Return what was sent for each of *ids* that some run has."""
    return [SentCollection(*row) for row in conn.execute(_SENT, _IDS.of(ids))]


_OF_ITS_ATTEMPT = and_(
    attempts.c.run_id == collections.c.run_id, attempts.c.collection_id == collections.c.id
)
_SENT = (
    select(collections.c.id, runs.c.query, bodies.c.row_count, attempts.c.upstream_at)
    .join(runs, runs.c.id == collections.c.run_id)
    .outerjoin(attempts, _OF_ITS_ATTEMPT)
    .join(bodies, bodies.c.fingerprint == runs.c.body)
    .where(_IDS.has(collections.c.id))
)


def find_lines(conn: Connection, collection_id: str) -> int | None:
    """Return how many rows the upstream's log tells of."""
    lines: int | None = conn.scalar(
        select(collections.c.lines).where(collections.c.id == collection_id)
    )
    return lines


def get_run_id(conn: Connection, collection_id: str) -> int:
    """Return the run whose collection that is; raises NotFound."""
    query = select(collections.c.run_id).where(collections.c.id == collection_id)
    run_id = conn.scalar(query)
    if run_id is None:
        raise NotFound(f"no run has the collection {collection_id!r}")
    return int(run_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class CollectionFilter:
    """Which collections to list; what is None does not narrow."""

    account: str | None = None
    collector_id: str | None = None
    is_open: bool = False


def list_page(
    conn: Connection,
    wanted: CollectionFilter,
    *,
    limit: int,
    after: tuple[int, str] | None = None,
    from_run: int | None = None,
) -> list[Collection]:
    """
    Return collections, that of the newest run first, *after* that of a run and an id.

    None of a run below *from_run* is looked at.
    """
    place = tuple_(collections.c.run_id, collections.c.id)
    query = select(collections).where(*_conditions(wanted)).limit(limit)
    if after is not None:
        query = query.where(place < after)
    if from_run is not None:
        query = query.where(collections.c.run_id >= from_run)
    newest_first = query.order_by(collections.c.run_id.desc(), collections.c.id.desc())
    return records(Collection, conn.execute(newest_first))


def find_bound(
    conn: Connection, wanted: CollectionFilter, *, most: int, after: tuple[int, str] | None
) -> int | None:
    """Return from which run on *wanted* may be looked for; None where there are no more."""
    if wanted.is_open or wanted == CollectionFilter():
        return None
    before = after[0] if after else None
    return bounds.find_bound(conn, collections.c.run_id, most=most, before=before)


def count_collections(
    conn: Connection, wanted: CollectionFilter, *, most: int, from_run: int | None = None
) -> int:
    """Return how many *wanted* chooses, up to *most*; none below *from_run* is looked at."""
    chosen = select(collections.c.id).where(*_conditions(wanted)).limit(most)
    if from_run is not None:
        chosen = chosen.where(collections.c.run_id >= from_run)
    return conn.scalar(select(func.count()).select_from(chosen.subquery())) or 0


def _conditions(wanted: CollectionFilter) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    if wanted.account is not None:
        conditions.append(collections.c.account == wanted.account)
    if wanted.collector_id is not None:
        conditions.append(collections.c.collector_id == wanted.collector_id)
    if wanted.is_open:
        # Through the index of those that are open: in the order of runs there are all others.
        among = select(collections.c.id).where(collections.c.next_poll_at.is_not(None))
        conditions.append(collections.c.id.in_(among))
    return conditions


def get_collection(conn: Connection, collection_id: str) -> Collection:
    """Return the collection of that id; raises NotFound."""
    rows = records(
        Collection, conn.execute(select(collections).where(collections.c.id == collection_id))
    )
    if not rows:
        raise NotFound(f"no run has the collection {collection_id!r}")
    return rows[0]


def list_collections(conn: Connection, run_id: int) -> list[Collection]:
    """Return the collections of a run: one, unless a late answer brought a second."""
    rows = conn.execute(
        select(collections)
        .where(collections.c.run_id == run_id)
        .order_by(collections.c.accepted_at, collections.c.id)
    )
    return records(Collection, rows)


def mark_replaced(conn: Connection, run: SentRun, collection_id: str) -> None:
    """Note which open collections of the collector the confirm_cancel of *run* ended."""
    conn.execute(
        update(collections)
        .where(
            collections.c.account == run.account,
            collections.c.collector_id == run.collector_id,
            collections.c.next_poll_at.is_not(None),
            collections.c.id != collection_id,
            collections.c.replaced_by.is_(None),
        )
        .values(replaced_by=run.id)
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Canceller:
    """Who had a collection cancelled: the confirm_cancel of *run_id*, or, by its *note*, we."""

    run_id: int | None
    note: str | None


def find_canceller(conn: Connection, collection: Collection) -> Canceller:
    """
    Return who is known to have had it cancelled, as of now and not of when it was polled.

    A confirm_cancel whose answer is still open counts: the end of what it replaced is often
    seen first.
    """
    row = conn.execute(select(collections).where(collections.c.id == collection.id)).one()
    is_open = select(runs.c.id).where(
        in_state(runs, *UNRESOLVED_STATES),
        runs.c.account == collection.account,
        runs.c.collector_id == collection.collector_id,
        runs.c.confirm_cancel,
    )
    note = None if row.cancel_requested_at is None else row.cancel_note
    run_id = row.replaced_by
    if run_id is None and note is None:
        run_id = conn.scalar(is_open.order_by(runs.c.id).limit(1))
    return Canceller(run_id=run_id, note=note)


_HASTENED = 20
_LEFT_ALONE_FOR = timedelta(seconds=5)

CollectorKey = tuple[str, str]
"""An account's name and the upstream's id of a collector."""


def _is_unheld(*conditions: ColumnElement[bool]) -> ColumnElement[bool]:
    """
    Make the condition of rows that meet *conditions* and that nobody is writing.

    Who asks holds a brake, and who writes them may wait for it: each would wait for the other.
    """
    unheld = select(collections.c.id).where(*conditions)
    locked = unheld.with_for_update(skip_locked=True, of=collections).cte("unheld")
    return collections.c.id.in_(select(locked.c.id))


def hasten_polls(conn: Connection, full: AbstractSet[CollectorKey], *, now: datetime) -> None:
    """Poll now the oldest collections of collectors that are full: some may have ended."""
    if full:
        values = _FULL.of(full) | {"now": now, "before": now - _LEFT_ALONE_FOR}
        conn.execute(_HASTEN, values)


_FULL = JsonRows(
    "full", account=collections.c.account.type, collector_id=collections.c.collector_id.type
)


def _hasten() -> Update:
    now = bindparam("now", type_=collections.c.next_poll_at.type)
    before = bindparam("before", type_=collections.c.polled_at.type)

    def of_collector(table: FromClause) -> list[ColumnElement[bool]]:
        return [
            table.c.account == _FULL.c["account"],
            table.c.collector_id == _FULL.c["collector_id"],
            table.c.next_poll_at.is_not(None),
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
            _is_unheld(
                *of_collector(collections),
                collections.c.accepted_at <= func.coalesce(last_of_oldest, now),
                collections.c.next_poll_at > now,
                # Not again and again: what was just seen to run is left alone for a while.
                or_(collections.c.polled_at.is_(None), collections.c.polled_at < before),
            )
        )
        .values(next_poll_at=now)
    )


_HASTEN = _hasten()


@dataclass(frozen=True, slots=True, kw_only=True)
class DuePoll:
    """A collection that is to be polled, and whether it is to be cancelled first."""

    id: str
    collector_id: str
    next_poll_at: datetime
    is_to_be_cancelled: bool


def list_due_polls(
    conn: Connection, account: str, *, now: datetime, until: datetime, limit: int
) -> list[DuePoll]:
    """Return up to *limit* collections of the account that nobody polls and are due by *until*."""
    rows = conn.execute(_DUE, {"account": account, "now": now, "until": until, "most": limit})
    return [
        DuePoll(id=id_, collector_id=collector_id, next_poll_at=at, is_to_be_cancelled=asked)
        for id_, collector_id, at, asked in rows
    ]


def _due() -> Select[Any]:
    now, until = (bindparam(name, type_=collections.c.next_poll_at.type) for name in _MOMENTS)
    return (
        select(
            collections.c.id,
            collections.c.collector_id,
            collections.c.next_poll_at,
            collections.c.cancel_requested_at.is_not(None),
        )
        .where(
            collections.c.account == bindparam("account"),
            collections.c.next_poll_at <= until,
            or_(collections.c.lease_until.is_(None), collections.c.lease_until < now),
        )
        .order_by(collections.c.next_poll_at)
        .limit(bindparam("most", type_=Integer()))
    )


_MOMENTS = ("now", "until")
_DUE = _due()


def claim_polls(
    conn: Connection,
    ids: Sequence[str],
    *,
    beside: Sequence[str] = (),
    now: datetime,
    owner: str,
    lease_until: datetime,
) -> list[Collection]:
    """
    Take those of *ids* that nobody else has, each under a lease: so many questions leave.

    Those *beside* are told by the same answers. They have no lease, but are not due until then.
    """
    taken = records(
        Collection,
        conn.execute(
            _CLAIMED, _IDS.of(ids) | {"now": now, "taker": owner, "taken_until": lease_until}
        ),
    )
    if beside:
        values = _IDS.of(beside) | {"taken_until": lease_until}
        taken += records(Collection, conn.execute(_BESIDE, values))
    return taken


def _claimed() -> Update:
    now = bindparam("now", type_=collections.c.lease_until.type)
    is_free = or_(collections.c.lease_until.is_(None), collections.c.lease_until < now)
    return (
        update(collections)
        .where(
            _is_unheld(_IDS.has(collections.c.id), collections.c.next_poll_at.is_not(None), is_free)
        )
        .values(
            lease_owner=bindparam("taker"),
            lease_until=bindparam("taken_until", type_=collections.c.lease_until.type),
            polls=collections.c.polls + 1,
        )
        .returning(collections)
    )


_CLAIMED = _claimed()
_BESIDE = (
    update(collections)
    .where(_is_unheld(_IDS.has(collections.c.id), collections.c.next_poll_at.is_not(None)))
    .values(
        next_poll_at=bindparam("taken_until", type_=collections.c.next_poll_at.type),
        polls=collections.c.polls + 1,
    )
    .returning(collections)
)


def list_open_among(conn: Connection, ids: Sequence[str]) -> list[Collection]:
    """Return those of *ids* that some run has and that have not ended."""
    if not ids:
        return []
    return records(Collection, conn.execute(_OPEN_AMONG, _IDS.of(ids)))


_OPEN_AMONG = select(collections).where(
    _IDS.has(collections.c.id), collections.c.next_poll_at.is_not(None)
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Polled:
    """What was *seen* of a collection, by column, and when to poll again (None: it has ended)."""

    collection: Collection
    seen: Mapping[str, Any]
    next_poll_at: datetime | None
    errors_due_at: datetime | None = None


def record_polls(conn: Connection, polled: Iterable[Polled], *, now: datetime) -> None:
    """
    Store what was seen; of a collection of which nothing was seen the rest stays.

    A poll that was asked for meanwhile, to cancel it, is due all the same, unless it has ended.
    """
    free = {"polled_at": now, "lease_owner": None, "lease_until": None}
    rows = [
        {
            "of": poll.collection.id,
            "was": poll.collection.next_poll_at,
            "next": poll.next_poll_at,
            **free,
            **poll.seen,
            **({} if poll.errors_due_at is None else {"errors_due_at": poll.errors_due_at}),
        }
        for poll in polled
    ]
    for _, alike in groupby(sorted(rows, key=sorted), key=sorted):
        conn.execute(_POLLED, list(alike))


def _polled() -> Update:
    was, following = (
        bindparam(name, type_=collections.c.next_poll_at.type) for name in ("was", "next")
    )
    is_asked_for = and_(following.is_not(None), collections.c.next_poll_at != was)
    return (
        update(collections)
        .where(collections.c.id == bindparam("of"))
        .values(next_poll_at=case((is_asked_for, collections.c.next_poll_at), else_=following))
    )


_POLLED = _polled()


def request_cancel(conn: Connection, collection_id: str, *, now: datetime, note: str) -> bool:
    """Ask for the upstream's job to be cancelled, at once; False when it has ended."""
    asked = conn.execute(
        update(collections)
        .where(collections.c.id == collection_id, collections.c.next_poll_at.is_not(None))
        .values(cancel_requested_at=now, cancel_note=note, next_poll_at=now)
    )
    return asked.rowcount == 1


def cancel_replaced(conn: Connection, *, now: datetime) -> None:
    """
    Ask for the jobs to be cancelled that waiting runs are to replace, at once.

    A run may be accepted at the same time as the one that replaces it is written.
    """
    conn.execute(_CANCEL_REPLACED, {"now": now})


def _cancel_replaced() -> Update:
    now = bindparam("now", type_=collections.c.next_poll_at.type)
    return (
        update(collections)
        .where(
            collections.c.run_id.in_(select(runs.c.waits_for).where(REPLACING)),
            collections.c.next_poll_at.is_not(None),
            collections.c.cancel_requested_at.is_(None),
        )
        .values(cancel_requested_at=now, cancel_note=REPLACED_NOTE, next_poll_at=now)
    )


REPLACING = and_(in_state(runs, RunState.QUEUED), runs.c.replaces)
"""The condition that a run waits for the end of one that it is to replace."""

_CANCEL_REPLACED = _cancel_replaced()


def find_next_poll(conn: Connection, *, after: datetime | None = None) -> datetime | None:
    """Return when a collection is next due for a poll, *after* that moment; None for never."""
    if after is None:
        return conn.scalar(_NEXT)
    return conn.scalar(_NEXT_AFTER, {"now": after})


def list_accounts_to_poll(conn: Connection, *, now: datetime) -> list[str]:
    """Return the accounts that have a collection due for a poll, by name."""
    return list(conn.scalars(_TO_POLL, {"now": now}))


def first_poll(
    account: ColumnElement[str], *conditions: ColumnElement[bool]
) -> ScalarSelect[datetime]:
    """Select an account's next poll: a step into the index, however many collections are open."""
    return (
        select(collections.c.next_poll_at)
        .where(
            collections.c.account == account, collections.c.next_poll_at.is_not(None), *conditions
        )
        .order_by(collections.c.next_poll_at)
        .limit(1)
        .scalar_subquery()
    )


_NOW = bindparam("now", type_=collections.c.next_poll_at.type)
_NEXT = select(func.min(first_poll(accounts.c.name))).select_from(accounts)
_NEXT_AFTER = select(
    func.min(first_poll(accounts.c.name, collections.c.next_poll_at > _NOW))
).select_from(accounts)
_TO_POLL = (
    select(accounts.c.name).where(first_poll(accounts.c.name) <= _NOW).order_by(accounts.c.name)
)
