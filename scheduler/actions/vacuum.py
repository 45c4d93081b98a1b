"""An SQLite file is rewritten without its empty pages, and shrinks by itself from then on."""

from scheduler.domain.errors import InvalidInput
from scheduler.storage.backup_files import vacuum_file
from scheduler.storage.database import Database


def vacuum(db: Database) -> tuple[int, int]:
    """Return the file's bytes before and after; the caller holds its lock."""
    if db.file is None:
        raise InvalidInput("PostgreSQL does this by itself (autovacuum)")
    if not db.file.exists():
        raise InvalidInput(f"there is no database {db.file}")
    return vacuum_file(db.file)
