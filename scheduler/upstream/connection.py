"""One connection to the upstream: it carries one request at a time."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import cast

from scheduler.upstream.answer import Answer


class Connection(asyncio.Protocol):
    """
    A line to the upstream, open or broken.

    While it `is_fresh` a request may be written: what was asked is answered, and nothing came
    that nobody asked for. *free* takes it back after an answer; *idle_since* is for who keeps it.
    """

    def __init__(self, *, free: Callable[["Connection"], None]) -> None:
        self.is_fresh = False
        self.idle_since = 0.0
        # Kept: asking for the loop that runs is a call of the system.
        self.loop = asyncio.get_running_loop()
        self._free = free
        self._answer: Answer | None = None
        self._sending: asyncio.Task[None] | None = None
        self._may_write = asyncio.Event()

    def ask(self, request: bytes, rest: AsyncIterator[bytes] | None = None) -> Answer:
        """Write a request now; the *rest* of its body follows as it is read."""
        self.is_fresh = False
        self._answer = answer = Answer(release=self._release, hold=self._hold)
        self._transport.write(request)
        if rest is not None:
            self._sending = asyncio.create_task(self._send(rest, answer))
        return answer

    def close(self) -> None:
        """Close at once; what is under way breaks off."""
        self.is_fresh = False
        self._transport.abort()

    async def _send(self, rest: AsyncIterator[bytes], answer: Answer) -> None:
        # The answer may come before the end of it, and is heard meanwhile.
        try:
            async for piece in rest:
                await self._may_write.wait()
                self._transport.write(piece)
            self._sending = None
        except Exception as error:  # where it is read from
            answer.end(error)
            self.close()

    def _hold(self, is_held: bool) -> None:
        if is_held:
            self._transport.pause_reading()
        else:
            self._transport.resume_reading()

    def _release(self, answer: Answer) -> None:
        self._answer = None
        is_sent = self._sending is None and not self._transport.get_write_buffer_size()
        if is_sent and answer.is_whole and not answer.is_last:
            self.is_fresh = not self._transport.is_closing()
        if self.is_fresh:
            self._free(self)
        else:
            self.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take what bytes are written to."""
        self._transport = cast(asyncio.Transport, transport)
        self._may_write.set()
        self.is_fresh = True

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell whoever waits for an answer."""
        self.is_fresh = False
        if self._sending is not None:
            self._sending.cancel()
        if self._answer is not None:
            self._answer.end(exc)

    def data_received(self, data: bytes) -> None:
        """Hand on what came; a line that says what nobody asked for is out of step."""
        if self._answer is None:
            self.close()
        else:
            self._answer.feed(data)

    def pause_writing(self) -> None:
        """Hold back the rest of a body."""
        self._may_write.clear()

    def resume_writing(self) -> None:
        """Go on with it."""
        self._may_write.set()
