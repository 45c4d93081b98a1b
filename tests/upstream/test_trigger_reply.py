"""Every answer to a trigger, as a table: what was response, and what it means."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from scheduler.domain.reply import (
    Accepted,
    Deferral,
    Deferred,
    Lost,
    Refusal,
    Rejected,
    TriggerReply,
)
from scheduler.upstream.response import Response
from scheduler.upstream.trigger_reply import read_trigger_reply
from tests.upstream.rig import NINE

LIMIT = b'{"error": "Maximum limit of 100 jobs per scraper has been exceeded"}'


def response(status: int | None, body: bytes = b"", **rest: Any) -> Response:
    return Response(clock=lambda: NINE, left=True, status=status, body=body, **rest)


def read(status: int | None, body: bytes = b"", **rest: Any) -> TriggerReply:
    return read_trigger_reply(response(status, body, **rest))


@pytest.mark.parametrize(
    ("eta", "expected"),
    [
        pytest.param(b'"2026-03-02T09:00:01.500Z"', NINE + timedelta(seconds=1.5), id="documented"),
        pytest.param(b'"2026-03-02T10:00:00+01:00"', NINE, id="another zone"),
        pytest.param(b'"2026-03-02T09:00:00"', NINE, id="no zone"),
        pytest.param(b'"soon"', None, id="no moment"),
        pytest.param(b'"0001-01-01T00:00:00+14:00"', None, id="before time began"),
        pytest.param(b"1772442000", None, id="a number"),
        pytest.param(b'{"at": []}', None, id="an object"),
    ],
)
def test_an_accepted_trigger_keeps_its_id_whatever_its_start_is(
    eta: bytes, expected: datetime | None
) -> None:
    reply = read(200, b'{"collection_id": "j_1", "start_eta": %s}' % eta)

    assert reply == Accepted(collection_id="j_1", start_eta=expected, status=200)


@pytest.mark.parametrize("status", [200, 201, 202, 299])
def test_any_success_with_an_id_is_accepted(status: int) -> None:
    reply = read(status, b'\xef\xbb\xbf{"collection_id": "j_1"}')

    assert reply == Accepted(collection_id="j_1", start_eta=None, status=status)


def test_an_id_alone_in_a_list_is_an_id_and_one_of_two_is_looked_for() -> None:
    one = read(200, b'[{"collection_id": "j_1"}]')
    two = read(200, b'[{"collection_id": "j_1"}, {"collection_id": "j_2"}]')

    assert one == Accepted(collection_id="j_1", start_eta=None, status=200)
    assert isinstance(two, Lost)


def test_an_id_that_came_whole_counts_although_the_answer_broke_off() -> None:
    reply = read(200, b'{"collection_id": "j_1"}', failure="the answer broke off")

    assert reply == Accepted(collection_id="j_1", start_eta=None, status=200)


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b'{"collection_id": "j_1", "sta', id="half"),
        pytest.param(b"<html>Sign in</html>", id="a page"),
        pytest.param(b"{}", id="no id"),
        pytest.param(b'["j_1"]', id="an array"),
        pytest.param(b'"j_1"', id="a string"),
        pytest.param(b'{"collection_id": ""}', id="an empty id"),
        pytest.param(b'{"collection_id": " j_1"}', id="a blank in it"),
        pytest.param(b'{"collection_id": 12}', id="a number"),
        pytest.param(b'{"collection_id": null}', id="null"),
        pytest.param(b'{"collection_id": ["j_1"]}', id="a list"),
        pytest.param(b'{"collection_id": "j_\\n1"}', id="a line break"),
        pytest.param(b'{"collection_id": "j_\\u0000"}', id="NUL"),
        pytest.param(b'{"collection_id": "j_\\ud800"}', id="half a surrogate pair"),
        pytest.param(b'{"collection_id": "%s"}' % (b"j" * 201), id="201 characters"),
        pytest.param(b'{"collection_id": "j_1"} {}', id="something behind it"),
        pytest.param(b"[" * 100_000, id="a deep one"),
        pytest.param(b'{"collection_id": %s}' % (b"9" * 10_000), id="a huge number"),
        pytest.param(b"\xff\xfe\x00\xd8", id="no text"),
    ],
)
def test_a_success_without_a_readable_id_is_lost(body: bytes) -> None:
    reply = read(200, body)

    assert isinstance(reply, Lost)
    assert reply.status == 200
    assert reply.detail.startswith("no readable collection_id: answered 200")


@pytest.mark.parametrize(
    "status", [100, 101, 199, 300, 302, 307, 308, 408, 500, 502, 503, 599, 999]
)
def test_an_answer_that_is_neither_yes_nor_no_is_lost(status: int) -> None:
    reply = read(status, b'{"collection_id": "j_1", "error": "try later"}')

    assert reply == Lost(
        detail=f"answered {status} (no content type, 46 bytes): try later", status=status
    )


@pytest.mark.parametrize("status", [401, 403])
def test_a_refused_token_is_told_apart(status: int) -> None:
    reply = read(status, b'{"error": "Invalid token"}')

    assert reply == Rejected(refusal=Refusal.CREDENTIALS, detail="Invalid token", status=status)


@pytest.mark.parametrize("text", ["Account suspended", "Your account has been suspended: pay"])
def test_a_suspended_account_is_one_whatever_the_status(text: str) -> None:
    reply = read(400, b'{"error": "%s"}' % text.encode())

    assert reply == Rejected(refusal=Refusal.CREDENTIALS, detail=text, status=400)


@pytest.mark.parametrize(
    ("status", "text"),
    [
        (400, "Maximum limit of 100 jobs per scraper has been exceeded"),
        (400, "Error: maximum limit of 1,000 jobs per collector has been exceeded."),
        (403, "Maximum limit of 5 jobs per scraper has been exceeded"),
        (422, "Maximum limit of 100 jobs per scraper has been exceeded"),
        (429, "Maximum limit of 100 jobs per scraper has been exceeded"),
    ],
)
def test_a_full_collector_is_back_pressure_whatever_the_status(status: int, text: str) -> None:
    reply = read(status, b'{"error": "%s"}' % text.encode(), headers={"retry-after": "7"})

    pause = timedelta(seconds=7)
    assert reply == Deferred(
        deferral=Deferral.JOB_LIMIT, detail=text, retry_after=pause, status=status
    )


def test_the_job_limit_is_found_in_plain_text_too() -> None:
    reply = read(400, b"Maximum limit of 100 jobs per scraper has been exceeded\n")

    assert isinstance(reply, Deferred)
    assert reply.deferral is Deferral.JOB_LIMIT


@pytest.mark.parametrize(
    ("headers", "pause"),
    [
        pytest.param({}, None, id="none"),
        pytest.param({"retry-after": "30"}, timedelta(seconds=30), id="seconds"),
        pytest.param({"retry-after": "0"}, timedelta(), id="at once"),
        pytest.param({"retry-after": "9" * 20}, timedelta(days=1), id="for ever"),
        pytest.param({"retry-after": "-3"}, None, id="negative"),
        pytest.param({"retry-after": "soon"}, None, id="a word"),
        pytest.param({"retry-after": "٣"}, None, id="a digit of another script"),
        pytest.param(
            {"retry-after": "Mon, 02 Mar 2026 09:00:20 GMT"}, timedelta(seconds=20), id="date"
        ),
        pytest.param({"retry-after": "Mon, 02 Mar 2026 08:00:00 GMT"}, timedelta(), id="past"),
        pytest.param(
            {
                "retry-after": "Mon, 02 Mar 2026 12:00:20 GMT",
                "date": "Mon, 02 Mar 2026 12:00:00 GMT",
            },
            timedelta(seconds=20),
            id="by the upstream's own clock",
        ),
        pytest.param({"retry-after": "Mon, 32 Foo 99999 99:99:99 GMT"}, None, id="no date"),
    ],
)
def test_a_429_is_deferred_for_as_long_as_it_says(
    headers: dict[str, str], pause: timedelta | None
) -> None:
    reply = read(429, b"", headers=headers)

    assert reply == Deferred(
        deferral=Deferral.THROTTLED, detail="answered 429", retry_after=pause, status=429
    )


@pytest.mark.parametrize("status", [400, 402, 404, 405, 409, 413, 422, 499])
def test_any_other_refusal_is_final_and_keeps_the_upstreams_words(status: int) -> None:
    reply = read(status, b'{"error": "Cannot trigger a batch job with a real-time scraper."}')

    assert reply == Rejected(
        refusal=Refusal.INVALID,
        detail="Cannot trigger a batch job with a real-time scraper.",
        status=status,
    )


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        pytest.param(
            b'{"error": "Bad\\r\\nRequest\\u001b[31m"}', r"Bad\r\nRequest\x1b[31m", id="escaped"
        ),
        pytest.param(b'{"error": "%s"}' % (b"x" * 9000), "x" * 500, id="long"),
        pytest.param(b'{"Error": "No such field"}', "No such field", id="capitals"),
        pytest.param(b'{"message": "No such field"}', "No such field", id="message"),
        pytest.param(b'{"error": {"message": "Nested"}}', "Nested", id="nested"),
        pytest.param(b'{"error": {"code": 7}}', '{"error": {"code": 7}}', id="no text in it"),
        pytest.param(b'{"error": "a\\u202eb\\ud800"}', r"a\u202eb\ud800", id="not printable"),
    ],
)
def test_the_words_of_a_refusal_are_one_printable_line(body: bytes, detail: str) -> None:
    assert read(400, body) == Rejected(refusal=Refusal.INVALID, detail=detail, status=400)


@pytest.mark.parametrize(
    ("status", "kind"),
    [(400, Lost), (422, Lost), (401, Rejected), (403, Rejected), (429, Deferred)],
)
def test_a_refusal_that_broke_off_counts_where_its_status_says_all(
    status: int, kind: type[TriggerReply]
) -> None:
    reply = read(status, b'{"error": "Maximum limit of 1', failure="the answer broke off")

    assert isinstance(reply, kind)
    assert reply.status == status


def test_what_never_left_may_be_sent_again_whatever_came_back() -> None:
    unasked = Response(
        clock=lambda: NINE, status=200, body=b'{"collection_id": "j_1"}', failure="too early"
    )

    reply = read_trigger_reply(unasked)

    assert reply == Deferred(deferral=Deferral.NOT_SENT, detail="too early")


def test_silence_after_the_request_left_is_lost() -> None:
    reply = read(None, failure="the time limit of 30 s was over")

    assert reply == Lost(detail="the time limit of 30 s was over")


def test_the_job_limit_in_429_keeps_the_status_that_the_brake_counts() -> None:
    reply = read(429, LIMIT)

    assert isinstance(reply, Deferred)
    assert (reply.deferral, reply.status) == (Deferral.JOB_LIMIT, 429)


PAGES = [
    pytest.param(b"", id="nothing"),
    pytest.param(b"default backend - 404", id="plain text"),
    pytest.param(b"<html><title>403 Forbidden</title> cloudflare</html>", id="HTML"),
    pytest.param(b"Your account is suspended, says a proxy", id="a suspended account, in text"),
    pytest.param(b'"Forbidden"', id="a JSON text"),
    pytest.param(b"\xff\x00", id="no text"),
]


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 413, 422, 451])
@pytest.mark.parametrize("body", PAGES)
def test_a_gateways_page_is_nobodys_verdict(body: bytes, status: int) -> None:
    """Neither refused nor sent again unseen: the jobs list tells whether it was taken."""
    reply = read(status, body)

    assert isinstance(reply, Lost)
    assert reply.status == status


@pytest.mark.parametrize(
    "body",
    [
        b'{"Collection_id": "j_1", "Start_eta": "2026-03-02T09:00:00Z"}',
        b'{"collectionId": "j_1", "startEta": "2026-03-02T09:00:00Z"}',
        b'{"COLLECTION_ID": "j_1", "START_ETA": "2026-03-02T09:00:00Z"}',
        b'{"data": {"collection_id": "j_1", "start_eta": "2026-03-02T09:00:00Z"}}',
    ],
)
def test_an_id_is_read_however_its_key_is_written(body: bytes) -> None:
    assert read(200, body) == Accepted(collection_id="j_1", start_eta=NINE, status=200)


def test_the_name_as_documented_goes_before_another_spelling() -> None:
    reply = read(200, b'{"collection_id": "j_1", "Collection_ID": "j_2"}')

    assert reply == Accepted(collection_id="j_1", start_eta=None, status=200)


def test_a_redirect_tells_where_it_leads_and_gives_no_secret_away() -> None:
    where = "https://me:pw@login.example/sso/trigger?next=secret#there"
    reply = read(308, b"", headers={"location": where})

    assert reply == Lost(
        detail="answered 308 to https://login.example/sso/trigger, which is not followed"
        " (no content type, 0 bytes)",
        status=308,
    )
