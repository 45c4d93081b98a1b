"""The server of [http] as a process of its own: it may die, hang or be flooded, and runs go on."""

import asyncio
import os
import signal
import socket
import sys
import time
from asyncio.subprocess import PIPE, Process, create_subprocess_exec
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Final

import structlog

from scheduler.config import Config, HttpSettings, LoadedConfig, SecretKind
from scheduler.daemon.relay_door import RelayDoor
from scheduler.web.handed_over import BEAT, WAKE
from scheduler.web.sockets import close, from_systemd, listen, url_of

log = structlog.get_logger()

_SILENT_SECONDS: Final = 60.0
_GATHER_SECONDS: Final = 0.02
_FIRST_PAUSE, _LONGEST_PAUSE = 1.0, 60.0
# What a daemon was given by systemd is not its server's.
_FOREIGN: Final = (
    "NOTIFY_SOCKET",
    "WATCHDOG_USEC",
    "WATCHDOG_PID",
    "LISTEN_PID",
    "LISTEN_FDS",
    "LISTEN_FDNAMES",
    "CREDENTIALS_DIRECTORY",
)


@dataclass(slots=True, kw_only=True)
class HttpProcess:
    """
    Keeps one server running, with growing pauses where it ends by itself.

    The socket is held here, so that a new server answers who has waited. The server's standard
    input is a pipe that ends with this process, whatever ends it; its environment has no secret.
    *error* is why nothing is served, None while it is.
    """

    loaded: LoadedConfig
    environ: Mapping[str, str]
    wake: Callable[[], None]
    door: RelayDoor
    error: str | None = None
    _child: Process | None = None
    _beaten_at: float = 0.0
    _is_waking: bool = False
    _listening: socket.socket | None = None
    _is_own: bool = False

    async def run(self, stopping: asyncio.Event) -> None:
        """Serve until *stopping*, then let answers under way finish, for `shutdown_grace`."""
        if self.loaded.http_problems:
            self.error = f"HTTP is not served: {'; '.join(self.loaded.http_problems)}"
            log.error("http_not_served", why=self.error)
        settings = self.loaded.config.http
        if settings is None:
            return
        pause = _FIRST_PAUSE
        while not stopping.is_set():
            begun = time.monotonic()
            try:
                why = await self._serve_once(settings, stopping)
            except Exception as error:  # whatever it is, runs go on
                why = str(error) or type(error).__name__
            if stopping.is_set():
                break
            pause = _FIRST_PAUSE if time.monotonic() - begun > _LONGEST_PAUSE else pause
            self.error = f"HTTP is not served: {why}"
            log.error("http_not_served", why=why, again_in=f"{pause:g}s")
            with suppress(TimeoutError):
                await asyncio.wait_for(stopping.wait(), pause)
            pause = min(2 * pause, _LONGEST_PAUSE)
        if self._listening is not None and self._is_own:
            close(self._listening, url_of(self._listening))

    def reload(self, loaded: LoadedConfig) -> None:
        """Have the server read the configuration again; its socket stays as it is."""
        self.loaded = loaded
        if self._child is not None and self._child.returncode is None:
            self._child.send_signal(signal.SIGHUP)

    async def _serve_once(self, settings: HttpSettings, stopping: asyncio.Event) -> str:
        """Run one server to its end; return how it ended."""
        if self._listening is None:
            self._listening = from_systemd(self.environ)
        if self._listening is None:
            self._listening, self._is_own = listen(settings), True
        news, theirs = os.pipe()
        os.set_blocking(news, False)
        loop = asyncio.get_running_loop()
        loop.add_reader(news, self._hear, news)
        try:
            with self.door.opened() as relay:
                try:
                    child = await self._start(self._listening, theirs, relay.fileno())
                finally:
                    os.close(theirs)
                return await self._watch(child, stopping)
        finally:
            loop.remove_reader(news)
            os.close(news)

    async def _start(self, listening: socket.socket, news: int, relay: int) -> Process:
        words = ["serve", "--descriptors", f"{listening.fileno()},{news},{relay}"]
        if self.loaded.path is not None:
            words += ["--config", str(self.loaded.path)]
        self._child = await create_subprocess_exec(
            sys.executable,
            "-P",
            "-m",
            "scheduler",
            *words,
            stdin=PIPE,
            env=server_environment(self.loaded.config, self.environ),
            pass_fds=(listening.fileno(), news, relay),
            start_new_session=True,
        )
        self._beaten_at = time.monotonic()
        return self._child

    async def _watch(self, child: Process, stopping: asyncio.Event) -> str:
        """Wait for its end, or for ours; end one that does not say that it lives."""
        ended, told = asyncio.create_task(child.wait()), asyncio.create_task(stopping.wait())
        try:
            while not ended.done() and not stopping.is_set():
                await asyncio.wait({ended, told}, timeout=10, return_when="FIRST_COMPLETED")
                if time.monotonic() - self._beaten_at > _SILENT_SECONDS:
                    child.kill()
                    await ended
                    return f"its process did nothing for {_SILENT_SECONDS:g}s and was ended"
            if not ended.done():
                await self._stop(child, self.loaded.config.daemon.shutdown_grace)
            return f"its process ended with {child.returncode}: the log says why"
        finally:
            ended.cancel()
            told.cancel()
            if child.returncode is None:
                child.kill()

    async def _stop(self, child: Process, grace: timedelta) -> None:
        with suppress(ProcessLookupError):
            child.terminate()
        with suppress(TimeoutError):
            await asyncio.wait_for(child.wait(), grace.total_seconds() + 2)

    def _hear(self, news: int) -> None:
        with suppress(BlockingIOError):
            said = os.read(news, 65536)
            if not said:  # its end: what watches it knows
                asyncio.get_running_loop().remove_reader(news)
            if BEAT in said:
                self._beaten_at = time.monotonic()
                if self.error is not None and not self.loaded.http_problems:
                    self.error = None
                    log.info("http_served_again")
            if WAKE in said and not self._is_waking:
                # What is written at the same time is one pass's work.
                self._is_waking = True
                asyncio.get_running_loop().call_later(_GATHER_SECONDS, self._wake)

    def _wake(self) -> None:
        self._is_waking = False
        self.wake()


def server_environment(config: Config, environ: Mapping[str, str]) -> dict[str, str]:
    """Return *environ* without what the server has no use for: every secret, and systemd's."""
    left_out = {*_FOREIGN, *_variables_of_secrets(config)}
    here = str(Path(__file__).resolve().parents[2])
    path = ":".join(filter(None, (here, environ.get("PYTHONPATH"))))
    kept = {name: value for name, value in environ.items() if name not in left_out}
    return {**kept, "PYTHONPATH": path}


def _variables_of_secrets(config: Config) -> Iterator[str]:
    tokens = (account.token for account in config.accounts.values())
    for reference in (*tokens, *config.secrets.values()):
        if reference.kind is SecretKind.ENV:
            yield reference.name
