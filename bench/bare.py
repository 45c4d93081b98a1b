"""Loops that post the same bodies to the same stub and store nothing: what the client allows."""

import asyncio
import resource
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import timedelta

import aiohttp
import httpx

import scheduler.__main__  # noqa: F401  # the interpreter is set as it is for the daemon
from scheduler.clock import boot_seconds
from scheduler.domain.request import TriggerRequest, query_string
from scheduler.upstream import Dca

IN_FLIGHT = 64
COLLECTORS = 256
BODY = b"[{}]"
TYPE = "application/json"
HEADERS = {"Authorization": "Bearer token", "Content-Type": TYPE}

Post = Callable[[int], Awaitable[object]]


@dataclass(frozen=True, slots=True)
class Pace:
    """How many requests a second a process came to, and what each cost it."""

    rate: float
    cpu_per_request: float
    """In seconds of its processor time."""


def params(number: int) -> tuple[tuple[str, str], ...]:
    """Return the query of one trigger, as the project sends it."""
    return ("collector", f"c_{number % COLLECTORS}"), ("queue_next", "1")


async def _own_client(url: str, stack: AsyncExitStack) -> Post:
    limit = timedelta(seconds=30)
    client = Dca(base_url=url, token=lambda: "token", total_timeout=limit, connections=IN_FLIGHT)
    stack.push_async_callback(client.close)
    send_before = boot_seconds() + 600

    async def post(number: int) -> object:
        request = TriggerRequest(params(number), TYPE, BODY)
        return await client.trigger(request, send_before=send_before)

    return post


async def _httpx(url: str, stack: AsyncExitStack) -> Post:
    client = await stack.enter_async_context(httpx.AsyncClient(headers=HEADERS, trust_env=False))

    async def post(number: int) -> object:
        path = f"{url}/dca/trigger?{query_string(params(number))}"
        return (await client.post(path, content=BODY)).json()

    return post


async def _aiohttp(url: str, stack: AsyncExitStack) -> Post:
    client = await stack.enter_async_context(aiohttp.ClientSession(headers=HEADERS))

    async def post(number: int) -> object:
        path = f"{url}/dca/trigger?{query_string(params(number))}"
        async with client.post(path, data=BODY) as answer:
            return await answer.json()

    return post


CLIENTS = {"own": _own_client, "httpx": _httpx, "aiohttp": _aiohttp}
YARDSTICK = "aiohttp"
"""What everything is held against, the peers as well: a client of others', which nobody tunes."""


def bare(client: str, url: str, number: int) -> Pace:
    """Post *number* bodies with IN_FLIGHT requests at a time."""
    return asyncio.run(_bare(client, url, number))


async def _bare(client: str, url: str, number: int) -> Pace:
    async with AsyncExitStack() as stack:
        post = await CLIENTS[client](url, stack)
        await _all(post, min(number, 500))  # connections are made, caches filled
        began, spent = time.perf_counter(), _cpu()
        await _all(post, number)
        return Pace(number / (time.perf_counter() - began), (_cpu() - spent) / number)


async def _all(post: Post, number: int) -> None:
    left = iter(range(number))

    async def one_after_another() -> None:
        for one in left:
            await post(one)

    async with asyncio.TaskGroup() as group:
        for _ in range(IN_FLIGHT):
            group.create_task(one_after_another())


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime
