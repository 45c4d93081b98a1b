"""A backup beside a running daemon: one SQLite file of one moment, checked by reading it back."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from scheduler.storage import migrate, restores
from scheduler.storage.backup_files import (
    check_file,
    copy_file,
    count_rows,
    file_url,
    new_file,
    settle_file,
)
from scheduler.storage.copying import Progress, copy_all, no_progress
from scheduler.storage.database import Database


@dataclass(frozen=True, slots=True, kw_only=True)
class Backup:
    """A backup that was made and read back: its file, its moment, and its rows by table."""

    file: Path
    backup_at: datetime
    bytes: int
    rows: Mapping[str, int]


def back_up(db: Database, file: Path, *, now: datetime, progress: Progress = no_progress) -> Backup:
    """
    Write everything that *db* holds into the new *file*; daemons go on meanwhile.

    Whoever starts on the file is held until somebody has settled what is missing in it: *now* is
    no later than the moment that it shows. Raises Conflict where *file* is there already.
    """
    with new_file(file) as partial:
        expected = write_backup(db, partial, now=now, progress=progress)
        rows = check_file(partial, expected)
        size = partial.stat().st_size
    return Backup(file=file, backup_at=now, bytes=size, rows=rows)


def write_backup(
    db: Database, file: Path, *, now: datetime, progress: Progress
) -> Mapping[str, int]:
    """Write the backup, and return how many rows each table must have."""
    with db.reading() as source:
        expected = count_rows(source)
        if db.file is not None:
            copy_file(source, file, progress=progress)
        else:
            with Database(file_url(file)) as copy, copy.writing() as target:
                migrate.upgrade(target)
                copy_all(source, target, progress=progress)
    with Database(file_url(file)) as copy, copy.writing() as target:
        restores.insert_restore(target, backup_at=now)
    settle_file(file)
    return {**expected, "restores": expected["restores"] + 1}
