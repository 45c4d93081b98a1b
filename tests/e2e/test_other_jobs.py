"""A job that somebody starts beside a real daemon holds what does not run beside others."""

import json
from datetime import datetime, timedelta
from pathlib import Path

import httpx
from sqlalchemy import text

from scheduler.sandbox import Sandbox, SandboxSettings
from tests.databases import migrate
from tests.e2e.rig import House, house, serving, wait_for

PACE = SandboxSettings(build_time=timedelta(seconds=0.2), time_per_input=timedelta(seconds=1))
INPUTS = [{"url": f"https://example.org/{number}"} for number in range(900)]
SHOPS = """
[collectors.shop]
id = "c_shop"
[collectors.limited]
id = "c_limited"
max_running = 1
[collectors.alone]
id = "c_alone"
max_running = 1
count_others = false
[schedules.skips]
collector = "shop"
batch = "x"
every = "10s"
overlap = "skip"
[schedules.waits]
collector = "limited"
batch = "x"
every = "10s"
overlap = "allow"
[schedules.minds-nobody]
collector = "alone"
batch = "x"
every = "10s"
overlap = "skip"
"""


def start_by_hand(base_url: str, collector: str) -> str:
    """Start a job of a quarter of an hour as anybody with a token does."""
    answer = httpx.post(
        f"{base_url}/dca/trigger",
        params={"collector": collector, "queue": "by-hand"},
        headers={"Authorization": "Bearer token"},
        json=INPUTS,
    )
    return str(answer.json()["collection_id"])


def cancel_by_hand(base_url: str, job_id: str) -> None:
    httpx.post(f"{base_url}/dca/jobs/{job_id}/cancel", headers={"Authorization": "Bearer token"})


def ended(sandbox: Sandbox, job_id: str) -> datetime | None:
    return sandbox.account.book.jobs[job_id].finished_at


def sent(sandbox: Sandbox, collector: str) -> list[datetime]:
    """Return when triggers of the collector came, but for the one by hand."""
    return [
        one.at
        for one in sandbox.account.journal
        if one.path == "/dca/trigger" and dict(one.query)["collector"] == collector
    ][1:]


def skipped(built: House) -> str | None:
    with built.reading() as conn:
        query = "SELECT detail FROM runs WHERE schedule = 'skips' AND reason = 'overlapped'"
        return next(iter(conn.scalars(text(query))), None)


def test_a_job_by_hand_holds_what_does_not_run_beside_it(tmp_path: Path, database_url: str) -> None:
    migrate(database_url)
    with (
        serving(PACE) as (sandbox, base_url),
        house(tmp_path, database_url, base_url, schedules=0, more=SHOPS) as built,
    ):
        shop, limited, _ = (
            start_by_hand(base_url, one) for one in ("c_shop", "c_limited", "c_alone")
        )
        daemon = built.start(wait=True)
        wait_for(lambda: skipped(built), within=30, what="one is skipped", also=built.tell)
        waiting = wait_for(
            lambda: (
                limited.encode() in daemon.log.read_bytes()
                and built.count("schedule = 'waits' AND state = 'queued'")
                and not built.count("schedule = 'waits' AND state = 'collecting'")
            ),
            within=30,
            what="one waits",
            also=built.tell,
        )
        status = json.loads(built.call("status", "--json").stdout)
        doctor = built.call("doctor")
        told = built.call("status").stdout
        # What was due before the first list came in was sent: nothing was known then.
        before = {collector: len(sent(sandbox, collector)) for collector in ("c_shop", "c_limited")}
        for job in (shop, limited):
            cancel_by_hand(base_url, job)
        for collector in ("c_shop", "c_limited", "c_alone"):
            wait_for(
                lambda of=collector: sent(sandbox, of)[before.get(of, 0) :],  # type: ignore[misc]
                within=60,
                what=f"{collector} goes on",
                also=built.tell,
            )
        detail = skipped(built)
        code = daemon.stop()

    assert detail == f"job {shop} runs on the collector, and no run here has it"
    assert waiting
    assert {(job["collector_id"], job["id"]) for job in status["other_jobs"]} == {
        ("c_shop", shop),
        ("c_limited", limited),
    }
    assert f"c_shop of main: job {shop} runs on the collector, and no run here has it" in told
    assert "no run here has it" not in doctor.stdout
    for collector, job in (("c_shop", shop), ("c_limited", limited)):
        end = ended(sandbox, job)
        assert end is not None
        assert min(sent(sandbox, collector)[before[collector] :]) >= end
    assert code == 0
