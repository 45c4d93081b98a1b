"""The trigger: parameters, bodies, refusals (DCA, 1)."""

import io
import json
from datetime import timedelta

import pytest
from aiohttp import FormData

from scheduler.sandbox import SandboxCollector, SandboxSettings
from tests.sandbox.rig import ONE_INPUT, SHOP, connected

CSV = b'url,note\r\nhttps://example.org/1,"a, b"\r\nhttps://example.org/2,\xc3\xa9\r\n'
TWO_INPUTS = [
    {"url": "https://example.org/1", "note": "a, b"},
    {"url": "https://example.org/2", "note": "é"},
]
STRICT = SandboxSettings(
    collectors=(
        SandboxCollector(id=SHOP, optional_fields=frozenset({"country"})),
        SandboxCollector(id="c_live", real_time=True),
    )
)


async def test_an_accepted_trigger_is_answered_with_an_id_and_a_start_in_milliseconds() -> None:
    async with connected() as client:
        reply = await client.trigger()

    assert reply.status == 200
    assert reply.json["collection_id"].startswith("j_")
    assert reply.json["start_eta"] == "2026-03-02T09:00:01.000Z"


async def test_every_accepted_trigger_is_a_new_job() -> None:
    async with connected() as client:
        ids = {await client.start(name="same") for _ in range(5)}

    assert len(ids) == 5


async def test_json_csv_and_a_form_carry_the_same_inputs() -> None:
    form = FormData()
    form.add_field("data", CSV, filename="inputs.csv", content_type="text/csv")
    async with connected() as client:
        path = f"/dca/trigger?collector={SHOP}"
        await client.call("POST", path, json=TWO_INPUTS)
        await client.call("POST", path, data=CSV, headers={"Content-Type": "text/csv"})
        await client.call("POST", path, data=form)
        jobs = client.sandbox.account.book.jobs.values()

    assert [list(job.order.inputs) for job in jobs] == [TWO_INPUTS] * 3


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        pytest.param("application/json", b'{"url": "x"}', id="one object instead of an array"),
        pytest.param("application/json", b'["x"]', id="an array of text"),
        pytest.param("application/json", b"[", id="not JSON"),
        pytest.param("application/json", b"[]", id="no inputs"),
        pytest.param("text/csv", b"url\n", id="a header alone"),
        pytest.param("text/csv", b"url\nx,y\n", id="more columns than the header"),
        pytest.param("text/csv", b"url\n\xff\n", id="not UTF-8"),
        pytest.param("text/plain", b"x", id="another content type"),
        pytest.param("multipart/form-data; boundary=b", b"--b--\r\n", id="a form without data"),
    ],
)
async def test_a_body_that_is_not_documented_is_refused_with_400(
    content_type: str, body: bytes
) -> None:
    async with connected() as client:
        reply = await client.call(
            "POST",
            f"/dca/trigger?collector={SHOP}",
            data=body,
            headers={"Content-Type": content_type},
        )

    assert reply.status == 400
    assert reply.json["error"]
    assert client.job_count == 0


@pytest.mark.parametrize(
    ("params", "inputs", "status", "text"),
    [
        pytest.param({"collector": ""}, ONE_INPUT, 400, "Missing collector", id="no collector"),
        pytest.param({"collector": "c_live"}, ONE_INPUT, 400, "real-time", id="real-time"),
        pytest.param({"collector": "c_none"}, ONE_INPUT, 404, "c_none", id="unknown collector"),
        pytest.param({}, [{"keyword": "x"}], 422, "lacks the field 'url'", id="missing field"),
        pytest.param({}, [{"url": "x", "w": 1}], 422, "unknown field 'w'", id="unknown field"),
        pytest.param({"deadline": "1h30m"}, ONE_INPUT, 400, "deadline", id="two units"),
        pytest.param({"deliver": "s3"}, ONE_INPUT, 400, "deliver", id="deliver is not an object"),
    ],
)
async def test_a_wrong_trigger_is_refused_with_its_documented_status(
    params: dict[str, str], inputs: object, status: int, text: str
) -> None:
    async with connected(STRICT) as client:
        reply = await client.trigger(inputs, **params)

    assert reply.status == status
    assert text in reply.json["error"]
    assert client.job_count == 0


async def test_every_documented_parameter_is_accepted_at_once() -> None:
    async with connected(STRICT) as client:
        reply = await client.trigger(
            [{"url": "x", "country": "de"}],
            version="dev",
            name="nightly é",
            no_downloads="1",
            deadline="90m",
            queue_next="1",
            queue="nightly",
            notify=json.dumps({"type": "email"}),
            deliver=json.dumps({"type": "s3"}),
        )
        (job,) = client.sandbox.account.book.jobs.values()

    assert reply.status == 200
    assert job.order.name == "nightly é"
    assert job.order.queue == "nightly"
    assert job.order.deadline == timedelta(minutes=90)


@pytest.mark.parametrize(
    ("authorization", "status"),
    [
        pytest.param("", 401, id="missing"),
        pytest.param("Basic good", 401, id="not Bearer"),
        pytest.param("Bearer ", 401, id="empty"),
        pytest.param("Bearer revoked", 401, id="revoked"),
        pytest.param("Bearer suspended", 403, id="suspended"),
        pytest.param("Bearer good", 200, id="good"),
    ],
)
async def test_only_a_good_token_passes(authorization: str, status: int) -> None:
    settings = SandboxSettings(
        tokens=frozenset({"good"}), suspended_tokens=frozenset({"suspended"})
    )
    async with connected(settings) as client:
        reply = await client.call(
            "GET", "/dca/collectors_list", headers={"Authorization": authorization}
        )

    assert reply.status == status


async def test_the_101st_job_of_a_collector_is_refused_until_one_ends() -> None:
    async with connected(SandboxSettings(job_limit=100)) as client:
        for number in range(100):
            await client.start(queue=f"q{number}")
        refused = await client.trigger()
        other = await client.trigger(collector="c_other")
        client.clock.tick(2)
        later = await client.trigger()

    assert refused.status == 429
    assert refused.json["error"] == "Maximum limit of 100 jobs per scraper has been exceeded"
    assert (other.status, later.status) == (200, 200)


async def test_a_body_far_over_a_megabyte_is_taken() -> None:
    inputs = [{"url": "https://example.org/" + "x" * 1000}] * 3000
    async with connected() as client:
        reply = await client.call(
            "POST",
            f"/dca/trigger?collector={SHOP}",
            data=io.BytesIO(json.dumps(inputs).encode()),
            headers={"Content-Type": "application/json"},
        )
        log = await client.log(reply.json["collection_id"])

    assert (log["inputs"], log["dup_inputs"]) == (3000, 2999)
