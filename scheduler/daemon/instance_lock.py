"""One daemon a SQLite file: a second is refused, with the first one's name."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from scheduler.domain.errors import AlreadyRunning, DatabaseError


@contextmanager
def instance_lock(database: Path, *, me: str) -> Iterator[None]:
    """
    Hold `DATABASE.lock` within the block; raise AlreadyRunning, naming who holds it.

    The kernel lets go of it when the process ends, however it ends; the file stays.
    """
    path = database.with_name(database.name + ".lock")
    try:
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise DatabaseError(
            f"{path}: {error.strerror}: may this user write in its folder?"
        ) from error
    try:
        _take(file, path, database)
        os.truncate(file, 0)
        os.pwrite(file, f"{me}\n".encode(), 0)
        yield
        os.truncate(file, 0)
    finally:
        os.close(file)


def _take(file: int, path: Path, database: Path) -> None:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = path.read_text(errors="replace").strip() or "another program"
        raise AlreadyRunning(
            f"{database} is used by {holder}: stop that daemon, or share a PostgreSQL database"
        ) from None
