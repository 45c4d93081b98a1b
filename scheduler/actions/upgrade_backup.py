"""A copy of an SQLite file is kept beside it before its schema is brought forward."""

from datetime import datetime
from pathlib import Path

from scheduler.storage import migrate
from scheduler.storage.backup_files import check_file, copy_file, count_rows, new_file, settle_file
from scheduler.storage.copying import no_progress
from scheduler.storage.database import Database


def back_up_before_upgrade(db: Database, *, keep: int, now: datetime) -> Path | None:
    """
    Copy the file if its schema is not the newest, and read the copy back; return it.

    `DATABASE.before-REVISION-TIME`; the newest *keep* of them stay, and none is made where that is
    0, nor of PostgreSQL.
    """
    if db.file is None or keep == 0 or not (db.file.exists() and db.file.stat().st_size):
        return None
    with db.reading() as conn:
        revision = migrate.current_revision(conn)
        if revision in (None, migrate.newest_revision()):
            return None
        real = db.file.resolve()
        for cut_off in real.parent.glob(f"{real.name}.before-*.partial*"):
            cut_off.unlink()
        copy = real.with_name(f"{real.name}.before-{revision}-{now:%Y%m%dT%H%M%SZ}")
        with new_file(copy) as partial:
            expected = count_rows(conn)
            copy_file(conn, partial, progress=no_progress)
            settle_file(partial)
            check_file(partial, expected)
    earlier = real.parent.glob(f"{real.name}.before-*")
    for old in sorted(earlier, key=lambda file: file.stat().st_mtime)[:-keep]:
        old.unlink(missing_ok=True)
    return copy
