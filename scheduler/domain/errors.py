"""
Everything a caller can be told went wrong.

SchedulerError
├── NotFound          nothing has that name or id
├── InvalidInput      the request can never be carried out
├── Conflict          the thing is not in a state that allows it
├── ConfigError       the configuration cannot be used
├── InputsError       a batch's inputs cannot be read
├── AlreadyRunning    another daemon has the database to itself
└── DatabaseError     the database cannot be used: unreachable, unwritable, wrong schema
    ├── SchemaError      its schema is not the one that this program knows
    └── DatabaseDamaged  the file is damaged: starting again does not help

What the upstream answers is not an error here: see domain.reply.
"""

from collections.abc import Sequence


class SchedulerError(Exception):
    """Something a person can understand and mend; its text says what and how."""


class NotFound(SchedulerError):
    """Nothing has that name or id."""


class InvalidInput(SchedulerError):
    """The request can never be carried out as it stands."""


class Conflict(SchedulerError):
    """The thing is not in a state that allows this."""


class ConfigError(SchedulerError):
    """The configuration cannot be used; *problems* lists every reason, each with its place."""

    def __init__(self, source: str, problems: Sequence[str]) -> None:
        self.source = source
        self.problems = tuple(problems)
        super().__init__(f"{source}: " + "; ".join(self.problems))


class InputsError(SchedulerError):
    """A batch's inputs cannot be read; the text names the file and the line."""


class AlreadyRunning(SchedulerError):
    """Another daemon has the SQLite file to itself; the text names it."""


class DatabaseError(SchedulerError):
    """The database cannot be reached, opened or written."""


class SchemaError(DatabaseError):
    """The database's schema is not the one that this program knows."""


class DatabaseDamaged(DatabaseError):
    """The database's file is damaged, or is no database: starting again does not help."""
