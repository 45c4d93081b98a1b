"""The list of jobs: all of it, or no answer. A job that it hides might be sent a second time."""

import json
from datetime import timedelta

import pytest

from scheduler.domain.answers import (
    ListedJob,
    Unanswered,
)
from scheduler.sandbox import Sandbox, SandboxSettings
from tests.upstream.rig import (
    MONDAY,
    NINE,
    ManualClock,
    answering,
    client,
    http,
    playing,
    start,
)


async def test_the_jobs_of_a_day_are_listed_oldest_first() -> None:
    clock = ManualClock()
    settings = SandboxSettings(jobs_carry_name=True)
    async with Sandbox(settings, clock).serving() as url, client(url) as dca:
        first = await start(dca)
        clock.now += timedelta(seconds=2)
        second = await start(dca)
        jobs = await dca.list_jobs("c_shop", from_date=MONDAY, to_date=MONDAY)
        yesterday = await dca.list_jobs(
            "c_shop", from_date=MONDAY - timedelta(days=1), to_date=MONDAY - timedelta(days=1)
        )

    later = NINE + timedelta(seconds=2)
    assert jobs == (
        ListedJob(
            id=first,
            status="running",
            queued_at=NINE,
            started_at=NINE + timedelta(seconds=1),
            finished_at=None,
            inputs=2,
            name="news",
            page_loads=1,
            total_pages=2,
            failed_pages=0,
            data_lines=1,
            expired=False,
            trigger_type="api",
        ),
        ListedJob(
            id=second,
            status="building",
            queued_at=later,
            started_at=None,
            finished_at=None,
            inputs=2,
            name="news",
            page_loads=0,
            total_pages=2,
            failed_pages=0,
            data_lines=0,
            expired=False,
            trigger_type="api",
        ),
    )
    assert yesterday == ()


async def test_a_job_without_a_name_has_none() -> None:
    async with Sandbox(clock=ManualClock()).serving() as url, client(url) as dca:
        await start(dca)
        jobs = await dca.list_jobs("c_shop", from_date=MONDAY, to_date=MONDAY)

    assert isinstance(jobs, tuple)
    assert [job.name for job in jobs] == [None]


def pages_of(size: int, total: int, *, claimed: object) -> list[bytes]:
    """Return what an upstream says that gives *size* rows at a time, and an empty page behind."""
    starts = range(0, total, size) if total else ()
    rows = [[{"id": f"j_{n}"} for n in range(at, min(at + size, total))] for at in starts]
    return [
        http("200 OK", json.dumps({"total": claimed, "data": page}).encode())
        for page in [*rows, []]
    ]


@pytest.mark.parametrize(
    ("claimed", "asked"),
    [pytest.param(7, 3, id="total known"), pytest.param(None, 4, id="until a page is empty")],
)
async def test_smaller_pages_than_asked_for_hide_no_job(claimed: object, asked: int) -> None:
    script = answering(*pages_of(3, 7, claimed=claimed))
    async with playing(script) as server, client(server.url) as dca:
        jobs = await dca.list_jobs("c_shop", from_date=MONDAY, to_date=MONDAY)

    assert isinstance(jobs, tuple)
    assert [job.id for job in jobs] == [f"j_{n}" for n in range(7)]
    offsets = [request.split(b"offset=")[1].split(b" ")[0] for request in server.requests]
    assert offsets == [b"0", b"3", b"6", b"7"][:asked]
    assert server.requests[0].startswith(
        b"GET /dca/collector/jobs?collector=c_shop&from_date=2026-03-02&to_date=2026-03-02"
        b"&limit=500&sort_asc=1&offset=0 HTTP/1.1\r\n"
    )


@pytest.mark.parametrize(
    ("pages", "detail"),
    [
        pytest.param(pages_of(3, 3, claimed=5), "speaks of 5 jobs and shows 3", id="one short"),
        pytest.param(pages_of(1, 30, claimed=None), "more than 20 pages", id="no end"),
        pytest.param([http("200 OK", b'{"data": {}}')], "answered 200", id="no list"),
        pytest.param([http("200 OK", b'{"data": [{"id": 7}]}')], "no readable id", id="no id"),
        pytest.param([http("200 OK", b'{"data": ["j_1"]}')], "no readable id", id="no row"),
        pytest.param(
            [*pages_of(3, 6, claimed=6)[:1], http("503 Busy", b"")], "answered 503", id="503 later"
        ),
    ],
)
async def test_a_list_that_may_lack_a_job_is_no_answer(pages: list[bytes], detail: str) -> None:
    async with playing(answering(*pages)) as server, client(server.url) as dca:
        jobs = await dca.list_jobs("c_shop", from_date=MONDAY, to_date=MONDAY)

    assert isinstance(jobs, Unanswered)
    assert detail in jobs.detail
