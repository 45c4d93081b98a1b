"""Claims ahead of the wire: never more on it than the 429 rule allows, and none kept too long."""

import asyncio
from dataclasses import replace
from datetime import timedelta

from scheduler.domain.brake import CEILING
from scheduler.domain.records import Run, RunState
from scheduler.engine.dispatch import DispatchStep
from scheduler.sandbox import Fault, FaultKind, SandboxSettings
from tests.engine.rig import Room, engine_room

SHOPS = 4 * CEILING


async def claim_ahead(room: Room, *faults: Fault, step: DispatchStep | None = None) -> DispatchStep:
    """Let a step send a buffer's worth, then claim ahead while *faults* strike what it sends."""
    for name in room.shops(SHOPS):
        room.ask(name)
    step = step or room.dispatch_step()
    await step.run(room.clock())
    while step._flight.sending:
        async with asyncio.timeout(60):
            await asyncio.wait(list(step._flight.sending.values()))
    room.arm(*faults)
    await step.run(room.clock())
    return step


def waiting(step: DispatchStep) -> int:
    return sum(len(buffer.waiting) for buffer in step._flight.buffers.values())


def in_state(room: Room, state: RunState) -> list[Run]:
    return [run for run in room.runs() if run.state is state]


async def test_what_is_claimed_ahead_follows_as_slots_come_free(database_url: str) -> None:
    async with engine_room(database_url) as room:
        step = await claim_ahead(room)
        prefetch = waiting(step)
        on_the_wire = len(step._flight.sending)
        await room.dispatch(step)

        assert (on_the_wire, prefetch) == (CEILING, 2 * CEILING)
        assert len(room.jobs) == SHOPS
        assert room.complaints() == []


async def test_an_answer_is_recorded_soon_however_many_claims_wait(database_url: str) -> None:
    """The last answers for a long time: nothing but the clock asks for a pass."""
    by_the_clock = asyncio.Event()

    def wake() -> None:
        room.answered.put_nowait(None)
        if step._flight.answers and not any(
            buffer.is_short for buffer in step._flight.buffers.values()
        ):
            by_the_clock.set()

    async with engine_room(database_url) as room:
        step = room.dispatch_step(wake=wake)
        slow = Fault(kind=FaultKind.SLOW, seconds=30, skip=2, times=None)
        await claim_ahead(room, slow, step=step)
        async with asyncio.timeout(60):
            await by_the_clock.wait()


async def test_at_the_first_429_what_is_claimed_ahead_goes_back_unsent(database_url: str) -> None:
    settings = SandboxSettings(block_rule=False)
    async with engine_room(database_url, settings) as room:
        throttle = Fault(kind=FaultKind.THROTTLE, times=None, retry_after=60)
        step = await claim_ahead(room, throttle)
        await room.dispatch(step)

        throttled = [one for one in room.triggers if one.status == 429]
        queued = in_state(room, RunState.QUEUED)
        said = room.complaints()

    assert len(throttled) <= CEILING
    assert waiting(step) == 0
    assert len(queued) == SHOPS - CEILING
    assert {run.attempt_count for run in queued} == {0}
    assert said == []


async def test_a_stop_gives_back_what_was_not_sent(database_url: str) -> None:
    async with engine_room(database_url) as room:
        step = await claim_ahead(room, Fault(kind=FaultKind.SLOW, seconds=0.5, times=None))
        prefetch = waiting(step)
        left = await step.drain(timedelta(seconds=20))

        assert prefetch == 2 * CEILING
        assert left == []
        assert len(room.jobs) == 2 * CEILING
        assert len(in_state(room, RunState.QUEUED)) == SHOPS - 2 * CEILING
        assert in_state(room, RunState.DISPATCHING) == []


async def test_what_waited_too_long_goes_back_for_it_may_be_paused_by_now(
    database_url: str,
) -> None:
    async with engine_room(database_url) as room:
        step = await claim_ahead(room, Fault(kind=FaultKind.SLOW, seconds=0.5, times=None))
        for buffer in step._flight.buffers.values():
            buffer.waiting.extend(
                replace(buffer.waiting.popleft(), claimed_at=0.0)
                for _ in range(len(buffer.waiting))
            )
        room.execute(
            "INSERT INTO freezes (scope, frozen_at, frozen_by, reason)"
            " VALUES ('all', :now, 'me', 'incident')",
            now=room.clock(),
        )
        await room.dispatch(step)

        released = in_state(room, RunState.QUEUED)

    assert len(room.jobs) == 2 * CEILING
    assert len(released) == SHOPS - 2 * CEILING


async def test_a_wake_up_for_nothing_forgets_no_claim_that_waits(database_url: str) -> None:
    """What is paused meanwhile is to be noticed within a second all the same."""
    async with engine_room(database_url) as room:
        step = await claim_ahead(room, Fault(kind=FaultKind.SLOW, seconds=60, times=None))
        room.execute("UPDATE runs SET not_before = :later WHERE state = 'queued'",
                     later=room.clock() + timedelta(hours=1))  # fmt: skip

        again_at = await step.run(room.clock())

        assert waiting(step) > 0
        assert again_at == room.clock() + timedelta(seconds=1)
