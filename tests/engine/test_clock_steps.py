"""However a machine's clock is set while answers are lost, no run is sent twice."""

import random
from datetime import timedelta

import pytest

from scheduler.domain.records import RunState
from scheduler.engine.accounts import Upstreams
from scheduler.sandbox import Fault, FaultKind, When
from tests.engine.rig import LOOKUP_AFTER, REQUEST_TIMEOUT, Room, engine_room
from tests.engine.rows import NINE, ManualClock

STEPS = (timedelta(seconds=90), timedelta(hours=1), timedelta(hours=2))


class TwoClocks:
    """The true time, which the upstream and the uptime follow, and the machine's wall clock."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.true, self.wall = ManualClock(), ManualClock()
        for module in (
            "upstream.client",
            "upstream.wire",
            "engine.dispatch",
            "engine.send_buffer",
        ):
            monkeypatch.setattr(f"scheduler.{module}.boot_seconds", self.boot_seconds)
        monkeypatch.setattr("scheduler.engine.reconcile.boot_seconds", self.boot_seconds)

    def boot_seconds(self) -> float:
        return (self.true.now - NINE).total_seconds()

    def tick(self, amount: timedelta) -> None:
        self.true.tick(amount)
        self.wall.tick(amount)


async def restart(room: Room) -> None:
    """Let another process go on, which has not heard the upstream yet."""
    await room.upstreams.close()
    room.upstreams = Upstreams(
        request_timeout=REQUEST_TIMEOUT,
        clock=room.clock,
        read_secret=room.upstreams.read_secret,
    )


async def live_through(room: Room, clocks: TwoClocks, chance: random.Random) -> None:
    """Lose the answers of some runs, set the clock and restart at any time, look until settled."""
    for number in range(3):
        run_id = room.ask(name=f"run {number}")
        if chance.random() < 0.8:
            when = chance.choice((When.AFTER, When.AFTER, When.BEFORE))
            room.arm(Fault(kind=FaultKind.LOST, when=when))
        for _ in range(2 * len(LOOKUP_AFTER) + 2):
            if chance.random() < 0.5:
                clocks.wall.tick(chance.choice((-1, 1)) * chance.choice(STEPS))
            if chance.random() < 0.3:
                await restart(room)
            await room.dispatch()
            clocks.tick(timedelta(seconds=chance.choice((5, 30, 120))))
            await room.reconcile_step().run(room.clock())
            if room.run(run_id).state in (RunState.COLLECTING, RunState.NEEDS_ATTENTION):
                break


@pytest.mark.parametrize("seed", range(12))
async def test_no_step_of_the_clock_sends_a_run_twice(
    sqlite_url: str, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    clocks = TwoClocks(monkeypatch)
    async with engine_room(sqlite_url, upstream_clock=clocks.true) as room:
        room.clock = room.upstreams.clock = clocks.wall
        room.change("collectors", "shop", max_attempts=4, backoff_initial="1s", backoff_max="1s")
        await live_through(room, clocks, random.Random(seed))  # noqa: S311 - chance, not a secret

        said = room.complaints()

    assert [one for one in said if one.startswith("sent ")] == []
    assert [one for one in said if "invariant" in one] == []


@pytest.mark.parametrize("restarts", [False, True], ids=["goes on", "is restarted"])
@pytest.mark.parametrize("ahead", [timedelta(seconds=90), timedelta(hours=2)], ids=str)
async def test_a_job_started_by_a_clock_that_was_ahead_is_found_once_it_is_right(
    sqlite_url: str, ahead: timedelta, restarts: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    clocks = TwoClocks(monkeypatch)
    clocks.wall.tick(ahead)
    async with engine_room(sqlite_url, upstream_clock=clocks.true) as room:
        room.clock = room.upstreams.clock = clocks.wall
        first = room.ask(name="first")
        await room.dispatch()
        room.arm(Fault(kind=FaultKind.LOST, when=When.AFTER))
        lost = room.ask(name="lost")
        await room.dispatch()
        clocks.wall.tick(-ahead)
        if restarts:
            await restart(room)
        clocks.tick(ahead if ahead < timedelta(hours=1) else LOOKUP_AFTER[0])
        clocks.tick(LOOKUP_AFTER[0])
        await room.reconcile_step().run(room.clock())

        states = [room.run(run_id).state for run_id in (first, lost)]

    assert states == [RunState.COLLECTING, RunState.COLLECTING]


async def test_what_a_wrong_clock_leaves_undecided_goes_to_a_person(
    sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    clocks = TwoClocks(monkeypatch)
    clocks.wall.tick(timedelta(seconds=90))
    async with engine_room(sqlite_url, upstream_clock=clocks.true) as room:
        room.clock = room.upstreams.clock = clocks.wall
        room.arm(Fault(kind=FaultKind.LOST, when=When.AFTER))
        # The first trigger of all: the upstream has not told the time before.
        lost = room.ask(name="lost")
        await room.dispatch()
        clocks.wall.tick(-timedelta(seconds=90))
        for after in (95, 25, 90):
            clocks.tick(timedelta(seconds=after))
            await room.reconcile_step().run(room.clock())

        run = room.run(lost)

    assert run.state is RunState.NEEDS_ATTENTION
    assert (run.detail or "").startswith(f"could be any of {room.jobs[0]}")
