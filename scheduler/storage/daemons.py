"""Daemons: who shares the work, and when each was last seen."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Connection, delete, func, insert, select, update

from scheduler.storage import audit
from scheduler.storage.rows import records, values_of
from scheduler.storage.tables import daemons, schedules

SEEN_WITHIN: Final = timedelta(minutes=2)
"""A daemon that was not seen for so long is taken for dead, one of another machine that is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pulse:
    """
    How a daemon is doing; *last_error* is what it last could not do.

    *loop_lag_seconds* is how late its event loop came to what was due, at worst since the pulse
    before, *loop_lags* the same by the minute, of the last hour. *config_refused_at* is when it
    last could not load its file, None once it could.
    """

    last_error: str | None = None
    loop_lag_seconds: float | None = None
    loop_lags: list[float] | None = None
    config_loaded_at: datetime | None = None
    config_refused_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Daemon(Pulse):
    """One start of a daemon, and its last pulse."""

    id: str
    host: str
    pid: int
    version: str
    started_at: datetime
    seen_at: datetime
    stopped_at: datetime | None
    zone_data: str | None
    process: str | None


def insert_daemon(
    conn: Connection,
    daemon_id: str,
    *,
    host: str,
    pid: int,
    version: str,
    zone_data: str,
    now: datetime,
    process: str | None = None,
) -> None:
    """
    Make a starting daemon known.

    If its *zone_data* is not that of the daemon before it, all schedules are planned anew.
    """
    newest = select(daemons.c.zone_data).order_by(daemons.c.started_at.desc()).limit(1)
    before = conn.scalar(newest)
    if before != zone_data:
        conn.execute(update(schedules).values(planned_at=None))
    if before not in (None, zone_data):
        audit.record_change(
            conn,
            by=audit.DAEMON,
            action="zone_data",
            subject=f"daemons.{daemon_id}",
            now=now,
            columns={"zone_data": (before, zone_data)},
        )
    conn.execute(
        insert(daemons).values(
            id=daemon_id,
            host=host,
            pid=pid,
            version=version,
            zone_data=zone_data,
            process=process,
            started_at=now,
            seen_at=now,
            config_loaded_at=now,
        )
    )


def record_seen(conn: Connection, daemon_id: str, pulse: Pulse, *, now: datetime) -> bool:
    """Note that a daemon is alive, and how it is doing; False if it was forgotten meanwhile."""
    beats = func.coalesce(daemons.c.beat_count, 0) + 1
    alive = {"seen_at": now, "beat_count": beats, **values_of(pulse)}
    seen = conn.execute(update(daemons).where(daemons.c.id == daemon_id).values(alive))
    return seen.rowcount == 1


def count_beats(conn: Connection, daemon_id: str) -> int | None:
    """Return how many heartbeats of a daemon the database has; None where it is not known."""
    row = conn.execute(select(daemons.c.beat_count).where(daemons.c.id == daemon_id)).first()
    return None if row is None else row.beat_count or 0


def record_unusable(conn: Connection, daemon_id: str, accounts: Mapping[str, str]) -> None:
    """Note which accounts' rows a daemon does not use, each with why; written if that is news."""
    told = json.dumps(accounts, sort_keys=True) if accounts else None
    is_news = daemons.c.unusable_accounts.is_distinct_from(told)
    of_daemon = daemons.c.id == daemon_id
    conn.execute(update(daemons).where(of_daemon, is_news).values(unusable_accounts=told))


def find_unusable(conn: Connection, *, seen_since: datetime) -> dict[str, str]:
    """Return the accounts whose rows living daemons do not use, and why: all of them, or which."""
    rows = conn.execute(
        select(daemons.c.host, daemons.c.pid, daemons.c.unusable_accounts)
        .where(daemons.c.stopped_at.is_(None), daemons.c.seen_at >= seen_since)
        .order_by(daemons.c.started_at)
    ).all()
    said = [(row, json.loads(row.unusable_accounts or "{}")) for row in rows]
    found: dict[str, str] = {}
    for row, unusable in said:
        for account, why in unusable.items():
            is_of_all = all(account in other for _, other in said)
            who = f"the daemon with pid {row.pid} on {row.host} does not use it: "
            found.setdefault(account, why if is_of_all else who + why)
    return found


def record_stopped(conn: Connection, daemon_id: str, *, now: datetime) -> bool:
    """Note that a daemon has stopped by itself; False if it was forgotten meanwhile."""
    stopped = conn.execute(
        update(daemons).where(daemons.c.id == daemon_id).values(seen_at=now, stopped_at=now)
    )
    return stopped.rowcount == 1


def list_daemons(conn: Connection, *, seen_since: datetime) -> list[Daemon]:
    """Return the daemons that were seen since then and have not stopped, the oldest first."""
    rows = conn.execute(
        select(daemons)
        .where(daemons.c.stopped_at.is_(None), daemons.c.seen_at >= seen_since)
        .order_by(daemons.c.started_at)
    )
    return records(Daemon, rows)


def is_seen(conn: Connection, daemon_id: str, *, since: datetime) -> bool:
    """Tell whether a daemon has said since then that it lives."""
    seen = select(daemons.c.id).where(daemons.c.id == daemon_id, daemons.c.seen_at >= since)
    return conn.scalar(seen) is not None


def find_last(conn: Connection) -> Daemon | None:
    """Return the daemon that was seen last; None where none is known."""
    newest = select(daemons).order_by(daemons.c.seen_at.desc()).limit(1)
    return next(iter(records(Daemon, conn.execute(newest))), None)


def delete_gone(conn: Connection, *, before: datetime) -> None:
    """Forget the daemons last seen before then; attempts keep their ids."""
    conn.execute(delete(daemons).where(daemons.c.seen_at < before))
