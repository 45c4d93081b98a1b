"""Finds the configuration file and reads it as plain TOML; what it means is the model's matter."""

import os
import re
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from scheduler.domain.errors import ConfigError

Document = dict[str, Any]

VARIABLE: Final = "DCA_SCHEDULER_CONFIG"
PLACES: Final = (Path("config.toml"), Path("/etc/dca-scheduler/config.toml"))

_MOST_BYTES: Final = 64 * 1024 * 1024
_AT = re.compile(r"(?P<what>.*) \(at (?P<place>line \d+, column \d+|end of document)\)", re.DOTALL)


def find_config(
    explicit: Path | None, environ: Mapping[str, str], *, places: Sequence[Path] = PLACES
) -> Path | None:
    """
    Return the file to read: *explicit*, else $DCA_SCHEDULER_CONFIG, else the first of *places*.

    None when none of the *places* is there. Raises ConfigError when a named file is not, and for
    one of the *places* that another user may have put there: it says where tokens are sent.
    """
    if explicit is not None:
        return _named(explicit, "")
    if environ.get(VARIABLE):
        return _named(Path(environ[VARIABLE]), f", which ${VARIABLE} names")
    found = next((place for place in places if place.is_file()), None)
    return None if found is None else _trusted(found)


def _trusted(found: Path) -> Path:
    stat = found.stat()
    if stat.st_uid not in (0, os.geteuid()):
        why = f"it belongs to user {stat.st_uid}, and this is {os.geteuid()}"
    elif stat.st_mode & 0o002:
        why = "every user may write it"
    else:
        return found
    raise ConfigError(str(found.absolute()), [f"{why}: name it with -c if it is meant"])


def read_document(path: Path) -> Document:
    """Return the TOML of *path*; raises ConfigError, with the line where one is known."""
    try:
        with path.open("rb") as file:
            content = file.read(_MOST_BYTES + 1)
    except OSError as error:
        reason = (error.strerror or "unknown reason").lower()
        raise ConfigError(str(path), [f"the file cannot be read: {reason}"]) from None
    if len(content) > _MOST_BYTES:
        raise ConfigError(str(path), ["it is larger than 64 MiB: no configuration"])
    return parse_document(content, str(path))


def parse_document(content: bytes, source: str) -> Document:
    """Return the TOML of *content*; raises ConfigError, which calls it *source*."""
    try:
        # TOML has no byte order mark, but some editors write one.
        return tomllib.loads(content.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise ConfigError(source, [f"line {line}: the file is not UTF-8 text"]) from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(source, [_syntax_problem(str(error))]) from None
    except ValueError as error:  # a number of more digits than Python reads
        raise ConfigError(source, [f"not TOML that can be read: {error}"]) from None
    except RecursionError:
        raise ConfigError(source, ["the file is nested too deeply"]) from None


def _named(path: Path, by: str) -> Path:
    if not path.exists():
        raise ConfigError(str(path), [f"there is no such file{by}"])
    return path


def _syntax_problem(message: str) -> str:
    match = _AT.fullmatch(message)
    if match is None:
        return f"not TOML: {message}"
    return f"{match['place']}: {match['what'][:1].lower()}{match['what'][1:]}"
