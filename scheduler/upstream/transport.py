"""
The wire: an httpx transport over aiohttp that knows whether a request has left.

httpx's own pool sends a tenth of what this does, and httpx's URL and client cost half of the
rest, so requests are built ahead and given straight to the transport.
"""

import os
import ssl
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any, Final

import aiohttp
import httpx
import yarl
from aiohttp.abc import AbstractStreamWriter
from aiohttp.client_proto import ResponseHandler

from scheduler.clock import boot_seconds

# A connection that idled longer may be gone at the other end, and a request written into it
# is ambiguous: it is cheaper to connect again.
_KEEP_ALIVE: Final = timedelta(seconds=5)
_NOT_FRESH: Final = "the connection was closed, or out of step, before anything was sent"
_PIECE: Final = 64 * 1024
# One total limit is kept by the caller, over everything.
_NO_LIMIT: Final = aiohttp.ClientTimeout(total=None, connect=None, sock_connect=None)


class NotSent(Exception):
    """The gate was closed: the request may not leave any more."""


class Gate:
    """
    Stands right before the first byte of one request, and knows whether it has passed.

    *send_before* is a reading of `boot_seconds`: later than that nothing passes, so a process
    that slept through its lease sends nothing when it wakes up.
    """

    __slots__ = ("_send_before", "_shut", "left", "refusal")

    def __init__(self, *, send_before: float) -> None:
        self._send_before = send_before
        self._shut = False
        self.left = False
        self.refusal: str | None = None

    def pass_through(self, protocol: object) -> None:
        """Note that the request leaves over *protocol* now, or raise NotSent."""
        if self._shut:
            self.refusal = "its time was over before it could be sent"
        elif boot_seconds() >= self._send_before:
            self.refusal = "it may not be sent any more: too much time went by since it was claimed"
        elif not _is_fresh(protocol):
            self.refusal = _NOT_FRESH
        if self.refusal is not None:
            raise NotSent(self.refusal)
        self.left = True

    def shut(self) -> bool:
        """Let nothing pass from now on, and return whether the request has left."""
        self._shut = True
        return self.left


class RequestBody(httpx.AsyncByteStream):
    """A trigger's body: the request leaves through *gate*, or not at all."""

    def __init__(self, content: bytes, gate: Gate) -> None:
        self.content = content
        self.gate = gate

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield self.content


class UpstreamTransport(httpx.AsyncBaseTransport):
    """
    Sends prebuilt requests to one *origin*, as often as it is asked: no pool limit of its own.

    The request's extension `target` is the path and query exactly as they go out. Nothing is
    followed, remembered or taken from the environment, and a POST is never repeated. Raises only
    httpx's errors, with texts that hold neither query nor token.
    """

    def __init__(self, origin: str, *, keep_alive: timedelta = _KEEP_ALIVE) -> None:
        self._origin = origin
        self._keep_alive = keep_alive
        self._tls = ssl.create_default_context() if origin.startswith("https:") else None
        self._session: aiohttp.ClientSession | None = None
        self._is_closed = False

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send *request* and return the answer once its head is there."""
        target: str = request.extensions["target"]
        stream = request.stream
        headers = [(name.decode(), value.decode()) for name, value in request.headers.raw]
        try:
            response = await self._connected().request(
                request.method,
                yarl.URL(self._origin + target, encoded=True),
                headers=headers,
                data=_GatedPayload(stream) if isinstance(stream, RequestBody) else None,
                allow_redirects=False,
            )
        except httpx.HTTPError:
            raise
        # Whatever aiohttp trips over, the gate tells what it means.
        except Exception as error:
            raise as_httpx(error) from None
        return httpx.Response(
            response.status, headers=response.raw_headers, stream=_AnswerStream(response)
        )

    async def aclose(self) -> None:
        """Close every connection; what is under way breaks off."""
        self._is_closed = True
        if self._session is not None:
            await self._session.close()

    def _connected(self) -> aiohttp.ClientSession:
        if self._is_closed:
            raise httpx.ConnectError("the client is closed")
        # Made here because it belongs to the loop that runs.
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(
                    ssl=self._tls or True,
                    limit=0,
                    keepalive_timeout=self._keep_alive.total_seconds(),
                    resolver=aiohttp.ThreadedResolver(),
                ),
                request_class=_CleanRequest,
                cookie_jar=aiohttp.DummyCookieJar(),
                timeout=_NO_LIMIT,
                trust_env=False,
            )
        return self._session


class _NotFreshError(aiohttp.ServerDisconnectedError):
    """A kind of error after which aiohttp tries a GET once more, on another connection."""


class _CleanRequest(aiohttp.ClientRequest):
    """Refuses a connection that holds an answer nobody asked for, such as a gateway's idle 408."""

    async def send(self, conn: Any) -> aiohttp.ClientResponse:
        if not _is_fresh(conn.protocol):
            raise _NotFreshError
        return await super().send(conn)


class _GatedPayload(aiohttp.Payload):
    """
    The body as aiohttp writes it.

    aiohttp keeps the head back until the first piece of the body is written, so what happens
    before that happens before the first byte.
    """

    def __init__(self, body: RequestBody) -> None:
        super().__init__(body.content)
        self._body = body
        self._size = len(body.content)

    def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:
        return self._body.content.decode(encoding, errors)

    async def write(self, writer: AbstractStreamWriter) -> None:
        content = memoryview(self._body.content)
        # Nothing is awaited between the gate and the socket.
        self._body.gate.pass_through(getattr(writer, "protocol", None))
        await writer.write(content[:_PIECE])
        for start in range(_PIECE, len(content), _PIECE):
            await writer.write(content[start : start + _PIECE])


class _AnswerStream(httpx.AsyncByteStream):
    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self._response = response

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            async for piece in self._response.content.iter_any():
                yield piece
        except Exception as error:
            raise as_httpx(error) from None

    async def aclose(self) -> None:
        # Closes the connection unless the answer was read to its end.
        self._response.release()


def _is_fresh(protocol: object) -> bool:
    return (
        isinstance(protocol, ResponseHandler)
        and protocol.is_connected()
        and not protocol.should_close
    )


def as_httpx(error: Exception) -> httpx.HTTPError:
    """Say what *error* was without the texts of aiohttp: some of them hold the whole URL."""
    match error:
        case aiohttp.ClientConnectorCertificateError():
            reason = getattr(error.certificate_error, "verify_message", "")
            return httpx.ConnectError(f"the certificate of {error.host} is no good: {reason}")
        case aiohttp.ClientConnectorDNSError():
            return httpx.ConnectError(f"{error.host} cannot be resolved")
        case aiohttp.ClientConnectorError():
            reason = error.os_error.strerror or type(error.os_error).__name__
            return httpx.ConnectError(f"cannot connect to {error.host}:{error.port}: {reason}")
        case _NotFreshError():
            return httpx.ConnectError(_NOT_FRESH)
        case aiohttp.ServerDisconnectedError():
            return httpx.RemoteProtocolError("the connection was closed without an answer")
        case aiohttp.ClientPayloadError():
            return httpx.ReadError("the answer broke off")
        case aiohttp.ClientResponseError():
            return httpx.RemoteProtocolError("the answer is not HTTP, or its head is too long")
        case OSError(errno=int(number)):
            return httpx.ReadError(f"the connection broke: {os.strerror(number)}")
        case _:
            return httpx.ReadError(f"the exchange failed: {type(error).__name__}")
