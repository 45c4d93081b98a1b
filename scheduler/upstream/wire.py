"""What goes over the wire, whatever carries it: a request ready to leave, and its answer."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

import httpx

from scheduler.clock import boot_seconds
from scheduler.domain.request import Pieces


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


class Headers:
    """The headers that many requests share: their *lines* are written once."""

    __slots__ = ("fields", "lines")

    def __init__(self, fields: Mapping[str, str]) -> None:
        self.fields = fields
        self.lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items()).encode()


@dataclass(slots=True, kw_only=True, repr=False)
class Request:
    """
    One request; *target* is the path and query exactly as they go out.

    It leaves through its *guard*, or not at all. Whoever carries it adds Host and Content-Length.
    It has no repr, because all of it may hold secrets.
    """

    method: str
    target: str
    headers: Headers
    content: bytes | Pieces = b""
    guard: SendGuard | None = None

    @property
    def length(self) -> int:
        """How many bytes its body has."""
        return len(self.content) if isinstance(self.content, bytes) else self.content.length


class Answer(Protocol):
    """What comes back, once its head is there; whoever has it closes it."""

    status: int
    headers: Mapping[str, str]
    """By their names in lower case."""

    async def read(self) -> bytes:
        """Return the next piece of the body, nothing at its end; raises httpx's errors."""

    def close(self) -> None:
        """Read no more of it."""


class Transport(Protocol):
    """
    Carries requests to one origin.

    Raises only httpx's errors, with texts that hold neither query nor token.
    """

    async def send(self, request: Request) -> Answer:
        """Send *request* and return the answer once its head is there."""

    def close(self) -> None:
        """Keep no connection; whoever waits for an answer closes that."""


Wire = Callable[[str], Transport]
"""Opens what carries requests to an origin, such as `https://api.example.com`."""
