"""Everything moves to another database, SQLite or PostgreSQL, in either direction."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from scheduler.actions.restore import refuse_daemons
from scheduler.domain.errors import Conflict
from scheduler.storage import migrate, restores
from scheduler.storage.backup_files import check_file, file_url, new_file, settle_file
from scheduler.storage.copying import Progress, Tally, copy_all, is_empty, no_progress
from scheduler.storage.database import Connection, Database
from scheduler.storage.origin import forget_origin


@dataclass(frozen=True, slots=True, kw_only=True)
class CopiedDatabase:
    """What was copied and read back, and whether the copy is held, as daemons went on meanwhile."""

    target: str
    is_held: bool
    tables: Sequence[Tally]


def copy_database(
    source: Database,
    url: str,
    *,
    now: datetime,
    beside_daemon: bool = False,
    progress: Progress = no_progress,
) -> CopiedDatabase:
    """
    Copy everything into the empty database behind *url*, in one transaction, and read it back.

    Raises Conflict where that is not empty, or where a daemon works on the source (on SQLite, the
    caller holds its lock); *beside_daemon* the copy is held until somebody settles it, as a backup.
    """
    held_at = now if beside_daemon else None
    with Database(url) as target, source.reading() as conn:
        if not beside_daemon and source.file is None:
            refuse_daemons(conn, now=now)
        if target.file is None:
            tables = _fill(conn, target, held_at, progress)
        else:
            tables = _write_file(conn, target.file.resolve(), held_at, progress)
        return CopiedDatabase(target=target.name, is_held=beside_daemon, tables=tables)


def _write_file(
    source: Connection, file: Path, held_at: datetime | None, progress: Progress
) -> list[Tally]:
    with new_file(file) as partial:
        with Database(file_url(partial)) as target:
            tables = _fill(source, target, held_at, progress)
        settle_file(partial)
        check_file(partial)
    return tables


def _fill(
    source: Connection, target: Database, held_at: datetime | None, progress: Progress
) -> list[Tally]:
    with target.writing(at_leisure=True) as conn:
        if not is_empty(conn):
            raise Conflict(f"{target.name} is not empty: name a new database, or one without rows")
        migrate.upgrade(conn)
        tables = copy_all(source, conn, progress=progress)
        forget_origin(conn)
        if held_at is not None:
            restores.insert_restore(conn, backup_at=held_at)
    return tables
