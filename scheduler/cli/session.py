"""What a command works with: its configuration, its database, the time, and who asks."""

import getpass
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from scheduler.clock import Clock, utc_now
from scheduler.domain.errors import ConfigError, SchemaError

if TYPE_CHECKING:
    from scheduler.config import LoadedConfig
    from scheduler.storage.database import Connection, Database

NO_FILE = (
    "no file (-c, $DCA_SCHEDULER_CONFIG, ./config.toml, /etc/dca-scheduler/config.toml):"
    " defaults and environment"
)

Pause = Callable[[float], None]
"""Waits for so many seconds."""


@dataclass(slots=True, kw_only=True)
class Session:
    """One call of the program; a test gives it another environment, clock or pause."""

    config_path: Path | None = None
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ)
    clock: Clock = utc_now
    pause: Pause = time.sleep
    _loaded: "LoadedConfig | None" = None
    _has_warned: bool = False

    def find_config(self) -> Path | None:
        """Return the file to read, None when there is none; raises ConfigError."""
        from scheduler.config import find_config

        return find_config(self.config_path, self.environ)

    def load(self) -> "LoadedConfig":
        """Return the configuration, read once; raises ConfigError."""
        from scheduler.config import load_config

        if self._loaded is None:
            self._loaded = load_config(self.find_config(), self.environ)
        return self._loaded

    @contextmanager
    def raw_database(self) -> "Iterator[Database]":
        """Open the database whatever its schema; an SQLite file is made when it is written to."""
        from scheduler.storage.database import Database

        with Database(self._database_url()) as db:
            yield db

    def _database_url(self) -> str:
        """Return the URL even where the rest of the file is wrong: one must be able to pause."""
        from scheduler.config import load_database

        try:
            return self.load().config.database.url
        except ConfigError as wrong:
            settings = load_database(self.find_config(), self.environ)
            if not self._has_warned:
                self._has_warned = True
                problems = f"{len(wrong.problems)} problem{'s' * (len(wrong.problems) > 1)}"
                click.echo(
                    f"warning: {wrong.source} has {problems} (see dca-scheduler config check):"
                    " nothing but [database] is used here",
                    err=True,
                )
            return settings.url

    @contextmanager
    def database(self) -> "Iterator[Database]":
        """Open the database; raises SchemaError unless it is there and its schema is current."""
        from scheduler.storage import migrate

        with self.raw_database() as db:
            if db.file is not None and not db.file.exists():
                raise SchemaError(
                    f"there is no database {db.file} yet: `dca-scheduler run` makes it and applies"
                    f" the file; or run `{migrate.UPGRADE_COMMAND}`, then `dca-scheduler apply`"
                )
            with db.reading() as conn:
                migrate.require_current(conn)
            yield db

    @contextmanager
    def reading(self) -> "Iterator[Connection]":
        """Open one moment's view of a current database."""
        with self.database() as db, db.reading() as conn:
            yield conn

    @contextmanager
    def writing(self) -> "Iterator[Connection]":
        """Open a transaction on a current database; it commits at the end of the block."""
        with self.database() as db, db.writing() as conn:
            yield conn

    def now(self, conn: "Connection") -> datetime:
        """Return the present moment: a shared database's server tells it."""
        from scheduler.storage.dialect import database_time

        return database_time(conn) or self.clock()


pass_session = click.make_pass_decorator(Session, ensure=True)


def person() -> str:
    """Return who asks, as the operating system knows them."""
    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):
        return f"uid {os.getuid()}"
