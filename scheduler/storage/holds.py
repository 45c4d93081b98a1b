"""What holds runs up, and when it did. Pauses and freezes are written by the database itself."""

from collections.abc import Mapping
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, and_, insert, or_, select, update

from scheduler.domain.holds import Hold, brake_scope
from scheduler.storage.audit import DAEMON, record_change
from scheduler.storage.json_rows import JsonValues
from scheduler.storage.rows import records
from scheduler.storage.tables import holds


def list_holds(conn: Connection, *, since: datetime, until: datetime) -> list[Hold]:
    """Return what held anything up between these two, in the order in which it began."""
    rows = conn.execute(
        select(holds)
        .where(holds.c.since <= until, or_(holds.c.until.is_(None), holds.c.until > since))
        .order_by(holds.c.since, holds.c.id)
    )
    return records(Hold, rows)


def begin(conn: Connection, scope: str, why: str, *, now: datetime) -> bool:
    """
    Note that something holds up runs of *scope* by itself, and return whether it did not before.

    If it did, note why it goes on.
    """
    lasting = update(holds).where(_lasts(scope)).values(why=why)
    if conn.execute(lasting).rowcount:
        return False
    conn.execute(insert(holds).values(scope=scope, why=why, since=now))
    return True


def end(conn: Connection, *scopes: str, now: datetime) -> bool:
    """
    Note that they hold nothing up any more, by our clock; a trigger did by the database's.

    Return whether any did.
    """
    ends_later = or_(holds.c.until.is_(None), holds.c.until > now)
    ended = update(holds).where(_CHOSEN.has(holds.c.scope), ends_later).values(until=now)
    return conn.execute(ended, _CHOSEN.of(scopes)).rowcount > 0


_CHOSEN = JsonValues("chosen", holds.c.scope.type)


def begin_braking(conn: Connection, account: str, why: str, *, now: datetime) -> None:
    """Note that an account's brake has closed, or why it is still; a closing is in the audit."""
    if begin(conn, brake_scope(account), why, now=now):
        _tell_of_brake(conn, account, "brake", (None, why), now)


def end_braking(conn: Connection, account: str, *, now: datetime) -> None:
    """Note that an account's brake has opened, in the audit as well."""
    if end(conn, brake_scope(account), now=now):
        _tell_of_brake(conn, account, "unbrake", ("closed", None), now)


def _tell_of_brake(
    conn: Connection,
    account: str,
    action: str,
    braked: tuple[str | None, str | None],
    now: datetime,
) -> None:
    columns = {"braked": braked}
    record_change(conn, DAEMON, action, f"accounts.{account}", columns, now=now)


def replace_lasting(
    conn: Connection, prefix: str, found: Mapping[str, str], *, now: datetime
) -> None:
    """Let those of the scopes with this *prefix* last that were *found*, each with why."""
    of_prefix = holds.c.scope.startswith(prefix, autoescape=True)
    lasting = conn.execute(
        select(holds.c.scope, holds.c.why).where(of_prefix, holds.c.until.is_(None))
    )
    before = {row.scope: row.why for row in lasting}
    end(conn, *before.keys() - found.keys(), now=now)
    for scope in found.keys() - before.keys():
        begin(conn, scope, found[scope], now=now)


def _lasts(scope: str) -> ColumnElement[bool]:
    return and_(holds.c.scope == scope, holds.c.until.is_(None))
