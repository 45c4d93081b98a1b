"""The text of a file, whatever Unicode encoding a spreadsheet has left it in, piece by piece."""

import codecs
import io
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO, Final

from scheduler.domain.errors import InputsError

_MARKS: Final = (
    (codecs.BOM_UTF8, "UTF-8"),
    (codecs.BOM_UTF16_LE, "UTF-16-LE"),
    (codecs.BOM_UTF16_BE, "UTF-16-BE"),
)
_NO_MARK: Final = (b"", "UTF-8")
_CHUNK: Final = 1024**2
_LONGEST_LINE: Final = 64 * 1024**2


def read_text(path: Path) -> str:
    """Return the whole text of *path*; raises as `iter_lines` does."""
    return "".join(iter_chunks(path))


def iter_lines(path: Path, *, newline: str = "") -> Iterator[str]:
    r"""
    Yield the lines of *path*: UTF-8, with or without a byte order mark, or UTF-16 with one.

    Anything else is refused rather than guessed: a wrong guess is paid for. With *newline*
    empty, `\n`, `\r` and both together end a line; they are kept.
    """
    for line in _pieces(path, newline, lambda stream: stream.readline(_LONGEST_LINE)):
        if len(line) >= _LONGEST_LINE:
            raise InputsError(
                f"{path}: holds a line of 64 MiB: is this a file with an input a line?"
            )
        yield line


def iter_chunks(path: Path) -> Iterator[str]:
    """Yield the text of *path* a mebibyte at a time, as it stands; raises as `iter_lines` does."""
    return _pieces(path, "", lambda stream: stream.read(_CHUNK))


def _pieces(path: Path, newline: str, take: Callable[[io.TextIOWrapper], str]) -> Iterator[str]:
    with _open(path) as raw:
        head = raw.read(4)
        mark, encoding = next((one for one in _MARKS if head.startswith(one[0])), _NO_MARK)
        raw.seek(len(mark))
        stream = io.TextIOWrapper(raw, encoding=encoding, newline=newline)
        line = 1
        try:
            while piece := take(stream):
                if "\0" in piece:
                    line += piece.count("\n", 0, piece.index("\0"))
                    raise InputsError(
                        f"{path}:{line}: holds a NUL byte: save the file as text in UTF-8"
                    )
                line += piece.count("\n")
                yield piece
        except UnicodeDecodeError:
            raw.seek(len(mark))
            raise InputsError(
                f"{path}:{_line_of_flaw(raw, encoding)}: not text in"
                f" {encoding[:6].rstrip('-')}: save the file as UTF-8"
            ) from None


def _line_of_flaw(raw: BinaryIO, encoding: str) -> int:
    decoder = codecs.getincrementaldecoder(encoding)()
    line = 1
    while chunk := raw.read(_CHUNK):
        try:
            line += decoder.decode(chunk).count("\n")
        except UnicodeDecodeError as error:
            good = error.object[: error.start].decode(encoding, "ignore")
            return line + good.count("\n")
    return line


def _open(path: Path) -> BinaryIO:
    try:
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode):
            raise InputsError(f"{path}: is a folder: name the file with the inputs in it")
        # A pipe or a device could block, or never end.
        if not stat.S_ISREG(mode):
            raise InputsError(f"{path}: is not a regular file: save its content in one")
        return path.open("rb")
    except FileNotFoundError:
        raise InputsError(f"{path}: there is no such file: is its path right?") from None
    except PermissionError:
        raise InputsError(f"{path}: this user may not read it: change its permissions") from None
    except OSError as error:
        reason = (error.strerror or "cannot be read").lower()
        raise InputsError(f"{path}: {reason}") from None
    except ValueError:  # NUL, or half a character
        raise InputsError(f"{str(path)!r}: is no path that a file can have") from None
