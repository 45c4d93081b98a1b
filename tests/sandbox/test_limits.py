"""Throttling, and the block for too many 429 answers (DCA, 1)."""

import pytest

from scheduler.sandbox import SandboxSettings
from tests.sandbox.rig import connected


@pytest.mark.parametrize("retry_after", [None, 7], ids=["without Retry-After", "with it"])
async def test_requests_over_the_window_get_429_until_it_passed(retry_after: int | None) -> None:
    settings = SandboxSettings(requests_per_window=2, retry_after=retry_after)
    async with connected(settings) as client:
        statuses = [(await client.trigger()).status for _ in range(2)]
        refused = await client.trigger()
        client.clock.tick(1)
        later = await client.trigger()

    assert [*statuses, refused.status, later.status] == [200, 200, 429, 200]
    assert refused.headers.get("Retry-After") == (None if retry_after is None else "7")
    assert client.job_count == 3


async def test_the_25th_429_within_five_minutes_blocks_every_endpoint_until_a_reset() -> None:
    async with connected(SandboxSettings(job_limit=0)) as client:
        refused = {(await client.trigger()).status for _ in range(25)}
        client.clock.tick(86_400)
        blocked = await client.get("/dca/collectors_list")
        await client.call("POST", "/sandbox/reset")
        after = await client.get("/dca/collectors_list")

    assert refused == {429}
    assert blocked.status == 403
    assert "blocked" in blocked.json["error"]
    assert after.status == 200


async def test_429s_spread_over_more_than_five_minutes_do_not_block() -> None:
    async with connected(SandboxSettings(job_limit=0)) as client:
        for _ in range(50):
            assert (await client.trigger()).status == 429
            client.clock.tick(12.6)
        reply = await client.get("/dca/collectors_list")

    assert reply.status == 200
