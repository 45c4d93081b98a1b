"""What persons ask the upstream to do with collections: rows that a daemon carries out."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, Select, and_, func, insert, select, update

from scheduler.domain.collection_acts import CollectionAct, RequestOutcome
from scheduler.storage.rows import records
from scheduler.storage.tables import collection_requests as requests
from scheduler.storage.tables import collections


@dataclass(frozen=True, slots=True, kw_only=True)
class CollectionRequest:
    """
    One request about a collection, and what came of it.

    Nobody sends it before *next_at*, which is None once it is over; *outcome* is None till then.
    """

    id: int
    collection_id: str
    account: str
    verb: CollectionAct
    failed_only: bool
    asked_at: datetime
    asked_by: str
    why: str | None
    next_at: datetime | None
    sent_at: datetime | None
    answered_at: datetime | None
    outcome: RequestOutcome | None
    detail: str | None
    made_run: int | None


def insert_request(conn: Connection, **columns: Any) -> int:
    """Write what somebody asks for, and return its id."""
    statement = insert(requests).values(columns).returning(requests.c.id)
    return int(conn.execute(statement).scalar_one())


def list_of(conn: Connection, collection_ids: Sequence[str]) -> list[CollectionRequest]:
    """Return what was asked about these collections, in order."""
    query = select(requests).where(requests.c.collection_id.in_(collection_ids))
    return records(CollectionRequest, conn.execute(query.order_by(requests.c.id)))


def find_next(conn: Connection) -> datetime | None:
    """Return when something is to be asked next; None for never."""
    due: datetime | None = conn.scalar(_NEXT)
    return due


_NEXT: Final[Select[Any]] = select(func.min(requests.c.next_at)).where(
    requests.c.next_at.is_not(None)
)


def list_accounts(conn: Connection, *, now: datetime) -> set[str]:
    """Return the accounts of which something is to be asked now."""
    return set(conn.scalars(select(requests.c.account).where(requests.c.next_at <= now)))


def list_due(
    conn: Connection, account: str, *, now: datetime, limit: int
) -> list[CollectionRequest]:
    """Return what is to be asked now, the oldest first."""
    query = (
        select(requests)
        .where(requests.c.account == account, requests.c.next_at <= now)
        .order_by(requests.c.id)
        .limit(limit)
    )
    return records(CollectionRequest, conn.execute(query))


def mark_sent(conn: Connection, ids: Sequence[int], *, now: datetime, until: datetime) -> None:
    """Note that these leave now; whoever finds them open after *until* knows that nobody lives."""
    conn.execute(update(requests).where(requests.c.id.in_(ids)).values(sent_at=now, next_at=until))


def count_as_sent(conn: Connection, *, since: datetime) -> None:
    """Take the reruns that waited in a backup of *since* for sent then: none is billed twice."""
    waits = and_(
        requests.c.next_at.is_not(None),
        requests.c.sent_at.is_(None),
        requests.c.verb == CollectionAct.RERUN,
    )
    conn.execute(update(requests).where(waits).values(sent_at=since))


def put_off(conn: Connection, request_id: int, *, until: datetime, detail: str) -> None:
    """Ask again then: nothing came of it."""
    values = {"next_at": until, "sent_at": None, "detail": detail}
    conn.execute(update(requests).where(requests.c.id == request_id).values(values))


def settle(
    conn: Connection,
    request: CollectionRequest,
    outcome: RequestOutcome,
    *,
    now: datetime,
    detail: str | None = None,
    made_run: int | None = None,
) -> None:
    """Note what came of it, and let a collection that was changed be polled at once."""
    values = {
        "next_at": None,
        "answered_at": now,
        "outcome": outcome,
        "detail": detail,
        "made_run": made_run,
    }
    conn.execute(update(requests).where(requests.c.id == request.id).values(values))
    if outcome is RequestOutcome.DONE and request.verb is not CollectionAct.RERUN:
        _poll_now(conn, request.collection_id, now)


def _poll_now(conn: Connection, collection_id: str, now: datetime) -> None:
    is_open = collections.c.next_poll_at.is_not(None)
    conn.execute(
        update(collections)
        .where(collections.c.id == collection_id, is_open)
        .values(next_poll_at=now)
    )
