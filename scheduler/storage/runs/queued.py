"""What there is to do with the queued runs, and which accounts have work."""

from collections.abc import Collection
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, Select, and_, func, or_, select

from scheduler.domain.records import Account
from scheduler.storage.collections_ import REPLACING
from scheduler.storage.rows import reader
from scheduler.storage.runs.candidates import ACCOUNTS, NOW, QUEUED
from scheduler.storage.tables import accounts, runs


class QueueOutlook(NamedTuple):
    """What there is to do with the queued runs."""

    is_ready: bool
    """The time of one has come."""
    is_late: bool
    """The misfire grace of one is over."""
    next_ready_at: datetime | None
    """When the time of the next one comes; None if all are ready."""
    replaces: bool
    """One waits for the end of a run that it is to replace."""
    has_finish: bool
    """One is to have ended by some moment."""
    has_canary: bool
    """One waits for the canary of its occurrence."""


def read_outlook(conn: Connection, *, now: datetime) -> QueueOutlook:
    """Look over the queued runs of every account."""
    row = conn.execute(_OUTLOOK, {"now": now}).one()
    is_ready, is_late, next_ready_at, *those = row
    return QueueOutlook(
        bool(is_ready), bool(is_late), next_ready_at, *(one is not None for one in those)
    )


def _first(column: ColumnElement[datetime], *conditions: ColumnElement[bool]) -> Any:
    return select(func.min(column)).where(QUEUED, *conditions).scalar_subquery()


HAS_FINISH = and_(QUEUED, runs.c.finish_by_at.is_not(None))
"""The condition that a run waits that is to have ended by some moment."""

_OUTLOOK = select(
    _first(runs.c.not_before) <= NOW,
    _first(runs.c.send_before, runs.c.send_before.is_not(None)) <= NOW,
    _first(runs.c.not_before, runs.c.not_before > NOW),
    select(runs.c.waits_for).where(REPLACING).limit(1).scalar_subquery(),
    select(runs.c.finish_by_at).where(HAS_FINISH).limit(1).scalar_subquery(),
    select(runs.c.waits_for).where(QUEUED, runs.c.after_canary).limit(1).scalar_subquery(),
)


class AtWork(NamedTuple):
    """An account that is concerned or has work."""

    account: Account
    is_ready: bool
    """The time of a queued run has come."""
    replaces: bool
    """A queued run is to be sent with confirm_cancel."""


def list_at_work(conn: Connection, concerned: Collection[str], *, now: datetime) -> list[AtWork]:
    """
    Return the accounts that are *concerned*, or have a run whose time has come, by name.

    One that was renamed meanwhile is left out.
    """
    rows = conn.execute(_AT_WORK, {"accounts": list(concerned), "now": now})
    read = reader(Account, tuple(rows.keys()))
    return [AtWork(read(row), row.is_ready, row.replaces) for row in rows.all()]


def _at_work() -> Select[Any]:
    def has_queued(*conditions: ColumnElement[bool]) -> ColumnElement[bool]:
        # Not EXISTS, for which PostgreSQL would read all that is queued.
        query = select(runs.c.id).where(QUEUED, runs.c.account == accounts.c.name, *conditions)
        return query.limit(1).scalar_subquery().is_not(None)

    is_ready = has_queued(runs.c.not_before <= NOW)
    replaces = has_queued(runs.c.confirm_cancel)
    return (
        select(accounts, is_ready.label("is_ready"), replaces.label("replaces"))
        .where(or_(accounts.c.name.in_(ACCOUNTS), is_ready))
        .order_by(accounts.c.name)
    )


_AT_WORK = _at_work()
