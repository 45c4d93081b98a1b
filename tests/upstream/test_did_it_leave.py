"""What left the socket decides: each test says what the server may have seen, and what it means."""

import asyncio
import socket
from collections.abc import Awaitable, Callable

import pytest

from scheduler import __version__
from scheduler.clock import boot_seconds
from scheduler.domain.errors import ConfigError, InvalidInput
from scheduler.domain.reply import Accepted, Deferral, Deferred, Lost
from scheduler.domain.request import TriggerRequest
from tests.upstream.rig import (
    AMPLE,
    ONE,
    TOKEN,
    Wire,
    answering,
    assert_not_sent,
    client,
    http,
    playing,
    trigger,
)


async def test_the_request_arrives_exactly_as_it_was_written() -> None:
    params = (("collector", "c_shop"), ("name", "50% ü/é +&=?#~'"), ("notify", '{"a":"%20"}'))
    body = '[{"url": "ä"}]'.encode()

    async with playing(answering(http())) as server, client(server.url + "/base/") as dca:
        await trigger(dca, TriggerRequest(params, "text/csv; charset=utf-8", body))

    head, _, received = server.requests[0].partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    query = (
        "collector=c_shop&name=50%25%20%C3%BC%2F%C3%A9%20%2B%26%3D%3F%23~%27"
        "&notify=%7B%22a%22%3A%22%2520%22%7D"
    )
    assert first == f"POST /base/dca/trigger?{query} HTTP/1.1"
    assert received == body
    assert dict(line.split(": ") for line in lines) == {
        "Host": server.url.removeprefix("http://"),
        "User-Agent": f"dca-scheduler/{__version__}",
        "Accept": "application/json",
        "Accept-Encoding": "identity",
        "Authorization": f"Bearer {TOKEN}",
        "Content-Type": "text/csv; charset=utf-8",
        "Content-Length": str(len(body)),
    }


async def test_a_body_of_many_megabytes_arrives_whole() -> None:
    body = b"[" + b'{"url": "https://example.org/some/page"},' * 200_000 + b"{}]"

    async with playing(answering(http())) as server, client(server.url) as dca:
        reply = await trigger(dca, TriggerRequest(ONE.params, "application/json", body))

    assert isinstance(reply, Accepted)
    assert server.requests[0].endswith(b"\r\n\r\n" + body)


async def test_a_host_that_does_not_exist_is_never_reached() -> None:
    async with client("http://upstream.invalid") as dca:
        reply = await trigger(dca)

    assert_not_sent(reply, "upstream.invalid")


async def test_a_closed_port_receives_nothing() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        async with client(f"http://127.0.0.1:{port}") as dca:
            reply = await trigger(dca)

    assert_not_sent(reply, f"cannot connect to 127.0.0.1:{port}")


async def test_a_request_whose_time_is_over_stays_here_although_the_line_is_open() -> None:
    async with playing(answering(http(), http())) as server, client(server.url) as dca:
        await trigger(dca)
        late = await dca.trigger(ONE, send_before=boot_seconds())
        in_time = await trigger(dca)

    assert_not_sent(late, "it may not be sent any more")
    assert isinstance(in_time, Accepted)
    assert server.heads == 2


async def test_a_request_whose_time_ends_while_it_waits_for_a_connection_stays_here() -> None:
    answered = asyncio.Event()

    async def answer_late(wire: Wire) -> None:
        await wire.request()
        await answered.wait()
        await wire.say(http())
        await wire.hang()

    async with playing(answer_late) as server, client(server.url, connections=1) as dca:
        first = asyncio.create_task(trigger(dca))
        send_before = boot_seconds() + 0.05
        second = asyncio.create_task(dca.trigger(ONE, send_before=send_before))
        await asyncio.wait({second}, timeout=0.1)
        answered.set()
        assert isinstance(await first, Accepted)
        assert_not_sent(await second, "it may not be sent any more")

    assert server.heads == 1


UNREADABLE = [
    pytest.param(ConfigError("token", ["no such file"]), "no such file", id="config"),
    pytest.param(InvalidInput("the secret is unknown"), "the secret is unknown", id="input"),
    pytest.param(PermissionError(13, "Permission denied"), "Permission denied", id="system"),
]


@pytest.mark.parametrize(("error", "detail"), UNREADABLE)
async def test_without_a_token_nothing_is_sent(error: Exception, detail: str) -> None:
    def unreadable() -> str:
        raise error

    async with playing(Wire.hang) as server, client(server.url, token=unreadable) as dca:
        reply = await trigger(dca)

    assert_not_sent(reply, detail)
    assert server.connections == 0


@pytest.mark.parametrize("token", ["", "a b", "a\r\nX-Evil: 1", "pässword-4711", "secret-4711\0"])
async def test_a_token_that_fits_no_header_is_not_sent_and_not_shown(token: str) -> None:
    async with playing(Wire.hang) as server, client(server.url, token=lambda: token) as dca:
        reply = await trigger(dca)

    assert_not_sent(reply, "the token cannot be read")
    assert "4711" not in repr(reply)
    assert server.connections == 0


async def test_a_new_token_is_used_from_the_next_request_on() -> None:
    tokens = iter(["old-token", "new-token"])

    two = answering(http(), http())
    async with playing(two) as server, client(server.url, token=lambda: next(tokens)) as dca:
        await trigger(dca)
        await trigger(dca)

    assert b"Bearer old-token" in server.requests[0]
    assert b"Bearer new-token" in server.requests[1]


async def close_before_reading(wire: Wire) -> None:
    wire.writer.close()


async def reset_after_head(wire: Wire) -> None:
    await wire.head()
    wire.reset()


async def close_after_head(wire: Wire) -> None:
    await wire.head()
    wire.writer.close()


async def close_after_all(wire: Wire) -> None:
    await wire.request()


async def half_a_head(wire: Wire) -> None:
    await wire.request()
    await wire.say(http()[:20])


async def half_a_body(wire: Wire) -> None:
    await wire.request()
    await wire.say(http()[:-10])


async def garbage(wire: Wire) -> None:
    await wire.request()
    await wire.say(b"220 mail.example.org ESMTP\r\n\r\n")


async def huge_head(wire: Wire) -> None:
    await wire.request()
    await wire.say(http("200 OK", b"{}", "X-Long: " + "x" * 300_000))


async def endless_heads(wire: Wire) -> None:
    await wire.request()
    await wire.say(b"HTTP/1.1 200 OK\r\n" + b"X-Many: x\r\n" * 30_000)


async def switching(wire: Wire) -> None:
    await wire.request()
    await wire.say(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n")
    await wire.hang()


@pytest.mark.parametrize(
    ("play", "seen"),
    [
        (close_after_head, "a head"),
        (reset_after_head, "a head"),
        (close_after_all, "all"),
        (half_a_head, "all"),
        (half_a_body, "all"),
        (garbage, "all"),
        (huge_head, "all"),
        (endless_heads, "all"),
        (switching, "all"),
    ],
)
async def test_once_a_byte_has_left_no_failure_says_that_nothing_happened(
    play: Callable[[Wire], Awaitable[None]], seen: str
) -> None:
    async with playing(play) as server, client(server.url, limit=AMPLE) as dca:
        reply = await trigger(dca)

    assert isinstance(reply, Lost)
    assert server.heads == 1
    assert len(server.requests) == (seen == "all")


async def test_a_connection_closed_before_it_is_read_is_sent_to_once_at_most() -> None:
    async with playing(close_before_reading) as server, client(server.url) as dca:
        reply = await trigger(dca)

    # Whether the end is noticed before the first byte leaves is a race; both are told truly.
    is_not_sent = isinstance(reply, Deferred) and reply.deferral is Deferral.NOT_SENT
    assert isinstance(reply, Lost) or is_not_sent
    assert server.connections == 1
