"""The sandbox's own endpoints and its life as a server."""

import asyncio
import hashlib

import pytest

from scheduler.sandbox import Sandbox, SandboxSettings, serve_forever
from tests.sandbox.rig import ONE_INPUT, SHOP, connected


async def test_the_log_tells_every_request_and_every_job() -> None:
    async with connected() as client:
        job_id = await client.start(name="a&b", queue="q")
        await client.get("/dca/log/j_none")
        told = (await client.get("/sandbox/log")).json

    body = b'[{"url": "https://example.org/1"}]'
    assert told["requests"][0] == {
        "number": 1,
        "at": "2026-03-02T09:00:00.000Z",
        "peer": "127.0.0.1",
        "method": "POST",
        "path": "/dca/trigger",
        "query": [["collector", SHOP], ["name", "a&b"], ["queue", "q"]],
        "content_type": "application/json",
        "body_bytes": len(body),
        "body_sha256": hashlib.sha256(body).hexdigest(),
        "inputs": 1,
        "fault": None,
        "status": 200,
        "collection_id": job_id,
    }
    assert [one["status"] for one in told["requests"]] == [200, 404]
    assert [(job["id"], job["queue"], job["name"]) for job in told["jobs"]] == [
        (job_id, "q", "a&b")
    ]


async def test_the_log_forgets_old_requests_but_no_job() -> None:
    async with connected(SandboxSettings(log_limit=3)) as client:
        for _ in range(5):
            await client.start()
        told = (await client.get("/sandbox/log")).json
        newest = (await client.get("/sandbox/log", since="4")).json

    assert [one["number"] for one in told["requests"]] == [3, 4, 5]
    assert [one["number"] for one in newest["requests"]] == [5]
    assert (told["received"], len(told["jobs"])) == (5, 5)


async def test_faults_are_armed_and_disarmed_over_http_without_a_token() -> None:
    async with connected() as client:
        armed = await client.call(
            "POST",
            "/sandbox/faults",
            json=[{"kind": "error", "times": None, "status": 502}, {"kind": "no_eta"}],
            headers={"Authorization": ""},
        )
        failed = [(await client.trigger()).status for _ in range(2)]
        await client.call("DELETE", "/sandbox/faults")
        after = await client.trigger()

    assert armed.json == {"armed": 2}
    assert failed == [502, 502]
    assert after.json["start_eta"]


@pytest.mark.parametrize(
    "body",
    [
        b'{"kind": "nonsense"}',
        b'{"kind": "lost", "typo": 1}',
        b'{"kind": "half", "when": "before"}',
        b"[",
    ],
)
async def test_a_fault_that_cannot_be_is_refused(body: bytes) -> None:
    async with connected() as client:
        reply = await client.call("POST", "/sandbox/faults", data=body)

    assert reply.status == 422
    assert reply.json["error"]


async def test_a_reset_forgets_everything() -> None:
    async with connected() as client:
        job_id = await client.start()
        await client.call("POST", "/sandbox/faults", json={"kind": "lost"})
        await client.call("POST", "/sandbox/reset")
        told = (await client.get("/sandbox/log")).json
        gone = await client.get(f"/dca/log/{job_id}")
        again = await client.trigger()

    assert (told["requests"], told["jobs"]) == ([], [])
    assert (gone.status, again.status) == (404, 200)


async def test_a_port_in_use_is_an_oserror() -> None:
    async with Sandbox().serving() as url:
        port = int(url.rpartition(":")[2])
        with pytest.raises(OSError, match="address already in use"):
            async with Sandbox().serving(port=port):
                pass


async def test_serve_forever_tells_its_url_and_ends_cleanly_when_cancelled() -> None:
    ready: asyncio.Queue[str] = asyncio.Queue()
    serving = asyncio.create_task(
        serve_forever(SandboxSettings(), "127.0.0.1", 0, ready.put_nowait)
    )
    host, port = (await ready.get()).removeprefix("http://").split(":")
    _, writer = await asyncio.open_connection(host, int(port))
    writer.close()

    serving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await serving
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection(host, int(port))


async def test_ten_thousand_jobs_of_one_collector_are_no_burden() -> None:
    settings = SandboxSettings(job_limit=10**9)
    async with connected(settings) as client:
        book = client.sandbox.account.book
        first = await client.start(ONE_INPUT)
        order = book.jobs[first].order
        for _ in range(10_000):
            book.submit(order)
        client.clock.tick(86_400)
        began = asyncio.get_running_loop().time()
        reply = await client.get("/dca/collector/jobs", collector=SHOP, limit="500")
        took = asyncio.get_running_loop().time() - began

    assert reply.json["total"] == 10_001
    assert {row["status"] for row in reply.json["data"]} == {"done"}
    assert took < 5


@pytest.mark.parametrize(
    "headers",
    [{"Origin": "http://evil.example"}, {"Host": "rebind.evil"}, {"Origin": "null"}],
    ids=["a page's form", "a name that leads here", "a page without a name"],
)
async def test_no_browser_reaches_the_sandboxs_own_endpoints(headers: dict[str, str]) -> None:
    async with connected() as client:
        log = await client.call("GET", "/sandbox/log", headers=headers)
        armed = await client.call("POST", "/sandbox/faults", headers=headers)

    assert (log.status, armed.status) == (403, 403)
