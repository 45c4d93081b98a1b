"""A wire without a socket: requests go to a function of this process, for rehearsals."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, urlsplit

import httpx

from scheduler.upstream.transport import RequestBody

__all__ = ["CannotConnect", "InProcessAnswer", "InProcessRequest", "in_process"]


@dataclass(frozen=True, slots=True, kw_only=True)
class InProcessRequest:
    """A request as the other end would read it."""

    method: str
    path: str
    query: tuple[tuple[str, str], ...]
    authorization: str
    content_type: str
    body: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class InProcessAnswer:
    """What comes back; *breaks_off* after so many bytes of the body."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    breaks_off: int | None = None


class CannotConnect(Exception):
    """Nobody is there: nothing has left."""


Connect = Callable[[], None]
"""Raises CannotConnect where nobody is there."""

Carry = Callable[[InProcessRequest], Awaitable[InProcessAnswer | None]]
"""Answers a request, or loses the answer: None."""


class _Wire(httpx.AsyncBaseTransport):
    def __init__(self, connect: Connect, carry: Carry) -> None:
        self._connect = connect
        self._carry = carry

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Carry *request*; as over a socket, its guard is asked before anything leaves."""
        try:
            self._connect()
        except CannotConnect as error:
            raise httpx.ConnectError(str(error)) from None
        answer = await self._carry(await _read(request))
        if answer is None:
            raise httpx.ReadError("the connection broke before an answer came")
        return httpx.Response(answer.status, headers=answer.headers, stream=_Body(answer))


class _Body(httpx.AsyncByteStream):
    def __init__(self, answer: InProcessAnswer) -> None:
        self._answer = answer

    async def __aiter__(self) -> AsyncIterator[bytes]:
        answer = self._answer
        yield answer.body[: answer.breaks_off]
        if answer.breaks_off is not None:
            raise httpx.ReadError("the connection broke in the middle of the answer")


def in_process(connect: Connect, carry: Carry) -> httpx.AsyncBaseTransport:
    """Return the wire that asks *connect* and *carry* in place of a host."""
    return _Wire(connect, carry)


async def _read(request: httpx.Request) -> InProcessRequest:
    content = b""
    if isinstance(request.stream, RequestBody):
        content = b"".join([piece async for piece in request.stream])
        request.stream.guard.pass_through()
    target = urlsplit(str(request.extensions["target"]))
    return InProcessRequest(
        method=request.method,
        path=target.path,
        query=tuple(parse_qsl(target.query, keep_blank_values=True)),
        authorization=request.headers.get("Authorization", ""),
        content_type=request.headers.get("Content-Type", ""),
        body=content,
    )
