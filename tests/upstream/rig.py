"""What the upstream's tests share: a client, a trigger, and a server that plays a script."""

import asyncio
import re
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from scheduler.clock import boot_seconds
from scheduler.domain.reply import Accepted, Deferral, Deferred, TriggerReply
from scheduler.domain.request import TriggerRequest
from scheduler.upstream import Dca

TOKEN = "canary-token-4711"
ONE = TriggerRequest((("collector", "c_shop"),), "application/json", b'[{"url": "a"}]')
YES = b'{"collection_id": "j_1", "start_eta": "2026-03-02T09:00:01.000Z"}'
NINE = datetime(2026, 3, 2, 9, tzinfo=UTC)
MONDAY = NINE.date()
TWO = TriggerRequest(
    (("collector", "c_shop"), ("name", "news")), "application/json", b'[{"url":"a"},{"url":"b"}]'
)
# Longer than any test takes that is not about time.
AMPLE = timedelta(seconds=20)
SHORT = timedelta(seconds=0.3)


def http(
    status: str = "200 OK", body: bytes = YES, *headers: str, length: int | None = None
) -> bytes:
    """Return an answer as it stands on the wire; *length* is what Content-Length claims."""
    claimed = len(body) if length is None else length
    lines = (f"HTTP/1.1 {status}", f"Content-Length: {claimed}", *headers)
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


@asynccontextmanager
async def client(
    url: str,
    *,
    limit: timedelta = AMPLE,
    connections: int = 4,
    token: Callable[[], str] = lambda: TOKEN,
) -> AsyncIterator[Dca]:
    """Open a client and close it at the end."""
    dca = Dca(base_url=url, token=token, total_timeout=limit, connections=connections)
    try:
        yield dca
    finally:
        await dca.close()


async def trigger(dca: Dca, request: TriggerRequest = ONE) -> TriggerReply:
    """Trigger with time enough."""
    return await dca.trigger(request, send_before=boot_seconds() + 60)


async def start(dca: Dca, request: TriggerRequest = TWO) -> str:
    """Trigger, and return the id of the collection that it made."""
    reply = await trigger(dca, request)
    assert isinstance(reply, Accepted)
    return reply.collection_id


async def turns(count: int) -> None:
    """Let the loop turn *count* times."""
    loop = asyncio.get_running_loop()
    for _ in range(count):
        turned = loop.create_future()
        loop.call_soon(turned.set_result, None)
        await turned


@dataclass(slots=True)
class ManualClock:
    """Time that passes when told."""

    now: datetime = NINE

    def __call__(self) -> datetime:
        return self.now


@dataclass(slots=True)
class Wire:
    """The server's end of one connection."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    server: "Script"

    async def request(self) -> bytes:
        """Read one request whole and note it."""
        head = await self.head()
        length = re.search(rb"content-length: *(\d+)", head, re.IGNORECASE)
        request = head + await self.reader.readexactly(int(length[1]) if length else 0)
        self.server.requests.append(request)
        return request

    async def head(self) -> bytes:
        """Read a request's head and note that it came."""
        head = await self.reader.readuntil(b"\r\n\r\n")
        self.server.heads += 1
        return head

    async def say(self, data: bytes) -> None:
        """Send *data*."""
        self.writer.write(data)
        await self.writer.drain()

    def reset(self) -> None:
        """End the connection with RST."""
        sock = self.writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()

    async def hang_up_within(self, seconds: float) -> bool:
        """Wait for the client to leave, and tell whether it did in time."""
        try:
            async with asyncio.timeout(seconds):
                return await self.reader.read() is not None
        except TimeoutError:
            return False

    async def hang(self) -> None:
        """Say nothing until the client leaves."""
        await self.reader.read()


@dataclass(slots=True)
class Script:
    """A server, and what it received: whole requests, and heads whatever became of their bodies."""

    play: Callable[[Wire], Awaitable[None]]
    url: str = ""
    connections: int = 0
    heads: int = 0
    requests: list[bytes] = field(default_factory=list)
    _wires: set[asyncio.Task[None]] = field(default_factory=set)

    async def meet(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Play the script on a new connection, until either side has had enough."""
        self.connections += 1
        task = asyncio.current_task()
        assert task is not None
        self._wires.add(task)
        try:
            await self.play(Wire(reader, writer, self))
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            self._wires.discard(task)
            writer.close()

    async def end(self) -> None:
        """Stop what is still being played."""
        for task in tuple(self._wires):
            task.cancel()
        await asyncio.gather(*self._wires)


@asynccontextmanager
async def playing(
    play: Callable[[Wire], Awaitable[None]], *, tls: ssl.SSLContext | None = None
) -> AsyncIterator[Script]:
    """Serve *play* on a free port within the block."""
    script = Script(play)
    server = await asyncio.start_server(script.meet, "127.0.0.1", 0, ssl=tls)
    port = server.sockets[0].getsockname()[1]
    script.url = f"{'https' if tls else 'http'}://127.0.0.1:{port}"
    try:
        yield script
    finally:
        server.close()
        await script.end()


def answering(*answers: bytes) -> Callable[[Wire], Awaitable[None]]:
    """Answer each request of a connection in turn, then keep it open."""

    async def play(wire: Wire) -> None:
        for answer in answers:
            await wire.request()
            await wire.say(answer)
        await wire.hang()

    return play


def assert_not_sent(reply: TriggerReply, detail: str) -> None:
    """Check that *reply* says that nothing has left, because of *detail*."""
    assert isinstance(reply, Deferred)
    assert (reply.deferral, reply.status) == (Deferral.NOT_SENT, None)
    assert detail in reply.detail
