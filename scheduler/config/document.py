"""Finds the configuration file and reads it as plain TOML; what it means is the model's matter."""

import re
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from scheduler.domain.errors import ConfigError

Document = dict[str, Any]

VARIABLE: Final = "DCA_SCHEDULER_CONFIG"
PLACES: Final = (Path("config.toml"), Path("/etc/dca-scheduler/config.toml"))

_AT = re.compile(r"(?P<what>.*) \(at (?P<place>line \d+, column \d+|end of document)\)", re.DOTALL)


def find_config(
    explicit: Path | None, environ: Mapping[str, str], *, places: Sequence[Path] = PLACES
) -> Path | None:
    """
    Return the file to read: *explicit*, else $DCA_SCHEDULER_CONFIG, else the first of *places*.

    None when none of the *places* is there. Raises ConfigError when a named file is not.
    """
    if explicit is not None:
        return _named(explicit, "")
    if environ.get(VARIABLE):
        return _named(Path(environ[VARIABLE]), f", which ${VARIABLE} names")
    return next((place for place in places if place.is_file()), None)


def read_document(path: Path) -> Document:
    """Return the TOML of *path*; raises ConfigError, with the line where one is known."""
    try:
        # TOML has no byte order mark, but some editors write one.
        text = path.read_bytes().decode("utf-8-sig")
        return tomllib.loads(text)
    except OSError as error:
        reason = (error.strerror or "unknown reason").lower()
        raise ConfigError(str(path), [f"the file cannot be read: {reason}"]) from None
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise ConfigError(str(path), [f"line {line}: the file is not UTF-8 text"]) from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(str(path), [_syntax_problem(str(error))]) from None
    except RecursionError:
        raise ConfigError(str(path), ["the file is nested too deeply"]) from None


def _named(path: Path, by: str) -> Path:
    if not path.exists():
        raise ConfigError(str(path), [f"there is no such file{by}"])
    return path


def _syntax_problem(message: str) -> str:
    match = _AT.fullmatch(message)
    if match is None:
        return f"not TOML: {message}"
    return f"{match['place']}: {match['what'][:1].lower()}{match['what'][1:]}"
