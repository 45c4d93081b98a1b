"""What a command works with: its configuration, its database, the time, and who asks."""

import os
import pwd
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from functools import update_wrapper
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar

import click

from scheduler.actions.input_files import input_files
from scheduler.cli.lazy import given_config
from scheduler.cli.progress import working
from scheduler.cli.render import say
from scheduler.clock import Clock, utc_now
from scheduler.config import DatabaseSettings, LoadedConfig, find_config, load_config, load_database
from scheduler.domain.errors import ConfigError
from scheduler.domain.written_times import WrittenTime
from scheduler.inputs import ANY_FILE, InputFiles
from scheduler.views.opening import Connection, Database, open_current, present
from scheduler.views.schedules import zone_of

NO_FILE = (
    "no file (-c, $DCA_SCHEDULER_CONFIG, ./config.toml, /etc/dca-scheduler/config.toml):"
    " defaults and environment"
)

Pause = Callable[[float], None]
"""Waits for so many seconds."""

Given = ParamSpec("Given")
Result = TypeVar("Result")


@dataclass(slots=True, kw_only=True)
class Session:
    """One call of the program; a test gives it another environment, clock or pause."""

    config_path: Path | None = None
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ)
    clock: Clock = utc_now
    pause: Pause = time.sleep
    monotonic: Callable[[], float] = time.monotonic
    _loaded: LoadedConfig | None = None
    _has_warned: bool = False

    def find_config(self) -> Path | None:
        """Return the file to read, None when there is none; raises ConfigError."""
        return find_config(self.config_path, self.environ)

    def load(self) -> LoadedConfig:
        """Return the configuration, read once; raises ConfigError."""
        if self._loaded is None:
            with working():
                self._loaded = load_config(self.find_config(), self.environ)
        return self._loaded

    def input_files(self) -> InputFiles:
        """Return which files batches may be read from; any, where the configuration is wrong."""
        try:
            return input_files(self.load().config, self.environ)
        except ConfigError:
            return ANY_FILE

    def raw_database(self) -> Database:
        """Open the database whatever its schema; an SQLite file is made when it is written to."""
        return Database(self._database_url(), by=by())

    def _database_url(self) -> str:
        return self.database_settings().url

    def database_settings(self) -> DatabaseSettings:
        """Return [database] even where the rest of the file is wrong: one must be able to pause."""
        try:
            return self.load().config.database
        except ConfigError as wrong:
            settings = load_database(self.find_config(), self.environ)
            if not self._has_warned:
                self._has_warned = True
                problems = f"{len(wrong.problems)} problem{'s' * (len(wrong.problems) > 1)}"
                say(
                    f"warning: {wrong.source} has {problems} (see dca-scheduler config check):"
                    " nothing but [database] is used here",
                    err=True,
                )
            return settings

    def database(self) -> AbstractContextManager[Database]:
        """Open the database; raises SchemaError unless it is there and its schema is current."""
        return open_current(self._database_url(), by=by())

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """Open one moment's view of a current database."""
        with self.database() as db, db.reading() as conn:
            yield conn

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """Open a transaction on a current database; it commits at the end of the block."""
        with self.database() as db, db.writing() as conn:
            yield conn

    def now(self, conn: Connection) -> datetime:
        """Return the present moment: a shared database's server tells it."""
        return present(conn, self.clock)

    def present(self) -> datetime:
        """Return the present moment, as the database tells it."""
        with self.reading() as conn:
            return self.now(conn)

    def instant(
        self, written: WrittenTime | None, schedule: str | None = None, *, is_end: bool = False
    ) -> datetime | None:
        """Return what a person's time means: without an offset in the schedule's zone, or UTC."""
        if written is None:
            return None
        with self.reading() as conn:
            now, zone = self.now(conn), zone_of(conn, schedule)
        return written.end(now, zone) if is_end else written.at(now, zone)

    def wall(self, written: WrittenTime, schedule: str) -> datetime:
        """Return the same, but without an offset as wall-clock time: a clock may show it twice."""
        with self.reading() as conn:
            return written.wall(self.now(conn), zone_of(conn, schedule))

    def ask(self, view: Callable[..., Result], *words: Any, **named: Any) -> Result:
        """Return a view of the present moment."""
        with self.reading() as conn, working():
            return view(conn, *words, now=self.now(conn), **named)

    def act(
        self, action: Callable[..., Result], *words: Any, dry_run: bool = False, **named: Any
    ) -> Result:
        """Carry out an action in one transaction, in the name of who asks; take back a dry run."""
        with working(), self.writing() as conn:
            done = action(conn, *words, by=person(), now=self.now(conn), **named)
            if dry_run:
                conn.rollback()
            return done

    def act_outside(self, action: Callable[..., Result], *words: Any, **named: Any) -> Result:
        """Carry out an action that reads files before it opens its one transaction."""
        return self.look_outside(action, *words, by=person(), **named)

    def look_outside(self, view: Callable[..., Result], *words: Any, **named: Any) -> Result:
        """Return a view that reads files outside of any transaction."""
        with self.database() as db, working():
            with db.reading() as conn:
                now = self.now(conn)
            return view(db, *words, now=now, **named)


def pass_session(
    command: Callable[Concatenate[Session, Given], Result],
) -> Callable[Given, Result]:
    """Give *command* the session, with the file that -c names."""

    def call(*words: Given.args, **named: Given.kwargs) -> Result:
        return command(current_session(), *words, **named)

    return update_wrapper(call, command)


def current_session() -> Session:
    """Return the session of the command that is called, with the file that -c names."""
    context = click.get_current_context()
    session = context.ensure_object(Session)
    session.config_path = given_config(context) or session.config_path
    return session


def person() -> str:
    """Return who asks, as the operating system knows them: no variable but sudo's is believed."""
    try:
        name = pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        name = f"uid {os.getuid()}"
    before = os.environ.get("SUDO_USER", "")
    is_name = before.isprintable() and 0 < len(before) <= _LONGEST_NAME
    return f"{name} (sudo by {before})" if is_name and before != name else name


_LONGEST_NAME = 64


def by() -> str:
    """Return who moves runs, and by which command: `alice (runs cancel)`."""
    names: list[str] = []
    context = click.get_current_context(silent=True)
    while context is not None and context.parent is not None:
        names.insert(0, context.info_name or "")
        context = context.parent
    return f"{person()} ({' '.join(names)})"
