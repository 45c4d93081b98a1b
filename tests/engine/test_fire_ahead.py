"""What is due in a moment is found ahead, and fired as it is when it is due."""

from datetime import timedelta
from typing import Final

import pytest

from scheduler.domain.records import Reason
from scheduler.domain.request import body_inputs
from scheduler.engine.fire import LOOK_AHEAD, FireStep
from scheduler.storage import definitions
from tests.engine.rig import NINE, Room, engine_room

HOUR: Final = timedelta(hours=1)
DUE: Final = NINE + HOUR
A_MOMENT: Final = LOOK_AHEAD / 2


async def look_ahead(room: Room) -> FireStep:
    """Let a step see a moment ahead that the schedule `hourly` is due."""
    room.schedule("hourly")
    step = room.fire_step()
    await step.run(room.clock())
    room.clock.tick(HOUR - A_MOMENT)
    assert await step.run(room.clock()) == DUE
    assert room.runs() == []
    return step


async def test_it_is_fired_at_its_time_and_once(database_url: str) -> None:
    async with engine_room(database_url) as room:
        step = await look_ahead(room)
        room.clock.tick(A_MOMENT)
        following = await step.run(room.clock())
        await step.run(room.clock())
        await room.fire_step().run(room.clock())

        fired = [(run.due_at, run.created_at) for run in room.runs()]

    assert fired == [(DUE, DUE)]
    assert following == DUE + HOUR - LOOK_AHEAD


@pytest.mark.parametrize(
    ("edit", "fired"),
    [
        ("UPDATE schedules SET priority = 7", [(Reason.DUE, 7)]),
        ("UPDATE schedules SET enabled = FALSE", []),
        ("UPDATE schedules SET paused_at = :now, paused_by = 'bob'", [(Reason.PAUSED, 0)]),
        ("UPDATE schedules SET misfire_grace = 'soon'", []),
        ("DELETE FROM schedules", []),
        (
            "INSERT INTO freezes (scope, frozen_at, frozen_by, reason)"
            " VALUES ('all', :now, 'bob', 'trial')",
            [(Reason.FROZEN, 0)],
        ),
    ],
)
async def test_what_is_edited_in_that_moment_counts(
    database_url: str, edit: str, fired: list[tuple[Reason, int]]
) -> None:
    async with engine_room(database_url) as room:
        step = await look_ahead(room)
        room.execute(edit, **({"now": room.clock()} if ":now" in edit else {}))
        room.clock.tick(A_MOMENT)
        await step.run(room.clock())
        await step.run(room.clock())

        assert [(run.reason, run.priority) for run in room.runs()] == fired


async def test_a_batch_that_is_edited_in_that_moment_is_sent_as_it_is_then(
    database_url: str,
) -> None:
    async with engine_room(database_url) as room:
        step = await look_ahead(room)
        room.execute("""UPDATE batches SET inputs = '[{"url": "https://new.example"}]'""")
        room.clock.tick(A_MOMENT)
        await step.run(room.clock())

        (run,) = room.runs()
        with room.db.reading() as conn:
            sent = definitions.get_body(conn, str(run.body))
        assert body_inputs(sent) == [{"url": "https://new.example"}]


async def test_another_batch_in_that_moment_is_sent(database_url: str) -> None:
    async with engine_room(database_url) as room:
        step = await look_ahead(room)
        room.execute("""INSERT INTO batches (name, inputs) VALUES ('other', '[{"url": "o"}]')""")
        room.execute("UPDATE schedules SET batch = 'other'")
        room.clock.tick(A_MOMENT)
        await step.run(room.clock())

        assert [run.batch for run in room.runs()] == ["other"]


async def test_what_is_late_already_does_not_wait_for_it(database_url: str) -> None:
    async with engine_room(database_url) as room:
        room.schedule("late", every="1h", anchor="2026-03-02T00:59:59Z")
        room.schedule("hourly")
        step = room.fire_step()
        await step.run(room.clock())
        room.clock.tick(HOUR - A_MOMENT)
        await step.run(room.clock())

        assert [run.schedule for run in room.runs()] == ["late"]


async def test_what_is_new_in_that_moment_is_planned_in_it(database_url: str) -> None:
    async with engine_room(database_url) as room:
        step = await look_ahead(room)
        room.schedule("new")
        room.clock.tick(A_MOMENT / 2)
        await step.run(room.clock())

        assert room.stored_schedule("new").next_fire_at == DUE
        assert room.runs() == []


async def test_a_clock_that_goes_back_in_that_moment_fires_nothing_early(
    database_url: str,
) -> None:
    async with engine_room(database_url) as room:
        step = await look_ahead(room)
        room.clock.tick(-HOUR / 2)
        await step.run(room.clock())
        early = room.runs()
        room.clock.tick(HOUR)
        await step.run(room.clock())

        fired = [run.due_at for run in room.runs()]

    assert (early, fired) == ([], [DUE])
