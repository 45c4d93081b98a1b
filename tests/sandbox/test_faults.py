"""Faults on demand, seen from the wire and judged by the sandbox's own log."""

import asyncio

import aiohttp
import pytest

from scheduler.domain.errors import InvalidInput
from scheduler.sandbox import Fault, FaultKind, SandboxSettings, When
from scheduler.sandbox.fault_plan import FaultPlan
from tests.sandbox.rig import ONE_INPUT, SHOP, Client, connected, raw_trigger

BOTH_MOMENTS = pytest.mark.parametrize(
    ("when", "jobs"), [(When.BEFORE, 0), (When.AFTER, 1)], ids=["no job", "job created"]
)


def last_request(client: Client) -> tuple[str | None, int | None, bool]:
    *_, request = client.sandbox.account.journal
    return request.fault, request.status, request.collection_id is not None


@BOTH_MOMENTS
async def test_a_lost_answer_is_a_connection_closed_without_a_byte(when: When, jobs: int) -> None:
    async with connected() as client:
        client.sandbox.arm(Fault(kind=FaultKind.LOST, when=when))
        received = await raw_trigger(client)

    assert received == b""
    assert client.job_count == jobs
    assert last_request(client) == ("lost", None, jobs == 1)


@BOTH_MOMENTS
async def test_a_reset_connection_says_so(when: When, jobs: int) -> None:
    async with connected() as client:
        client.sandbox.arm(Fault(kind=FaultKind.RESET, when=when))
        with pytest.raises(ConnectionResetError):
            await raw_trigger(client)

    assert client.job_count == jobs
    assert last_request(client) == ("reset", None, jobs == 1)


async def test_half_an_answer_breaks_off_after_the_headers() -> None:
    async with connected() as client:
        client.sandbox.arm(Fault(kind=FaultKind.HALF))
        with pytest.raises(aiohttp.ClientPayloadError):
            await client.trigger()
        client.sandbox.arm(Fault(kind=FaultKind.HALF))
        received = await raw_trigger(client)

    assert received.startswith(b"HTTP/1.1 200 OK")
    assert b'"collection_id"' in received
    assert b"start_eta" not in received
    assert client.job_count == 2


async def test_a_dripping_answer_comes_whole_and_late() -> None:
    async with connected() as client:
        client.sandbox.arm(Fault(kind=FaultKind.DRIP, seconds=0.2))
        began = asyncio.get_running_loop().time()
        reply = await client.trigger()
        took = asyncio.get_running_loop().time() - began

    assert reply.json["collection_id"]
    assert took >= 0.2


@BOTH_MOMENTS
async def test_a_hanging_answer_outlasts_an_impatient_client(when: When, jobs: int) -> None:
    impatient = aiohttp.ClientTimeout(total=0.1)
    async with connected() as client:
        client.sandbox.arm(Fault(kind=FaultKind.HANG, when=when, seconds=30))
        with pytest.raises(TimeoutError):
            await client.call(
                "POST", f"/dca/trigger?collector={SHOP}", json=ONE_INPUT, timeout=impatient
            )

        assert client.job_count == jobs


@pytest.mark.parametrize(
    ("when", "received"),
    [(When.BEFORE, b""), (When.AFTER, b"HTTP/1.1 200")],
    ids=["before", "after"],
)
async def test_a_hang_ends_with_nothing_or_with_the_answer(when: When, received: bytes) -> None:
    async with connected() as client:
        client.sandbox.arm(Fault(kind=FaultKind.HANG, when=when, seconds=0.05))

        assert (await raw_trigger(client))[:12] == received


async def test_a_slow_request_is_carried_out_only_after_the_wait() -> None:
    async with connected() as client:
        client.sandbox.arm(Fault(kind=FaultKind.SLOW, seconds=0.3))
        sending = asyncio.create_task(client.trigger())
        while not client.sandbox.account.journal.received:
            await asyncio.wait([sending], timeout=0.01)
        at_arrival = client.job_count
        reply = await sending

    assert at_arrival == 0
    assert (reply.status, client.job_count) == (200, 1)


@BOTH_MOMENTS
async def test_a_5xx_comes_with_or_without_a_job(when: When, jobs: int) -> None:
    async with connected() as client:
        client.sandbox.arm(Fault(kind=FaultKind.ERROR, status=503, when=when))
        reply = await client.trigger()

    assert reply.status == 503
    assert client.job_count == jobs
    assert last_request(client) == ("error", 503, jobs == 1)


@pytest.mark.parametrize(
    ("fault", "status", "jobs"),
    [
        pytest.param(Fault(kind=FaultKind.THROTTLE), 429, 0, id="429"),
        pytest.param(Fault(kind=FaultKind.JOB_LIMIT), 429, 0, id="job limit"),
        pytest.param(Fault(kind=FaultKind.HTML), 200, 0, id="HTML without a job"),
        pytest.param(Fault(kind=FaultKind.HTML, when=When.AFTER), 200, 1, id="HTML with a job"),
        pytest.param(Fault(kind=FaultKind.EMPTY, path="/dca/*"), 200, 1, id="empty"),
        pytest.param(Fault(kind=FaultKind.NO_ID), 200, 1, id="no collection_id"),
    ],
)
async def test_an_answer_without_a_collection_id(fault: Fault, status: int, jobs: int) -> None:
    async with connected() as client:
        client.sandbox.arm(fault)
        reply = await client.trigger()

    assert reply.status == status
    assert "collection_id" not in reply.text
    assert "Retry-After" not in reply.headers
    assert client.job_count == jobs


async def test_a_429_can_say_how_long_to_wait() -> None:
    async with connected() as client:
        client.sandbox.arm(Fault(kind=FaultKind.THROTTLE, retry_after=3))
        reply = await client.trigger()

    assert (reply.status, reply.headers["Retry-After"]) == (429, "3")


async def test_broken_json_is_a_whole_answer_that_cannot_be_read() -> None:
    async with connected() as client:
        client.sandbox.arm(Fault(kind=FaultKind.BROKEN_JSON))
        with pytest.raises(ValueError, match=r"Expecting|Unterminated"):
            await client.trigger()

    assert client.job_count == 1


async def test_a_missing_start_eta_leaves_the_id() -> None:
    async with connected() as client:
        client.sandbox.arm(Fault(kind=FaultKind.NO_ETA))
        reply = await client.trigger()

    assert list(reply.json) == ["collection_id"]


async def test_a_log_without_status_keeps_the_rest() -> None:
    async with connected() as client:
        client.sandbox.arm(Fault(kind=FaultKind.NO_STATUS))
        job_id = await client.start()
        first, second = await client.log(job_id), await client.log(job_id)

    assert first == {key: value for key, value in second.items() if key != "status"}


async def test_datasets_come_in_every_form_that_was_seen() -> None:
    async with connected() as client:
        job_id = await client.start([{"url": "a"}, {"url": "b"}])
        client.sandbox.arm(Fault(kind=FaultKind.BUILDING_AS_200))
        building = await client.get("/dca/dataset", id=job_id)
        client.clock.tick(60)
        client.sandbox.arm(Fault(kind=FaultKind.EMPTY), Fault(kind=FaultKind.JSON_LINES))
        empty = await client.get("/dca/dataset", id=job_id)
        lines = await client.get("/dca/dataset", id=job_id)

    assert (building.status, building.json["status"]) == (200, "building")
    assert (empty.status, empty.text) == (200, "")
    assert lines.text.count("\n") == 2


async def test_a_late_job_is_missing_from_the_list_until_its_time() -> None:
    async with connected() as client:
        client.sandbox.arm(Fault(kind=FaultKind.LATE_LISTING, seconds=10))
        job_id = await client.start()
        client.clock.tick(9)
        early = (await client.get("/dca/collector/jobs", collector=SHOP)).json
        client.clock.tick(1)
        late = (await client.get("/dca/collector/jobs", collector=SHOP)).json

    assert (early["total"], early["data"]) == (0, [])
    assert [row["id"] for row in late["data"]] == [job_id]


async def test_a_fault_after_the_fact_waits_for_an_accepted_request() -> None:
    async with connected(SandboxSettings(faults=(Fault(kind=FaultKind.NO_ETA),))) as client:
        refused = await client.trigger({"not": "an array"})
        accepted = await client.trigger()

    assert refused.status == 400
    assert "start_eta" not in accepted.json


def struck(fault: Fault, requests: int, collector: str = SHOP) -> list[int]:
    plan = FaultPlan([fault])
    return [
        number
        for number in range(requests)
        if plan.pick("/dca/trigger", collector, fault.moment) is not None
    ]


def test_a_fault_skips_then_strikes_as_often_as_told() -> None:
    assert struck(Fault(kind=FaultKind.LOST, skip=2, times=3), 10) == [2, 3, 4]


def test_a_fault_by_chance_repeats_with_its_seed() -> None:
    fault = Fault(kind=FaultKind.LOST, times=None, probability=0.3, seed=7)

    assert struck(fault, 1000) == struck(fault, 1000)
    assert 200 < len(struck(fault, 1000)) < 400


def test_a_fault_of_one_collector_spares_the_others() -> None:
    fault = Fault(kind=FaultKind.LOST, collector=SHOP)

    assert struck(fault, 3, collector="c_other") == []
    assert struck(fault, 3) == [0]


@pytest.mark.parametrize(
    ("kind", "when"),
    [(FaultKind.HALF, When.BEFORE), (FaultKind.THROTTLE, When.AFTER), (FaultKind.SLOW, When.AFTER)],
)
def test_a_moment_that_makes_no_sense_is_refused(kind: FaultKind, when: When) -> None:
    with pytest.raises(InvalidInput, match="cannot strike"):
        Fault(kind=kind, when=when)
