"""Which files a batch's pattern names, and opening one of them as what it really is."""

import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Final

from scheduler.domain.errors import InputsError
from scheduler.inputs.text import Raw

_MOST_ENTRIES: Final = 100_000


class ChangedMeanwhile(InputsError):
    """A file was written to while it was read: what was read of it is neither old nor new."""


@dataclass(frozen=True, slots=True)
class InputFiles:
    """
    The files that batches may be read from: those below *roots* (None: any), never a secret.

    Judged is what is opened, whatever links lead there; *secrets* are folders or files.
    """

    roots: tuple[Path, ...] | None = None
    secrets: tuple[Path, ...] = ()

    @contextmanager
    def open(self, path: Path) -> Iterator[tuple[Raw, Path]]:
        """
        Open *path*; yield its content and its real path. Raises InputsError with the way out.

        At its end ChangedMeanwhile if the file was changed in the meantime.
        """
        with _opened(path) as descriptor:
            before = os.fstat(descriptor)
            real = _real_path(path, before)
            self._check(path, real, before)
            with os.fdopen(descriptor, "rb", closefd=False) as raw:
                yield raw, real
            if _is_changed(before, os.fstat(descriptor)):
                raise ChangedMeanwhile(
                    f"{path}: is changed while it is read: write it elsewhere, then rename it"
                )

    def _check(self, path: Path, real: Path, status: os.stat_result) -> None:
        if any(_is_at(secret, real, status) for secret in self.secrets):
            raise InputsError(f"{path}: holds a secret: no batch is read from there")
        roots = self.roots
        if roots is not None and not any(real.is_relative_to(root) for root in roots):
            raise InputsError(
                f"{path}: is {real}, and batches are read from files below"
                f" {', '.join(map(str, roots))} only: move it there, or set inputs_root"
            )


ANY_FILE: Final = InputFiles()


def find_files(pattern: str, *, most_entries: int = _MOST_ENTRIES) -> list[Path]:
    """
    Return the files that *pattern* names, in the order of their names; it may be a glob.

    A part of it that is there as it stands is no pattern, whatever signs it holds. Each file
    comes once, by whatever links it is met again; `**` follows no link to a folder. Raises
    InputsError for a link to nothing, and where it would look at too many entries.
    """
    first, *parts = Path(pattern).parts or ("",)
    if "{due_at" in pattern and not os.path.lexists(pattern):
        raise InputsError(f"{pattern}: the name of a file cannot hold {{due_at…}}: values can")
    if not any(map(_is_magic, [first, *parts])):
        return [Path(pattern)]
    search = _Search(pattern, most_entries)
    start = Path(first) if Path(pattern).is_absolute() else Path()
    rest = parts if Path(pattern).is_absolute() else [first, *parts]
    matched = sorted(set(search.walk(start, rest)))
    files = {search.identity(path): path for path in reversed(matched) if not path.is_dir()}
    if not files:
        raise InputsError(f"{pattern}: matches no file: {_why_missing(pattern)}")
    return sorted(files.values())


def find_written_at(pattern: str) -> datetime | None:
    """Return when the newest of the files that *pattern* names was last written."""
    newest = max((file.stat().st_mtime for file in find_files(pattern)), default=None)
    if newest is None:
        return None
    return datetime.fromtimestamp(min(max(newest, 0), _LAST_MOMENT), UTC)


_LAST_MOMENT: Final = datetime(9999, 1, 1, tzinfo=UTC).timestamp()


@dataclass(slots=True)
class _Search:
    pattern: str
    most_entries: int
    entries: int = 0

    def walk(self, folder: Path, parts: list[str]) -> Iterator[Path]:
        """Yield what is below *folder* by the *parts* of a path, some of which are patterns."""
        if not parts:
            yield folder
            return
        part, *rest = parts
        literal = folder / part
        if part == "**":
            yield from self.walk(folder, rest or ["*"])
            for entry in self._list(folder):
                if entry.is_dir(follow_symlinks=False) and not entry.name.startswith("."):
                    yield from self.walk(folder / entry.name, parts)
        elif not _is_magic(part) or os.path.exists(literal):  # noqa: PTH110 - false, too, where it may not look
            if rest or os.path.lexists(literal):
                yield from self.walk(literal, rest)
        else:
            for entry in self._list(folder):
                if _matches(entry.name, part) and (not rest or entry.is_dir()):
                    yield from self.walk(folder / entry.name, rest)

    def identity(self, path: Path) -> tuple[int, int]:
        """Return what is the same for two names of one file; raises InputsError for a dead link."""
        try:
            status = path.stat()
        except OSError as error:
            raise InputsError(
                f"{path}: is a link to nothing, or cannot be looked at"
                f" ({(error.strerror or 'error').lower()}): mend it, or remove it"
            ) from None
        return status.st_dev, status.st_ino

    def _list(self, folder: Path) -> list[os.DirEntry[str]]:
        try:
            with os.scandir(folder) as entries:
                listed = sorted(entries, key=lambda entry: entry.name)
        except (FileNotFoundError, NotADirectoryError):
            return []
        except OSError as error:
            reason = (error.strerror or "cannot be read").lower()
            raise InputsError(f"{folder}: {reason}: {self.pattern} cannot be looked for") from None
        self.entries += len(listed)
        if self.entries > self.most_entries:
            raise InputsError(
                f"{self.pattern}: there are more than {self.most_entries} files and folders to"
                " look at: name a folder nearer to them"
            )
        return listed


def _matches(name: str, pattern: str) -> bool:
    # Hidden files are what an editor or a download leaves for a while.
    is_hidden = name.startswith(".") and not pattern.startswith(".")
    return not is_hidden and fnmatchcase(name, pattern)


def _is_magic(part: str) -> bool:
    return any(sign in part for sign in "*?[")


@contextmanager
def _opened(path: Path) -> Iterator[int]:
    try:
        # A pipe would block until somebody writes to it.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
    except FileNotFoundError:
        raise InputsError(f"{path}: there is no such file: {_why_missing(path)}") from None
    except PermissionError:
        raise InputsError(f"{path}: this user may not read it: change its permissions") from None
    except OSError as error:
        raise InputsError(f"{path}: {(error.strerror or 'cannot be read').lower()}") from None
    except ValueError:  # NUL, or half a character
        raise InputsError(f"{str(path)!r}: is no path that a file can have") from None
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _why_missing(path: str | Path) -> str:
    is_for_a_shell = re.search(r"(^|/)~|\$", str(path))
    return "~ and $NAME are not expanded" if is_for_a_shell else "is its path right?"


def _real_path(path: Path, status: os.stat_result) -> Path:
    """Return where the opened file really is; raises InputsError for what is no file."""
    if stat.S_ISDIR(status.st_mode):
        raise InputsError(f"{path}: is a folder: name the file with the inputs in it")
    if not stat.S_ISREG(status.st_mode):
        raise InputsError(f"{path}: is not a regular file: save its content in one")
    try:
        real = path.resolve(strict=True)
        is_it = os.path.samestat(os.lstat(real), status)
    except OSError:
        is_it = False
    if not is_it:
        raise ChangedMeanwhile(f"{path}: is replaced while it is opened: try again")
    return real


def _is_at(secret: Path, real: Path, status: os.stat_result) -> bool:
    if real.is_relative_to(secret) or real.is_relative_to(os.path.realpath(secret)):
        return True
    try:
        return os.path.samestat(secret.stat(), status)
    except (OSError, ValueError):
        return False


def _is_changed(before: os.stat_result, after: os.stat_result) -> bool:
    if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
        return True
    # One that another took the place of is whole, and has another time of change, too.
    return before.st_nlink == after.st_nlink and before.st_ctime_ns != after.st_ctime_ns
