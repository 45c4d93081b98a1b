"""How a command ends: the one table of exit codes, and the lines that say what went wrong."""

from collections.abc import Iterator
from enum import IntEnum
from typing import Final

from scheduler.domain.errors import (
    AccountTaken,
    AddressTaken,
    AlreadyRunning,
    ConfigError,
    DatabaseDamaged,
    DatabaseError,
    DatabaseUnfit,
    NeedsConfirmation,
    SchedulerError,
    SchemaError,
)


class ExitCode(IntEnum):
    """What the shell is told; sysexits.h names those above 60."""

    DONE = 0
    REFUSED = 1
    USAGE = 2
    UNAVAILABLE = 69
    OUTPUT = 74
    ALREADY_RUNNING = 75
    CONFIGURATION = 78
    TIMED_OUT = 124
    INTERRUPTED = 130
    BROKEN_PIPE = 141


MEANINGS: Final = {
    ExitCode.DONE: "done",
    ExitCode.REFUSED: "refused: no such thing, not possible now, or not with these inputs",
    ExitCode.USAGE: "usage: there is no such command or option",
    ExitCode.UNAVAILABLE: "unavailable: the database cannot be reached, an address is in use",
    ExitCode.OUTPUT: "done, but what there was to say could not be written: it is on stderr",
    ExitCode.ALREADY_RUNNING: "another daemon has the SQLite file to itself",
    ExitCode.CONFIGURATION: (
        "configuration, schema or database is wrong: starting again does not help"
    ),
    ExitCode.TIMED_OUT: "the time that --timeout gives was up",
    ExitCode.INTERRUPTED: "ended by Ctrl-C",
    ExitCode.BROKEN_PIPE: "whoever read the output went away",
}

# The first that fits: children stand before their parents.
_CODES: Final = (
    (AccountTaken, ExitCode.CONFIGURATION),
    (ConfigError, ExitCode.CONFIGURATION),
    (SchemaError, ExitCode.CONFIGURATION),
    (DatabaseDamaged, ExitCode.CONFIGURATION),
    (DatabaseUnfit, ExitCode.CONFIGURATION),
    (DatabaseError, ExitCode.UNAVAILABLE),
    (AddressTaken, ExitCode.UNAVAILABLE),
    (AlreadyRunning, ExitCode.ALREADY_RUNNING),
    (SchedulerError, ExitCode.REFUSED),
)


class CommandEnded(Exception):
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
    elif isinstance(error, NeedsConfirmation):
        yield f"{error}: say --yes if that is meant"
    else:
        yield str(error)
