"""What is wrong, and what became of telling it, as every surface shows them."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final

from scheduler.domain.notices import AlertKind
from scheduler.storage import alerts, notices
from scheduler.storage.database import Connection
from scheduler.storage.notices import Delivery, Notice, Outbox
from scheduler.views.decoding import read_json, read_names, view
from scheduler.views.page import MOST_COUNTED, Counted, Page, bounded, page_of

UNTOLD_AFTER: Final = timedelta(minutes=15)
"""A channel in which something has waited for so long is told in `status`."""
GIVEN_UP_WITHIN: Final = timedelta(hours=24)
"""So long it is told that a message was given up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertView:
    """
    Something that is wrong with *subject*, or was: `schedules.NAME`, `accounts.NAME`, `runs.ID` …

    *count* is how often it was seen to happen, *last_at* when last. *is_acked*: nobody is reminded.
    """

    id: int
    kind: AlertKind
    subject: str
    schedule: str | None
    collector: str | None
    labels: tuple[str, ...]
    since: datetime
    last_at: datetime
    count: int
    detail: str | None
    run_id: int | None
    recovered_at: datetime | None
    is_acked: bool
    acked_at: datetime | None
    acked_by: str | None
    acked_reason: str | None
    acked_until: datetime | None


class Delivered(StrEnum):
    """What became of telling something."""

    WAITING = "waiting"  # for others, or for the message before it
    PENDING = "pending"  # its message is being sent, or will be tried again
    DELIVERED = "delivered"
    GIVEN_UP = "given_up"


@dataclass(frozen=True, slots=True, kw_only=True)
class NoticeView:
    """
    One thing told, or to be told, in one channel; *delivery* is the message it is in.

    *last_error* is why the last attempt failed, *next_attempt_at* when the next is made.
    """

    id: int
    created_at: datetime
    channel: str
    kind: str
    change: str
    subject: str
    detail: str | None
    alert_id: int | None
    state: Delivered
    delivery: str | None
    attempt_count: int
    next_attempt_at: datetime | None
    settled_at: datetime | None
    last_error: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboxView(Outbox):
    """A channel in which something waits, or was given up of late."""


def list_alerts(
    conn: Connection,
    *,
    now: datetime,
    with_recovered: bool = False,
    limit: int,
    before: int | None = None,
) -> Page[AlertView]:
    """Return a page of what is wrong, or also was, the newest first: those *before* an id."""
    found = alerts.list_page(conn, with_recovered=with_recovered, limit=limit + 1, before_id=before)
    views = [
        view(AlertView, alert, labels=read_names(alert.labels), is_acked=alert.is_acked(now))
        for alert in found
    ]
    return page_of(views, limit=limit)


def list_notices(
    conn: Connection,
    *,
    now: datetime,
    channel: str | None = None,
    only_open: bool = False,
    limit: int,
    before: int | None = None,
    look_through: int | None = None,
) -> Page[NoticeView]:
    """
    Return a page of what was told, or is to be, the newest first: those *before* an id.

    Where so many were *looked through* it may have fewer than *limit*, and go on all the same.
    """
    wanted: dict[str, Any] = {"channel": channel, "only_open": only_open}
    bound = None
    if look_through is not None:
        bound = notices.find_bound(conn, **wanted, most=look_through, before_id=before)
    found = notices.list_page(conn, **wanted, limit=limit + 1, before_id=before, from_id=bound)
    return bounded(page_of([_notice(*row) for row in found], limit=limit), bound)


def count_alerts(conn: Connection, *, with_recovered: bool = False) -> int:
    """Return how many alerts there are; more than MOST_COUNTED is one more than that."""
    return alerts.count_page(conn, with_recovered=with_recovered, most=MOST_COUNTED + 1)


def count_notices(
    conn: Connection, *, channel: str | None = None, only_open: bool = False, look_through: int
) -> Counted:
    """Return how many notices there are of these, so many of the newest looked through."""
    wanted: dict[str, Any] = {"channel": channel, "only_open": only_open}
    bound = notices.find_bound(conn, **wanted, most=look_through, before_id=None)
    found = notices.count_page(conn, **wanted, most=MOST_COUNTED + 1, from_id=bound)
    return Counted.of(found, is_all=bound is None)


def _notice(notice: Notice, delivery: Delivery | None) -> NoticeView:
    event: Any = read_json(notice.event)
    return view(
        NoticeView,
        notice,
        detail=event.get("detail") if isinstance(event, dict) else None,
        state=_state(delivery),
        attempt_count=delivery.attempts if delivery else 0,
        next_attempt_at=delivery and delivery.next_attempt_at,
        settled_at=delivery and delivery.settled_at,
        last_error=delivery and delivery.last_error,
    )


def _state(delivery: Delivery | None) -> Delivered:
    if delivery is None:
        return Delivered.WAITING
    return Delivered(delivery.outcome) if delivery.outcome else Delivered.PENDING


def find_outcome(conn: Connection, delivery: str) -> tuple[Delivered, str | None]:
    """Return what became of a message so far, and why its last attempt failed."""
    found = notices.get_delivery(conn, delivery)
    return _state(found), found.last_error if found else None


def list_untold(conn: Connection, *, now: datetime) -> tuple[OutboxView, ...]:
    """Return the channels that do not get through: something waits for long, or was given up."""
    found = notices.list_outboxes(conn, given_up_since=now - GIVEN_UP_WITHIN)
    return tuple(
        view(OutboxView, outbox)
        for outbox in found
        if outbox.given_up_count
        or (outbox.oldest_at is not None and outbox.oldest_at < now - UNTOLD_AFTER)
    )
