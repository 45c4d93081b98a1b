"""Freezes: pauses of everything, of a collector's schedules, or of those with a label."""

from datetime import datetime

from sqlalchemy import Connection, delete, insert, select

from scheduler.domain.pauses import Freeze
from scheduler.storage.rows import records, values_of
from scheduler.storage.tables import freezes


def list_freezes(conn: Connection) -> list[Freeze]:
    """Return every freeze, lapsed ones included, by scope."""
    found = conn.execute(select(freezes).order_by(freezes.c.scope))
    return records(Freeze, found)


def insert_freeze(conn: Connection, freeze: Freeze) -> None:
    """Freeze a scope that is not frozen."""
    conn.execute(insert(freezes).values(**values_of(freeze)))


def delete_freeze(conn: Connection, scope: str) -> bool:
    """Thaw a scope; False when it is not frozen."""
    return conn.execute(delete(freezes).where(freezes.c.scope == scope)).rowcount == 1


def delete_lapsed(conn: Connection, *, before: datetime) -> None:
    """Forget the freezes that ended before then."""
    conn.execute(delete(freezes).where(freezes.c.until < before))
