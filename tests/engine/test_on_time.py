"""What is due is written and claimed a moment before, and committed right at its instant."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

import pytest

from scheduler.domain.records import Reason, RunState
from scheduler.engine.dispatch import DispatchStep
from scheduler.engine.fire import LOOK_AHEAD, FireStep
from scheduler.engine.on_time import LONGEST_LEAD, NotYet, OnTime
from scheduler.engine.tuning import CLAIMED_WITH_FIRING
from tests.engine.rig import NINE, Room, engine_room
from tests.engine.rows import ManualClock

HOUR: Final = timedelta(hours=1)
DUE: Final = NINE + HOUR
LEAD: Final = timedelta(milliseconds=10)
DISPATCHING, COLLECTING = RunState.DISPATCHING, RunState.COLLECTING


@dataclass(slots=True)
class Wait:
    """Lets the time pass that is to be waited; *meanwhile* happens first."""

    clock: ManualClock
    meanwhile: Callable[[], None] = lambda: None
    seconds: list[float] = field(default_factory=list)

    def __call__(self, seconds: float) -> None:
        self.seconds.append(seconds)
        self.meanwhile()
        self.clock.tick(seconds)


async def found_ahead(room: Room, wait: Wait, number: int = 1) -> tuple[FireStep, DispatchStep]:
    """Return the steps that fire and send, when the first has found *number* that are due soon."""
    for name in room.shops(number):
        room.schedule(f"hourly of {name}", collector=name)
    dispatch = room.dispatch_step()
    on_time = OnTime(room.clock, wait, fixed=LEAD)
    fire = room.fire_step(carry_out=dispatch.fire, on_time=on_time, is_free=dispatch.is_free)
    await fire.run(room.clock())
    room.clock.now = DUE - LOOK_AHEAD
    assert await fire.run(room.clock()) == DUE - LEAD
    room.clock.now = DUE - LEAD
    return fire, dispatch


@pytest.mark.parametrize("number", [1, CLAIMED_WITH_FIRING - 1])
async def test_nothing_is_on_disk_before_the_instant_and_all_of_it_at_it(
    database_url: str, number: int
) -> None:
    before: list[object] = []
    async with engine_room(database_url) as room:
        wait = Wait(room.clock, lambda: before.extend([*room.runs(), *room.triggers]))
        fire, dispatch = await found_ahead(room, wait, number)
        following = await fire.run(room.clock())
        runs, committed_at = room.runs(), room.clock()
        await room.dispatch(dispatch)
        ends, said = [run.state for run in room.runs()], room.complaints()

    assert (before, wait.seconds, committed_at) == ([], [LEAD.total_seconds()], DUE)
    assert [(run.state, run.due_at, run.created_at) for run in runs] == [
        (DISPATCHING, DUE, DUE)
    ] * number
    assert (ends, said) == ([COLLECTING] * number, [])
    assert following == DUE + HOUR - LOOK_AHEAD


async def test_what_is_fired_and_not_claimed_is_held_as_well(database_url: str) -> None:
    before: list[object] = []
    async with engine_room(database_url) as room:
        wait = Wait(room.clock, lambda: before.extend(room.runs()))
        room.schedule("hourly")
        step = room.fire_step(on_time=OnTime(room.clock, wait, fixed=LEAD), is_free=lambda: True)
        await step.run(room.clock())
        room.clock.now = DUE - LEAD
        await step.run(room.clock())
        runs, committed_at = room.runs(), room.clock()

    assert (before, wait.seconds, committed_at) == ([], [LEAD.total_seconds()], DUE)
    assert [(run.state, run.due_at) for run in runs] == [(RunState.QUEUED, DUE)]


async def test_many_that_come_after_one_are_fired_in_passes_that_grow(database_url: str) -> None:
    """Of those that are due, too: each pass takes twice as many as the one before."""
    async with engine_room(database_url) as room:
        room.schedule("first")
        for number in range(5 * CLAIMED_WITH_FIRING):
            room.define(
                "schedules", f"then {number}", collector="shop", batch="one", after="first",
                created_at=NINE,
            )  # fmt: skip
        step = room.fire_step()
        await run_to_the_end(step, room)
        room.clock.now = DUE
        await step.run(room.clock())
        await room.dispatch()
        while not any(run.ended_at for run in room.runs(schedule="first")):
            await room.follow(after=5)
        passes = await run_to_the_end(step, room)
        fired = len(room.runs()) - 1

    assert fired == 5 * CLAIMED_WITH_FIRING
    assert passes <= 4


async def run_to_the_end(step: FireStep, room: Room) -> int:
    """Let *step* run as long as it has something to do at once; return in how many passes."""
    passes = 1
    while await step.run(room.clock()) == room.clock():
        passes += 1
    return passes


@pytest.mark.parametrize("back", [timedelta(seconds=1), HOUR / 2, 24 * HOUR])
async def test_a_clock_that_goes_back_meanwhile_takes_it_back(
    database_url: str, back: timedelta
) -> None:
    async with engine_room(database_url) as room:
        wait = Wait(room.clock, lambda: room.clock.tick(-back))
        fire, dispatch = await found_ahead(room, wait)
        await fire.run(room.clock())
        early, schedule = room.runs(), room.stored_schedule("hourly of shop1")
        room.clock.now = DUE
        await fire.run(room.clock())
        await room.dispatch(dispatch)
        runs, said = room.runs(), room.complaints()

    assert (early, schedule.next_fire_at) == ([], DUE)
    assert [(run.due_at, run.state) for run in runs] == [(DUE, COLLECTING)]
    assert said == []


async def test_a_clock_that_goes_forth_meanwhile_ends_the_wait(database_url: str) -> None:
    async with engine_room(database_url) as room:
        wait = Wait(room.clock, lambda: room.clock.tick(HOUR / 2))
        fire, dispatch = await found_ahead(room, wait)
        await fire.run(room.clock())
        await room.dispatch(dispatch)
        (run,) = room.runs()

    assert (run.due_at, run.created_at, len(wait.seconds)) == (DUE, DUE, 1)


async def test_a_wait_that_ends_early_is_gone_on_with(database_url: str) -> None:
    async with engine_room(database_url) as room:
        wait = Wait(room.clock)
        wait.meanwhile = lambda: room.clock.tick(-LEAD / 2 if len(wait.seconds) == 1 else 0)
        fire, dispatch = await found_ahead(room, wait)
        await fire.run(room.clock())
        committed_at = room.clock()
        await room.dispatch(dispatch)

    assert (committed_at, len(wait.seconds)) == (DUE, 2)


async def test_what_is_answered_is_recorded_first(database_url: str) -> None:
    """Whoever holds the database for an instant to come would hold that up."""
    async with engine_room(database_url) as room:
        wait = Wait(room.clock)
        fire, dispatch = await found_ahead(room, wait)
        room.ask()
        await dispatch.run(room.clock())
        await room.next_answer()
        assert await fire.run(room.clock()) == DUE
        early = [run.reason for run in room.runs()]
        room.clock.now = DUE
        await fire.run(room.clock())
        await room.dispatch(dispatch)
        ends, said = [run.state for run in room.runs()], room.complaints()

    assert (early, wait.seconds) == ([Reason.REQUESTED], [])
    assert (ends, said) == ([COLLECTING] * 2, [])


@pytest.mark.parametrize(
    ("edit", "states"),
    [
        ("UPDATE schedules SET enabled = FALSE", []),
        ("UPDATE schedules SET paused_at = '2026-03-02', paused_by = 'bob'", [RunState.SKIPPED]),
    ],
)
async def test_an_edit_up_to_its_beginning_counts(
    database_url: str, edit: str, states: list[RunState]
) -> None:
    async with engine_room(database_url) as room:
        fire, _ = await found_ahead(room, Wait(room.clock))
        room.execute(edit)
        await fire.run(room.clock())

        assert [run.state for run in room.runs()] == states


async def test_it_begins_as_long_before_as_the_last_few_took(clock: ManualClock) -> None:
    on_time = OnTime(clock, clock.tick)

    def fire(milliseconds: float) -> float:
        """Let a firing take so long; return how long before its instant the next one begins."""
        began_at = on_time.begin_at(DUE)
        clock.now = began_at + timedelta(milliseconds=milliseconds)
        on_time.hold(DUE, began_at=began_at)
        return (DUE - on_time.begin_at(DUE)) / timedelta(milliseconds=1)

    assert DUE - on_time.begin_at(DUE) == timedelta()
    assert fire(4) == pytest.approx(6)
    assert fire(6) == pytest.approx(9)
    assert fire(2) == pytest.approx(8.1)
    assert fire(1000) == LONGEST_LEAD / timedelta(milliseconds=1)
    assert fire(0) == pytest.approx(0.9 * LONGEST_LEAD / timedelta(milliseconds=1))


async def test_who_holds_for_something_far_away_is_told(clock: ManualClock) -> None:
    on_time = OnTime(clock, clock.tick)
    with pytest.raises(NotYet):
        on_time.hold(clock() + 2 * LONGEST_LEAD, began_at=clock())


@pytest.fixture
def clock() -> ManualClock:
    """Return a clock that stands at nine."""
    return ManualClock()
