"""Daemons that are killed at random while answers get lost at random, judged by the upstream."""

import random
import signal
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from tests.e2e.rig import (
    AT_RANDOM,
    QUICK,
    House,
    house,
    pause,
    serving,
)
from tests.judge import jobs_of

SECONDS = 12.0
AT_MOST_SECONDS = 60.0
LOST_ENOUGH = 6


def test_killed_again_and_again_on_sqlite_nothing_is_lost_or_sent_twice(tmp_path: Path) -> None:
    chance = random.Random(1)  # noqa: S311 - repeatable on purpose
    url = f"sqlite:///{tmp_path / 'scheduler.db'}"
    with (
        serving(replace(QUICK, faults=AT_RANDOM)) as (sandbox, base_url),
        house(tmp_path, url, base_url) as built,
    ):
        for _ in until_enough_was_lost(built):
            daemon = built.start(wait=True)
            pause(chance.uniform(0.2, 2.0))
            daemon.kill()
        sandbox.account.faults.disarm()
        built.settle()

        assert built.complaints(jobs_of(sandbox)) == [], built.tell()
        assert built.untold() == []
        assert_it_was_hard(built, jobs=len(jobs_of(sandbox)))


def test_three_daemons_on_postgresql_killed_and_stopped_at_random(
    tmp_path: Path, postgresql_url: str
) -> None:
    chance = random.Random(2)  # noqa: S311 - repeatable on purpose
    with (
        serving(replace(QUICK, faults=AT_RANDOM)) as (sandbox, base_url),
        house(tmp_path, postgresql_url, base_url) as built,
    ):
        daemons = [built.start() for _ in range(3)]
        daemons[0].wait_until_it_said("run_collecting")
        # One sleeps for longer than its lease, with requests under way, from the beginning on.
        sleeper = daemons.pop(0)
        sleeper.send(signal.SIGSTOP)
        slept_since = time.monotonic()
        for _ in until_enough_was_lost(built):
            pause(chance.uniform(0.5, 2.0))
            which = chance.randrange(2)
            if chance.random() < 0.6:
                daemons[which].kill()
                daemons[which] = built.start()
            else:
                daemons[which].send(signal.SIGSTOP)
                pause(chance.uniform(0.5, 2.0))
                daemons[which].send(signal.SIGCONT)
        pause(max(0.0, 14 - (time.monotonic() - slept_since)))
        sleeper.send(signal.SIGCONT)
        for daemon in daemons:  # one that has only just been started dies of what asks it to stop
            daemon.wait_until_it_said("daemon_started")
        pause(2)
        statuses = [daemon.stop(within=30) for daemon in (sleeper, *daemons)]
        sandbox.account.faults.disarm()
        built.settle()

        assert statuses == [0, 0, 0]
        assert built.complaints(jobs_of(sandbox)) == [], built.tell()
        assert built.untold() == []
        assert_it_was_hard(built, jobs=len(jobs_of(sandbox)))


def until_enough_was_lost(built: House) -> Iterator[None]:
    """Go on for some seconds, and longer where chance was kind: what is lost depends on timing."""
    since = time.monotonic()
    while (elapsed := time.monotonic() - since) < SECONDS or (
        lost(built) < LOST_ENOUGH and elapsed < AT_MOST_SECONDS
    ):
        yield


def lost(built: House) -> int:
    """Count the runs an answer of which got lost, as far as that was found out."""
    return built.count("id IN (SELECT run_id FROM attempts WHERE outcome IN ('adopted', 'absent'))")


def assert_it_was_hard(built: House, *, jobs: int) -> None:
    """Show that the promise was tried at all: much was sent, and some of it was lost."""
    assert jobs > 30, built.tell()
    assert lost(built) >= LOST_ENOUGH, built.tell()
