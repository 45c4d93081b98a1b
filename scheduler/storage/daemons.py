"""Daemons: who shares the work, and when each was last seen."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, delete, insert, select, update

from scheduler.storage.rows import records
from scheduler.storage.tables import daemons


@dataclass(frozen=True, slots=True, kw_only=True)
class Daemon:
    """One start of a daemon; *trouble* is what it last could not do."""

    id: str
    host: str
    pid: int
    version: str
    started_at: datetime
    seen_at: datetime
    stopped_at: datetime | None
    trouble: str | None


def insert_daemon(
    conn: Connection, daemon_id: str, *, host: str, pid: int, version: str, now: datetime
) -> None:
    """Make a starting daemon known."""
    conn.execute(
        insert(daemons).values(
            id=daemon_id, host=host, pid=pid, version=version, started_at=now, seen_at=now
        )
    )


def record_seen(conn: Connection, daemon_id: str, *, now: datetime, trouble: str | None) -> None:
    """Note that a daemon is alive, and what troubles it."""
    conn.execute(
        update(daemons).where(daemons.c.id == daemon_id).values(seen_at=now, trouble=trouble)
    )


def record_stopped(conn: Connection, daemon_id: str, *, now: datetime) -> None:
    """Note that a daemon has stopped by itself."""
    conn.execute(
        update(daemons).where(daemons.c.id == daemon_id).values(seen_at=now, stopped_at=now)
    )


def list_daemons(conn: Connection, *, seen_since: datetime) -> list[Daemon]:
    """Return the daemons that were seen since then and have not stopped, the oldest first."""
    found = conn.execute(
        select(daemons)
        .where(daemons.c.stopped_at.is_(None), daemons.c.seen_at >= seen_since)
        .order_by(daemons.c.started_at)
    )
    return records(Daemon, found)


def delete_gone(conn: Connection, *, before: datetime) -> None:
    """Forget the daemons last seen before then; attempts keep their ids."""
    conn.execute(delete(daemons).where(daemons.c.seen_at < before))
