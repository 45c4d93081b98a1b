"""Many limits over one timer: each ends at its own time, as with asyncio.timeout."""

import asyncio
from time import monotonic

import pytest

from scheduler.upstream.time_limits import TimeLimit, TimeLimits
from tests.upstream.rig import turns


async def held(limits: TimeLimits, seconds: float) -> float:
    """Wait for ever within a limit, and return how long that was."""
    began = monotonic()
    with pytest.raises(TimeoutError), TimeLimit(limits, seconds):
        await asyncio.Event().wait()
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0
    return monotonic() - began


@pytest.mark.parametrize("order", [(0.05, 0.1, 0.2), (0.2, 0.1, 0.05), (0.1, 0.2, 0.05)])
async def test_each_ends_at_its_own_time_whichever_began_first(order: tuple[float, ...]) -> None:
    limits = TimeLimits()

    took = await asyncio.gather(*(held(limits, seconds) for seconds in order))

    assert all(seconds <= time for seconds, time in zip(order, took, strict=True))
    # Another's time is not waited for.
    assert sorted(range(3), key=took.__getitem__) == sorted(range(3), key=order.__getitem__)


async def test_what_ended_in_time_is_not_cancelled_later() -> None:
    limits = TimeLimits()

    with TimeLimit(limits, 0.02):
        await turns(1)
    took = await held(limits, 0.1)

    assert took >= 0.1
    assert not limits.tasks()


async def test_a_timer_that_nobody_waits_for_any_more_is_the_last() -> None:
    limits = TimeLimits()

    with TimeLimit(limits, 0.02):
        await turns(1)
    await held(TimeLimits(), 0.1)

    assert limits._timer is None


async def test_a_task_that_somebody_else_cancelled_stays_cancelled() -> None:
    limits = TimeLimits()
    task = asyncio.create_task(held(limits, 60))
    await turns(1)

    task.cancel()
    (limit,) = limits._running
    limit.end()
    await asyncio.wait({task})

    assert task.cancelled()


async def test_once_it_is_closed_it_keeps_no_timer_and_can_go_on() -> None:
    limits = TimeLimits()
    with TimeLimit(limits, 60):
        limits.close()
    assert limits._timer is None

    assert await held(limits, 0.05) >= 0.05
