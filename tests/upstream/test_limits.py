"""One time limit over everything, and bounded answers."""

import asyncio
import gzip
import tracemalloc
from collections.abc import Awaitable, Callable
from datetime import timedelta
from time import monotonic

import pytest

from scheduler.clock import boot_seconds, utc_now
from scheduler.domain.answers import Unanswered
from scheduler.domain.reply import Accepted, Deferral, Deferred, Lost
from scheduler.domain.request import TriggerRequest
from scheduler.upstream.exchange import CappedBody, Exchanges
from scheduler.upstream.transport import UpstreamTransport
from scheduler.upstream.wire import Headers, Request, SendGuard
from tests.upstream.rig import (
    ONE,
    SHORT,
    YES,
    Wire,
    answering,
    client,
    http,
    playing,
    trigger,
    turns,
)

Play = Callable[[Wire], Awaitable[None]]


def dripping(answer: bytes) -> Play:
    """Give the answer a byte at a time, each well within any limit on a single read."""

    async def play(wire: Wire) -> None:
        await wire.request()
        for number in range(len(answer)):
            await wire.say(answer[number : number + 1])
            if await wire.hang_up_within(0.02):
                return

    return play


async def hang_after_request(wire: Wire) -> None:
    await wire.request()
    await wire.hang()


async def hang_in_the_body(wire: Wire) -> None:
    await wire.request()
    await wire.say(http()[:-5])
    await wire.hang()


async def read_nothing(wire: Wire) -> None:
    wire.writer.transport.pause_reading()  # type: ignore[attr-defined]  # a socket's, which can
    await asyncio.Event().wait()


async def keep_promising(wire: Wire) -> None:
    await wire.request()
    while not await wire.hang_up_within(0.02):
        await wire.say(b"HTTP/1.1 102 Processing\r\n\r\n")


@pytest.mark.parametrize(
    "play",
    [
        pytest.param(hang_after_request, id="silence"),
        pytest.param(hang_in_the_body, id="half a body"),
        pytest.param(dripping(http("200 OK", YES, "X-Long: " + "x" * 200)), id="head drips"),
        pytest.param(dripping(http() + b" " * 200), id="body drips"),
        pytest.param(keep_promising, id="102 for ever"),
    ],
)
async def test_the_time_limit_is_over_everything(play: Play) -> None:
    started = monotonic()
    async with playing(play) as server, client(server.url, limit=SHORT) as dca:
        reply = await trigger(dca)
    took = monotonic() - started

    assert isinstance(reply, Lost)
    assert "the time limit of 0.3 s was over" in reply.detail
    assert 0.3 <= took < 10
    assert len(server.requests) == 1


async def test_the_time_limit_covers_sending(monkeypatch: pytest.MonkeyPatch) -> None:
    # Nothing is added for its size.
    monkeypatch.setattr("scheduler.domain.request.trigger_request._LARGE", 50_000_000)
    large = TriggerRequest(ONE.params, "application/json", b" " * 50_000_000)

    started = monotonic()
    async with playing(read_nothing) as server, client(server.url, limit=SHORT) as dca:
        reply = await trigger(dca, large)
        took = monotonic() - started

    assert reply == Lost(detail="the time limit of 0.3 s was over")
    assert 0.3 <= took < 10
    assert server.heads == 0


async def test_the_time_limit_covers_the_wait_for_a_connection() -> None:
    async with (
        playing(hang_after_request) as server,
        client(server.url, limit=SHORT, connections=1) as dca,
    ):
        first = asyncio.create_task(trigger(dca))
        await turns(1)
        second = await trigger(dca)

        assert isinstance(await first, Lost)

    # The slot comes free in the very moment in which the second one's time is over.
    assert isinstance(second, Deferred)
    assert second.deferral is Deferral.NOT_SENT
    assert len(server.requests) == 1


async def test_a_whole_answer_that_never_ends_is_still_accepted() -> None:
    longer = http("200 OK", YES, length=len(YES) + 100)

    async def play(wire: Wire) -> None:
        await wire.request()
        await wire.say(longer)
        await wire.hang()

    async with playing(play) as server, client(server.url, limit=SHORT) as dca:
        reply = await trigger(dca)

    assert isinstance(reply, Accepted)
    assert reply.collection_id == "j_1"


@pytest.mark.parametrize("status", ["200 OK", "500 Internal Server Error"])
async def test_a_huge_answer_is_cut_off_without_filling_memory(status: str) -> None:
    async def flood(wire: Wire) -> None:
        await wire.request()
        await wire.say(f"HTTP/1.1 {status}\r\nContent-Length: {10**9}\r\n\r\n".encode())
        while True:
            await wire.say(b"x" * 65536)

    async with playing(flood) as server, client(server.url) as dca:
        tracemalloc.start()
        reply = await trigger(dca)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()

    assert isinstance(reply, Lost)
    assert "the answer is too long" in reply.detail
    assert peak < 5_000_000


async def test_a_compressed_bomb_is_cut_off_too() -> None:
    bomb = gzip.compress(b" " * 100_000_000)
    answer = http("200 OK", bomb, "Content-Encoding: gzip")

    async with playing(answering(answer)) as server, client(server.url) as dca:
        tracemalloc.start()
        reply = await trigger(dca)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()

    assert isinstance(reply, Lost)
    assert peak < 5_000_000


async def test_a_compressed_answer_that_nobody_asked_for_is_read_all_the_same() -> None:
    answer = http("200 OK", gzip.compress(YES), "Content-Encoding: gzip")

    async with playing(answering(answer)) as server, client(server.url) as dca:
        reply = await trigger(dca)

    assert isinstance(reply, Accepted)


async def test_a_question_with_a_huge_answer_is_unanswered() -> None:
    long = http("200 OK", b'{"status": "done", "x": "%s"}' % (b"x" * 9_000_000))

    async with playing(answering(long)) as server, client(server.url) as dca:
        answer = await dca.get_log("j_1")

    assert isinstance(answer, Unanswered)
    assert "the answer is too long" in answer.detail


async def test_an_idle_connection_is_given_up_rather_than_used_again() -> None:
    ended = asyncio.Event()

    async def play(wire: Wire) -> None:
        await wire.request()
        await wire.say(http())
        await wire.hang()
        ended.set()

    async with playing(play) as server:
        transport = UpstreamTransport(server.url, keep_alive=timedelta(seconds=0.1))
        exchanges = Exchanges(transport, total_timeout=SHORT, connections=1, clock=utc_now)
        response = await exchanges.run(a_request(), CappedBody(1000), redact=str)
        async with asyncio.timeout(60):
            await ended.wait()
        await exchanges.run(a_request(), CappedBody(1000), redact=str)
        await exchanges.close()

    assert response.status == 200
    assert (server.connections, len(server.requests)) == (2, 2)


def a_request() -> Request:
    guard = SendGuard(send_before=boot_seconds() + 60)
    return Request(method="POST", target="/", headers=Headers({}), content=b"[]", guard=guard)
