"""
Everything a caller can be told went wrong.

SchedulerError
├── NotFound          nothing has that name or id
├── InvalidInput      the request can never be carried out
├── Conflict          the thing is not in a state that allows it
│   ├── AccountTaken     an account would send elsewhere, or with another token
│   ├── KeyReused        a key that another request has used
│   ├── OwnedByFile      a file defines it: there it is changed
│   └── Stale            it was changed since it was read
├── NeedsConfirmation the request costs more than a slip may: it needs a word
├── ConfigError       the configuration cannot be used
├── InputsError       a batch's inputs cannot be read
├── AlreadyRunning    another daemon has the database to itself
├── AddressTaken      the address to listen on cannot be had
└── DatabaseError     the database cannot be used: unreachable, unwritable, wrong schema
    ├── SchemaError      its schema is not the one that this program knows
    ├── DatabaseUnfit    its URL or its making is wrong: starting again does not help
    │   └── DatabaseReplaced it was upgraded, or restored, beneath a running daemon
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


class KeyReused(Conflict):
    """A request bears the key of another one, which asked for something else."""


class AccountTaken(Conflict):
    """The file would send an account's runs elsewhere, or with another token, than the row says."""


class OwnedByFile(Conflict):
    """A configuration file defines it; *key* is what must be edited there."""

    def __init__(self, what: str, *, file: str | None, key: str) -> None:
        self.file = file
        self.key = key
        super().__init__(what)


class Stale(Conflict):
    """It was changed since it was read: nothing was written."""


class NeedsConfirmation(SchedulerError):
    """The request is carried out only when it is said to be meant; *count* is how many it does."""

    def __init__(self, what: str, count: int) -> None:
        self.count = count
        super().__init__(what)


class ConfigError(SchedulerError):
    """The configuration cannot be used; *problems* lists every reason, each with its place."""

    def __init__(self, source: str, problems: Sequence[str]) -> None:
        self.source = source
        self.problems = tuple(problems)
        super().__init__(f"{source}: " + "; ".join(self.problems))


class InvalidAccount(ConfigError):
    """An account's row cannot be used: nothing is sent with it."""


class InputsError(SchedulerError):
    """A batch's inputs cannot be read; the text names the file and the line."""


class AlreadyRunning(SchedulerError):
    """Another daemon has the SQLite file to itself; the text names it."""


class AddressTaken(SchedulerError):
    """The address to listen on cannot be had; the text says why."""


class DatabaseError(SchedulerError):
    """The database cannot be reached, opened or written."""


class SchemaError(DatabaseError):
    """The database's schema is not the one that this program knows."""


class DatabaseUnfit(DatabaseError):
    """The database, or the URL that names it, cannot serve as it is: somebody must change it."""


class DatabaseReplaced(DatabaseUnfit):
    """The database was upgraded or restored while a daemon worked on it: that one must stop."""


class DatabaseDamaged(DatabaseError):
    """The database's file is damaged, or is no database: starting again does not help."""
