"""What the sandbox's tests share: a clock set by hand, a client, and a raw socket."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import aiohttp

from scheduler.sandbox import Sandbox, SandboxSettings

NINE = datetime(2026, 3, 2, 9, tzinfo=UTC)
SHOP = "c_shop"
ONE_INPUT: list[dict[str, object]] = [{"url": "https://example.org/1"}]


@dataclass(slots=True)
class ManualClock:
    """Time that passes when told."""

    now: datetime = NINE

    def __call__(self) -> datetime:
        return self.now

    def tick(self, seconds: float) -> None:
        """Let *seconds* pass."""
        self.now += timedelta(seconds=seconds)


@dataclass(slots=True)
class Reply:
    """An answer, read whole."""

    status: int
    text: str
    json: Any
    headers: dict[str, str]


@dataclass(slots=True)
class Client:
    """A client with a token, and the sandbox it talks to."""

    url: str
    session: aiohttp.ClientSession
    sandbox: Sandbox
    clock: ManualClock = field(default_factory=ManualClock)

    async def call(self, method: str, path: str, **options: Any) -> Reply:
        """Send one request and read the answer; anything but JSON leaves `json` None."""
        async with self.session.request(method, self.url + path, **options) as response:
            text = await response.text()
            is_json = response.content_type == "application/json" and text
            return Reply(
                status=response.status,
                text=text,
                json=await response.json() if is_json else None,
                headers=dict(response.headers),
            )

    async def get(self, path: str, **params: str) -> Reply:
        """GET *path* with *params*."""
        return await self.call("GET", path, params=params)

    async def trigger(self, inputs: object = ONE_INPUT, **params: str) -> Reply:
        """Trigger the shop's collector, unless *params* name another."""
        query = {"collector": SHOP} | params
        return await self.call("POST", "/dca/trigger", params=query, json=inputs)

    async def start(self, inputs: object = ONE_INPUT, **params: str) -> str:
        """Trigger, and return the id of the job that it made."""
        reply = await self.trigger(inputs, **params)
        assert reply.status == 200, reply.text
        return str(reply.json["collection_id"])

    async def log(self, job_id: str) -> dict[str, Any]:
        """Return the log of a job."""
        return dict((await self.get(f"/dca/log/{job_id}")).json)

    async def status(self, job_id: str) -> str:
        """Return the status of a job."""
        return str((await self.log(job_id))["status"])

    @property
    def job_count(self) -> int:
        """How many jobs the sandbox has, seen from inside."""
        return len(self.sandbox.account.book.jobs)


@asynccontextmanager
async def connected(settings: SandboxSettings | None = None) -> AsyncIterator[Client]:
    """Serve a sandbox at nine o'clock and connect a client with a token to it."""
    clock = ManualClock()
    sandbox = Sandbox(settings, clock)
    headers = {"Authorization": "Bearer token"}
    async with (
        sandbox.serving() as url,
        aiohttp.ClientSession(headers=headers) as session,
    ):
        yield Client(url, session, sandbox, clock)


async def raw_trigger(client: Client) -> bytes:
    """Trigger over a bare socket; return everything received until it was closed."""
    host, port = client.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        body = b'[{"url": "https://example.org/1"}]'
        head = (
            f"POST /dca/trigger?collector={SHOP} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
            "Authorization: Bearer token\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        )
        writer.write(head.encode() + body)
        return await reader.read()
    finally:
        writer.close()
