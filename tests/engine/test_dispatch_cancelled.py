"""DispatchStep broken off: cancelled at every step, stopped too long, drained at the end."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta

import pytest

from scheduler.clock import Clock
from scheduler.domain.records import Reason, RunState
from scheduler.sandbox import Fault, FaultKind, When
from tests.engine.rig import LEASE, Room, engine_room
from tests.engine.troubled import (
    Trouble,
    before_the_commit,
    cancelled_after_the_commit,
    cancelled_before_the_commit,
    nothing,
    troubled_room,
)

COLLECTING, DISPATCHING, QUEUED = RunState.COLLECTING, RunState.DISPATCHING, RunState.QUEUED


def watched(room: Room, look: Callable[[], None]) -> Clock:
    """Return the sandbox's clock, which it asks when a request arrives and when it is done."""

    def now() -> datetime:
        look()
        return room.clock()

    return now


@pytest.mark.parametrize(
    "trouble", [cancelled_before_the_commit, cancelled_after_the_commit], ids=["before", "after"]
)
@pytest.mark.parametrize("when", ["claiming", "recording"])
async def test_cancelled_around_a_commit_nothing_is_sent_twice_or_lost(
    database_url: str, when: str, trouble: Trouble
) -> None:
    async with troubled_room(database_url) as (room, troubles):
        room.ask(name="the only one")
        step = room.dispatch_step()
        if when == "recording":
            await step.run(room.clock())
            await room.next_answer()
        troubles.append(trouble)
        with suppress(asyncio.CancelledError):
            await step.run(room.clock())
        await room.start_anew()

        (run,), said = room.runs(), room.complaints()

    assert said == []
    assert run.state is COLLECTING
    assert len(room.jobs) == 1


@pytest.mark.parametrize(
    "fault",
    [
        Fault(kind=FaultKind.SLOW, seconds=0.2),
        Fault(kind=FaultKind.HANG, when=When.AFTER, seconds=0.2),
        Fault(kind=FaultKind.HANG, when=When.BEFORE, seconds=0.2),
        Fault(kind=FaultKind.DRIP, seconds=0.2),
    ],
    ids=lambda fault: f"{fault.kind}-{fault.moment}",
)
async def test_cancelled_while_the_request_is_under_way_it_is_looked_for(
    sqlite_url: str, fault: Fault
) -> None:
    # The sandbox asks its clock when a request arrives, and when it carries it out.
    asked: asyncio.Queue[None] = asyncio.Queue()
    async with engine_room(sqlite_url) as room, asyncio.timeout(60):
        room.arm(fault)
        room.ask(name="the only one")
        step = room.dispatch_step()
        room.sandbox._clock = watched(room, lambda: asked.put_nowait(None))
        await step.run(room.clock())
        await asked.get()
        for task in step._flight.sending.values():
            task.cancel()
        await asyncio.gather(*step._flight.sending.values(), return_exceptions=True)
        await room.upstreams.close()
        await asked.get()
        _open_again(room)
        await room.start_anew()

        (run,), said = room.runs(), room.complaints()

    assert said == []
    assert run.state is COLLECTING
    assert len(room.jobs) == 1


def _open_again(room: Room) -> None:
    """Give the room a client of its own again, as another process has."""
    room.upstreams = type(room.upstreams)(
        request_timeout=room.upstreams.request_timeout,
        clock=room.clock,
        read_secret=room.upstreams.read_secret,
    )


async def test_a_stall_between_reading_the_clock_and_claiming_does_not_outlive_the_lease(
    database_url: str,
) -> None:
    """A pass is told the time when it begins; stopped there, it wakes up with an old one."""
    async with engine_room(database_url) as room:
        run_id = room.ask()
        told = room.clock()
        room.clock.tick(LEASE * 3)
        leases: list[datetime | None] = []
        room.sandbox._clock = watched(room, lambda: leases.append(room.run(run_id).lease_until))
        step = room.dispatch_step()
        await step.run(told)
        await room.next_answer()

    assert leases
    assert all(until is not None and until > room.clock() for until in leases)


async def test_drain_claims_no_more_and_records_what_is_answered(database_url: str) -> None:
    async with engine_room(database_url) as room:
        room.shops(1)
        room.arm(Fault(kind=FaultKind.SLOW, seconds=0.2))
        sent = room.ask()
        step = room.dispatch_step()
        await step.run(room.clock())
        waiting = room.ask("shop1")
        left = await step.drain(timedelta(seconds=10))

        states = [room.run(run_id).state for run_id in (sent, waiting)]

    assert left == []
    assert states == [COLLECTING, QUEUED]


async def test_drain_names_the_runs_that_were_not_answered_in_time(sqlite_url: str) -> None:
    async with engine_room(sqlite_url) as room:
        room.arm(Fault(kind=FaultKind.HANG, seconds=0.5))
        run_id = room.ask()
        step = room.dispatch_step()
        await step.run(room.clock())
        left = await step.drain(timedelta())

        state = room.run(run_id).state
        await asyncio.wait(list(step._flight.sending.values()))

    assert left == [run_id]
    assert state is DISPATCHING


async def test_drain_with_the_database_away_names_the_answers_it_could_not_keep(
    sqlite_url: str,
) -> None:
    async with troubled_room(sqlite_url) as (room, troubles):
        run_id = room.ask()
        step = room.dispatch_step()
        troubles += [nothing, before_the_commit]
        await step.run(room.clock())
        await room.next_answer()
        left = await step.drain(timedelta(seconds=1))
        await room.start_anew()

        run, said = room.run(run_id), room.complaints()

    assert left == [run_id]
    assert (run.state, run.reason) == (COLLECTING, Reason.ADOPTED)
    assert said == []
