"""Daemons killed while they spend: never beyond a limit or a budget, never a second child."""

import random
import re
from collections import Counter
from collections.abc import Sized
from dataclasses import replace
from functools import partial
from itertools import count
from pathlib import Path

from sqlalchemy import text

from scheduler.sandbox import Sandbox
from tests.e2e.rig import AT_RANDOM, QUICK, Daemon, House, house, pause, serving, wait_for
from tests.judge import complaints, jobs_of

ALLOWED = 5
KILLS = 3
LIMIT = (
    "requests_per_second = 200.0",
    f"requests_per_second = 200.0\nmax_runs_per_day = {ALLOWED}",
)
BUDGET = ("[batches.x]", f'[budgets.all]\npage_loads = {ALLOWED}\nmode = "hard"\n[batches.x]')
CHILDREN = """
    SELECT runs.id, count(child.id) AS children
    FROM runs JOIN collections ON collections.id = runs.collection_id
    LEFT JOIN runs AS child ON child.failed_inputs_of = runs.id
    WHERE runs.failed_inputs_of IS NULL AND collections.failed_inputs > 0
    GROUP BY runs.id
"""


def kill_again_and_again(
    built: House, sandbox: Sandbox, chance: random.Random, *, until: str
) -> None:
    """Kill daemons just when something was accepted, until one has said so."""
    jobs = sandbox.account.book.jobs
    for kills in count(1):
        daemon, accepted = built.start(wait=True), len(jobs)
        wait_for(
            partial(_is_at_work, daemon, jobs, accepted, until),
            within=20,
            what="a job is accepted",
            also=daemon.said,
        )
        pause(chance.uniform(0.0, 0.3))
        daemon.kill()
        if kills >= KILLS and any(until in one.said() for one in built.started):
            return
        assert kills < 10 * KILLS, built.tell()


def _is_at_work(daemon: Daemon, jobs: Sized, accepted: int, until: str) -> bool:
    return len(jobs) > accepted or until in daemon.said()


def test_no_crash_sends_beyond_a_limit(tmp_path: Path) -> None:
    spend(tmp_path, f"sqlite:///{tmp_path / 'scheduler.db'}", LIMIT, "over_limit")


def test_no_crash_spends_beyond_a_budget(tmp_path: Path, postgresql_url: str) -> None:
    spend(tmp_path, postgresql_url, BUDGET, "budget")


def spend(folder: Path, url: str, said: tuple[str, str], reason: str) -> None:
    """Kill daemons until all is spent, then see that no more was."""
    chance = random.Random(3)  # noqa: S311 - repeatable on purpose
    with (
        serving(replace(QUICK, faults=AT_RANDOM)) as (sandbox, base_url),
        house(folder, url, base_url, schedules=4) as built,
    ):
        built.edit(*said)
        kill_again_and_again(built, sandbox, chance, until=f'"{reason}"')
        sandbox.account.faults.disarm()
        built.settle()
        days = Counter(str(job.queued_at)[:10] for job in sandbox.account.book.jobs.values())

        assert max(days.values()) == ALLOWED, built.tell()
        assert built.complaints(jobs_of(sandbox)) == [], built.tell()


def test_no_crash_sends_failed_inputs_twice(tmp_path: Path, database_url: str) -> None:
    chance = random.Random(5)  # noqa: S311 - repeatable on purpose
    with (
        serving(replace(QUICK, faults=AT_RANDOM)) as (sandbox, base_url),
        house(tmp_path, database_url, base_url, schedules=3) as built,
    ):
        good = '{ url = "https://example.org" }'
        bad = '{ url = "https://example.org/2", sandbox_error = "infra_error" }'
        built.edit(good, f"{good}, {bad}")
        built.edit('batch = "x"', 'batch = "x"\nretry_failed_inputs = { max = 1 }')
        kill_again_and_again(built, sandbox, chance, until='"failed_inputs_found"')
        sandbox.account.faults.disarm()
        children = let_all_end(built)
        names = Counter(job.name for job in jobs_of(sandbox))
        with built.reading() as conn:
            found = [one for one in complaints(conn, jobs_of(sandbox)) if "sent 2 times" not in one]

    assert set(children.values()) == {1}
    assert max(names.values()) == 2
    assert found == []


def test_no_crash_sends_what_waits_for_a_canary(tmp_path: Path, database_url: str) -> None:
    chance = random.Random(7)  # noqa: S311 - repeatable on purpose
    with (
        serving(replace(QUICK, faults=AT_RANDOM)) as (sandbox, base_url),
        house(tmp_path, database_url, base_url, schedules=4) as built,
    ):
        good = '{ url = "https://example.org" }'
        bad = '{ url = "https://example.org/2", sandbox_status = "failed" }'
        broken = f"\n[batches.y]\ncanary = 1\ninputs = [{bad}, {good}]"
        built.edit(f"[{good}]", f"[{good}, {good}]\ncanary = 1{broken}")
        built.edit('collector = "b"\nbatch = "x"', 'collector = "b"\nbatch = "y"')
        kill_again_and_again(built, sandbox, chance, until='"canary_failed"')
        sandbox.account.faults.disarm()
        let_all_end(built)
        names = Counter(job.name for job in jobs_of(sandbox))
        with built.reading() as conn:
            found = [one for one in complaints(conn, jobs_of(sandbox)) if "sent 2 times" not in one]
            after = conn.execute(text(AFTER_CANARY)).all()

    ended = {(row.canary, row.state, row.is_early) for row in after}
    # A later occurrence may have taken the place of a whole one.
    assert ended - {("skipped", "skipped", None)} == {
        ("succeeded", "succeeded", 0),
        ("failed", "skipped", None),
    }
    assert max(names.values()) == 2
    assert found == []


AFTER_CANARY = """
    SELECT canary.state AS canary, runs.state, max(
        (SELECT CASE WHEN min(attempts.claimed_at) < canary.ended_at THEN 1 ELSE 0 END
         FROM attempts WHERE attempts.run_id = runs.id HAVING count(*) > 0)) AS is_early
    FROM runs JOIN runs AS canary ON canary.id = runs.waits_for
    WHERE runs.chunk = 2 AND runs.reason <> 'coalesced' GROUP BY 1, 2
"""


def let_all_end(built: House) -> dict[int, int]:
    """Fire nothing more, wait until all has ended and is asked about; return the children."""
    built.config.write_text(
        re.sub(r'every = "\d+s"', 'every = "900000s"', built.config.read_text())
    )
    daemon = built.start(wait=True)

    def is_over() -> bool:
        with built.reading() as conn:
            to_ask = conn.scalar(
                text("SELECT count(*) FROM collections WHERE errors_due_at IS NOT NULL")
            )
        return to_ask == 0 and built.count("ended_at IS NULL") == 0

    wait_for(is_over, within=60, what="every run has ended", also=built.tell)
    assert daemon.stop() == 0, daemon.said()[-3000:]
    with built.reading() as conn:
        return {row.id: row.children for row in conn.execute(text(CHILDREN))}
