"""Freezes: pauses of everything, of a collector's schedules, or of those with a label."""

from datetime import datetime

from sqlalchemy import ColumnElement, Connection, delete, insert, select, update

from scheduler.domain.pauses import Freeze
from scheduler.storage.rows import records, values_of
from scheduler.storage.tables import freezes


def list_freezes(conn: Connection) -> list[Freeze]:
    """Return every freeze, lapsed ones included, by scope."""
    rows = conn.execute(select(freezes).order_by(freezes.c.scope))
    return records(Freeze, rows)


def insert_freeze(conn: Connection, freeze: Freeze) -> None:
    """Freeze a scope that is not frozen."""
    conn.execute(insert(freezes).values(edits=1, **values_of(freeze)))


def delete_freeze(conn: Connection, scope: str) -> bool:
    """Thaw a scope; False when it is not frozen."""
    return _delete(conn, freezes.c.scope == scope) == 1


def delete_lapsed(conn: Connection, *, before: datetime) -> None:
    """Forget the freezes that ended before then."""
    _delete(conn, freezes.c.until < before)


def _delete(conn: Connection, which: ColumnElement[bool]) -> int:
    # Signed: else the audit has it as another client's.
    conn.execute(update(freezes).where(which).values(edits=-1))
    return conn.execute(delete(freezes).where(which)).rowcount
