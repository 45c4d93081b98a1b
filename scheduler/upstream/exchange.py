"""One exchange with the upstream: a slot, a time limit over everything, a limit on the answer."""

import asyncio
from collections.abc import Coroutine
from datetime import timedelta
from typing import Any, Protocol, TypeVar, cast

import httpx

from scheduler.clock import Clock
from scheduler.upstream.heard import Heard, Scrub
from scheduler.upstream.transport import Gate, UpstreamTransport

_Result = TypeVar("_Result")


class Sink(Protocol):
    """Takes an answer's body piece by piece. *body* is what it kept of the bytes."""

    @property
    def body(self) -> bytes: ...

    def feed(self, piece: bytes) -> bool:
        """Take *piece*; False if it is one too many."""


class CappedBody:
    """Keeps an answer whole, up to *most* bytes."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._kept = bytearray()

    @property
    def body(self) -> bytes:
        return bytes(self._kept)

    def feed(self, piece: bytes) -> bool:
        self._kept += piece[: self._most + 1 - len(self._kept)]
        return len(self._kept) <= self._most


class Exchanges:
    """
    Runs exchanges over one transport: at most *connections* at a time, each for *total_timeout*.

    The limit covers the wait for a slot, DNS, connecting, sending and the answer's last byte. So
    every slot comes back by itself, and none has to be rescued by rebuilding anything.
    """

    def __init__(
        self,
        transport: UpstreamTransport,
        *,
        total_timeout: timedelta,
        connections: int,
        clock: Clock,
    ) -> None:
        self._transport = transport
        self._clock = clock
        self._limit = total_timeout.total_seconds()
        self._slots = asyncio.Semaphore(connections)
        self._tasks: set[asyncio.Task[Any]] = set()

    async def finish(self, work: Coroutine[Any, Any, _Result]) -> _Result:
        """Run *work* to its own end, even if the caller is cancelled meanwhile."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return await asyncio.shield(task)

    async def run(
        self, request: httpx.Request, sink: Sink, *, scrub: Scrub, gate: Gate | None = None
    ) -> Heard:
        """Send *request* and hear the answer out. Never raises for what the network can do."""
        answer: httpx.Response | None = None
        flaw: str | None = None
        try:
            async with asyncio.timeout(self._limit), self._slots:
                answer = await self._transport.handle_async_request(request)
                flaw = await _hear(answer, sink)
        except TimeoutError:
            flaw = f"the time limit of {self._limit:g} s was over"
        except asyncio.CancelledError:
            # Callers are shielded: this is `close`, and what has left must still be told.
            flaw = "the client was closed"
        except httpx.HTTPError as error:
            flaw = str(error)
        return Heard(
            heard_at=self._clock(),
            left=gate is not None and gate.shut(),
            status=answer.status_code if answer else None,
            headers=answer.headers if answer else {},
            body=sink.body,
            flaw=gate.refusal if gate and gate.refusal else flaw,
            scrub=scrub,
        )

    async def close(self) -> None:
        """End what is under way at once, each with the answer it has so far, and disconnect."""
        tasks = tuple(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._transport.aclose()


async def _hear(answer: httpx.Response, sink: Sink) -> str | None:
    # The stream itself: what httpx wraps around it costs more than reading it.
    stream = cast(httpx.AsyncByteStream, answer.stream)
    pieces = aiter(stream)
    try:
        async for piece in pieces:
            if not sink.feed(piece):
                return "the answer is too long"
    finally:
        await stream.aclose()
    return None
