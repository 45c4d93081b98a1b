"""run_loop: a pass after the other, trouble and its end, wake-ups, and stopping."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import pytest

from scheduler.daemon.systemd import Notifier, Watchdog
from scheduler.domain.errors import DatabaseDamaged, DatabaseError
from scheduler.engine.loop import Loop, run_loop
from tests.engine.rig import NINE

Pass = Callable[[], datetime | None]


@dataclass(slots=True)
class Scripted:
    """A step whose passes do what the script says, and which stops its loop at the end."""

    script: list[Pass]
    stopping: asyncio.Event
    passes: int = 0

    async def run(self, now: datetime) -> datetime | None:
        """Do the next thing in the script."""
        self.passes += 1
        if self.passes >= len(self.script):
            self.stopping.set()
        return self.script[self.passes - 1]()


@dataclass(slots=True)
class Ran:
    """A loop that came to its end, and what it was seen to be in trouble with after each pass."""

    loop: Loop
    step: Scripted
    troubles: list[str | None] = field(default_factory=list)


async def ran(script: list[Pass], *, max_idle: timedelta = timedelta(seconds=30)) -> Ran:
    """Run a loop through *script*, woken for each pass; fail if that takes long."""
    stopping = asyncio.Event()
    step = Scripted(script, stopping)
    done = Ran(Loop("work", step, max_idle=max_idle), step)

    def passed(name: str) -> None:
        done.troubles.append(done.loop.health.last_error)
        done.loop.wakeup.set()

    async with asyncio.timeout(60):
        await run_loop(done.loop, clock=lambda: NINE, stopping=stopping, passed=passed)
    return done


def fails(error: Exception) -> Pass:
    def do() -> None:
        raise error

    return do


def idle() -> None:
    """Find nothing to do."""


async def test_trouble_is_kept_until_a_pass_succeeds() -> None:
    done = await ran([fails(DatabaseError("away")), fails(DatabaseError("still away")), idle])

    assert done.troubles == ["away", "still away", None]
    assert done.loop.health.failures == 0


async def test_a_bug_does_not_end_the_loop() -> None:
    done = await ran([fails(ValueError("a bug")), idle])

    assert done.step.passes == 2
    assert done.troubles == ["ValueError in the work loop: see the log", None]


async def test_a_damaged_database_ends_the_loop() -> None:
    with pytest.raises(DatabaseDamaged):
        await ran([fails(DatabaseDamaged("malformed")), idle])


async def test_work_that_is_due_is_done_without_waiting() -> None:
    stopping = asyncio.Event()
    step = Scripted([lambda: NINE] * 5, stopping)
    loop = Loop("work", step, max_idle=timedelta(hours=1))
    async with asyncio.timeout(60):
        await run_loop(loop, clock=lambda: NINE, stopping=stopping)

    assert step.passes == 5


async def test_a_wake_up_during_a_pass_is_not_lost() -> None:
    stopping = asyncio.Event()
    loop = Loop("work", Scripted([], stopping), max_idle=timedelta(hours=1))

    def woken_meanwhile() -> None:
        loop.wakeup.set()

    loop.step = step = Scripted([woken_meanwhile, idle], stopping)
    async with asyncio.timeout(60):
        await run_loop(loop, clock=lambda: NINE, stopping=stopping)

    assert step.passes == 2


async def test_work_to_come_wakes_a_loop_only_if_it_would_sleep_longer() -> None:
    stopping = asyncio.Event()
    step = Scripted([idle, idle], stopping)
    loop = Loop("work", step, max_idle=timedelta(hours=1))
    loop.wake_by(NINE + timedelta(days=1))
    assert loop.wakeup.is_set(), "it does not sleep: nobody knows what it will have seen"
    woken: list[bool] = []

    def tell_it() -> None:
        for minutes in (60, 59):
            loop.wake_by(NINE + timedelta(minutes=minutes))
            woken.append(loop.wakeup.is_set())

    def passed(name: str) -> None:
        if step.passes == 1:
            asyncio.get_running_loop().call_soon(tell_it)

    async with asyncio.timeout(60):
        await run_loop(loop, clock=lambda: NINE, stopping=stopping, passed=passed)

    assert (woken, step.passes) == ([False, True], 2)


async def test_stopping_ends_a_loop_that_waits() -> None:
    stopping, waits = asyncio.Event(), asyncio.Event()
    step = Scripted([idle, idle], stopping)
    loop = Loop("work", step, max_idle=timedelta(hours=1))
    running = asyncio.create_task(
        run_loop(loop, clock=lambda: NINE, stopping=stopping, passed=lambda _: waits.set())
    )
    async with asyncio.timeout(60):
        await waits.wait()
        stopping.set()
        loop.wakeup.set()
        await running

    assert step.passes == 1


@dataclass(slots=True)
class Heard(Notifier):
    """Notes what systemd would be told."""

    said: list[str] = field(default_factory=list)

    def ready(self) -> None:
        self.said.append("ready")

    def watchdog(self) -> None:
        self.said.append("fed")


async def test_a_loop_that_hangs_starves_the_watchdog() -> None:
    heard = Heard(None)
    watchdog = Watchdog.over(heard, ["good", "hanging"])
    stopping, hangs = asyncio.Event(), asyncio.Event()

    class Hangs:
        passes = 0

        async def run(self, now: datetime) -> datetime | None:
            self.passes += 1
            if self.passes > 2:
                hangs.set()
                await asyncio.Event().wait()
            return now

    good = Scripted([lambda: NINE] * 200, asyncio.Event())
    async with asyncio.timeout(60):
        hanging = asyncio.create_task(
            run_loop(
                Loop("hanging", Hangs(), max_idle=timedelta()),
                clock=lambda: NINE, stopping=stopping, passed=watchdog.passed,
            )
        )  # fmt: skip
        beside = asyncio.create_task(
            run_loop(
                Loop("good", good, max_idle=timedelta()),
                clock=lambda: NINE, stopping=good.stopping, passed=watchdog.passed,
            )
        )  # fmt: skip
        await hangs.wait()
        await beside
    hanging.cancel()
    await asyncio.gather(hanging, return_exceptions=True)

    assert good.passes == 200
    assert heard.said == ["ready", "fed", "fed"]
