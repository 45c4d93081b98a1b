"""Daemons that are held at their start: up, and deciding nothing, as their clock is in doubt."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import ColumnElement, Connection, delete, insert, select, true

from scheduler.storage.dialect import database_time
from scheduler.storage.rows import records, values_of
from scheduler.storage.upkeep_tables import held_daemons

SAID_WITHIN: Final = timedelta(minutes=1)
"""One that is held says so every few seconds; a server's clock tells who does no more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldDaemon:
    """
    One start of a daemon, and *why* it decides nothing, with the way out.

    It has no row among `daemons`: its clock is no sign of life to compare another with.
    """

    id: str
    host: str
    pid: int
    process: str | None
    why: str
    seen_at: datetime


def note_held(conn: Connection, held: HeldDaemon) -> None:
    """Note that a daemon is held, anew each time, whatever its clock has become."""
    forget_held(conn, held.id)
    said = values_of(held) | {"seen_at": database_time(conn) or held.seen_at}
    conn.execute(insert(held_daemons).values(**said))


def forget_held(conn: Connection, daemon_id: str) -> None:
    """Note that a daemon is held no more."""
    conn.execute(delete(held_daemons).where(held_daemons.c.id == daemon_id))


def list_held(conn: Connection) -> list[HeldDaemon]:
    """Return the daemons that say that they are held; without a server, that ever did."""
    now = database_time(conn)
    said = _said_within(now) if now is not None else true()
    return records(HeldDaemon, conn.execute(select(held_daemons).where(said)))


def delete_gone(conn: Connection, *, now: datetime) -> None:
    """Forget those that ended without a word."""
    conn.execute(delete(held_daemons).where(~_said_within(database_time(conn) or now)))


def _said_within(now: datetime) -> ColumnElement[bool]:
    return held_daemons.c.seen_at.between(now - SAID_WITHIN, now + SAID_WITHIN)
