"""Few that are due are fired and claimed in one transaction; many, or amid trouble, in two."""

import asyncio
from contextlib import suppress
from datetime import timedelta
from typing import Any, Final

import pytest

from scheduler.domain.errors import DatabaseError
from scheduler.domain.records import RunState
from scheduler.engine.dispatch import DispatchStep
from scheduler.engine.dispatch_pass import DispatchPass
from scheduler.engine.fire import LOOK_AHEAD, FireStep
from scheduler.engine.foresight import AHEAD
from scheduler.engine.tuning import CLAIMED_WITH_FIRING
from scheduler.sandbox import Fault, FaultKind
from scheduler.storage.run_events import list_events
from tests.engine.rig import NINE, Room, engine_room
from tests.engine.troubled import (
    Really,
    Trouble,
    after_the_commit,
    before_the_commit,
    cancelled_after_the_commit,
    troubled_room,
)

HOUR: Final = timedelta(hours=1)
DISPATCHING, QUEUED, COLLECTING = RunState.DISPATCHING, RunState.QUEUED, RunState.COLLECTING


async def due(room: Room, number: int = 1) -> tuple[FireStep, DispatchStep]:
    """Let that many schedules be due now; return the steps that fire and send them."""
    for name in room.shops(number):
        room.schedule(f"hourly of {name}", collector=name)
    dispatch = room.dispatch_step()
    fire = room.fire_step(carry_out=dispatch.fire)
    await fire.run(room.clock())
    room.clock.tick(HOUR)
    return fire, dispatch


def states(room: Room) -> list[RunState]:
    """Return the states of all runs, in order."""
    return [run.state for run in room.runs()]


async def test_a_lone_one_is_claimed_by_the_commit_that_fires_it(database_url: str) -> None:
    at_the_commit = []

    async def seen(really: Really) -> Any:
        result = await really()
        at_the_commit.append((states(room), len(room.triggers)))
        return result

    async with troubled_room(database_url) as (room, troubles):
        fire, dispatch = await due(room)
        troubles.append(seen)
        await fire.run(room.clock())
        await room.dispatch(dispatch)
        with room.db.reading() as conn:
            history = [event.to_state for event in list_events(conn, room.runs()[0].id)]
        said = room.complaints()

    assert at_the_commit == [([DISPATCHING], 0)]  # on disk before its request leaves
    assert history == [QUEUED, DISPATCHING, COLLECTING]
    assert said == []


async def test_many_are_fired_first(database_url: str) -> None:
    """All but the first of them."""
    async with engine_room(database_url) as room:
        fire, dispatch = await due(room, 3 * CLAIMED_WITH_FIRING)
        assert await fire.run(room.clock()) == room.clock()
        first = states(room)
        await fire.run(room.clock())
        fired = states(room)
        await room.dispatch(dispatch)
        sent, said = states(room), room.complaints()

    assert first == [DISPATCHING] * CLAIMED_WITH_FIRING
    assert fired == first + [QUEUED] * 2 * CLAIMED_WITH_FIRING
    assert sent == [COLLECTING] * 3 * CLAIMED_WITH_FIRING
    assert said == []


async def test_the_first_of_many_that_are_foreseen_are_claimed_by_the_commit_that_fires_them(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("scheduler.engine.fire.MANY", CLAIMED_WITH_FIRING)
    async with engine_room(database_url) as room:
        fire, dispatch = await due(room, CLAIMED_WITH_FIRING + 1)
        for before in (AHEAD, LOOK_AHEAD / 2, timedelta()):
            room.clock.now = NINE + HOUR - before
            while (again_at := await fire.run(room.clock())) == room.clock() and not room.runs():
                pass
        fired = states(room)
        await fire.run(room.clock())
        await room.dispatch(dispatch)
        sent, said = states(room), room.complaints()

    assert again_at == NINE + HOUR
    assert fired == [DISPATCHING] * CLAIMED_WITH_FIRING
    assert sent == [COLLECTING] * (CLAIMED_WITH_FIRING + 1)
    assert said == []


async def test_while_answers_wait_to_be_recorded_it_is_fired_alone(database_url: str) -> None:
    """They free what the next needs, and are kept apart from what may fail."""
    async with engine_room(database_url) as room:
        room.ask()
        fire, dispatch = await due(room)
        await dispatch.run(room.clock())
        await room.next_answer()
        await fire.run(room.clock())
        fired = states(room)
        await room.dispatch(dispatch)
        ends, said = states(room), room.complaints()

    assert fired == [DISPATCHING, QUEUED]
    assert ends == [COLLECTING, COLLECTING]
    assert said == []


@pytest.mark.parametrize("trouble", [before_the_commit, after_the_commit])
async def test_a_commit_that_nobody_confirmed_sends_nothing_twice(
    database_url: str, trouble: Trouble
) -> None:
    async with troubled_room(database_url) as (room, troubles):
        fire, dispatch = await due(room)
        troubles.append(trouble)
        with pytest.raises(DatabaseError):
            await fire.run(room.clock())
        await fire.run(room.clock())
        await room.dispatch(dispatch)
        await room.dispatch(dispatch)
        ends, sent, said = states(room), len(room.triggers), room.complaints()

    assert (ends, sent, said) == ([COLLECTING], 1, [])


async def test_a_cancelled_firing_gives_its_claim_back(database_url: str) -> None:
    async with troubled_room(database_url) as (room, troubles):
        fire, dispatch = await due(room)
        troubles.append(cancelled_after_the_commit)
        with suppress(BaseException):
            await fire.run(room.clock())
        await room.dispatch(dispatch)
        await room.dispatch(dispatch)
        ends, sent, said = states(room), len(room.triggers), room.complaints()

    assert (ends, sent, said) == ([COLLECTING], 1, [])


async def test_what_cannot_be_claimed_is_fired_all_the_same(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cannot(work: DispatchPass, conn: object) -> None:
        raise ValueError("a bug in claiming")

    async with engine_room(database_url) as room:
        fire, dispatch = await due(room)
        with monkeypatch.context() as patch:
            patch.setattr(DispatchPass, "carry_out", cannot)
            await fire.run(room.clock())
            fired = states(room)
        await room.dispatch(dispatch)
        ends, said = states(room), room.complaints()

    assert fired == [QUEUED]
    assert ends == [COLLECTING]
    assert said == []


async def test_a_pass_and_a_firing_take_turns(database_url: str) -> None:
    """What a pass records is not recorded by the firing that began meanwhile."""
    async with engine_room(database_url) as room:
        room.arm(Fault(kind=FaultKind.SLOW, seconds=0.05))
        room.ask()
        fire, dispatch = await due(room)
        await asyncio.gather(dispatch.run(room.clock()), fire.run(room.clock()))
        await room.dispatch(dispatch)
        await room.dispatch(dispatch)
        ends, sent, said = states(room), len(room.triggers), room.complaints()

    assert (ends, sent, said) == ([COLLECTING, COLLECTING], 2, [])
