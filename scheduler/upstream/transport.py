"""
The wire: an httpx transport over asyncio and httptools that knows whether a request has left.

httpx's own pool sends a tenth of what this does, and httpx's URL and client cost half of the
rest, so requests are built ahead and given straight to the transport.
"""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from typing import Final

import httpx

from scheduler.clock import boot_seconds
from scheduler.domain.request import Pieces
from scheduler.upstream.answer import Answer
from scheduler.upstream.connection import Connection
from scheduler.upstream.failures import as_httpx, cannot_connect

# A connection that idled longer may be gone at the other end, and a request written into it
# is ambiguous: it is cheaper to connect again.
_KEEP_ALIVE: Final = timedelta(seconds=5)
# In seconds, the second of a host's addresses is tried beside the first (RFC 8305).
_NEXT_ADDRESS: Final = 0.25
_PORTS: Final = {"http": 80, "https": 443}


class NotSent(httpx.ConnectError):
    """The guard was closed: the request may not leave any more."""


class SendGuard:
    """
    Stands right before the first byte of one request, and knows whether it has passed.

    *send_before* is a reading of `boot_seconds`: later than that nothing passes, so a process
    that slept through its lease sends nothing when it wakes up.
    """

    __slots__ = ("_send_before", "_shut", "left")

    def __init__(self, *, send_before: float) -> None:
        self._send_before = send_before
        self._shut = False
        self.left = False

    def pass_through(self) -> None:
        """Note that the request leaves now, or raise NotSent."""
        if self._shut:
            raise NotSent("its time was over before it could be sent")
        if boot_seconds() >= self._send_before:
            raise NotSent("it may not be sent any more: too much time went by since it was claimed")
        self.left = True

    def shut(self) -> bool:
        """Let nothing pass from now on, and return whether the request has left."""
        self._shut = True
        return self.left


class RequestBody(httpx.AsyncByteStream):
    """A trigger's body: the request leaves through *guard*, or not at all."""

    def __init__(self, content: bytes | Pieces, guard: SendGuard) -> None:
        self.content = content
        self.guard = guard
        self.length = len(content) if isinstance(content, bytes) else content.length

    async def __aiter__(self) -> AsyncIterator[bytes]:
        if isinstance(self.content, bytes):
            yield self.content
            return
        async for piece in self.content:
            yield piece


Wire = Callable[[str], httpx.AsyncBaseTransport]
"""Opens what carries requests to an origin, such as `https://api.example.com`."""


class UpstreamTransport(httpx.AsyncBaseTransport):
    """
    Sends prebuilt requests to one *origin*, as often as it is asked: no pool limit of its own.

    The request's extension `target` is the path and query exactly as they go out. Nothing is
    followed, remembered or taken from the environment, and a POST is never repeated. Raises only
    httpx's errors, with texts that hold neither query nor token.
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

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send *request* and return the answer once its head is there."""
        kept = self._take_idle()
        if kept is not None:
            try:
                return await _exchange(kept, request, self._host_line)
            except httpx.TransportError:
                # It may have died meanwhile. A question is asked again, on a new line.
                if request.method != "GET":
                    raise
        return await _exchange(await self._connect(), request, self._host_line)

    async def aclose(self) -> None:
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
        earliest = asyncio.get_running_loop().time() - self._keep_alive
        while self._idle:
            connection = self._idle.pop()
            if connection.is_fresh and connection.idle_since > earliest:
                return connection
            connection.close()
        return None

    def _keep(self, connection: Connection) -> None:
        if self._is_closed:
            connection.close()
            return
        loop = asyncio.get_running_loop()
        connection.idle_since = loop.time()
        self._idle.append(connection)
        if self._sweeping is None:
            self._sweeping = loop.call_later(self._keep_alive, self._sweep)

    def _sweep(self) -> None:
        """Close what has been idle for long, and look again as long as something is kept."""
        loop = asyncio.get_running_loop()
        earliest = loop.time() - self._keep_alive
        kept = []
        for connection in self._idle:
            if connection.is_fresh and connection.idle_since > earliest:
                kept.append(connection)
            else:
                connection.close()
        self._idle = kept
        self._sweeping = loop.call_later(self._keep_alive, self._sweep) if kept else None


async def _exchange(
    connection: Connection, request: httpx.Request, host_line: bytes
) -> httpx.Response:
    try:
        answer = await _ask(connection, request, host_line)
        await answer.head()
    except BaseException:
        connection.close()
        raise
    return httpx.Response(answer.status, headers=answer.headers, stream=answer)


async def _ask(connection: Connection, request: httpx.Request, host_line: bytes) -> Answer:
    body = request.stream
    if not isinstance(body, RequestBody):
        return _write(connection, _head(request, host_line, 0))
    head = _head(request, host_line, body.length)
    if isinstance(body.content, bytes):
        return _write(connection, head + body.content, body.guard)
    pieces = aiter(body.content)
    try:
        first = await anext(pieces)
    except Exception as error:
        raise as_httpx(error) from None
    return _write(connection, head + first, body.guard, pieces)


def _write(
    connection: Connection,
    data: bytes,
    guard: SendGuard | None = None,
    rest: AsyncIterator[bytes] | None = None,
) -> Answer:
    """Write a request's beginning. Nothing is awaited between the guard and the socket."""
    if not connection.is_fresh:
        raise NotSent("the connection was closed, or out of step, before anything was sent")
    if guard is not None:
        guard.pass_through()
    return connection.ask(data, rest)


def _head(request: httpx.Request, host_line: bytes, length: int) -> bytes:
    target: str = request.extensions["target"]
    first = b"%s %s HTTP/1.1\r\n" % (request.method.encode(), target.encode())
    lines = [b"%s: %s\r\n" % header for header in request.headers.raw]
    if request.method == "POST":
        lines.append(b"Content-Length: %d\r\n" % length)
    return b"".join((first, host_line, *lines, b"\r\n"))
