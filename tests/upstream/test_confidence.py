"""Nothing that was sent in confidence comes back in an answer's words, repr or log."""

import base64
import json
import logging
import ssl
from collections.abc import Awaitable, Callable
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduler.domain.answers import Unanswered
from scheduler.domain.reply import Lost, Rejected
from scheduler.domain.request import TriggerRequest, query_string
from scheduler.upstream.dataset import DatasetReader
from scheduler.upstream.failures import as_httpx
from scheduler.upstream.question_answers import (
    read_cancel,
    read_inputs,
    read_jobs_page,
    read_log,
)
from scheduler.upstream.redaction import redact
from scheduler.upstream.response import Response
from scheduler.upstream.trigger_reply import read_trigger_reply
from tests.upstream.rig import NINE, TOKEN, Wire, answering, client, http, playing, trigger

DELIVER = {
    "type": "s3",
    "bucket": "canary-bucket",
    "credentials": {"key": "canary-key/1+2=", "pass": 'canary"ü\\pass'},
    "endpoint": "https://me:canary-user-pw@example.org/?sig=canary-sig&x=1",
}
PARAMS = (
    ("collector", "c_shop"),
    ("deliver", json.dumps(DELIVER)),
    ("notify", '["canary-hook"]'),
)
CONFIDENTIAL = TriggerRequest(PARAMS, "application/json", b'[{"url": "canary-input"}]')
QUERY = query_string(PARAMS)

ECHOES = [
    pytest.param(f"no such token: {TOKEN}", id="token"),
    pytest.param(f"bad request: {QUERY}", id="query"),
    pytest.param(f"bad deliver: {json.dumps(DELIVER)}", id="deliver"),
    pytest.param("key canary-key/1+2= refused", id="a leaf"),
    pytest.param(f"key {quote('canary-key/1+2=', safe='')} refused", id="a leaf, quoted"),
    pytest.param('pass canary"ü\\pass refused', id="a leaf with marks"),
    pytest.param(r"pass canary\"\u00fc\\pass refused", id="a leaf, as JSON"),
    pytest.param("canary-user-pw is wrong", id="a URL's password"),
    pytest.param("signature canary-sig is wrong", id="a URL's signature"),
    pytest.param("hook canary-hook", id="notify"),
    pytest.param("x" * 495 + TOKEN, id="cut in the middle"),
    pytest.param(f"/login?next={quote(quote('canary-key/1+2=', safe=''))}", id="quoted twice"),
    pytest.param(f"/login?next={quote(quote(QUERY))}", id="a query, quoted twice more"),
    pytest.param("key canary-key%2f1%2b2%3d refused", id="lower-case hex"),
    pytest.param(r"key canary-key\/1+2= refused", id="PHP's slashes"),
    pytest.param(r"key canary-key\u002f1\u002b2= refused", id="JSON's escapes"),
    pytest.param("pass canary&quot;&#252;\\pass refused", id="HTML's escapes"),
]


@pytest.mark.parametrize("status", ["400 Bad", "403 No", "429 Slow", "500 Oops", "200 OK", "302 X"])
@pytest.mark.parametrize("echo", ECHOES)
async def test_an_answer_that_echoes_the_request_gives_nothing_away(
    echo: str, status: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    plain = http(status, echo.encode(), f"Content-Type: x/{TOKEN}")
    as_json = http(status, json.dumps({"error": echo}).encode())

    async with playing(answering(plain, as_json)) as server, client(server.url) as dca:
        replies = [await trigger(dca, CONFIDENTIAL), await trigger(dca, CONFIDENTIAL)]

    assert "canary" not in repr(replies)
    assert "canary" not in caplog.text
    assert b"canary-sig" in server.requests[0]


async def reset(wire: Wire) -> None:
    await wire.head()
    wire.reset()


async def hang_up(wire: Wire) -> None:
    await wire.request()


async def garbage(wire: Wire) -> None:
    head = await wire.head()
    await wire.say(head)


@pytest.mark.parametrize("play", [reset, hang_up, garbage])
async def test_a_failure_gives_nothing_away(
    play: Callable[[Wire], Awaitable[None]], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    large = TriggerRequest(PARAMS, "application/json", b" " * 5_000_000)
    async with playing(play) as server, client(server.url) as dca:
        replies = [await trigger(dca, CONFIDENTIAL), await trigger(dca, large)]
        answer = await dca.get_log("j_1")

    assert [type(reply) for reply in replies] == [Lost, Lost]
    assert isinstance(answer, Unanswered)
    assert "canary" not in repr((replies, answer))
    assert "canary" not in caplog.text


URL = f"http://127.0.0.1:9/dca/trigger?{QUERY}"
WRITTEN = [
    OSError(f"Can not write to {URL}"),
    OSError(104, f"Can not write to {URL}"),
    ssl.SSLError(1, f"[SSL] cannot write to {URL}"),
    ValueError(URL),
]


@pytest.mark.parametrize("error", WRITTEN, ids=lambda error: type(error).__name__)
def test_the_texts_of_the_libraries_are_not_passed_on(error: Exception) -> None:
    assert "canary" not in repr(as_httpx(error))


@pytest.mark.parametrize("before", ["", "u", "us", "user:"])
@pytest.mark.parametrize("encode", [base64.b64encode, base64.urlsafe_b64encode])
def test_a_secret_in_base64_withholds_the_words(
    encode: Callable[[bytes], bytes], before: str
) -> None:
    words = encode(f"{before}{TOKEN}\xff".encode()).decode()

    assert words not in redact(f"Basic {words}", token=TOKEN, params=PARAMS)


def test_a_delivery_however_deep_is_searched_through() -> None:
    deliver = '{"a":' * 900 + '"canary-deep"' + "}" * 900

    assert "canary" not in redact("canary-deep", token=TOKEN, params=(("deliver", deliver),))


def test_a_token_of_a_letter_garbles_no_words() -> None:
    assert redact("Maximum limit exceeded", token="x") == "Maximum limit exceeded"


def test_what_is_no_secret_stays_readable() -> None:
    words = redact("s3: collector c_shop has no input", token=TOKEN, params=PARAMS)

    assert words == "s3: collector c_shop has no input"


NAMES = st.sampled_from(
    [
        *("collection_id", "start_eta", "error", "message", "id", "status", "inputs", "fails"),
        *("data", "total", "created", "success_rate", "name", "input", "queued"),
    ]
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=6),
    max_leaves=12,
)
BODIES = st.binary(max_size=50) | JSON.map(lambda value: json.dumps(value).encode())
HEADERS = st.dictionaries(
    st.sampled_from(["retry-after", "date", "content-type"]), st.text(max_size=30)
)


@given(BODIES, st.none() | st.integers(100, 999), HEADERS, st.none() | st.just("it broke off"))
def test_no_answer_whatsoever_raises(
    body: bytes, status: int | None, headers: dict[str, str], failure: str | None
) -> None:
    response = Response(
        clock=lambda: NINE, left=True, status=status, headers=headers, body=body, failure=failure
    )
    reader = DatasetReader()
    reader.feed(body)

    reply = read_trigger_reply(response)
    read_log(response, "j_1")
    read_jobs_page(response)
    read_inputs(response, reader)
    read_cancel(response)

    if isinstance(reply, Rejected | Lost):
        assert reply.detail.isprintable()
        assert len(reply.detail) < 1000
