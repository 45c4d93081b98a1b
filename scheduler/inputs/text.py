"""The text of a file, whatever Unicode encoding a spreadsheet has left it in."""

import codecs
import stat
from pathlib import Path
from typing import Final

from scheduler.domain.errors import InputsError

_MARKS: Final = (
    (codecs.BOM_UTF8, "UTF-8"),
    (codecs.BOM_UTF16_LE, "UTF-16-LE"),
    (codecs.BOM_UTF16_BE, "UTF-16-BE"),
)
_NO_MARK: Final = (b"", "UTF-8")


def read_text(path: Path) -> str:
    """
    Return the text of *path*: UTF-8, with or without a byte order mark, or UTF-16 with one.

    Anything else is refused rather than guessed: a wrong guess is paid for.
    """
    raw = _read(path)
    mark, encoding = next((one for one in _MARKS if raw.startswith(one[0])), _NO_MARK)
    raw = raw[len(mark) :]
    try:
        text = raw.decode(encoding)
    except UnicodeDecodeError as error:
        line = raw[: error.start].decode(encoding, "ignore").count("\n") + 1
        raise InputsError(
            f"{path}:{line}: not text in {encoding[:6].rstrip('-')}: save the file as UTF-8"
        ) from None
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise InputsError(f"{path}:{line}: holds a NUL byte: save the file as text in UTF-8")
    return text


def _read(path: Path) -> bytes:
    try:
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode):
            raise InputsError(f"{path}: is a folder: name the file with the inputs in it")
        # A pipe or a device could block, or never end.
        if not stat.S_ISREG(mode):
            raise InputsError(f"{path}: is not a regular file: save its content in one")
        return path.read_bytes()
    except FileNotFoundError:
        raise InputsError(f"{path}: there is no such file: is its path right?") from None
    except PermissionError:
        raise InputsError(f"{path}: this user may not read it: change its permissions") from None
    except OSError as error:
        reason = (error.strerror or "cannot be read").lower()
        raise InputsError(f"{path}: {reason}") from None
    except ValueError:  # NUL, or half a character
        raise InputsError(f"{str(path)!r}: is no path that a file can have") from None
