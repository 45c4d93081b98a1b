"""Whether a database was taken from a backup: what was sent since then is not in it."""

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Final, NamedTuple

from sqlalchemy import Connection, and_, func, insert, select, update

from scheduler.domain.errors import DatabaseUnfit
from scheduler.domain.timestamps import display_time
from scheduler.storage.collections_ import list_owners
from scheduler.storage.tables import restores

SETTLE_COMMAND: Final = "dca-scheduler db settle-restore"
MOVED_COMMAND: Final = f"{SETTLE_COMMAND} --moved REASON"


class UnknownJob(NamedTuple):
    """A job of the upstream that no run of this database has; times as the upstream tells them."""

    id: str
    collector_id: str
    queued_at: str | None
    name: str | None
    inputs: int | None


def insert_restore(conn: Connection, *, backup_at: datetime) -> None:
    """Note that the database holds what there was at *backup_at*, and nothing later."""
    conn.execute(insert(restores).values(backup_at=backup_at))


def find_unsettled(conn: Connection) -> datetime | None:
    """Return the moment of the earliest backup that nobody has settled; None if there is none."""
    earliest = select(func.min(restores.c.backup_at)).where(restores.c.settled_at.is_(None))
    moment: datetime | None = conn.scalar(earliest)
    return moment


def find_newest(conn: Connection) -> datetime | None:
    """Return the moment of the newest backup that the database was taken from, settled or not."""
    moment: datetime | None = conn.scalar(select(func.max(restores.c.backup_at)))
    return moment


def settle(conn: Connection, *, since: datetime, by: str, now: datetime) -> None:
    """Note that somebody has said how to go on from a backup of *since*, whoever told of it."""
    if find_unsettled(conn) is None:
        insert_restore(conn, backup_at=since)
    unsettled = update(restores).where(restores.c.settled_at.is_(None))
    conn.execute(unsettled.values(settled_at=now, settled_by=by))


def settle_moved(conn: Connection, *, by: str, now: datetime) -> None:
    """Note that nothing was sent since the backup that nobody has settled, if there is one."""
    unsettled = update(restores).where(restores.c.settled_at.is_(None))
    conn.execute(unsettled.values(settled_at=now, settled_by=by, looked_at=now, unknown_jobs="[]"))


_IS_LOOKED_INTO: Final = and_(restores.c.settled_at.is_not(None), restores.c.looked_at.is_(None))


def find_looked_into(conn: Connection) -> datetime | None:
    """Return since when it is still asked what was sent; None where that is known."""
    earliest = select(func.min(restores.c.backup_at)).where(_IS_LOOKED_INTO)
    moment: datetime | None = conn.scalar(earliest)
    return moment


def has_jobs(conn: Connection) -> bool:
    """Tell whether the upstream's jobs were listed for what is looked into."""
    unlisted = select(restores.c.id).where(_IS_LOOKED_INTO, restores.c.unknown_jobs.is_(None))
    return conn.execute(unlisted.limit(1)).first() is None


def note_jobs(conn: Connection, jobs: Sequence[UnknownJob]) -> None:
    """Keep which of the upstream's jobs since the backup are in no run."""
    text = json.dumps([job._asdict() for job in jobs])
    conn.execute(update(restores).where(_IS_LOOKED_INTO).values(unknown_jobs=text))


def note_looked(conn: Connection, *, now: datetime) -> None:
    """Note that all that waited in the backup was looked for."""
    conn.execute(update(restores).where(_IS_LOOKED_INTO).values(looked_at=now))


def forget_jobs(conn: Connection) -> None:
    """Tell no more of the jobs that are in no run: somebody has gone on."""
    known = restores.c.looked_at.is_not(None)
    conn.execute(update(restores).where(known).values(unknown_jobs="[]"))


def list_unknown_jobs(conn: Connection) -> list[UnknownJob]:
    """Return those jobs since the newest backup that are still in no run."""
    newest = select(restores.c.unknown_jobs).order_by(restores.c.id.desc()).limit(1)
    jobs = [UnknownJob(**job) for job in json.loads(conn.scalar(newest) or "[]")]
    owned = list_owners(conn, [job.id for job in jobs])
    return [job for job in jobs if job.id not in owned]


def require_settled(conn: Connection) -> None:
    """Raise DatabaseUnfit for a database that was taken from a backup, and not settled since."""
    backup_at = find_unsettled(conn)
    if backup_at is not None:
        raise DatabaseUnfit(unsettled_sentence(backup_at))


def unsettled_sentence(backup_at: datetime) -> str:
    """Say why no daemon works on a database that was taken from a backup, and the way out."""
    return (
        f"the database was taken from a backup of {display_time(backup_at)}, and what was sent"
        f" since is not in it. Nothing is sent until `{SETTLE_COMMAND}` says how to go on"
    )
