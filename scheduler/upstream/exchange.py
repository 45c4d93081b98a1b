"""One exchange with the upstream: a slot, a time limit over everything, a limit on the answer."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from datetime import timedelta
from typing import Any, Protocol, TypeVar

import httpx

from scheduler.clock import Clock
from scheduler.upstream.response import Redact, Response
from scheduler.upstream.time_limits import TimeLimit, TimeLimits
from scheduler.upstream.wire import Answer, Request, Transport

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
        transport: Transport,
        *,
        total_timeout: timedelta,
        connections: int,
        clock: Clock,
    ) -> None:
        self._transport = transport
        self._clock = clock
        self._total = total_timeout.total_seconds()
        self._limits = TimeLimits()
        self._slots = asyncio.Semaphore(connections)
        self._tasks: set[asyncio.Task[Any]] = set()

    async def finish(self, work: Coroutine[Any, Any, _Result]) -> _Result:
        """Run *work* to its own end, even if the caller is cancelled meanwhile."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return await asyncio.shield(task)

    async def run(
        self,
        request: Request,
        reader: BodyReader,
        *,
        redact: Redact,
        longer: timedelta = timedelta(),
        forward: Forward | None = None,
    ) -> Response:
        """
        Send *request* and hear the answer out. Never raises for what the network can do.

        It may take as much *longer* as its body needs. Each piece goes to *forward*, and the next
        is read once that has taken it. A cancel ends it with what is known, as `close` does.
        """
        limit = self._total + longer.total_seconds()
        answer: Answer | None = None
        failure: str | None = None
        try:
            with TimeLimit(self._limits, limit):
                await self._slots.acquire()
                try:
                    answer = await self._transport.send(request)
                    failure = await _hear(answer, reader, forward)
                finally:
                    self._slots.release()
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
            clock=self._clock,
            left=request.guard is not None and request.guard.shut(),
            status=answer.status if answer else None,
            headers=answer.headers if answer else {},
            body=reader.body,
            failure=failure,
            redact=redact,
        )

    async def close(self) -> None:
        """End what is under way at once, each with the answer it has so far, and disconnect."""
        tasks = self._tasks | self._limits.tasks()
        for task in tasks:
            task.cancel()
        # Before they are waited for: nothing that they go on with leaves any more.
        self._transport.close()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._limits.close()


async def _hear(answer: Answer, reader: BodyReader, forward: Forward | None) -> str | None:
    try:
        if forward is not None:
            await forward(answer.status, answer.headers, b"")
        while piece := await answer.read():
            if forward is not None:
                await forward(answer.status, answer.headers, piece)
            if not reader.feed(piece):
                return "the answer is too long"
    finally:
        answer.close()
    return None
