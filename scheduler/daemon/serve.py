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
from datetime import timedelta
from functools import partial
from pathlib import Path

import structlog

from scheduler import __version__
from scheduler.actions.apply import Change, Verb, apply_definitions
from scheduler.clock import Clock, utc_now
from scheduler.config import Config, LoadedConfig, load_config
from scheduler.daemon.database_clock import DatabaseClock
from scheduler.daemon.housekeeping import Housekeeping
from scheduler.daemon.instance_lock import instance_lock
from scheduler.daemon.systemd import Notifier, Watchdog
from scheduler.daemon.wiring import Engine, Settings, build_engine
from scheduler.domain.errors import DatabaseError, SchedulerError
from scheduler.engine.loop import run_loop
from scheduler.logs import configure_logging
from scheduler.storage import audit, daemons, migrate
from scheduler.storage.database import Database

log = structlog.get_logger()

# timeout(1) and some terminals send the same signal twice: that is one wish to stop.
_ONE_SIGNAL_SECONDS = 0.5

_CUT_OFF = timedelta(seconds=1)


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
    stopping = _heed_early_signals()
    loaded = load_config(path, environ)
    configure_logging(loaded.config.log.level, loaded.config.log.format)
    for warning in loaded.warnings:
        log.warning("configuration_warning", warning=warning)
    with ExitStack() as stack:
        db = stack.enter_context(_database(loaded.config))
        await _prepare(db, loaded.config)
        clock: Clock = utc_now if db.file is not None else await DatabaseClock.measured(db)
        daemon = Daemon(
            db=db,
            loaded=loaded,
            environ=environ,
            clock=clock,
            notifier=Notifier.of(environ),
            stopping=stopping,
        )
        await daemon.run(on_ready)


def _heed_early_signals() -> asyncio.Event:
    """Let a wish to stop be kept, and one to reload be ignored, until the daemon runs."""
    stopping = asyncio.Event()
    running = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        running.add_signal_handler(number, stopping.set)
    running.add_signal_handler(signal.SIGHUP, lambda: None)
    return stopping


@contextmanager
def _database(config: Config) -> Iterator[Database]:
    with Database(config.database.url, checkpoints=True) as db, ExitStack() as stack:
        if db.file is not None:
            me = f"the daemon with pid {os.getpid()} on {socket.gethostname()}"
            stack.enter_context(instance_lock(db.file, me=me))
        yield db


async def _prepare(db: Database, config: Config) -> None:
    if not config.database.auto_migrate:
        await db.read(migrate.require_current)
        return
    before, after = await db.write(migrate.upgrade)
    if before != after:
        log.info("database_migrated", before=before, after=after)


@dataclass(slots=True, kw_only=True)
class Daemon:
    """One start of the daemon. Its identity is new each time, never a host's name."""

    db: Database
    loaded: LoadedConfig
    environ: Mapping[str, str]
    clock: Clock
    notifier: Notifier
    owner: str = field(default_factory=lambda: uuid.uuid4().hex)
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    _reloads: set[asyncio.Task[None]] = field(default_factory=set)

    async def run(self, on_ready: Callable[[], None] | None) -> None:
        """Apply the definitions, run the loops until told to stop, and leave in order."""
        _log_changes(await self._apply(self.loaded.config))
        settings = Settings(self.loaded.config, self.environ)
        engine = build_engine(self.db, settings, clock=self.clock, owner=self.owner)
        await self._introduce(engine)
        watchdog = Watchdog.over(self.notifier, [loop.name for loop in engine.loops])
        with self._heeding_signals(engine, settings):
            log.info("daemon_started", daemon=self.owner, version=__version__, pid=os.getpid())
            await self._work(engine, watchdog, on_ready)

    async def _apply(self, config: Config) -> list[Change]:
        return await self.db.write(
            partial(apply_definitions, config=config, by=audit.DAEMON, now=self.clock())
        )

    async def _introduce(self, engine: Engine) -> None:
        insert = partial(
            daemons.insert_daemon,
            daemon_id=self.owner,
            host=socket.gethostname(),
            pid=os.getpid(),
            version=__version__,
            now=self.clock(),
        )
        await self.db.write(insert)
        if self.db.file is not None:
            # The lock on the file says that nobody else is alive.
            await engine.reconcile.take_over(self.clock())

    async def _work(
        self, engine: Engine, watchdog: Watchdog, on_ready: Callable[[], None] | None
    ) -> None:
        def passed(name: str) -> None:
            was_ready = watchdog.is_ready
            watchdog.passed(name)
            if watchdog.is_ready and not was_ready and on_ready is not None:
                on_ready()

        chores = Housekeeping(
            db=self.db,
            clock=self.clock,
            owner=self.owner,
            loops=engine.loops,
            notifier=self.notifier,
        ).start()
        try:
            async with asyncio.TaskGroup() as group:
                for loop in engine.loops:
                    running = run_loop(
                        loop, clock=self.clock, stopping=self.stopping, passed=passed
                    )
                    task = group.create_task(running, name=loop.name)
                    if loop.name == "listen":
                        group.create_task(self._stop_listening(task))
        except* SchedulerError as errors:
            raise errors.exceptions[0] from None
        finally:
            chores.shutdown(wait=False)
            await self._leave(engine)

    async def _stop_listening(self, task: asyncio.Task[None]) -> None:
        """Break off the one pass that waits by itself, and has nothing to finish."""
        await self.stopping.wait()
        task.cancel()

    async def _leave(self, engine: Engine) -> None:
        self.notifier.stopping()
        grace = self.loaded.config.daemon.shutdown_grace
        left, _ = await asyncio.gather(engine.dispatch.drain(grace), engine.follow.drain(grace))
        if left:
            log.warning("left_unsettled", runs=left, why="no answer within shutdown_grace")
        if engine.listener is not None:
            await engine.listener.close()
        await engine.upstreams.close()
        # What was cut off by that has been answered as lost: whoever is there may look for it.
        await engine.dispatch.drain(_CUT_OFF)
        await engine.follow.drain(_CUT_OFF)
        try:
            stopped = partial(daemons.record_stopped, daemon_id=self.owner, now=self.clock())
            await self.db.write(stopped)
        except DatabaseError as error:
            log.warning("trouble", loop="stop", trouble=str(error))
        log.info("daemon_stopped", daemon=self.owner)

    @contextmanager
    def _heeding_signals(self, engine: Engine, settings: Settings) -> Iterator[None]:
        running = asyncio.get_running_loop()

        asked_at: list[float] = []

        def stop(number: int) -> None:
            asked_at.append(time.monotonic())
            if asked_at[-1] - asked_at[0] > _ONE_SIGNAL_SECONDS:
                log.warning("left_at_once", signal=signal.Signals(number).name)
                os._exit(128 + number)  # what was in flight is looked for by the next start
            if self.stopping.is_set():
                return
            log.info("daemon_stopping", signal=signal.Signals(number).name)
            self.stopping.set()
            engine.dispatch.accepting = engine.follow.accepting = False
            engine.wake_all()

        def reload() -> None:
            task = running.create_task(self._reload(engine, settings))
            self._reloads.add(task)
            task.add_done_callback(self._reloads.discard)

        for number in (signal.SIGTERM, signal.SIGINT):
            running.add_signal_handler(number, stop, number)
        running.add_signal_handler(signal.SIGHUP, reload)
        try:
            yield
        finally:
            for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
                running.remove_signal_handler(number)

    async def _reload(self, engine: Engine, settings: Settings) -> None:
        """Apply the file again; one that is wrong, in whole or in part, changes nothing."""
        self.notifier.reloading(time.monotonic())
        try:
            loaded = load_config(self.loaded.path, self.environ)
            changes = await self._apply(loaded.config)
        except SchedulerError as error:
            log.error("reload_refused", error=str(error))
        else:
            _log_needs_restart(settings.config, loaded.config)
            settings.config = loaded.config
            _log_changes(changes)
            log.info("reloaded")
            engine.wake_all()
        self.notifier.ready()


def _log_changes(changes: list[Change]) -> None:
    for change in changes:
        if change.verb in (Verb.CREATED, Verb.UPDATED):
            log.info(
                f"definition_{change.verb}",
                table=change.table,
                name=change.name,
                columns=sorted(change.columns),
            )
    left = [f"{one.table}.{one.name}" for one in changes if one.verb is Verb.LEFT_ALONE]
    if left:
        log.warning("definitions_not_in_this_file", left_alone=left)


def _log_needs_restart(old: Config, new: Config) -> None:
    for table in ("database", "daemon", "log", "unconfirmed", "follow"):
        if getattr(old, table) != getattr(new, table):
            log.warning("change_needs_a_restart", table=table)
