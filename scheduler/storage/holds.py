"""What holds runs up, and when it did. Pauses and freezes are written by the database itself."""

from collections.abc import Mapping
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, and_, insert, or_, select, update

from scheduler.domain.holds import Hold
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


def begin(conn: Connection, scope: str, why: str, *, now: datetime) -> None:
    """Note that something holds up runs of *scope* by itself; if it did before, why it goes on."""
    lasting = update(holds).where(_lasts(scope)).values(why=why)
    if conn.execute(lasting).rowcount == 0:
        conn.execute(insert(holds).values(scope=scope, why=why, since=now))


def end(conn: Connection, scope: str, *, now: datetime) -> None:
    """Note that it holds nothing up any more, by our clock; a trigger did by the database's."""
    ends_later = or_(holds.c.until.is_(None), holds.c.until > now)
    conn.execute(update(holds).where(holds.c.scope == scope, ends_later).values(until=now))


def replace_lasting(
    conn: Connection, prefix: str, found: Mapping[str, str], *, now: datetime
) -> None:
    """Let those of the scopes with this *prefix* last that were *found*, each with why."""
    of_prefix = holds.c.scope.startswith(prefix, autoescape=True)
    lasting = conn.execute(
        select(holds.c.scope, holds.c.why).where(of_prefix, holds.c.until.is_(None))
    )
    before = {row.scope: row.why for row in lasting}
    for scope in before.keys() - found.keys():
        end(conn, scope, now=now)
    for scope in found.keys() - before.keys():
        begin(conn, scope, found[scope], now=now)


def _lasts(scope: str) -> ColumnElement[bool]:
    return and_(holds.c.scope == scope, holds.c.until.is_(None))
