"""How a command ends: the one table of exit codes, and the lines that say what went wrong."""

from collections.abc import Iterator
from enum import IntEnum
from typing import Final

from scheduler.domain.errors import (
    AlreadyRunning,
    ConfigError,
    DatabaseDamaged,
    DatabaseError,
    SchedulerError,
    SchemaError,
)


class ExitCode(IntEnum):
    """What the shell is told; sysexits.h names those above 60."""

    DONE = 0
    REFUSED = 1
    USAGE = 2
    UNAVAILABLE = 69
    ALREADY_RUNNING = 75
    CONFIGURATION = 78
    INTERRUPTED = 130
    BROKEN_PIPE = 141


MEANINGS: Final = {
    ExitCode.DONE: "done",
    ExitCode.REFUSED: "refused: no such thing, not possible now, or not with these inputs",
    ExitCode.USAGE: "usage: there is no such command or option",
    ExitCode.UNAVAILABLE: "unavailable: the database cannot be reached, an address is in use",
    ExitCode.ALREADY_RUNNING: "another daemon has the SQLite file to itself",
    ExitCode.CONFIGURATION: (
        "configuration, schema or database is wrong: starting again does not help"
    ),
    ExitCode.INTERRUPTED: "ended by Ctrl-C",
    ExitCode.BROKEN_PIPE: "whoever read the output went away",
}

# The first that fits: children stand before their parents.
_CODES: Final = (
    (ConfigError, ExitCode.CONFIGURATION),
    (SchemaError, ExitCode.CONFIGURATION),
    (DatabaseDamaged, ExitCode.CONFIGURATION),
    (DatabaseError, ExitCode.UNAVAILABLE),
    (AlreadyRunning, ExitCode.ALREADY_RUNNING),
    (SchedulerError, ExitCode.REFUSED),
)


class Ended(Exception):
    """A command that did not do what was asked: its exit code, and why, unless that was said."""

    def __init__(self, code: int, message: str | None = None) -> None:
        self.code = code
        self.message = message
        super().__init__(message)


def code_of(error: SchedulerError) -> ExitCode:
    """Return how a command ends that raised *error*."""
    return next(code for kind, code in _CODES if isinstance(error, kind))


def lines_of(error: SchedulerError) -> Iterator[str]:
    """Yield what is wrong, one line each."""
    if isinstance(error, ConfigError):
        yield from (f"{error.source}: {problem}" for problem in error.problems)
    else:
        yield str(error)
