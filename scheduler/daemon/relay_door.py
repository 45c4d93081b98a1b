"""
Where the server hands the daemon a question for the upstream: it has no token, the daemon has.

The two share a pair of sockets, made before the server starts. For each question the server makes
another pair and sends one end over the first: no path and no port, so nobody else can ask.
"""

import asyncio
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Final

import structlog

from scheduler.domain.errors import DatabaseError
from scheduler.domain.relayed import RelayHead, RelayQuestion
from scheduler.engine.relay import Relay

log = structlog.get_logger()

_LONGEST_LINE: Final = 64 * 1024
_AT_ONCE: Final = 32


@dataclass(slots=True)
class RelayDoor:
    """Answers what comes over the pair of sockets, several questions at once."""

    relay: Relay
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    @contextmanager
    def opened(self) -> Iterator[socket.socket]:
        """Give the end that is the server's; end what is asked when the block ends."""
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        loop = asyncio.get_running_loop()
        loop.add_reader(ours, self._hear, ours)
        try:
            yield theirs
        finally:
            loop.remove_reader(ours)
            ours.close()
            theirs.close()
            for task in self._tasks:
                task.cancel()

    def _hear(self, ours: socket.socket) -> None:
        """Take what the server hands over: an end of a new pair."""
        try:
            said, descriptors, _, _ = socket.recv_fds(ours, 1, 1)
        except BlockingIOError:
            return
        except OSError:
            said, descriptors = b"", []
        if not said:
            asyncio.get_running_loop().remove_reader(ours)
        for descriptor in descriptors:
            wire = socket.socket(fileno=descriptor)
            if len(self._tasks) >= _AT_ONCE:
                wire.close()
                continue
            task = asyncio.create_task(self._answer(wire))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _answer(self, wire: socket.socket) -> None:
        reader, writer = await asyncio.open_connection(sock=wire, limit=_LONGEST_LINE)

        async def begin(head: RelayHead) -> None:
            writer.write(head.line())
            await writer.drain()

        async def forward(piece: bytes) -> None:
            writer.write(len(piece).to_bytes(4, "big") + piece)
            await writer.drain()

        try:
            question = RelayQuestion.read(await reader.readline())
            if await self.relay.ask(question, begin, forward):
                writer.write(bytes(4))  # what has no such end has broken off
                await writer.drain()
        except (OSError, ValueError, KeyError, TypeError, DatabaseError) as error:
            log.warning("relay_failed", error=f"{type(error).__name__}: {error}")
        finally:
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()
