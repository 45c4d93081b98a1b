"""
The wire over sockets: asyncio and httptools carry a request that knows whether it has left.

Of httpx there are the errors and the URL of an origin: its client sends a tenth of what this does,
and what it makes of one request and one answer costs as much as all that is done here.
"""

import asyncio
import ssl
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Final

import httpx

from scheduler.upstream.answer import Answer
from scheduler.upstream.connection import Connection
from scheduler.upstream.failures import as_httpx, cannot_connect
from scheduler.upstream.wire import NotSent, Request, SendGuard

# A connection that idled longer may be gone at the other end, and a request written into it
# is ambiguous: it is cheaper to connect again.
_KEEP_ALIVE: Final = timedelta(seconds=5)
# In seconds, the second of a host's addresses is tried beside the first (RFC 8305).
_NEXT_ADDRESS: Final = 0.25
_PORTS: Final = {"http": 80, "https": 443}


class UpstreamTransport:
    """
    Sends requests to one *origin*, as often as it is asked: no pool limit of its own.

    Nothing is followed, remembered or taken from the environment, and a POST is never repeated.
    """

    def __init__(self, origin: str, *, keep_alive: timedelta = _KEEP_ALIVE) -> None:
        url = httpx.URL(origin)
        self._host = url.raw_host.decode()
        self._port = url.port or _PORTS[url.scheme]
        self._tls = ssl.create_default_context() if url.scheme == "https" else None
        self._host_line = b"Host: %s\r\n" % url.netloc
        self._keep_alive = keep_alive.total_seconds()
        self._idle: list[Connection] = []
        self._connecting: set[asyncio.Task[Connection]] = set()
        self._sweeping: asyncio.TimerHandle | None = None
        self._is_closed = False

    async def send(self, request: Request) -> Answer:
        """Send *request* and return the answer once its head is there."""
        kept = self._take_idle()
        if kept is not None:
            try:
                return await self._ask(kept, request)
            except httpx.TransportError:
                # It may have died meanwhile. A question is asked again, on a new line.
                if request.method != "GET":
                    raise
        return await self._ask(await self._connect(), request)

    def close(self) -> None:
        """Close every connection that is kept; one under way is closed by who waits for it."""
        self._is_closed = True
        for connecting in self._connecting:
            connecting.cancel()
        if self._sweeping is not None:
            self._sweeping.cancel()
        while self._idle:
            self._idle.pop().close()

    async def _connect(self) -> Connection:
        """Open a connection, by a task of its own: asyncio leaks one whose maker is cancelled."""
        if self._is_closed:
            raise httpx.ConnectError("the client is closed")
        connecting = asyncio.create_task(self._open())
        self._connecting.add(connecting)
        connecting.add_done_callback(self._connecting.discard)
        try:
            return await asyncio.shield(connecting)
        except asyncio.CancelledError:
            connecting.add_done_callback(self._keep_spare)
            raise
        except Exception as error:
            raise cannot_connect(error, self._host, self._port) from None

    async def _open(self) -> Connection:
        _, connection = await asyncio.get_running_loop().create_connection(
            lambda: Connection(free=self._keep),
            self._host,
            self._port,
            ssl=self._tls,
            happy_eyeballs_delay=_NEXT_ADDRESS,
        )
        return connection

    def _keep_spare(self, connecting: asyncio.Task[Connection]) -> None:
        """Keep a connection that nobody waits for any more, for whoever is next."""
        if not connecting.cancelled() and connecting.exception() is None:
            self._keep(connecting.result())

    def _take_idle(self) -> Connection | None:
        while self._idle:
            connection = self._idle.pop()
            if self._is_usable(connection):
                return connection
            connection.close()
        return None

    def _is_usable(self, connection: Connection) -> bool:
        idle_seconds = connection.loop.time() - connection.idle_since
        return connection.is_fresh and idle_seconds < self._keep_alive

    def _keep(self, connection: Connection) -> None:
        if self._is_closed:
            connection.close()
            return
        connection.idle_since = connection.loop.time()
        self._idle.append(connection)
        if self._sweeping is None:
            self._sweeping = connection.loop.call_later(self._keep_alive, self._sweep)

    def _sweep(self) -> None:
        """Close what has been idle for long, and look again as long as something is kept."""
        loop = asyncio.get_running_loop()
        kept = []
        for connection in self._idle:
            if self._is_usable(connection):
                kept.append(connection)
            else:
                connection.close()
        self._idle = kept
        self._sweeping = loop.call_later(self._keep_alive, self._sweep) if kept else None

    async def _ask(self, connection: Connection, request: Request) -> Answer:
        try:
            head, content = self._head(request), request.content
            if isinstance(content, bytes):
                answer = _write(connection, head + content, request.guard)
            else:
                pieces = aiter(content)
                first = await _first(pieces)
                answer = _write(connection, head + first, request.guard, pieces)
            await answer.head()
        except BaseException:
            connection.close()
            raise
        return answer

    def _head(self, request: Request) -> bytes:
        first = f"{request.method} {request.target} HTTP/1.1\r\n".encode()
        length = b"Content-Length: %d\r\n" % request.length if request.method == "POST" else b""
        return b"".join((first, self._host_line, request.headers.lines, length, b"\r\n"))


async def _first(pieces: AsyncIterator[bytes]) -> bytes:
    try:
        return await anext(pieces)
    except Exception as error:
        raise as_httpx(error) from None


def _write(
    connection: Connection,
    data: bytes,
    guard: SendGuard | None,
    rest: AsyncIterator[bytes] | None = None,
) -> Answer:
    """Write a request's beginning. Nothing is awaited between the guard and the socket."""
    if not connection.is_fresh:
        raise NotSent("the connection was closed, or out of step, before anything was sent")
    if guard is not None:
        guard.pass_through()
    return connection.ask(data, rest)
