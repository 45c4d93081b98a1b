"""An upstream that answers 429 to everything, and daemons that are restarted all the while."""

import random
import time
from dataclasses import replace
from pathlib import Path

from scheduler.sandbox import Fault, FaultKind
from tests.e2e.rig import QUICK, house, most_429_in_five_minutes, pause, serving

EVERYTHING = Fault(kind=FaultKind.THROTTLE, path="/dca/*", times=None, retry_after=1)


def test_however_often_it_is_killed_an_account_collects_fewer_than_ten_429(
    tmp_path: Path, database_url: str
) -> None:
    chance = random.Random(3)  # noqa: S311 - repeatable on purpose
    with (
        serving(replace(QUICK, faults=(EVERYTHING,))) as (sandbox, base_url),
        house(tmp_path, database_url, base_url) as built,
    ):
        began = time.monotonic()
        # On a busy machine a daemon is killed before it has sent anything.
        while time.monotonic() < began + 12 or (
            most_429_in_five_minutes(sandbox) < 2 and time.monotonic() < began + 120
        ):
            daemon = built.start(wait=True)
            pause(chance.uniform(0.05, 1.5))
            daemon.kill()

        assert 1 < most_429_in_five_minutes(sandbox) < 10, built.tell()


def test_a_storm_that_begins_under_load_is_weathered(tmp_path: Path, sqlite_url: str) -> None:
    """Triggers, looks and polls are all under way when the upstream begins to refuse."""
    with serving() as (sandbox, base_url), house(tmp_path, sqlite_url, base_url) as built:
        daemon = built.start(wait=True)
        pause(3)
        sandbox.arm(EVERYTHING)
        pause(4)
        daemon.kill()
        again = built.start(wait=True)
        pause(3)

        assert again.stop() == 0
        assert 1 < most_429_in_five_minutes(sandbox) < 10, built.tell()
