"""The text of a file, whatever Unicode encoding a spreadsheet has left it in, piece by piece."""

import codecs
import io
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final, TypeAlias

from scheduler.domain.errors import InputsError
from scheduler.inputs.doubts import LARGEST_INPUT

Raw: TypeAlias = "io.BufferedReader[Any]"
"""A file that is open, or what comes over a wire and is read once."""

_MARKS: Final = (
    (codecs.BOM_UTF8, "UTF-8"),
    (codecs.BOM_UTF16_LE, "UTF-16-LE"),
    (codecs.BOM_UTF16_BE, "UTF-16-BE"),
)
_NO_MARK: Final = (b"", "UTF-8")
_NO_TEXT: Final = re.compile("[\0\x1a]")
_CALLED: Final = {
    "\0": "a NUL byte: save the file as text in UTF-8",
    "\x1a": "a Ctrl-Z, the end of a DOS file: remove it",
}
_CHUNK: Final = 1024**2


def iter_lines(raw: Raw, path: Path, *, newline: str = "") -> Iterator[str]:
    r"""
    Yield the lines of *raw*, the file *path*: UTF-8, or UTF-16 with a byte order mark.

    Anything else is refused rather than guessed: a wrong guess is paid for. With *newline*
    empty, `\n`, `\r` and both together end a line; they are kept.
    """
    for line in _pieces(raw, path, newline, lambda stream: stream.readline(LARGEST_INPUT)):
        if len(line) >= LARGEST_INPUT:
            raise InputsError(
                f"{path}: holds a line of 16 MiB, and no input may be as large: is this a file with"
                " an input a line?"
            )
        yield line


def iter_chunks(raw: Raw, path: Path) -> Iterator[str]:
    """Yield the text a mebibyte at a time, as it stands; raises as `iter_lines` does."""
    return _pieces(raw, path, "", lambda stream: stream.read(_CHUNK))


def _pieces(
    raw: Raw, path: Path, newline: str, take: Callable[[io.TextIOWrapper], str]
) -> Iterator[str]:
    head = raw.peek(4)
    mark, encoding = next((one for one in _MARKS if head.startswith(one[0])), _NO_MARK)
    raw.read(len(mark))
    stream = io.TextIOWrapper(raw, encoding=encoding, newline=newline)
    line = 1
    try:
        while piece := take(stream):
            if sign := _NO_TEXT.search(piece):
                line += piece.count("\n", 0, sign.start())
                raise InputsError(f"{path}:{line}: holds {_CALLED[sign[0]]}")
            line += piece.count("\n")
            yield piece
    except UnicodeDecodeError:
        if raw.seekable():
            raw.seek(len(mark))
            line = _line_of_flaw(raw, encoding)
        raise InputsError(
            f"{path}:{line}: not text in {encoding[:6].rstrip('-')}: save the file as UTF-8"
        ) from None


def _line_of_flaw(raw: Raw, encoding: str) -> int:
    decoder = codecs.getincrementaldecoder(encoding)()
    line = 1
    while chunk := raw.read(_CHUNK):
        try:
            line += decoder.decode(chunk).count("\n")
        except UnicodeDecodeError as error:
            good = error.object[: error.start].decode(encoding, "ignore")
            return line + good.count("\n")
    return line
