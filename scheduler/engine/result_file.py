"""The file of one result: written beside, given its name once, and marked when it is whole."""

import errno
import hashlib
import json
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from scheduler.domain.results import NotSaved, ResultPath, ResultReason

MARKER: Final = ".done"
"""At the end of the marker's name: it comes last, and tells what the file holds."""

_PIECE: Final = 1024 * 1024
_NO_LINKS: Final = frozenset({errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS})


class InTheWay(Exception):
    """Where the file belongs there is one that is not ours."""


class Outside(Exception):
    """A link in the folder leads out of it."""


def not_saved(error: Exception) -> NotSaved | None:
    """Say why a file could not be written; None for what is a bug."""
    match error:
        case InTheWay():
            return NotSaved(reason=ResultReason.IN_THE_WAY, detail=str(error))
        case Outside():
            return NotSaved(reason=ResultReason.BAD_PATH, detail=str(error))
        case OSError():
            return NotSaved(reason=_reason_of(error), detail=_words(error))
        case _:
            return None


def _reason_of(error: OSError) -> ResultReason:
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return ResultReason.DISK_FULL
    if isinstance(error, FileNotFoundError):
        return ResultReason.NO_FOLDER
    return ResultReason.NOT_WRITABLE


def _words(error: OSError) -> str:
    return f"{error.filename}: {error.strerror}" if error.filename else str(error)


@dataclass(slots=True)
class ResultFile:
    """
    A file at *path* below *root*, of the run *run_id*; *attempt* is whose turn it is to write it.

    Every method may wait for the disk, and raises OSError as that does.
    """

    root: Path
    path: ResultPath
    run_id: int
    attempt: int
    host: str | None = None
    folder: Path = field(init=False)

    def __post_init__(self) -> None:
        """Know where it stands."""
        self.folder = (self.root / self.path.path).parent

    @property
    def place(self) -> Path:
        """Return where it gets its name."""
        return self.folder / self.path.path.name

    @property
    def beside(self) -> Path:
        """Return where it is written."""
        return self.folder / f"{self._beside}{self.attempt}.part"

    @property
    def marker(self) -> Path:
        """Return where it is told that the file is whole."""
        return self.folder / f"{self.path.path.name}{MARKER}"

    @property
    def _beside(self) -> str:
        return f".{self.path.path.name[:150]}.run-{self.run_id}-"

    def prepare(self) -> None:
        """Make the folders below the root, which must be there, and clear what died here before."""
        if not self.root.is_dir():
            raise FileNotFoundError(errno.ENOENT, "there is no such folder", str(self.root))
        root = self.root.resolve()
        # One at a time: a link is seen before anything is made behind it.
        current = root
        for part in self.path.path.parent.parts:
            current = current / part
            current.mkdir(exist_ok=True)
            if not current.resolve().is_relative_to(root):
                raise Outside(f"{current} leads out of {root}")
        for left in self.folder.iterdir():
            if left.name.startswith(self._beside):
                left.unlink(missing_ok=True)

    def is_there(self, written: Mapping[str, Any]) -> bool:
        """
        Tell whether the file is there as it was *written*, or nothing is.

        Raises InTheWay where something else stands there.
        """
        if not os.path.lexists(self.place):
            return False
        if written.get("sha256") and holds(self.place, written):
            return True
        raise InTheWay(f"{self.place} is there, and is not of run {self.run_id}")

    def upload(self, written: Mapping[str, Any]) -> None:
        """Nothing: it is written where it stays."""

    def publish(self, written: Mapping[str, Any]) -> None:
        """Give what was written beside its name: never in the place of another file."""
        try:
            os.link(self.beside, self.place)
        except FileExistsError:
            self.is_there(written)
        except OSError as error:
            if error.errno not in _NO_LINKS:
                raise
            # Without links the name is taken first, so that nobody else has it.
            os.close(os.open(self.place, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666))
            self.beside.replace(self.place)
        self.beside.unlink(missing_ok=True)
        sync_folder(self.folder)

    def mark(self, told: Mapping[str, Any]) -> None:
        """Write the marker, the last of all."""
        beside = self.folder / f"{self._beside}{self.attempt}.mark.part"
        with beside.open("w", encoding="utf-8") as file:
            file.write(json.dumps(dict(told), ensure_ascii=False, indent=1) + "\n")
            file.flush()
            os.fsync(file.fileno())
        beside.replace(self.marker)
        sync_folder(self.folder)

    def abandon(self) -> None:
        """Take away what was written beside."""
        with suppress(OSError):
            self.beside.unlink(missing_ok=True)

    def remove(self, written: Mapping[str, Any]) -> str | None:
        """Remove the file and its marker; return why not, where it is not as it was *written*."""
        if self.place.is_symlink() or not self.place.exists():
            return f"{self.place} is not there any more"
        if not self.folder.resolve().is_relative_to(self.root.resolve()):
            return f"{self.folder} leads out of {self.root}"
        if not holds(self.place, written):
            return f"{self.place} is not as it was written: it is left there"
        self.marker.unlink(missing_ok=True)
        self.place.unlink()
        return None


def holds(place: Path, written: Mapping[str, Any]) -> bool:
    """Tell whether a file is byte for byte what was *written*."""
    if place.is_symlink() or not place.is_file():
        return False
    if place.stat().st_size != written["byte_count"]:
        return False
    digest = hashlib.sha256()
    with place.open("rb") as file:
        while piece := file.read(_PIECE):
            digest.update(piece)
    return digest.hexdigest() == str(written["sha256"])


def sync_folder(folder: Path) -> None:
    """Have the disk keep the names in *folder*."""
    opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
