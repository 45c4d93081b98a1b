"""The fastest client that a peer may have: aiohttp, its connections kept."""

import json
import time
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp

IN_FLIGHT = 64
COLLECTORS = 256


def session() -> aiohttp.ClientSession:
    """Return a client for IN_FLIGHT requests at a time."""
    connector = aiohttp.TCPConnector(limit=IN_FLIGHT)
    headers = {"Authorization": "Bearer token", "Content-Type": "application/json"}
    return aiohttp.ClientSession(connector=connector, headers=headers)


async def post(client: aiohttp.ClientSession, stub: str, number: int) -> Any:
    """Trigger collector *number*, and return what the stub answered."""
    path = f"{stub}/dca/trigger?collector=c_{number % COLLECTORS}&queue_next=1"
    async with client.post(path, data=b"[{}]") as answer:
        return (await answer.json())["collection_id"]


async def report(number: int, work: Callable[[], Awaitable[object]]) -> None:
    """Do *work*, and print how many of the *number* jobs were done a second."""
    began = time.perf_counter()
    await work()
    print(json.dumps({"rate": number / (time.perf_counter() - began)}))
