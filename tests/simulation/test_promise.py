"""
Some seeds of `python -m tests.simulation`, which runs any number: the promise, judged from outside.

A seed that fails here is replayed by `python -m tests.simulation --seed N --hours 2`.
"""

from dataclasses import replace
from pathlib import Path

import pytest

from scheduler.logs import configure_logging
from scheduler.storage.departures import Departed, read_departed
from tests.simulation.world import Troubles, World, simulate


@pytest.fixture(autouse=True)
def _quiet() -> None:
    configure_logging("critical")


@pytest.mark.parametrize("seed", range(6))
def test_the_promise_is_kept(seed: int, tmp_path: Path) -> None:
    world = simulate(seed, tmp_path, hours=2)

    assert not world.found, f"seed {seed}, {world.troubles}: {world.found}"
    assert len(world.upstream.jobs) > 10


def test_the_promise_is_kept_on_postgresql(postgresql_url: str, tmp_path: Path) -> None:
    """By two daemons that are killed and confused; nothing of theirs is at the same time there."""
    world = simulate(24, tmp_path, hours=1, postgresql=postgresql_url)

    assert not world.found, f"{world.troubles}: {world.found}"
    assert world.counted["killed"] and len(world.upstream.jobs) > 10


def test_the_same_seed_is_the_same_days(tmp_path: Path) -> None:
    first: list[str] = []
    second: list[str] = []

    simulate(13, tmp_path / "a", hours=1, told=first.append)
    simulate(13, tmp_path / "b", hours=1, told=second.append)

    assert first == second
    assert len(first) > 5


def test_a_daemon_that_forgets_what_it_had_sent_is_found_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def forgetful(database: Path) -> Departed | None:
        departed = read_departed(database)
        return departed and replace(departed, claims=frozenset())

    monkeypatch.setattr("scheduler.rehearsal.daemon.read_departed", forgetful)
    world = World(seed=1, folder=tmp_path, hours=3)
    world.troubles = replace(_NONE, killed=0.02)

    found = world.run()

    assert [line for line in found if line.startswith("sent 2 times")]


_NONE = Troubles(
    killed=0.0, database=0.0, confused=0.0, slow=0.0, throttled=0.0, questions=0.0, clock=0.0,
    power=0.0, daemons=1,
)  # fmt: skip
