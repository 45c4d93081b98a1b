"""The loop that calls a step for ever. The only thing that waits."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol

import structlog

from scheduler.clock import Clock
from scheduler.domain.errors import DatabaseDamaged, DatabaseError, DatabaseReplaced

log = structlog.get_logger()


class Step(Protocol):
    """One batch of work at a time."""

    async def run(self, now: datetime) -> datetime | None:
        """Do what is there to do, and return when there next is some; None if not known."""


@dataclass(slots=True)
class LoopHealth:
    """
    What troubles a loop, if anything, and for how many passes in a row.

    *since* is when the pass began that it is in; None between two.
    """

    last_error: str | None = None
    failures: int = 0
    since: datetime | None = None


@dataclass(slots=True)
class Loop:
    """A step, what wakes it, and how it is doing."""

    name: str
    step: Step
    max_idle: timedelta
    wakeup: asyncio.Event = field(default_factory=asyncio.Event)
    health: LoopHealth = field(default_factory=LoopHealth)
    waits_until: datetime | None = None
    """Until when it sleeps; None while it does not."""

    def wake_by(self, moment: datetime) -> None:
        """Tell it of work that is due at *moment*: it is woken if it would sleep for longer."""
        if self.waits_until is None or moment < self.waits_until:
            self.wakeup.set()


async def run_loop(
    loop: Loop,
    *,
    clock: Clock,
    stopping: asyncio.Event,
    passed: Callable[[str], None] = lambda name: None,
) -> None:
    """
    Call the loop's step until *stopping* is set; a pass that has begun is finished.

    Nothing that a pass raises ends the loop, but a database that is damaged, or not ours any
    more: the error is logged once, kept in its health, and the pass is tried again, after
    growing pauses.
    *passed* is told the loop's name after each pass.
    """
    while not stopping.is_set():
        loop.wakeup.clear()
        loop.health.since = clock()
        wake_at = await _pass(loop, clock)
        loop.health.since = None
        passed(loop.name)
        idle = _idle(loop, wake_at, clock)
        loop.waits_until = clock() + idle
        await _wait(loop, idle, stopping)
        loop.waits_until = None


async def _pass(loop: Loop, clock: Clock) -> datetime | None:
    try:
        wake_at = await loop.step.run(clock())
    except (DatabaseDamaged, DatabaseReplaced):
        raise
    except DatabaseError as error:
        _note_error(loop, str(error))
    except Exception as error:
        log.exception("step_failed", loop=loop.name)
        _note_error(loop, f"{type(error).__name__} in the {loop.name} loop: see the log")
    else:
        if loop.health.last_error is not None:
            log.info("loop_recovered", loop=loop.name, error=loop.health.last_error)
        loop.health.last_error, loop.health.failures = None, 0
        return wake_at
    return None


def _note_error(loop: Loop, last_error: str) -> None:
    if loop.health.last_error is None:
        log.warning("loop_failed", loop=loop.name, error=last_error)
    loop.health.last_error = last_error
    loop.health.failures += 1


def _idle(loop: Loop, wake_at: datetime | None, clock: Clock) -> timedelta:
    if loop.health.failures:
        # A database that is away is asked again soon, then more and more seldom.
        return min(timedelta(seconds=0.5 * 2.0 ** min(loop.health.failures, 10)), loop.max_idle * 5)
    if wake_at is None:
        return loop.max_idle
    return min(loop.max_idle, max(timedelta(), wake_at - clock()))


async def _wait(loop: Loop, idle: timedelta, stopping: asyncio.Event) -> None:
    if stopping.is_set() or loop.wakeup.is_set():  # what else is ready would only delay it
        return
    with suppress(TimeoutError):
        async with asyncio.timeout(idle.total_seconds()):
            await loop.wakeup.wait()
            # What else is ready at this moment belongs into the same pass.
            await asyncio.sleep(0)


Wake = Callable[[], None]
"""Tells a loop that there is work. Only a hint: losing one costs latency, never work."""

WakeBy = Callable[[datetime], None]
"""Tells a loop when there will be work: `Loop.wake_by`."""
