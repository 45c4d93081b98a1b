"""The text of a file, whatever Unicode encoding a spreadsheet has left it in."""

import codecs
from pathlib import Path
from typing import Final

from scheduler.domain.errors import InputsError

_MARKS: Final = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


def read_text(path: Path) -> str:
    """
    Return the text of *path*: UTF-8, with or without a byte order mark, or UTF-16 with one.

    Anything else is refused rather than guessed: a wrong guess is paid for.
    """
    try:
        raw = path.read_bytes()
    except OSError as error:
        reason = (error.strerror or "cannot be read").lower()
        raise InputsError(f"{path}: {reason}") from None
    encoding = next((name for mark, name in _MARKS if raw.startswith(mark)), "utf-8")
    try:
        text = raw.decode(encoding)
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise InputsError(
            f"{path}:{line}: not text in {encoding.upper().removesuffix('-SIG')}:"
            " save the file as UTF-8"
        ) from None
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise InputsError(f"{path}:{line}: holds a NUL byte: this is no text file")
    return text
