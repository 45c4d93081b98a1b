"""How a surface reaches the database: opened, its schema current, at the present moment."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

from scheduler.clock import Clock
from scheduler.domain.errors import SchemaError
from scheduler.storage import migrate
from scheduler.storage.database import Connection, Database
from scheduler.storage.dialect import database_time

__all__ = ["Connection", "Database"]


@contextmanager
def open_current(url: str, *, by: str) -> Iterator[Database]:
    """
    Open a database; raises SchemaError unless it is there and its schema is current.

    *by* is who moves runs.
    """
    with Database(url, by=by) as db:
        require_ready(db)
        yield db


def require_ready(db: Database) -> None:
    """Raise SchemaError unless the database is there and its schema is current."""
    if db.file is not None and not (db.file.exists() and db.file.stat().st_size):
        what = f"{db.file} is empty" if db.file.exists() else f"there is no database {db.file} yet"
        raise SchemaError(
            f"{what}: `dca-scheduler run` makes it and applies"
            f" the file; or run `{migrate.UPGRADE_COMMAND}`, then `dca-scheduler apply`;"
            f" {migrate.WITHOUT_ONE}"
        )
    with db.reading() as conn:
        migrate.require_current(conn)


def present(conn: Connection, clock: Clock) -> datetime:
    """Return the present moment: a shared database's server tells it."""
    return database_time(conn) or clock()


def require_current(conn: Connection) -> None:
    """Raise SchemaError, with the way out, unless the schema is the one that this program knows."""
    migrate.require_current(conn)


def find_revision(db: Database) -> str | None:
    """Return the schema's revision; None where there is no file, or nothing in it."""
    if db.file is not None and not db.file.exists():
        return None
    with db.reading() as conn:
        return migrate.current_revision(conn)
