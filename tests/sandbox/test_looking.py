"""What can be asked about jobs: datasets, the jobs list and its traps, collectors (DCA, 2)."""

import pytest

from scheduler.sandbox import SandboxCollector, SandboxSettings
from tests.sandbox.rig import NINE, SHOP, Client, connected

UNLIMITED = SandboxSettings(job_limit=10**9)


async def listed(client: Client, **params: str) -> list[str]:
    reply = await client.get("/dca/collector/jobs", **({"collector": SHOP} | params))
    assert reply.status == 200, reply.text
    return [row["id"] for row in reply.json["data"]]


async def test_a_dataset_is_not_ready_with_202_until_the_job_ended() -> None:
    async with connected() as client:
        job_id = await client.start([{"url": "a", "country": "de"}])
        early = await client.get("/dca/dataset", id=job_id)
        client.clock.tick(60)
        ready = await client.get("/dca/dataset", id=job_id)

    assert early.status == 202
    assert early.json == {
        "status": "building",
        "message": "Dataset is not ready yet, try again in 30s",
    }
    assert ready.status == 200
    assert ready.json == [{"url": "a", "country": "de", "input": {"url": "a", "country": "de"}}]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/dca/dataset?id=j_none"),
        ("GET", "/dca/dataset"),
        ("GET", "/dca/log/j_none"),
        ("GET", "/dca/jobs/j_none/hp_errors"),
        ("POST", "/dca/jobs/j_none/cancel"),
        ("POST", "/dca/jobs/j_none/rerun"),
        ("GET", "/dca/trigger"),
        ("GET", "/elsewhere"),
    ],
)
async def test_what_is_not_there_is_404(method: str, path: str) -> None:
    async with connected() as client:
        reply = await client.call(method, path)

    assert reply.status == 404
    assert reply.json["error"]


async def test_the_jobs_list_wants_a_collector() -> None:
    async with connected() as client:
        reply = await client.get("/dca/collector/jobs")

    assert (reply.status, reply.json) == (400, {"error": "Missing collector parameter"})


@pytest.mark.parametrize("carry", [False, True], ids=["as documented", "with the name"])
async def test_a_row_has_the_documented_fields_and_no_name_unless_set(carry: bool) -> None:
    async with connected(SandboxSettings(jobs_carry_name=carry)) as client:
        job_id = await client.start(name="nightly")
        client.clock.tick(60)
        reply = await client.get("/dca/collector/jobs", collector=SHOP)

    row = {
        "id": job_id,
        "status": "done",
        "queued": "2026-03-02T09:00:00.000Z",
        "started": "2026-03-02T09:00:01.000Z",
        "finished": "2026-03-02T09:00:02.000Z",
        "inputs": 1,
        "page_loads": 1,
        "total_pages": 1,
        "failed_pages": 0,
        "data_lines": 1,
        "trigger": {"type": "api", "user": "sandbox", "ip": "127.0.0.1"},
        "expired": False,
    }
    assert reply.json["data"] == [row | ({"name": "nightly"} if carry else {})]
    assert (reply.json["total"], reply.json["offset"], reply.json["limit"]) == (1, 0, 50)


async def test_the_jobs_list_is_of_one_collector_newest_first_unless_asked() -> None:
    async with connected() as client:
        ids = [await client.start() for _ in range(3)]
        await client.start(collector="c_other")

        assert await listed(client) == ids[::-1]
        assert await listed(client, sort_asc="-1") == ids[::-1]
        assert await listed(client, sort_asc="1") == ids


async def test_dates_are_whole_utc_days_and_both_count() -> None:
    async with connected() as client:
        client.clock.now = NINE.replace(hour=23, minute=59)
        late = await client.start()
        client.clock.tick(120)
        early = await client.start()

        assert await listed(client, to_date="2026-03-02") == [late]
        assert await listed(client, from_date="2026-03-03") == [early]
        assert await listed(client, from_date="2026-03-02", to_date="2026-03-03") == [early, late]
        assert await listed(client, from_date="2026-03-04") == []


async def test_pages_of_the_jobs_list_cover_every_job_once() -> None:
    async with connected(UNLIMITED) as client:
        ids = [await client.start() for _ in range(25)]
        pages = [
            await listed(client, offset=str(at), limit="10", sort_asc="1") for at in (0, 10, 20)
        ]

    assert [len(page) for page in pages] == [10, 10, 5]
    assert [one for page in pages for one in page] == ids


@pytest.mark.parametrize(
    "params",
    [{"limit": "501"}, {"limit": "x"}, {"offset": "-1"}, {"from_date": "2026-03-02T09:00:00Z"}],
    ids=lambda params: next(iter(params.items())),
)
async def test_a_list_parameter_out_of_bounds_is_400(params: dict[str, str]) -> None:
    async with connected() as client:
        reply = await client.get("/dca/collector/jobs", collector=SHOP, **params)

    assert reply.status == 400


async def test_the_collectors_are_those_of_the_account() -> None:
    settings = SandboxSettings(collectors=(SandboxCollector(id=SHOP, name="Shop"),))
    async with connected(settings) as client:
        await client.start()
        reply = await client.get("/dca/collectors_list")

    assert reply.json == [
        {
            "id": SHOP,
            "name": "Shop",
            "active": True,
            "last_run": "2026-03-02T09:00:00.000Z",
            "output_schema": {},
        }
    ]
