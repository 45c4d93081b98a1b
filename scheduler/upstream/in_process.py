"""A wire without a socket: requests go to a function of this process, for rehearsals."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, urlsplit

import httpx

from scheduler.upstream.wire import Request, Transport

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


class _Wire:
    def __init__(self, connect: Connect, carry: Carry) -> None:
        self._connect = connect
        self._carry = carry

    async def send(self, request: Request) -> "_Answer":
        """Carry *request*; as over a socket, its guard is asked before anything leaves."""
        try:
            self._connect()
        except CannotConnect as error:
            raise httpx.ConnectError(str(error)) from None
        answer = await self._carry(await _read(request))
        if answer is None:
            raise httpx.ReadError("the connection broke before an answer came")
        return _Answer(answer)

    def close(self) -> None:
        """Close nothing."""


class _Answer:
    def __init__(self, answer: InProcessAnswer) -> None:
        self.status = answer.status
        self.headers: Mapping[str, str] = {
            name.lower(): value for name, value in answer.headers.items()
        }
        self._body = answer.body[: answer.breaks_off]
        self._is_whole = answer.breaks_off is None

    async def read(self) -> bytes:
        """Return all of the body, then nothing; raise where it breaks off."""
        piece, self._body = self._body, b""
        if not piece and not self._is_whole:
            raise httpx.ReadError("the connection broke in the middle of the answer")
        return piece

    def close(self) -> None:
        """Close nothing."""


def in_process(connect: Connect, carry: Carry) -> Transport:
    """Return the wire that asks *connect* and *carry* in place of a host."""
    return _Wire(connect, carry)


async def _read(request: Request) -> InProcessRequest:
    content = request.content
    if not isinstance(content, bytes):
        content = b"".join([piece async for piece in content])
    if request.guard is not None:
        request.guard.pass_through()
    target = urlsplit(request.target)
    return InProcessRequest(
        method=request.method,
        path=target.path,
        query=tuple(parse_qsl(target.query, keep_blank_values=True)),
        authorization=request.headers.fields.get("Authorization", ""),
        content_type=request.headers.fields.get("Content-Type", ""),
        body=content,
    )
