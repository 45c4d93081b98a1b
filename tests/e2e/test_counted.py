"""What real daemons counted is told after their end, and never falls."""

import json
from itertools import pairwise
from pathlib import Path

from tests.e2e.rig import House, house, serving, wait_for

COUNTERS = (
    "runs_ended_total",
    "start_delay_seconds",
    "requests_total",
    "request_seconds",
    "database_seconds",
)


def counts(built: House) -> dict[str, float]:
    """Return every counter and bucket by its name and labels."""
    told = json.loads(built.call("metrics", "--json").stdout)
    found: dict[str, float] = {}
    for name in COUNTERS:
        for sample in told[f"dca_scheduler_{name}"]:
            value, key = sample["value"], f"{name} {sample['labels']}"
            if isinstance(value, dict):
                found |= {f"{key} {bound}": count for bound, count in value["buckets"]}
            else:
                found[key] = value
    return found


def test_counts_outlive_daemons_that_stop_and_that_are_killed(
    tmp_path: Path, database_url: str
) -> None:
    with (
        serving() as (_, base_url),
        house(tmp_path, database_url, base_url, schedules=2) as built,
    ):
        first = built.start(wait=True)
        first.wait_until_it_said("run_succeeded")
        assert first.stop() == 0
        seen = [counts(built)]
        second = built.start(wait=True)
        wait_for(lambda: counts(built) != seen[0], within=30, what="something more is counted")
        second.kill()
        seen.append(counts(built))
        third = built.start(wait=True)
        seen.append(counts(built))
        assert third.stop() == 0
        seen.append(counts(built))

    assert seen[0]["requests_total {'account': 'main', 'call': 'trigger', 'class': '2xx'}"] >= 1
    assert seen[0]["database_seconds {'access': 'write'} +Inf"] > 1
    assert seen[0]["runs_ended_total {'state': 'succeeded', 'reason': 'done'}"] >= 1
    for earlier, later in pairwise(seen):
        assert {key for key, count in earlier.items() if later[key] < count} == set()
