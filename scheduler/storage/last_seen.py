"""DATABASE.seen, beside a SQLite file: how far a daemon brought it, where a backup lacks some."""

import os
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from scheduler.domain.errors import DatabaseUnfit
from scheduler.domain.timestamps import display_time
from scheduler.storage.ahead import find_newest
from scheduler.storage.database import Connection
from scheduler.storage.departures import lacks_departed
from scheduler.storage.restores import SETTLE_COMMAND

_TOLERANCE: Final = timedelta(seconds=1)


def write_seen(database: Path, now: datetime) -> None:
    """Note that a daemon has just written to the *database* that it is alive."""
    line = f"{now.isoformat(timespec='microseconds')}\n".encode()
    with suppress(OSError):  # a full disk is told by the database itself
        # In place, each as long as the last: a full disk takes nothing for a file that was emptied.
        file = os.open(_beside(database), os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            os.pwrite(file, line, 0)
        finally:
            os.close(file)


def forget_seen(database: Path) -> None:
    """Let the *database* be what it is, whatever was seen of it before."""
    _beside(database).unlink(missing_ok=True)


def require_newest(conn: Connection, database: Path, *, now: datetime) -> None:
    """Raise DatabaseUnfit for a *database* that is older than what a daemon wrote to it."""
    if put_back := find_put_back(conn, database, now=now):
        raise DatabaseUnfit(put_back)


def find_put_back(conn: Connection, database: Path, *, now: datetime) -> str | None:
    """Say that a *database* no daemon works on lacks what one wrote to it; None if it does not."""
    seen, written = _read_seen(database), find_newest(conn)
    if lacks_departed(conn, database):
        return (
            f"{database} lacks what was sent from it: a backup was put in its place. Nothing is"
            f" sent until `{SETTLE_COMMAND}` says how to go on"
        )
    # What lies ahead was written by a clock that was wrong.
    if seen is None or seen > now + _TOLERANCE or (written and seen <= written + _TOLERANCE):
        return None
    last = f"was last written at {display_time(written)}" if written else "is empty"
    return (
        f"{database} {last}, and a daemon worked on it until"
        f" {display_time(seen)}: a backup was put in its place, and what was sent meanwhile is not"
        f" in it. Nothing is sent until `{SETTLE_COMMAND}` says how to go on"
    )


def _read_seen(database: Path) -> datetime | None:
    try:
        return datetime.fromisoformat(_beside(database).read_text().strip())
    except (OSError, ValueError):
        return None


def _beside(database: Path) -> Path:
    real = database.resolve()
    return real.with_name(real.name + ".seen")
