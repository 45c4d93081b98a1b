"""A server from its socket to its end: answers under way finish, within `shutdown_grace`."""

import asyncio
import os
import signal
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import timedelta

import structlog
import uvicorn

from scheduler.config import HttpSettings, LoadedConfig, load_config
from scheduler.domain.errors import SchedulerError
from scheduler.views.opening import open_current
from scheduler.web.app import create_server
from scheduler.web.connections import protocol_with
from scheduler.web.handed_over import HandedOver
from scheduler.web.pages.rendering import compile_templates
from scheduler.web.site import Site
from scheduler.web.sockets import close, url_of

log = structlog.get_logger()

_KEEP_ALIVE_SECONDS = 15
_MOST_CONNECTIONS = 1000
_BEAT_SECONDS = 5.0


async def serve(
    loaded: LoadedConfig,
    settings: HttpSettings,
    given: HandedOver,
    environ: Mapping[str, str],
) -> None:
    """
    Answer requests on the socket *given* until SIGTERM, SIGINT, or the end of its daemon.

    Raises SchemaError or DatabaseError before the first answer if the database cannot be used;
    one that goes away later is answered with 503.
    """
    stopping = asyncio.Event()
    grace = loaded.config.daemon.shutdown_grace
    given.follow_daemon(stopping.set, grace.total_seconds())
    address = url_of(given.listening)
    with open_current(loaded.config.database.url, by="http") as db:
        site = Site(db=db, loaded=loaded, settings=settings, environ=environ, wake=given.wake)
        site.relay = given.relay
        with _heeding_signals(site, stopping):
            log.info("http_serving", address=address, pid=os.getpid())
            beating = asyncio.create_task(_beat(given, stopping))
            compiling = asyncio.create_task(asyncio.to_thread(compile_templates))
            try:
                await serve_site(site, given.listening, stopping)
            finally:
                beating.cancel()
                compiling.cancel()
                if given.is_own:
                    close(given.listening, address)  # which uvicorn has closed
            log.info("http_stopped", address=address)


async def _beat(given: HandedOver, stopping: asyncio.Event) -> None:
    """Say every few seconds that the loop turns."""
    while not stopping.is_set():
        given.beat()
        with suppress(TimeoutError):
            await asyncio.wait_for(stopping.wait(), _BEAT_SECONDS)


async def _reload(site: Site) -> None:
    """Read the configuration again; one that is wrong changes nothing, and is told."""
    try:
        site.loaded = await asyncio.to_thread(load_config, site.loaded.path, site.environ)
    except SchedulerError as error:
        site.config_error = "the newest configuration is wrong, what was loaded before holds"
        log.error("http_reload_refused", error=str(error))
    else:
        site.config_error = None
        log.info("http_reloaded")


async def serve_site(site: Site, listening: socket.socket, stopping: asyncio.Event) -> None:
    """Answer for *site* until *stopping*, then let what is under way finish."""
    site.stopping = stopping
    await _server(site, site.config.daemon.shutdown_grace).serve_until(listening, stopping)


class Server(uvicorn.Server):
    """uvicorn, told by an event when to stop: signals are somebody else's matter."""

    async def serve_until(self, listening: socket.socket, stopping: asyncio.Event) -> None:
        """Answer until *stopping*, then let what is under way finish."""

        async def stop() -> None:
            await stopping.wait()
            self.should_exit = True

        watching = asyncio.create_task(stop())
        try:
            await self._serve([listening])
        finally:
            watching.cancel()


def _server(site: Site, grace: timedelta) -> Server:
    seconds = site.settings.header_timeout.total_seconds()
    return Server(
        uvicorn.Config(
            create_server(site),
            loop="asyncio",
            http=protocol_with(seconds),
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            timeout_keep_alive=_KEEP_ALIVE_SECONDS,
            timeout_graceful_shutdown=max(int(grace.total_seconds()), 1),
            limit_concurrency=_MOST_CONNECTIONS + 1,
        )
    )


@contextmanager
def _heeding_signals(site: Site, stopping: asyncio.Event) -> Iterator[None]:
    loop = asyncio.get_running_loop()
    reloads: set[asyncio.Task[None]] = set()

    def reload() -> None:
        reloads.add(task := loop.create_task(_reload(site)))
        task.add_done_callback(reloads.discard)

    heeded = {signal.SIGTERM: stopping.set, signal.SIGINT: stopping.set, signal.SIGHUP: reload}
    for number, act in heeded.items():
        loop.add_signal_handler(number, act)
    try:
        yield
    finally:
        for number in heeded:
            loop.remove_signal_handler(number)
