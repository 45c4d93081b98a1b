"""From a configuration to a running daemon, and to its end."""

import asyncio
import os
import signal
import socket
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

import structlog

from scheduler import __version__
from scheduler.actions.apply import Change, Verb, apply_definitions
from scheduler.actions.config_check import missing_files, unset_variables
from scheduler.actions.upgrade_backup import back_up_before_upgrade
from scheduler.clock import utc_now
from scheduler.config import Config, LoadedConfig, load_config
from scheduler.daemon.config_state import ConfigState
from scheduler.daemon.housekeeping import Housekeeping
from scheduler.daemon.http_process import HttpProcess
from scheduler.daemon.instance_lock import instance_lock
from scheduler.daemon.loose_threads import LooseThreads
from scheduler.daemon.relay_door import RelayDoor
from scheduler.daemon.signals import StopSignals
from scheduler.daemon.steady_clock import SteadyClock
from scheduler.daemon.systemd import Notifier, Watchdog
from scheduler.daemon.wiring import Engine, Settings, build_engine
from scheduler.domain.errors import ConfigError, DatabaseError, SchedulerError
from scheduler.domain.timestamps import display_time
from scheduler.domain.timetable import ZONE_DATA
from scheduler.engine.loop import run_loop
from scheduler.logs import configure_logging
from scheduler.processes import this_process
from scheduler.storage import audit, daemons, held_daemons, migrate, tallies, weaknesses
from scheduler.storage.database import Connection, Database
from scheduler.storage.departures import Departures, read_departed
from scheduler.storage.gaps import require_whole
from scheduler.storage.held_daemons import HeldDaemon
from scheduler.storage.last_seen import require_newest, write_seen
from scheduler.storage.origin import mark_origin, require_original
from scheduler.storage.postgresql import require_writable
from scheduler.storage.restores import require_settled
from scheduler.storage.urls import sqlite_file
from scheduler.tools.definitions.plan import refuse_growth

log = structlog.get_logger()

_LOG_SECONDS = 2.0
"""How long an end waits for a log that nobody reads."""

_CUT_OFF = timedelta(seconds=1)

_FILE_SECONDS = 5.0
"""How long a reload waits for the first byte of its file."""


async def serve(
    path: Path | None,
    environ: Mapping[str, str],
    *,
    on_ready: Callable[[], None] | None = None,
) -> None:
    """
    Run the daemon that the configuration at *path* describes, until SIGTERM or SIGINT.

    Migrates the database or refuses an old one, applies the file's definitions, and fires.
    Raises a SchedulerError that says why it cannot start, or cannot go on.
    """
    running = asyncio.get_running_loop()
    running.set_default_executor(LooseThreads())
    signals = StopSignals(loop=running, stopping=asyncio.Event())
    running.add_signal_handler(signal.SIGHUP, lambda: None)  # until there is something to reload
    with signals.heeded():
        await _serve(path, environ, signals, on_ready)


async def _serve(
    path: Path | None,
    environ: Mapping[str, str],
    signals: StopSignals,
    on_ready: Callable[[], None] | None,
) -> None:
    loaded = load_config(path, environ, even_without_http=True)
    log_settings = loaded.config.log
    lines = configure_logging(log_settings.level, log_settings.format, in_background=True)
    signals.lines, signals.grace = lines, loaded.config.daemon.shutdown_grace
    lacking = (*unset_variables(loaded.config, environ), *missing_files(loaded.config))
    for warning in (*loaded.warnings, *lacking):
        log.warning("configuration_warning", warning=warning)
    owner = uuid.uuid4().hex
    with ExitStack() as stack:
        stack.callback(lines.drain, _LOG_SECONDS)
        db = stack.enter_context(_database(loaded.config, owner))
        await _prepare(db, loaded.config)
        clock = await SteadyClock.measured(db)
        daemon = DaemonProcess(
            db=db,
            loaded=loaded,
            environ=environ,
            clock=clock,
            notifier=Notifier.of(environ),
            owner=owner,
            signals=signals,
        )
        await daemon.run(on_ready)


@contextmanager
def _database(config: Config, owner: str) -> Iterator[Database]:
    with ExitStack() as stack:
        file = sqlite_file(config.database.url)
        if file is not None:
            me = f"the daemon with pid {os.getpid()} on {socket.gethostname()}"
            stack.enter_context(instance_lock(file, me=me))
        yield stack.enter_context(Database(config.database.url, checkpoints=True, by=owner))


async def _prepare(db: Database, config: Config) -> None:
    await db.read(require_writable)
    if config.database.auto_migrate:
        keep = config.database.upgrade_backups
        copy = await asyncio.to_thread(back_up_before_upgrade, db, keep=keep, now=utc_now())
        if copy is not None:
            log.info("database_backed_up", file=str(copy), why="its schema is brought forward")
        before, after = await db.write(migrate.upgrade, at_leisure=True)
        if before != after:
            log.info("database_migrated", before=before, after=after)
    else:
        await db.read(migrate.require_current)
    slow = await db.read(require_whole)
    await db.read(require_settled)
    await db.read(partial(require_original, now=utc_now()))
    if db.file is not None:
        await db.read(partial(require_newest, database=db.file, now=utc_now()))
    for table in await db.write(weaknesses.mend_sequences):
        log.warning("sequence_was_behind", table=table, why="rows were copied with their ids")
    for weakness in (*slow, *await db.read(weaknesses.list_weaknesses)):
        log.warning("database_weakness", weakness=weakness)


@dataclass(slots=True, kw_only=True)
class DaemonProcess:
    """One start of the daemon. Its identity is new each time, never a host's name."""

    db: Database
    loaded: LoadedConfig
    environ: Mapping[str, str]
    clock: SteadyClock
    notifier: Notifier
    owner: str
    signals: StopSignals
    _reloads: set[asyncio.Task[None]] = field(default_factory=set)
    _config: ConfigState = field(init=False)
    _http: HttpProcess | None = None

    async def run(self, on_ready: Callable[[], None] | None) -> None:
        """Apply the definitions, run the loops until told to stop, and leave in order."""
        _log_changes(await self._apply(self.loaded))
        self._config = ConfigState(self.clock())
        settings = Settings(self.loaded.config, self.environ)
        engine = build_engine(self.db, settings, clock=self.clock, owner=self.owner)
        await self._check_clock(engine)
        if self.signals.stopping.is_set():
            await engine.upstreams.close()
            return
        await self._introduce(engine)
        watchdog = Watchdog.over(self.notifier, [loop.name for loop in engine.loops])
        with self._heeding_signals(engine, settings):
            log.info("daemon_started", daemon=self.owner, version=__version__, pid=os.getpid())
            await self._work(engine, watchdog, on_ready)

    async def _apply(self, loaded: LoadedConfig) -> list[Change]:
        apply = partial(
            apply_definitions,
            config=loaded.config,
            file_id=loaded.file_id,
            by=audit.DAEMON,
            now=self.clock(),
        )
        return await self.db.write(apply, at_leisure=True)

    async def _check_growth(self, loaded: LoadedConfig) -> None:
        """Refuse a reload that nobody was asked about: a start has nothing to go on with."""
        grown = partial(
            refuse_growth, config=loaded.config, file_id=loaded.file_id, now=self.clock()
        )
        await self.db.read(grown)

    async def _check_clock(self, engine: Engine) -> None:
        async def remeasure() -> None:
            await self.clock.take_over(self.db)

        async def tell(doubt: str) -> None:
            self.notifier.held(f"held: {doubt}")
            await self._note_held(doubt)

        await engine.clock_check.hold(self.signals.stopping, remeasure=remeasure, tell=tell)
        await self.db.write(partial(held_daemons.forget_held, daemon_id=self.owner))

    async def _note_held(self, why: str) -> None:
        held = HeldDaemon(
            id=self.owner,
            host=socket.gethostname(),
            pid=os.getpid(),
            process=this_process(),
            why=why,
            seen_at=self.clock(),
        )
        try:
            await self.db.write(partial(held_daemons.note_held, held=held))
        except DatabaseError as error:
            log.warning("loop_failed", loop="clock", error=str(error))

    async def _introduce(self, engine: Engine) -> None:
        now = self.clock()
        await self.db.write(partial(self._insert, now=now))
        if self.db.file is not None:
            write_seen(self.db.file, now)
            # The lock on the file says that nobody else is alive.
            await engine.reconcile.take_over(self.clock(), read_departed(self.db.file))
            engine.dispatch.departures = Departures.beside(self.db.file, self.owner)

    def _insert(self, conn: Connection, *, now: datetime) -> None:
        if self.db.file is not None:
            tallies.fold_all(conn)
        mark_origin(conn)
        daemons.insert_daemon(
            conn,
            self.owner,
            host=socket.gethostname(),
            pid=os.getpid(),
            version=__version__,
            zone_data=ZONE_DATA,
            process=this_process(),
            now=now,
        )

    async def _work(
        self, engine: Engine, watchdog: Watchdog, on_ready: Callable[[], None] | None
    ) -> None:
        def passed(name: str) -> None:
            engine.passed(name)
            was_ready = watchdog.is_ready
            watchdog.passed(name)
            if watchdog.is_ready and not was_ready and on_ready is not None:
                on_ready()

        housekeeping = Housekeeping(
            db=self.db,
            clock=self.clock,
            owner=self.owner,
            loops=engine.loops,
            notifier=self.notifier,
            witness=engine.clock_check.ask_upstreams,
            config=self._config,
            tally=engine.upstreams.tally,
            http_error=lambda: None if self._http is None else self._http.error,
            why_unusable=engine.upstreams.why_unusable,
        )
        door = RelayDoor(engine.relay)
        self._http = HttpProcess(
            loaded=self.loaded, environ=self.environ, wake=engine.wake_all, door=door
        )
        answering = asyncio.create_task(self._http.run(self.signals.stopping))
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(housekeeping.run(self.signals.stopping), name="housekeeping")
                for loop in engine.loops:
                    running = run_loop(
                        loop, clock=self.clock, stopping=self.signals.stopping, passed=passed
                    )
                    task = group.create_task(running, name=loop.name)
                    if loop.name == "listen":
                        group.create_task(self._stop_listening(task))
        except* SchedulerError as errors:
            raise errors.exceptions[0] from None
        finally:
            self.signals.stopping.set()
            await asyncio.gather(self._leave(engine, housekeeping), answering)

    async def _stop_listening(self, task: asyncio.Task[None]) -> None:
        """Break off the one pass that waits by itself, and has nothing to finish."""
        await self.signals.stopping.wait()
        task.cancel()

    async def _leave(self, engine: Engine, housekeeping: Housekeeping) -> None:
        self.notifier.stopping()
        grace = self.loaded.config.daemon.shutdown_grace
        left, *_ = await asyncio.gather(
            engine.dispatch.drain(grace),
            engine.follow.drain(grace),
            engine.drain_deliveries(grace),
        )
        if left:
            log.warning("left_unresolved", runs=left, why="no answer within shutdown_grace")
        if engine.listener is not None:
            await engine.listener.close()
        await engine.upstreams.close()
        # What was cut off by that has been answered as lost: whoever is there may look for it.
        await engine.dispatch.drain(_CUT_OFF)
        await engine.follow.drain(_CUT_OFF)
        try:
            await engine.drain_events()
            await housekeeping.leave()
        except DatabaseError as error:
            log.warning("loop_failed", loop="stop", error=str(error))
        log.info("daemon_stopped", daemon=self.owner)

    @contextmanager
    def _heeding_signals(self, engine: Engine, settings: Settings) -> Iterator[None]:
        running = asyncio.get_running_loop()

        def begin() -> None:
            engine.dispatch.accepting = engine.follow.accepting = False
            engine.wake_all()

        one_by_one = asyncio.Lock()

        async def reload_next() -> None:
            async with one_by_one:
                await self._reload(engine, settings)

        def reload() -> None:
            task = running.create_task(reload_next())
            self._reloads.add(task)
            task.add_done_callback(self._reloads.discard)

        self.signals.begin = begin
        self.signals.last_words = partial(engine.dispatch.log_unrecorded, "the process ends")
        if self.signals.stopping.is_set():
            begin()
        running.add_signal_handler(signal.SIGHUP, reload)
        try:
            yield
        finally:
            running.remove_signal_handler(signal.SIGHUP)

    def _refuse(self, error: str) -> None:
        now = self.clock()
        told = f"the reload at {display_time(now)} was refused, what was loaded before holds"
        self._config.refused(now, error=f"{told}: {error[:200]}")

    async def _read_again(self) -> LoadedConfig:
        """Read the file aside, so that the daemon goes on; raises ConfigError if it is silent."""
        path = self.loaded.path
        if path is not None:
            try:
                await asyncio.wait_for(asyncio.to_thread(_touch, path), _FILE_SECONDS)
            except TimeoutError:
                problem = "it does not answer: is it a pipe, or on a mount that is gone?"
                raise ConfigError(str(path), [problem]) from None
            except OSError:
                pass  # which the reading tells
        return await asyncio.to_thread(load_config, path, self.environ, even_without_http=True)

    async def _reload(self, engine: Engine, settings: Settings) -> None:
        """Apply the file again; one that is wrong, in whole or in part, changes nothing."""
        self.notifier.reloading(time.monotonic())
        try:
            loaded = await self._read_again()
            await self._check_growth(loaded)
            changes = await self._apply(loaded)
        except SchedulerError as error:
            log.error("reload_refused", error=str(error))
            self._refuse(str(error))
        except Exception as error:  # a file that no reader was made for
            log.exception("reload_refused", error=f"{type(error).__name__}: {error}"[:200])
            self._refuse(type(error).__name__)
        else:
            lacking = _needs_restart(self.loaded.config, loaded.config)
            self._config.loaded(self.clock(), error=lacking)
            settings.config = loaded.config
            if self._http is not None:
                self._http.reload(loaded)
            _log_changes(changes)
            log.info("reloaded")
            engine.wake_all()
        self.notifier.ready()


def _touch(path: Path) -> None:
    with path.open("rb") as file:
        file.read(1)


def _log_changes(changes: list[Change]) -> None:
    for change in changes:
        if change.verb in (Verb.CREATED, Verb.UPDATED):
            log.info(
                f"definition_{change.verb}",
                table=change.table,
                name=change.name,
                columns=sorted(change.columns),
            )
    paused = [change.name for change in changes if change.verb is Verb.PAUSED]
    if paused:
        log.warning("schedules_left_their_file", paused=paused)
    left = [f"{change.table}.{change.name}" for change in changes if change.verb is Verb.LEFT_ALONE]
    if left:
        log.warning("definitions_not_in_this_file", left_alone=left)


def _needs_restart(running: Config, new: Config) -> str | None:
    """Say which tables are otherwise than at the start, for only a start reads them."""
    tables = ("database", "daemon", "log", "unconfirmed", "follow", "http")
    changed = [table for table in tables if getattr(running, table) != getattr(new, table)]
    for table in changed:
        log.warning("change_needs_a_restart", table=table)
    return f"a change of {', '.join(changed)} in the file needs a restart" if changed else None
