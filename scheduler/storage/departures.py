"""
DATABASE.departed, beside a SQLite file: which claims its daemon has put on the wire.

A line is written, not flushed to the disk, just before a request leaves: that costs no commit, and
the kernel keeps it when the process is killed. So whoever takes over knows which claims provably
never left. When the machine itself went down, the file says nothing: its boot is another.
"""

import os
from collections import deque
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from sqlalchemy import Connection, func, select

from scheduler.clock import boot_id
from scheduler.storage.json_rows import JsonValues
from scheduler.storage.tables import runs

ClaimKey = tuple[int, int]
"""What tells claims apart: the run's id and its fence."""

_KEPT: Final = 10_000
"""So many that were answered are kept: a database that was put back a little may lack them."""

_FLAGS: Final = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC


@dataclass(frozen=True, slots=True)
class Departed:
    """What a daemon that is gone had put on the wire: of its claims, these and no other."""

    owner: str
    claims: frozenset[ClaimKey]


class Departures:
    """The file of a daemon that is alive. What cannot be noted makes the file say nothing."""

    def __init__(self, path: Path, owner: str) -> None:
        """Begin anew: the file of the daemon before is replaced."""
        self._path = path
        self._head = f"{boot_id()} {owner}"
        self._open: dict[ClaimKey, None] = {}
        self._answered: deque[ClaimKey] = deque(maxlen=_KEPT)
        self._lines = 0
        self._file: int | None = None
        self._begin()

    @classmethod
    def beside(cls, database: Path, owner: str) -> Self:
        """Return those of the daemon *owner* of a SQLite *database*."""
        return cls(_beside(database), owner)

    def note(self, claim: ClaimKey) -> None:
        """Note that the request of *claim* leaves now; to be called before its first byte."""
        self._open[claim] = None
        if self._lines >= 2 * _KEPT + len(self._open):
            self._begin()
        else:
            self._write([_line(claim)])

    def settle(self, claims: Iterable[ClaimKey]) -> None:
        """Note that the answers of *claims* are in the database."""
        for claim in claims:
            if claim in self._open:
                del self._open[claim]
                self._answered.append(claim)

    def _begin(self) -> None:
        new = self._path.with_name(self._path.name + ".new")
        claims = [*self._answered, *self._open]
        old = self._file
        if old is not None:
            os.ftruncate(old, 0)  # until the new one is there, nothing is proved
        try:
            self._file, self._lines = os.open(new, _FLAGS, 0o600), 0
            self._write([self._head, *map(_line, claims)])
            new.replace(self._path)
        except OSError:
            self._give_up()
        if old is not None:
            os.close(old)

    def _write(self, lines: list[str]) -> None:
        if self._file is None:
            return
        data = ("\n".join(lines) + "\n").encode()
        try:
            is_whole = os.write(self._file, data) == len(data)
        except OSError:
            is_whole = False
        self._lines += len(lines)
        if not is_whole:
            self._give_up()

    def _give_up(self) -> None:
        """Take back what the file says: a full disk lets it be emptied, and removed."""
        if self._file is not None:
            os.ftruncate(self._file, 0)
            self._file = None
        with suppress(FileNotFoundError):
            self._path.unlink()


def read_departed(database: Path) -> Departed | None:
    """Return what the last daemon of a SQLite *database* noted; None if that proves nothing."""
    boot, departed = _read(database)
    return departed if boot == boot_id() else None


def lacks_departed(conn: Connection, database: Path) -> bool:
    """
    Tell whether a SQLite *database* lacks a claim that was put on the wire from it.

    Each is on the disk before it leaves: a database without it is older than that.
    """
    _, departed = _read(database)
    newest = conn.scalar(select(func.max(runs.c.id))) or 0
    fences = {run_id: 0 for run_id, _ in departed.claims}
    for run_id, fence in departed.claims:
        fences[run_id] = max(fences[run_id], fence)
    if any(run_id > newest for run_id in fences):
        return True
    rows = conn.execute(select(runs.c.id, runs.c.fence).where(_IDS.has(runs.c.id)), _IDS.of(fences))
    return any(row.fence < fences[row.id] for row in rows)


_IDS = JsonValues("departed", runs.c.id.type)


def _read(database: Path) -> tuple[str, Departed]:
    """Return of which boot the file is, and what it says; nothing where it cannot be read."""
    try:
        head, *lines = _beside(database).read_text().splitlines()
        boot, owner = head.split()
        claims = frozenset((int(run_id), int(fence)) for run_id, fence in map(str.split, lines))
    except (OSError, ValueError):
        return "", Departed("", frozenset())
    return boot, Departed(owner, claims)


def forget_departed(database: Path) -> None:
    """Let what was noted prove nothing: the *database* is another one."""
    _beside(database).unlink(missing_ok=True)


def _line(claim: ClaimKey) -> str:
    return f"{claim[0]} {claim[1]}"


def _beside(database: Path) -> Path:
    real = database.resolve()
    return real.with_name(real.name + ".departed")
