"""One daemon a SQLite file: a second is refused, with the first one's name."""

import errno
import fcntl
import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from scheduler.domain.errors import AlreadyRunning, DatabaseError


@contextmanager
def instance_lock(
    database: Path,
    *,
    me: str,
    way_out: str = "stop that daemon, or share a PostgreSQL database",
) -> Iterator[None]:
    """
    Hold the file within the block, by whatever path.

    Raises AlreadyRunning, with who holds it and the *way_out*.

    Held are `DATABASE.lock`, where the name stands, and a byte of the database itself, which has
    the same lock by every link and whoever removes the other file. The kernel lets go of both when
    the process ends, however it ends. Open the database within the block: to close a file lets go
    of all of SQLite's own locks on it.
    """
    real = Path(os.path.realpath(database))
    path = real.with_name(real.name + ".lock")
    file = _open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW)
    byte = None
    try:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            byte = _open(real, os.O_RDWR | os.O_CREAT)
            _take_byte(byte)
        except (BlockingIOError, PermissionError):
            holder = path.read_text(errors="replace").strip() or "another program"
            raise AlreadyRunning(f"{database} is used by {holder}: {way_out}") from None
        _sign(file, path, me)
        yield
        os.truncate(file, 0)
    finally:
        os.close(file)
        if byte is not None:
            os.close(byte)


def _sign(file: int, path: Path, me: str) -> None:
    try:
        os.truncate(file, 0)
        os.pwrite(file, f"{me}\n".encode(), 0)
    except OSError as error:
        raise DatabaseError(f"{path}: {error.strerror}{_UNWRITABLE}") from error


def _open(path: Path, flags: int) -> int:
    try:
        return os.open(path, flags | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise DatabaseError(f"{path}: {error.strerror}{_advice(path, error.errno)}") from error


def _advice(path: Path, number: int | None) -> str:
    """Say what to do about a file that cannot be opened; one that is there has an owner."""
    if number in (errno.EROFS, errno.ENOSPC, errno.EDQUOT):
        return _UNWRITABLE
    if path.is_symlink():
        return ": it is a link, and no daemon's: remove it"
    try:
        owner = path.stat().st_uid
    except OSError:
        return ": does its folder exist, and may this user write there?"
    return (
        f": it belongs to user {owner}, and this is {os.geteuid()}: was a daemon or a command once"
        " started as another user? give the database's files to this one (chown)"
    )


_UNWRITABLE: Final = ": who works on the database must be able to write there"


def _take_byte(file: int) -> None:
    # Far beyond the bytes that SQLite locks; a lock of the open file, not of the process.
    whole = struct.pack("@hhqqi", fcntl.F_WRLCK, os.SEEK_SET, 1 << 62, 1, 0)
    fcntl.fcntl(file, fcntl.F_OFD_SETLK, whole)
