"""The outbox: what is to be told in which channel, and the messages that tell it."""

import json
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import uuid4

from sqlalchemy import (
    CompoundSelect,
    Connection,
    Select,
    exists,
    func,
    insert,
    or_,
    select,
    text,
    union_all,
    update,
)

from scheduler.domain.notices import NewNotice
from scheduler.storage import bounds
from scheduler.storage.json_rows import JsonValues
from scheduler.storage.rows import records
from scheduler.storage.tables import alerts, deliveries, notices

MOST_IN_A_MESSAGE: Final = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """One thing to tell in one channel, as JSON; without a *delivery* until it is grouped."""

    id: int
    alert_id: int | None
    channel: str
    kind: str
    change: str
    subject: str
    event: str
    created_at: datetime
    delivery: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """
    One message to one channel: what it holds is fixed, so its id tells a repeat.

    *next_attempt_at* is when it is tried next; while somebody tries, when they must have ended.
    """

    id: str
    channel: str
    is_group: bool
    created_at: datetime
    attempts: int
    next_attempt_at: datetime | None
    settled_at: datetime | None
    outcome: str | None
    last_error: str | None


def insert_notices(conn: Connection, new: Iterable[NewNotice], *, now: datetime) -> int:
    """Write down what is to be told; return how much it is."""
    rows = [
        {
            "alert_id": one.alert_id,
            "channel": one.channel,
            "kind": one.kind,
            "change": one.change.value,
            "subject": one.subject,
            "event": json.dumps(one.event, ensure_ascii=False),
            "created_at": now,
        }
        for one in new
    ]
    if rows:
        conn.execute(insert(notices), rows)
    return len(rows)


def insert_single(conn: Connection, one: NewNotice, *, now: datetime) -> str:
    """Write a message of its own, which waits for no other; return its id."""
    delivery = _insert_delivery(conn, one.channel, is_group=False, now=now)
    insert_notices(conn, [one], now=now)
    newest = select(func.max(notices.c.id)).where(
        notices.c.channel == one.channel, notices.c.delivery.is_(None)
    )
    conn.execute(
        update(notices).where(notices.c.id == newest.scalar_subquery()).values(delivery=delivery)
    )
    return delivery


def list_told(conn: Connection, alert_ids: Collection[int]) -> dict[tuple[int, str], datetime]:
    """Return when each alert was last told in each channel."""
    if not alert_ids:
        return {}
    rows = conn.execute(
        select(notices.c.alert_id, notices.c.channel, func.max(notices.c.created_at))
        .where(_IDS.has(notices.c.alert_id))
        .group_by(notices.c.alert_id, notices.c.channel),
        _IDS.of(alert_ids),
    )
    return {(alert_id, channel): at for alert_id, channel, at in rows}


_IDS: Final = JsonValues("ids", notices.c.alert_id.type)


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """What waits in a channel to be grouped, and how its last messages fared."""

    channel: str
    oldest_at: datetime
    last_group_at: datetime | None
    has_open_group: bool


def list_waiting(conn: Connection, channels: Collection[str]) -> list[Waiting]:
    """Return the channels in which something is not in a message yet."""
    oldest = conn.execute(
        select(notices.c.channel, func.min(notices.c.created_at))
        .where(notices.c.delivery.is_(None), notices.c.channel.in_(channels))
        .group_by(notices.c.channel)
    )
    return [
        Waiting(
            channel=channel,
            oldest_at=at,
            last_group_at=conn.scalar(
                select(func.max(deliveries.c.created_at)).where(
                    deliveries.c.channel == channel, deliveries.c.is_group
                )
            ),
            has_open_group=conn.scalar(
                select(deliveries.c.id)
                .where(
                    deliveries.c.channel == channel,
                    deliveries.c.is_group,
                    deliveries.c.settled_at.is_(None),
                )
                .limit(1)
            )
            is not None,
        )
        for channel, at in oldest
    ]


def group(conn: Connection, channel: str, *, now: datetime) -> str:
    """Make one message of what waits in *channel*, MOST_IN_A_MESSAGE at most; return its id."""
    delivery = _insert_delivery(conn, channel, is_group=True, now=now)
    ids = list(
        conn.scalars(
            select(notices.c.id)
            .where(notices.c.channel == channel, notices.c.delivery.is_(None))
            .order_by(notices.c.id)
            .limit(MOST_IN_A_MESSAGE)
        )
    )
    conn.execute(update(notices).where(notices.c.id.in_(ids)).values(delivery=delivery))
    return delivery


def _insert_delivery(conn: Connection, channel: str, *, is_group: bool, now: datetime) -> str:
    delivery = f"msg_{uuid4().hex}"
    conn.execute(
        insert(deliveries).values(
            id=delivery, channel=channel, is_group=is_group, created_at=now, next_attempt_at=now
        )
    )
    return delivery


def find_next_attempt(conn: Connection, channels: Collection[str]) -> datetime | None:
    """Return when the next message of one of *channels* is to be tried."""
    moment: datetime | None = conn.scalar(
        select(func.min(deliveries.c.next_attempt_at)).where(
            deliveries.c.settled_at.is_(None), deliveries.c.channel.in_(channels)
        )
    )
    return moment


def claim(
    conn: Connection, channel: str, *, limit: int, now: datetime, until: datetime
) -> list[Delivery]:
    """Take the next messages of *channel* that are due; nobody else does before *until*."""
    due = (
        select(deliveries)
        .where(
            deliveries.c.channel == channel,
            deliveries.c.settled_at.is_(None),
            deliveries.c.next_attempt_at <= now,
        )
        .order_by(deliveries.c.next_attempt_at, deliveries.c.created_at)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    found = records(Delivery, conn.execute(due))
    conn.execute(
        update(deliveries)
        .where(deliveries.c.id.in_([one.id for one in found]))
        .values(attempts=deliveries.c.attempts + 1, next_attempt_at=until)
    )
    return found


def list_notices_of(conn: Connection, delivery: str) -> list[Notice]:
    """Return what a message holds, in order."""
    rows = conn.execute(
        select(notices).where(notices.c.delivery == delivery).order_by(notices.c.id)
    )
    return records(Notice, rows)


def settle(
    conn: Connection, delivery: str, outcome: str, *, error: str | None, now: datetime
) -> None:
    """Note that a message has arrived, or is given up."""
    conn.execute(
        update(deliveries)
        .where(deliveries.c.id == delivery, deliveries.c.settled_at.is_(None))
        .values(settled_at=now, outcome=outcome, next_attempt_at=None, last_error=error)
    )


def put_off(conn: Connection, delivery: str, *, error: str, until: datetime) -> None:
    """Try a message again then."""
    conn.execute(
        update(deliveries)
        .where(deliveries.c.id == delivery, deliveries.c.settled_at.is_(None))
        .values(next_attempt_at=until, last_error=error)
    )


def get_delivery(conn: Connection, delivery: str) -> Delivery | None:
    """Return a message; None if there is none."""
    found = records(Delivery, conn.execute(select(deliveries).where(deliveries.c.id == delivery)))
    return found[0] if found else None


def list_page(
    conn: Connection,
    *,
    channel: str | None,
    only_open: bool,
    limit: int,
    before_id: int | None = None,
    from_id: int | None = None,
) -> list[tuple[Notice, Delivery | None]]:
    """Return notices with their messages, the newest first; none below *from_id* is looked at."""
    query = _narrowed(select(notices), channel, only_open, from_id)
    query = query.order_by(notices.c.id.desc()).limit(limit)
    if before_id is not None:
        query = query.where(notices.c.id < before_id)
    found = records(Notice, conn.execute(query))
    ids = {one.delivery for one in found if one.delivery is not None}
    rows = conn.execute(select(deliveries).where(deliveries.c.id.in_(ids)))
    messages = {one.id: one for one in records(Delivery, rows)}
    return [(one, messages.get(one.delivery or "")) for one in found]


def count_page(
    conn: Connection, *, channel: str | None, only_open: bool, most: int, from_id: int | None = None
) -> int:
    """Return how many notices `list_page` has; they are counted up to *most*."""
    chosen = _narrowed(select(notices.c.id), channel, only_open, from_id).limit(most)
    return conn.scalar(select(func.count()).select_from(chosen.subquery())) or 0


def find_bound(
    conn: Connection, *, channel: str | None, only_open: bool, most: int, before_id: int | None
) -> int | None:
    """Return from which notice on a list may be looked through; None where an index finds them."""
    if only_open or channel is None:
        return None
    return bounds.find_bound(conn, notices.c.id, most=most, before=before_id)


def _narrowed(
    query: Select[Any], channel: str | None, only_open: bool, from_id: int | None
) -> Select[Any]:
    if from_id is not None:
        query = query.where(notices.c.id >= from_id)
    if channel is not None:
        query = query.where(notices.c.channel == channel)
    return query.where(notices.c.id.in_(_open())) if only_open else query


def _open() -> CompoundSelect[Any]:
    """Return the ids of what has not arrived: each part by an index of what is open."""
    unsettled = select(deliveries.c.id).where(deliveries.c.settled_at.is_(None))
    return union_all(
        select(notices.c.id).where(notices.c.delivery.is_(None)),
        select(notices.c.id).where(notices.c.delivery.in_(unsettled)),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Outbox:
    """How a channel is doing: what waits, since when, and what was given up of late."""

    channel: str
    waiting_count: int
    oldest_at: datetime | None
    given_up_count: int
    last_error: str | None


def list_outboxes(conn: Connection, *, given_up_since: datetime) -> list[Outbox]:
    """Return the channels in which something waits, or was given up since then, by name."""
    waiting = count_open(conn)
    given_up = conn.execute(
        select(deliveries.c.channel, func.count().label("lost"))
        # Literally, for the index of those.
        .where(text("deliveries.outcome = 'given_up'"), deliveries.c.settled_at >= given_up_since)
        .group_by(deliveries.c.channel)
    )
    lost: dict[str, int] = {row.channel: row.lost for row in given_up}
    return [
        Outbox(
            channel=channel,
            waiting_count=waiting.get(channel, (0, None))[0],
            oldest_at=waiting.get(channel, (0, None))[1],
            given_up_count=lost.get(channel, 0),
            last_error=_last_error(conn, channel),
        )
        for channel in sorted({*waiting, *lost})
    ]


def count_open(conn: Connection) -> dict[str, tuple[int, datetime]]:
    """Return how much has not arrived, and since when, in each channel where there is such."""
    query = (
        select(notices.c.channel, func.count(), func.min(notices.c.created_at))
        .where(notices.c.id.in_(_open()))
        .group_by(notices.c.channel)
    )
    return {channel: (count, oldest_at) for channel, count, oldest_at in conn.execute(query)}


def _last_error(conn: Connection, channel: str) -> str | None:
    error: str | None = conn.scalar(
        select(deliveries.c.last_error)
        .where(deliveries.c.channel == channel, deliveries.c.last_error.is_not(None))
        .order_by(deliveries.c.created_at.desc())
        .limit(1)
    )
    return error


def list_old(conn: Connection, *, before: datetime, limit: int | None) -> dict[str, list[Any]]:
    """Return what may be forgotten: settled before then, and of no alert that is still open."""
    is_over = or_(notices.c.alert_id.is_(None), alerts.c.recovered_at < before)
    of_alert = alerts.c.id == notices.c.alert_id
    told = (
        select(notices.c.id)
        .join(deliveries, deliveries.c.id == notices.c.delivery)
        .outerjoin(alerts, of_alert)
        # By the index of this: nothing is settled before it is made.
        .where(deliveries.c.created_at < before, deliveries.c.settled_at < before, is_over)
        .order_by(deliveries.c.created_at)
    )
    untold_yet = (
        select(notices.c.id)
        .outerjoin(alerts, of_alert)
        .where(notices.c.delivery.is_(None), notices.c.created_at < before, is_over)
    )
    old_notices = [id_ for query in (told, untold_yet) for id_ in conn.scalars(query.limit(limit))]
    unnamed = ~exists().where(notices.c.delivery == deliveries.c.id)
    old_deliveries = list(
        conn.scalars(
            select(deliveries.c.id).where(deliveries.c.created_at < before, unnamed).limit(limit)
        )
    )
    untold = ~exists().where(notices.c.alert_id == alerts.c.id)
    old_alerts = list(
        conn.scalars(select(alerts.c.id).where(alerts.c.recovered_at < before, untold).limit(limit))
    )
    return {"notices": old_notices, "deliveries": old_deliveries, "alerts": old_alerts}
