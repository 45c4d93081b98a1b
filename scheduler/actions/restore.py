"""A backup becomes the database again, which is held until somebody says how to go on."""

import tempfile
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from scheduler.domain.errors import Conflict, DatabaseError, NeedsConfirmation
from scheduler.processes import is_gone
from scheduler.storage import daemons, migrate, restores
from scheduler.storage.ahead import find_newest
from scheduler.storage.audit import record_change
from scheduler.storage.backup_files import (
    check_file,
    copy_of,
    file_url,
    replace_database,
    settle_file,
)
from scheduler.storage.copying import Progress, copy_all, is_empty, no_progress
from scheduler.storage.database import Connection, Database
from scheduler.storage.departures import forget_departed

_ALIVE_WITHIN = timedelta(seconds=30)
"""Three heartbeats."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Restored:
    """What a database was restored to; *kept* is the file that it was before."""

    backup_at: datetime
    kept: Path | None


def restore_backup(
    db: Database,
    file: Path,
    *,
    by: str,
    now: datetime,
    replace: bool = False,
    progress: Progress = no_progress,
) -> Restored:
    """
    Put what the backup *file* holds in the place of what *db* holds, whole or not at all.

    No daemon may work on *db*: on SQLite the caller holds its lock. Raises NeedsConfirmation where
    it is not empty, unless *replace*; an SQLite file of before is kept beside it.
    """
    check_file(file)
    with ExitStack() as stack:
        if db.file is None:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        else:
            folder = db.file.resolve().parent
        copy = stack.enter_context(copy_of(file, folder / f"{file.name}.restoring"))
        backup_at = _hold(copy, by=by, now=now)
        if db.file is None:
            _fill(db, copy, now=now, replace=replace, progress=progress)
            return Restored(backup_at=backup_at, kept=None)
        return Restored(
            backup_at=backup_at, kept=_put_in_place(copy, db.file.resolve(), now, replace)
        )


def _hold(copy: Path, *, by: str, now: datetime) -> datetime:
    """Bring a copy of a backup to the newest schema, and have it say that it is one."""
    with Database(file_url(copy), by=by) as db, db.writing() as conn:
        migrate.upgrade(conn)
        backup_at = restores.find_unsettled(conn)
        if backup_at is None:  # not made by `db backup`
            backup_at = find_newest(conn) or now
            restores.insert_restore(conn, backup_at=backup_at)
        record_change(conn, by, "restore", "database", {"backup_at": (None, backup_at)}, now=now)
    settle_file(copy)
    return backup_at


def _put_in_place(copy: Path, database: Path, now: datetime, replace: bool) -> Path | None:
    kept = None
    if _holds_something(database):
        if not replace:
            raise NeedsConfirmation(f"{database} is not empty, and is replaced", 1)
        kept = database.with_name(f"{database.name}.replaced-{now:%Y%m%dT%H%M%SZ}")
    replace_database(copy, database, kept=kept)
    forget_departed(database)
    return kept


def _holds_something(database: Path) -> bool:
    if not database.exists() or database.stat().st_size == 0:
        return False
    try:
        with Database(file_url(database)) as db, db.reading() as conn:
            return not is_empty(conn)
    except DatabaseError:
        return True


def _fill(db: Database, copy: Path, *, now: datetime, replace: bool, progress: Progress) -> None:
    with (
        Database(file_url(copy)) as backup,
        backup.reading() as source,
        db.writing(at_leisure=True) as target,
    ):
        migrate.upgrade(target)
        if not is_empty(target):
            refuse_daemons(target, now=now)
            if not replace:
                raise NeedsConfirmation(f"{db.name} is not empty, and is replaced", 1)
        copy_all(source, target, progress=progress)


def refuse_daemons(conn: Connection, *, now: datetime) -> None:
    """Raise Conflict where a daemon was seen a moment ago."""
    seen = daemons.list_daemons(conn, seen_since=now - _ALIVE_WITHIN)
    for daemon in (daemon for daemon in seen if not is_gone(daemon.process)):
        seconds = max(int((now - daemon.seen_at).total_seconds()), 0)
        raise Conflict(
            f"the daemon with pid {daemon.pid} on {daemon.host} was seen {seconds}s ago: stop it;"
            f" one that was killed elsewhere is not counted after {_ALIVE_WITHIN.seconds}s"
        )
