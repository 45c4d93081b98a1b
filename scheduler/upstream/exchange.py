"""One exchange with the upstream: a slot, a time limit over everything, a limit on the answer."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from datetime import timedelta
from typing import Any, Protocol, TypeVar, cast

import httpx

from scheduler.clock import Clock
from scheduler.upstream.response import Redact, Response
from scheduler.upstream.transport import SendGuard

_Result = TypeVar("_Result")


class BodyReader(Protocol):
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


class HeadOfBody(CappedBody):
    """Keeps the beginning of an answer, whatever its size."""

    def feed(self, piece: bytes) -> bool:
        """Take *piece*: none is one too many."""
        super().feed(piece)
        return True


Forward = Callable[[int, Mapping[str, str], bytes], Awaitable[None]]
"""Takes status, headers and a piece of an answer while it comes; raises OSError to have it end."""


class Exchanges:
    """
    Runs exchanges over one transport: at most *connections* at a time, each for *total_timeout*.

    The limit covers the wait for a slot, DNS, connecting, sending and the answer's last byte. So
    every slot comes back by itself, and none has to be rescued by rebuilding anything.
    """

    def __init__(
        self,
        transport: httpx.AsyncBaseTransport,
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

    async def finish_here(self, work: Coroutine[Any, Any, _Result]) -> _Result:
        """Run *work* in the caller's own task: a cancel ends it with what is known, as `close`."""
        task = cast(asyncio.Task[Any], asyncio.current_task())
        self._tasks.add(task)
        try:
            return await work
        finally:
            self._tasks.discard(task)

    async def run(
        self,
        request: httpx.Request,
        reader: BodyReader,
        *,
        redact: Redact,
        guard: SendGuard | None = None,
        longer: timedelta = timedelta(),
        forward: Forward | None = None,
    ) -> Response:
        """
        Send *request* and hear the answer out. Never raises for what the network can do.

        It may take as much *longer* as its body needs. Each piece goes to *forward*, and the next
        is read once that has taken it.
        """
        limit = self._limit + longer.total_seconds()
        answer: httpx.Response | None = None
        failure: str | None = None
        try:
            async with asyncio.timeout(limit), self._slots:
                answer = await self._transport.handle_async_request(request)
                failure = await _hear(answer, reader, forward)
        except TimeoutError:
            failure = f"the time limit of {limit:g} s was over"
        except asyncio.CancelledError:
            # This is `close`, or a trigger's caller: what has left must still be told.
            failure = "the client was closed"
        except httpx.HTTPError as error:
            failure = str(error)
        except OSError:
            failure = "nobody listens to the answer any more"
        return Response(
            received_at=self._clock(),
            left=guard is not None and guard.shut(),
            status=answer.status_code if answer else None,
            headers=answer.headers if answer else {},
            body=reader.body,
            failure=failure,
            redact=redact,
        )

    async def close(self) -> None:
        """End what is under way at once, each with the answer it has so far, and disconnect."""
        tasks = tuple(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._transport.aclose()


async def _hear(answer: httpx.Response, reader: BodyReader, forward: Forward | None) -> str | None:
    # The stream itself: what httpx wraps around it costs more than reading it.
    stream = cast(httpx.AsyncByteStream, answer.stream)
    pieces = aiter(stream)
    try:
        if forward is not None:
            await forward(answer.status_code, answer.headers, b"")
        async for piece in pieces:
            if forward is not None:
                await forward(answer.status_code, answer.headers, piece)
            if not reader.feed(piece):
                return "the answer is too long"
    finally:
        await stream.aclose()
    return None
