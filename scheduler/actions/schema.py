"""What a person can do with the schema of a database: bring it up to date."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from scheduler.actions.upgrade_backup import back_up_before_upgrade
from scheduler.storage import migrate
from scheduler.storage.database import Database


@dataclass(frozen=True, slots=True, kw_only=True)
class Upgraded:
    """The revision before (None: the database was empty) and now; *backup* is of before."""

    revision_before: str | None
    revision: str
    backup: Path | None


def upgrade_schema(db: Database, *, keep: int, now: datetime) -> Upgraded:
    """
    Bring the schema to the newest revision, all or nothing.

    An SQLite file is copied before; the newest *keep* copies stay, and none is made where it is 0.
    """
    backup = back_up_before_upgrade(db, keep=keep, now=now)
    with db.writing() as conn:
        before, after = migrate.upgrade(conn)
    return Upgraded(revision_before=before, revision=after, backup=backup)
