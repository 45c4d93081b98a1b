"""Connections are used again, but never trusted: nothing is repeated, followed or remembered."""

import asyncio
import socket
from collections.abc import Awaitable, Callable

import pytest

from scheduler.clock import boot_seconds
from scheduler.domain.answers import Done
from scheduler.domain.reply import Accepted, Deferred, Lost
from scheduler.upstream.connection import Connection
from scheduler.upstream.transport import UpstreamTransport
from scheduler.upstream.wire import Headers, NotSent, Request, SendGuard
from tests.upstream.rig import (
    MONDAY,
    Wire,
    answering,
    assert_not_sent,
    client,
    http,
    playing,
    trigger,
    turns,
)


async def test_a_line_that_the_server_closed_between_requests_is_not_written_to() -> None:
    async def one_answer_each(wire: Wire) -> None:
        await wire.request()
        await wire.say(http())

    async with playing(one_answer_each) as server, client(server.url, connections=1) as dca:
        replies = [await trigger(dca) for _ in range(5)]

    accepted = [reply for reply in replies if isinstance(reply, Accepted)]
    # The end may cross the next request on its way: that one is lost, and never sent again.
    assert len(server.requests) == len(accepted)
    assert all(isinstance(reply, Accepted | Lost | Deferred) for reply in replies)


async def test_a_request_that_dies_on_a_reused_line_is_not_sent_a_second_time() -> None:
    async def answer_then_die(wire: Wire) -> None:
        await wire.request()
        await wire.say(http())
        await wire.request()

    async with playing(answer_then_die) as server, client(server.url, connections=1) as dca:
        first = await trigger(dca)
        second = await trigger(dca)

    assert isinstance(first, Accepted)
    assert second == Lost(detail="the connection was closed without an answer")
    assert (server.connections, len(server.requests)) == (1, 2)


@pytest.mark.parametrize("status", ["408 Request Timeout", "200 OK", "400 Bad Request"])
async def test_an_answer_that_nobody_asked_for_is_not_taken_for_one(status: str) -> None:
    is_answered, is_said = asyncio.Event(), asyncio.Event()

    async def answer_and_add(wire: Wire) -> None:
        await wire.request()
        await wire.say(http())
        await is_answered.wait()
        await wire.say(http(status, b'{"collection_id": "j_stale"}'))
        is_said.set()
        await wire.request()
        await wire.say(http())

    async with playing(answer_and_add) as server, client(server.url, connections=1) as dca:
        await trigger(dca)
        is_answered.set()
        await is_said.wait()
        await turns(20)
        reply = await trigger(dca)

    assert isinstance(reply, Accepted)
    assert reply.collection_id == "j_1"
    assert (server.connections, len(server.requests)) == (2, 2)


async def test_a_question_is_not_answered_by_what_nobody_asked_for() -> None:
    is_answered, is_said = asyncio.Event(), asyncio.Event()

    async def answer_and_add(wire: Wire) -> None:
        await wire.request()
        await wire.say(http("200 OK", b'{"total": 1, "data": [{"id": "j_1"}]}'))
        await is_answered.wait()
        await wire.say(http("200 OK", b'{"total": 0, "data": []}'))
        is_said.set()
        await wire.hang()

    async with playing(answer_and_add) as server, client(server.url, connections=1) as dca:
        first = await dca.list_jobs("c_shop", from_date=MONDAY, to_date=MONDAY)
        is_answered.set()
        await is_said.wait()
        await turns(20)
        second = await dca.list_jobs("c_shop", from_date=MONDAY, to_date=MONDAY)

    assert first == second
    assert server.connections == 2


def test_a_gate_that_was_shut_lets_nothing_pass() -> None:
    guard = SendGuard(send_before=boot_seconds() + 60)

    assert guard.shut() is False
    with pytest.raises(NotSent, match="its time was over"):
        guard.pass_through()
    assert guard.left is False


class _Hesitant(UpstreamTransport):
    """Lets time go by between a connection and the first byte."""

    async def _connect(self) -> Connection:
        connection = await super()._connect()
        async with asyncio.timeout(60):
            while connection.is_fresh:
                await turns(1)
        return connection


async def say_before_asked(wire: Wire) -> None:
    await wire.say(http("408 Request Timeout", b"{}"))
    await wire.hang()


async def leave(wire: Wire) -> None:
    wire.reset()


@pytest.mark.parametrize("play", [say_before_asked, leave])
async def test_nothing_is_written_to_a_new_line_that_is_out_of_step_or_gone(
    play: Callable[[Wire], Awaitable[None]],
) -> None:
    guard = SendGuard(send_before=boot_seconds() + 60)

    async with playing(play) as server:
        request = Request(method="POST", target="/", headers=Headers({}), guard=guard)
        with pytest.raises(NotSent, match="before anything was sent"):
            await _Hesitant(server.url).send(request)

    assert guard.shut() is False
    assert server.heads == 0


@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
async def test_a_redirect_is_not_followed(code: int) -> None:
    async with playing(answering(http(), http())) as elsewhere:
        there = http(f"{code} Moved", b"", f"Location: {elsewhere.url}/dca/trigger")
        async with playing(answering(there)) as server, client(server.url) as dca:
            reply = await trigger(dca)

    assert reply == Lost(
        detail=f"answered {code} to {elsewhere.url}/dca/trigger, which is not followed"
        " (no content type, 0 bytes)",
        status=code,
    )
    assert elsewhere.connections == 0


async def test_cookies_are_not_kept() -> None:
    cookie = http("200 OK", b'{"collection_id": "j_1"}', "Set-Cookie: session=1; Path=/")

    async with playing(answering(cookie, cookie)) as server, client(server.url) as dca:
        await trigger(dca)
        await trigger(dca)

    assert b"cookie" not in server.requests[1].lower()


async def test_a_proxy_from_the_environment_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")

    async with playing(answering(http())) as server, client(server.url) as dca:
        reply = await trigger(dca)

    assert isinstance(reply, Accepted)


async def test_who_cannot_connect_is_told_that_no_proxy_is_used(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
        async with client(url) as dca:
            reply = await trigger(dca)

    assert_not_sent(reply, "(the proxy that the environment names is not used)")


async def test_what_is_read_slowly_holds_its_line_and_not_our_memory() -> None:
    """The server says 64 MiB as fast as it can; of each MiB the reader first sees the first."""
    said, size = 0, 64
    piece = b"x" * 2**20

    async def talk(wire: Wire) -> None:
        nonlocal said
        await wire.request()
        await wire.say(f"HTTP/1.1 200 OK\r\nContent-Length: {size * len(piece)}\r\n\r\n".encode())
        for _ in range(size):
            await wire.say(piece)
            said += 1

    taken = 0
    ahead: list[int] = []

    async def take(content: bytes) -> None:
        nonlocal taken
        taken += len(content)
        await turns(20)  # others have their turn: also the server
        ahead.append(said - taken // len(piece))

    async with playing(talk) as server, client(server.url) as dca:
        answer = await dca.download("j_1", take)

    assert isinstance(answer, Done)
    assert taken == size * len(piece)
    assert max(ahead) < size // 2
