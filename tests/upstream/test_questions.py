"""The questions, against the sandbox and against answers that it would never give."""

import json
from datetime import timedelta

import pytest

from scheduler.domain.answers import (
    CollectionLog,
    Done,
    EchoedInputs,
    Gone,
    NotReady,
    Refused,
    Unanswered,
    input_key,
)
from scheduler.domain.errors import ConfigError
from scheduler.sandbox import Fault, FaultKind, Sandbox
from scheduler.upstream.fields import read_rate
from tests.upstream.rig import (
    MONDAY,
    NINE,
    SHORT,
    ManualClock,
    Wire,
    answering,
    assert_not_sent,
    client,
    http,
    playing,
    start,
    trigger,
)


async def test_the_log_of_a_collection_is_read_field_by_field() -> None:
    clock = ManualClock()
    async with Sandbox(clock=clock).serving() as url, client(url) as dca:
        collection_id = await start(dca)
        clock.now += timedelta(minutes=1)
        log = await dca.get_log(collection_id)

    assert log == CollectionLog(
        status="done",
        inputs=2,
        lines=2,
        fails=0,
        pages=2,
        pages_left=0,
        success_rate=1.0,
        created_at=NINE,
        started_at=NINE + timedelta(seconds=1),
        finished_at=NINE + timedelta(seconds=3),
    )


async def test_a_log_without_a_status_is_still_a_log() -> None:
    sandbox = Sandbox()
    sandbox.arm(Fault(kind=FaultKind.NO_STATUS))
    async with sandbox.serving() as url, client(url) as dca:
        log = await dca.get_log(await start(dca))

    assert isinstance(log, CollectionLog)
    assert (log.status, log.inputs) == (None, 2)


async def test_a_collection_that_the_upstream_does_not_know_is_gone() -> None:
    async with Sandbox().serving() as url, client(url) as dca:
        assert await dca.get_log("j_none") == Gone(detail="Job not found")
        assert await dca.get_inputs("j_none") == Gone(detail="Job not found")


async def test_odd_fields_of_a_log_are_none_and_the_others_are_kept() -> None:
    odd = {
        "id": "j_1",
        "status": ["done"],
        "inputs": -1,
        "lines": 10**400,
        "fails": True,
        "pages": 2.0,
        "pages_left": "3",
        "success_rate": 100,
        "created": 1772442000000,
        "started": "2026-03-02 09:00:00",
        "finished": "9999-12-31T23:59:59-14:00",
    }
    body = json.dumps(odd).encode()
    async with playing(answering(http("200 OK", body))) as server, client(server.url) as dca:
        log = await dca.get_log("j_1")

    assert log == CollectionLog(
        status=None,
        inputs=None,
        lines=None,
        fails=None,
        pages=2,
        pages_left=3,
        success_rate=1.0,
        created_at=None,
        started_at=NINE,
        finished_at=None,
    )


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"[]", id="an array"),
        pytest.param(b'[{"id": "j_2", "status": "done"}]', id="another collection's, in a list"),
        pytest.param(b'[{"status": "done"}, {"status": "done"}]', id="two that bear no id"),
        pytest.param(b"[[]]", id="an array in a list"),
        pytest.param(b"null", id="null"),
        pytest.param(b'"done"', id="a string"),
        pytest.param(b"7", id="a number"),
        pytest.param(b"{}", id="no field"),
        pytest.param(b'{"error": "not now"}', id="an error with 200"),
        pytest.param(b'{"id": "j_2", "status": "done"}', id="another collection's"),
        pytest.param(b"<html>", id="a page"),
        pytest.param(b'{"success_rate": NaN, "fails": Infinity}', id="no numbers"),
    ],
)
async def test_what_is_no_log_of_the_collection_is_no_answer(body: bytes) -> None:
    async with playing(answering(http("200 OK", body))) as server, client(server.url) as dca:
        log = await dca.get_log("j_1")

    assert isinstance(log, Unanswered)
    assert log.status == 200


UNANSWERED = [
    pytest.param(
        http("429 Too Many", b"{}", "Retry-After: 12"),
        Unanswered(
            detail="answered 429 (no content type, 2 bytes): {}",
            status=429,
            throttled=True,
            retry_after=timedelta(seconds=12),
        ),
        id="429",
    ),
    pytest.param(
        http("401 No", b'{"error": "Invalid token"}'),
        Unanswered(
            detail="answered 401 (no content type, 26 bytes): Invalid token",
            status=401,
            credentials=True,
        ),
        id="401",
    ),
    pytest.param(
        http("403 No", b""),
        Unanswered(detail="answered 403 (no content type, 0 bytes)", status=403),
        id="403 of a gateway",
    ),
    pytest.param(
        http("404 No", b"default backend - 404", "Content-Type: text/plain"),
        Unanswered(detail="answered 404 (text/plain, 21 bytes): default backend - 404", status=404),
        id="404 of a gateway",
    ),
    pytest.param(
        http("500 Oops", b"oops", "Content-Type: text/plain"),
        Unanswered(detail="answered 500 (text/plain, 4 bytes): oops", status=500),
        id="500",
    ),
    pytest.param(
        http("302 Found", b"", "Location: http://127.0.0.1:9/"),
        Unanswered(
            detail="answered 302 to http://127.0.0.1:9/, which is not followed"
            " (no content type, 0 bytes)",
            status=302,
        ),
        id="302",
    ),
]


@pytest.mark.parametrize(("answer", "expected"), UNANSWERED)
async def test_every_question_can_stay_unanswered(answer: bytes, expected: Unanswered) -> None:
    script = answering(answer, answer, answer)
    async with playing(script) as server, client(server.url, connections=1) as dca:
        answers = [
            await dca.get_log("j_1"),
            await dca.get_inputs("j_1"),
            await dca.list_jobs("c_shop", from_date=MONDAY, to_date=MONDAY),
        ]

    assert answers == [expected] * 3


@pytest.mark.parametrize(("answer", "expected"), UNANSWERED)
async def test_a_cancel_can_stay_unanswered_too(answer: bytes, expected: Unanswered) -> None:
    """But a gateway's refusal is one: nothing was cancelled, and the log is asked for next."""
    async with playing(answering(answer)) as server, client(server.url) as dca:
        cancelled = await dca.cancel("j_1")

    is_a_page = expected.status in (403, 404)
    assert isinstance(cancelled, Refused) if is_a_page else cancelled == expected


async def test_a_silent_upstream_leaves_every_question_unanswered() -> None:
    async with playing(Wire.hang) as server, client(server.url, limit=SHORT) as dca:
        answer = await dca.get_log("j_1")

    assert answer == Unanswered(detail="the time limit of 0.3 s was over")


async def test_without_a_token_no_question_is_asked() -> None:
    def unreadable() -> str:
        raise ConfigError("token", ["no such file"])

    async with playing(Wire.hang) as server, client(server.url, token=unreadable) as dca:
        answer = await dca.get_log("j_1")

    assert answer == Unanswered(detail="the token cannot be read: token: no such file")
    assert server.connections == 0


async def test_ids_cannot_lead_a_question_astray() -> None:
    async with playing(answering(http("404 No", b""))) as server, client(server.url) as dca:
        await dca.get_log("../jobs/j_1/cancel?x=1#y")

    first = server.requests[0].split(b"\r\n")[0]
    assert first == b"GET /dca/log/..%2Fjobs%2Fj_1%2Fcancel%3Fx%3D1%23y HTTP/1.1"


async def test_the_inputs_of_a_finished_collection_are_echoed() -> None:
    clock = ManualClock()
    sandbox = Sandbox(clock=clock)
    async with sandbox.serving() as url, client(url) as dca:
        collection_id = await start(dca)
        running = await dca.get_inputs(collection_id)
        clock.now += timedelta(minutes=1)
        array = await dca.get_inputs(collection_id)
        sandbox.arm(Fault(kind=FaultKind.JSON_LINES))
        lines = await dca.get_inputs(collection_id)
        sandbox.arm(Fault(kind=FaultKind.EMPTY))
        empty = await dca.get_inputs(collection_id)

    both = frozenset({input_key({"url": "a"}), input_key({"url": "b"})})
    assert running == NotReady(
        detail="Dataset is not ready yet, try again in 30s", retry_after=timedelta(seconds=30)
    )
    assert array == lines == EchoedInputs(keys=both, is_whole=True)
    assert empty == NotReady(detail="the dataset is empty")


async def test_not_ready_with_200_is_not_ready() -> None:
    sandbox = Sandbox()
    sandbox.arm(Fault(kind=FaultKind.BUILDING_AS_200))
    async with sandbox.serving() as url, client(url) as dca:
        answer = await dca.get_inputs(await start(dca))

    assert answer == NotReady(detail="the dataset is building")


async def test_a_dataset_that_broke_off_is_no_answer() -> None:
    half = http("200 OK", b'[{"input": {"url": "a"}},', length=1000)

    async def play(wire: Wire) -> None:
        await wire.request()
        await wire.say(half)

    async with playing(play) as server, client(server.url) as dca:
        answer = await dca.get_inputs("j_1")

    assert isinstance(answer, Unanswered)
    assert "the answer broke off" in answer.detail


async def test_a_collection_is_cancelled_once() -> None:
    async with Sandbox().serving() as url, client(url) as dca:
        collection_id = await start(dca)

        assert await dca.cancel(collection_id) == Done()
        assert await dca.cancel(collection_id) == Refused(
            detail="Job is already cancelled", status=400
        )
        assert await dca.cancel("j_none") == Refused(detail="Job not found", status=404)


async def test_a_page_in_place_of_ok_has_cancelled_nothing() -> None:
    page = http("200 OK", b"<!DOCTYPE html><title>Sign in</title>")
    async with playing(answering(page)) as server, client(server.url) as dca:
        answer = await dca.cancel("j_1")

    assert isinstance(answer, Unanswered)


async def test_a_question_goes_on_on_another_line_when_a_reused_one_was_dead() -> None:
    async def answer_then_die(wire: Wire) -> None:
        await wire.request()
        await wire.say(http("200 OK", b'{"status": "done"}'))
        if wire.server.connections == 1:
            await wire.head()
        else:
            await wire.hang()

    async with playing(answer_then_die) as server, client(server.url, connections=1) as dca:
        answers = [await dca.get_log("j_1") for _ in range(2)]

    assert [type(answer) for answer in answers] == [CollectionLog, CollectionLog]
    assert (server.connections, server.heads) == (2, 3)


DOCUMENTED = {
    "Id": "j_1",
    "Status": "failed",
    "Inputs": 10,
    "Lines": "1,234",
    "Fails": "7",
    "Pages": "1234.0",
    "Pages_left": 40,
    "Success_rate": "97%",
    "created": "2026-03-02T09:00:00Z",
    "Started": "2026-03-02T09:00:00Z",
    "finished": "2026-03-02T09:00:00Z",
}


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(DOCUMENTED, id="bare"),
        pytest.param({"data": DOCUMENTED}, id="wrapped"),
        pytest.param([DOCUMENTED], id="alone in a list"),
        pytest.param([{"Id": "j_2", "Status": "done"}, DOCUMENTED], id="by its id in a list"),
    ],
)
async def test_a_log_is_read_however_its_keys_and_numbers_are_written(body: object) -> None:
    answer = http("200 OK", json.dumps(body).encode())
    async with playing(answering(answer)) as server, client(server.url) as dca:
        log = await dca.get_log("j_1")

    assert log == CollectionLog(
        status="failed",
        inputs=10,
        lines=1234,
        fails=7,
        pages=1234,
        pages_left=40,
        success_rate=0.97,
        created_at=NINE,
        started_at=NINE,
        finished_at=NINE,
    )


async def test_a_log_of_another_collection_is_told_by_its_id_in_any_case() -> None:
    answer = http("200 OK", b'{"ID": "j_2", "Status": "done"}')
    async with playing(answering(answer)) as server, client(server.url) as dca:
        log = await dca.get_log("j_1")

    assert isinstance(log, Unanswered)


@pytest.mark.parametrize(
    ("written", "rate"),
    [
        ("0.97", 0.97),
        ("97 %", 0.97),
        (97, 0.97),
        (97.5, 0.975),
        ("100%", 1.0),
        ("0%", 0.0),
        (1, 1.0),
        ("1%", 0.01),
        ("101%", None),
        (101, None),
        ("-1", None),
        ("%", None),
        ("a lot", None),
        (True, None),
    ],
)
def test_a_share_is_read_as_a_number_as_text_and_in_percent(
    written: object, rate: float | None
) -> None:
    assert read_rate(written) == pytest.approx(rate)


async def test_a_jobs_list_is_read_however_its_keys_are_written() -> None:
    rows = [{"ID": "j_1", "Inputs": "3", "Name": "nightly", "Queued": "2026-03-02T09:00:00Z"}]
    for body in ({"Total": "1", "Data": rows}, {"data": {"total": 1, "data": rows}}):
        answer = http("200 OK", json.dumps(body).encode())
        async with playing(answering(answer)) as server, client(server.url) as dca:
            jobs = await dca.list_jobs("c_shop", from_date=MONDAY, to_date=MONDAY)

        assert isinstance(jobs, tuple)
        assert [(job.id, job.inputs, job.name, job.queued_at) for job in jobs] == [
            ("j_1", 3, "nightly", NINE)
        ]


@pytest.mark.parametrize(
    "body",
    [b'[{"Input": {"url": "a"}}]', b'{"data": [{"input": {"url": "a"}}, {"input": {"url": "a"}}]}'],
    ids=["capitals", "wrapped"],
)
async def test_a_dataset_is_read_however_it_is_written(body: bytes) -> None:
    async with playing(answering(http("200 OK", body))) as server, client(server.url) as dca:
        answer = await dca.get_inputs("j_1")

    assert answer == EchoedInputs(keys=frozenset({input_key({"url": "a"})}), is_whole=True)


@pytest.mark.parametrize("base_url", ["http://[::1", "nonsense", "ftp://example.org", "http://"])
async def test_a_base_url_that_is_none_sends_nothing_and_raises_nothing(base_url: str) -> None:
    """A row may hold anything: a trigger is put off, and a question stays open."""
    async with client(base_url) as dca:
        reply = await trigger(dca)
        answer = await dca.get_log("j_1")

    assert_not_sent(reply, "base_url is no http(s) address")
    assert isinstance(answer, Unanswered)
