"""Where an answer begins and ends, and whether its connection may carry another request."""

import asyncio
import gzip
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from scheduler.domain.answers import CollectionLog
from scheduler.domain.errors import NotFound
from scheduler.domain.reply import Accepted, Lost, Refusal, Rejected, TriggerReply
from scheduler.domain.request import TriggerRequest
from tests.upstream.rig import (
    ONE,
    YES,
    Wire,
    answering,
    assert_not_sent,
    client,
    http,
    playing,
    trigger,
    turns,
)
from tests.upstream.test_tls import certificate

JSON = b"Content-Type: application/json\r\n"
LARGE_BODY = b"[" + b"{}," * 3_000_000 + b"{}]"
LARGE = TriggerRequest(ONE.params, "application/json", LARGE_BODY)


def chunked(body: bytes, size: int = 7, end: bytes = b"0\r\n\r\n") -> bytes:
    """Return an answer in chunks of *size*."""
    pieces = [body[start : start + size] for start in range(0, len(body), size)]
    chunks = b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces)
    return b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks + end


WHOLE = [
    pytest.param(http(), id="length"),
    pytest.param(chunked(YES), id="chunked"),
    pytest.param(chunked(YES, end=b"0\r\nX-Sum: 1\r\n\r\n"), id="chunked, trailer"),
    pytest.param(chunked(YES).replace(b"\r\n{", b";x=y\r\n{"), id="chunked, extension"),
    pytest.param(b"HTTP/1.1 100 Continue\r\n\r\n" + http(), id="100"),
    pytest.param(b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" * 3 + http(), id="103"),
    pytest.param(http().replace(b"\r\n", b"\n"), id="LF alone"),
    pytest.param(http("200 OK", gzip.compress(YES), "Content-Encoding: gzip"), id="gzip"),
]


@pytest.mark.parametrize("answer", WHOLE)
@pytest.mark.parametrize("size", [1, 10, 10_000])
async def test_an_answer_is_read_whole_however_it_is_cut(answer: bytes, size: int) -> None:
    async def play(wire: Wire) -> None:
        while True:
            await wire.request()
            for start in range(0, len(answer), size):
                await wire.say(answer[start : start + size])
                await turns(2)

    async with playing(play) as server, client(server.url, connections=1) as dca:
        replies = [await trigger(dca) for _ in range(2)]

    assert [_id(reply) for reply in replies] == ["j_1", "j_1"]
    # It was known where it ended: the line was used again.
    assert server.connections == 1


ENDING = [
    pytest.param(http("200 OK", YES, "Connection: close"), id="Connection: close"),
    pytest.param(b"HTTP/1.1 200 OK\r\n" + JSON + b"\r\n" + YES, id="no length"),
    pytest.param(http().replace(b"HTTP/1.1", b"HTTP/1.0"), id="HTTP/1.0"),
]


@pytest.mark.parametrize("answer", ENDING)
async def test_an_answer_that_ends_its_connection_is_taken_and_the_next_has_another(
    answer: bytes,
) -> None:
    async def play(wire: Wire) -> None:
        await wire.request()
        await wire.say(answer)

    async with playing(play) as server, client(server.url, connections=1) as dca:
        replies = [await trigger(dca) for _ in range(3)]

    assert [_id(reply) for reply in replies] == ["j_1"] * 3
    assert server.connections == 3


async def test_a_line_whose_answer_says_close_is_closed_by_us_if_not_by_the_server() -> None:
    left = asyncio.Event()

    async def play(wire: Wire) -> None:
        await wire.request()
        await wire.say(http("200 OK", YES, "Connection: close"))
        await wire.hang()
        left.set()

    async with playing(play) as server, client(server.url) as dca:
        await trigger(dca)
        async with asyncio.timeout(60):
            await left.wait()


async def test_an_answer_without_a_body_leaves_the_line_open() -> None:
    nothing = b"HTTP/1.1 204 No Content\r\n\r\n"

    async with playing(answering(nothing, http())) as server, client(server.url) as dca:
        empty, full = await trigger(dca), await trigger(dca)

    assert isinstance(empty, Lost)
    assert _id(full) == "j_1"
    assert server.connections == 1


async def test_a_second_answer_to_one_request_is_not_taken_for_the_next() -> None:
    async def play(wire: Wire) -> None:
        await wire.request()
        await wire.say(http() + http("200 OK", b'{"collection_id": "j_stale"}'))
        await wire.hang()

    async with playing(play) as server, client(server.url, connections=1) as dca:
        replies = [await trigger(dca) for _ in range(2)]

    assert [_id(reply) for reply in replies] == ["j_1", "j_1"]
    assert server.connections == 2


BROKEN = [
    pytest.param(b"HTTP/1.1 200 OK\r\n" + b"X: x\r\n" * 50_000, "head is too long", id="no end"),
    pytest.param(chunked(YES)[:-20], "the answer broke off", id="cut in a chunk"),
    pytest.param(chunked(YES[:-3] + b"???", end=b""), "broke off", id="cut before the last chunk"),
    pytest.param(chunked(YES[:20], end=b"zz\r\n"), "not HTTP", id="no chunk"),
    pytest.param(http("200 OK", YES[:-9], "Content-Length: 9"), "not HTTP", id="two lengths"),
    pytest.param(http(length=10**20), "not HTTP", id="no number"),
    pytest.param(
        http("200 OK", gzip.compress(YES)[:30], "Content-Encoding: gzip"), "", id="half of a gzip"
    ),
    pytest.param(
        http("200 OK", b"no gzip at all", "Content-Encoding: gzip"), "broke off", id="no gzip"
    ),
]


@pytest.mark.parametrize(("answer", "detail"), BROKEN)
async def test_an_answer_that_is_not_whole_is_lost(answer: bytes, detail: str) -> None:
    async def play(wire: Wire) -> None:
        await wire.request()
        await wire.say(answer)

    async with playing(play) as server, client(server.url) as dca:
        reply = await trigger(dca)

    assert isinstance(reply, Lost)
    assert detail in reply.detail


async def test_a_whole_id_in_an_answer_that_broke_off_counts() -> None:
    async def play(wire: Wire) -> None:
        await wire.request()
        await wire.say(chunked(YES, end=b""))

    async with playing(play) as server, client(server.url) as dca:
        assert _id(await trigger(dca)) == "j_1"


async def test_an_answer_that_comes_before_the_whole_request_is_heard() -> None:
    left = asyncio.Event()

    async def refuse_early(wire: Wire) -> None:
        await wire.head()
        await wire.say(http("400 Bad Request", b'{"error": "too much"}'))
        wire.writer.transport.pause_reading()  # type: ignore[attr-defined]  # a socket's, which can
        await left.wait()

    async with playing(refuse_early) as server, client(server.url) as dca:
        reply = await trigger(dca, LARGE)
        left.set()

    assert reply == Rejected(refusal=Refusal.INVALID, detail="too much", status=400)


async def test_a_line_on_which_a_request_was_not_sent_whole_is_not_used_again() -> None:
    async def refuse_early(wire: Wire) -> None:
        await wire.head()
        await wire.say(http("400 Bad Request", b'{"error": "too much"}'))
        await wire.hang()

    async with playing(refuse_early) as server, client(server.url, connections=1) as dca:
        first = await trigger(dca, LARGE)
        second = await trigger(dca)

    assert isinstance(first, Rejected)
    assert isinstance(second, Rejected)
    assert (server.connections, server.heads) == (2, 2)


async def test_an_answer_that_comes_early_does_not_cut_the_request_off() -> None:
    async def play(wire: Wire) -> None:
        await wire.head()
        await wire.say(http()[:-1])
        await wire.reader.readexactly(len(LARGE_BODY))
        await wire.say(http()[-1:])
        await wire.hang()

    async with playing(play) as server, client(server.url) as dca:
        assert _id(await trigger(dca, LARGE)) == "j_1"


class Parts:
    """A body that is read while it is sent, until it breaks."""

    def __init__(self, *parts: bytes | None) -> None:
        self.length = 400_000
        self._parts = parts

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for part in self._parts:
            await turns(3)
            if part is None:
                raise NotFound("it was deleted")
            yield part


def in_parts(*parts: bytes | None) -> TriggerRequest:
    return TriggerRequest(ONE.params, "application/json", Parts(*parts))


PART = b"x" * 100_000


async def test_a_body_that_is_read_while_it_is_sent_arrives_whole() -> None:
    async with playing(answering(http(), http())) as server, client(server.url) as dca:
        replies = [await trigger(dca, in_parts(*[PART] * 4)) for _ in range(2)]

    assert [_id(reply) for reply in replies] == ["j_1", "j_1"]
    assert [request.partition(b"\r\n\r\n")[2] for request in server.requests] == [PART * 4] * 2
    assert server.connections == 1


async def test_a_body_that_cannot_be_read_to_its_end_is_cut_off_and_lost() -> None:
    async with playing(answering(http())) as server, client(server.url) as dca:
        reply = await trigger(dca, in_parts(PART, PART, None))

    assert reply == Lost(detail="the exchange failed: NotFound")
    assert (server.heads, server.requests) == (1, [])


async def test_of_a_body_that_cannot_be_read_at_all_nothing_is_sent() -> None:
    async with playing(answering(http())) as server, client(server.url) as dca:
        reply = await trigger(dca, in_parts(None))

    assert_not_sent(reply, "the exchange failed: NotFound")
    assert server.heads == 0


async def test_a_long_answer_to_a_question_is_read_whole() -> None:
    long = b'{"status": "done", "x": "%s"}' % (b"x" * 4_000_000)

    two = answering(http("200 OK", long), chunked(long, 9_999))
    async with playing(two) as server, client(server.url, connections=1) as dca:
        answers = [await dca.get_log("j_1") for _ in range(2)]

    assert [type(answer) for answer in answers] == [CollectionLog, CollectionLog]
    assert server.connections == 1


async def test_all_of_it_holds_over_tls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tls = certificate(tmp_path, "IP:127.0.0.1")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "cert.pem"))
    play = answering(http(), chunked(YES), http("200 OK", YES, "Connection: close"))

    async with playing(play, tls=tls) as server, client(server.url, connections=1) as dca:
        replies = [await trigger(dca, request) for request in (ONE, LARGE, ONE, ONE)]

    assert [_id(reply) for reply in replies] == ["j_1"] * 4
    assert server.connections == 2
    assert server.requests[1].endswith(LARGE_BODY)


def _id(reply: TriggerReply) -> str:
    assert isinstance(reply, Accepted), reply
    return reply.collection_id
