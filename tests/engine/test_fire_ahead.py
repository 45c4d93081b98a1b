"""What is due in a moment is found ahead, many even decided, and fired as it is when it is due."""

from datetime import datetime, timedelta
from typing import Final

import pytest

from scheduler.domain.foresight import Foreseen
from scheduler.domain.plan_schedule import Context, Decision
from scheduler.domain.records import Reason
from scheduler.domain.request import body_inputs
from scheduler.domain.schedule_override import Override
from scheduler.engine.fire import LOOK_AHEAD, FireStep
from scheduler.engine.foresight import AHEAD
from scheduler.storage import definitions, overrides
from tests.engine.rig import NINE, Room, engine_room

HOUR: Final = timedelta(hours=1)
DUE: Final = NINE + HOUR
A_MOMENT: Final = LOOK_AHEAD / 2


@pytest.fixture(params=["found", "foreseen"], autouse=True)
def foreseen(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> list[Decision]:
    """Let one alone be many, or not; return what was decided ahead, and fired as it was."""
    fired: list[Decision] = []

    def at(foreseen: Foreseen, context: Context) -> Decision | None:
        decided = really(foreseen, context)
        fired.extend([] if decided is None else [decided])
        return decided

    really = Foreseen.at
    monkeypatch.setattr(Foreseen, "at", at)
    if request.param == "foreseen":
        monkeypatch.setattr("scheduler.engine.fire.MANY", 0)
    return fired


async def run_to_the_end(step: FireStep, room: Room) -> datetime | None:
    """Let *step* run as long as it has something to do at once; return when it next has."""
    while (again_at := await step.run(room.clock())) == room.clock():
        pass
    return again_at


async def look_ahead(room: Room) -> FireStep:
    """Let a step see a moment ahead that the schedule `hourly` is due; or decide it even before."""
    room.schedule("hourly")
    step = room.fire_step()
    await step.run(room.clock())
    room.clock.tick(HOUR - AHEAD)
    await run_to_the_end(step, room)
    room.clock.tick(AHEAD - A_MOMENT)
    assert await step.run(room.clock()) == DUE
    assert room.runs() == []
    return step


async def test_one_alone_is_decided_when_it_is_due_and_of_many_each_before(
    database_url: str, foreseen: list[Decision], request: pytest.FixtureRequest
) -> None:
    async with engine_room(database_url) as room:
        step = await look_ahead(room)
        room.clock.tick(A_MOMENT + timedelta(seconds=1))
        await step.run(room.clock())
        (run,) = room.runs()

    assert (run.reason, run.due_at, run.created_at) == (Reason.DUE, DUE, DUE + timedelta(seconds=1))
    assert len(foreseen) == ("[foreseen" in request.node.name)


async def test_another_daemon_has_fired_it(database_url: str, foreseen: list[Decision]) -> None:
    async with engine_room(database_url) as room:
        step = await look_ahead(room)
        room.clock.tick(A_MOMENT)
        await room.fire()
        await step.run(room.clock())
        await step.run(room.clock())

        assert [run.due_at for run in room.runs()] == [DUE]
        assert foreseen == []


async def test_an_override_of_that_moment_counts(database_url: str) -> None:
    async with engine_room(database_url) as room:
        step = await look_ahead(room)
        with room.db.writing() as conn:
            overrides.put_override(
                conn,
                Override(
                    schedule="hourly",
                    field="priority",
                    value="9",
                    made_at=room.clock(),
                    made_by="bob",
                    reason="trial",
                    until=DUE + HOUR,
                ),
            )
        room.clock.tick(A_MOMENT)
        await run_to_the_end(step, room)

        assert [run.priority for run in room.runs()] == [9]


async def test_what_was_woken_in_that_moment_is_kept(
    database_url: str, foreseen: list[Decision], request: pytest.FixtureRequest
) -> None:
    async with engine_room(database_url) as room:
        step = await look_ahead(room)
        assert await step.run(room.clock()) == DUE
        room.clock.tick(A_MOMENT)
        await step.run(room.clock())

        assert [run.due_at for run in room.runs()] == [DUE]
    assert len(foreseen) == ("[foreseen" in request.node.name)


async def test_it_is_fired_at_its_time_and_once(
    database_url: str, foreseen: list[Decision]
) -> None:
    async with engine_room(database_url) as room:
        step = await look_ahead(room)
        room.clock.tick(A_MOMENT)
        following = await run_to_the_end(step, room)
        await step.run(room.clock())
        await room.fire_step().run(room.clock())

        fired = [(run.due_at, run.created_at) for run in room.runs()]

    assert fired == [(DUE, DUE)]
    assert following == DUE + HOUR - (AHEAD if foreseen else LOOK_AHEAD)


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
        await run_to_the_end(step, room)

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
        await run_to_the_end(step, room)

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


async def test_what_is_new_in_that_moment_is_fired_as_well(database_url: str) -> None:
    async with engine_room(database_url) as room:
        step = await look_ahead(room)
        room.schedule("new")
        room.clock.tick(A_MOMENT / 2)
        await step.run(room.clock())
        early = room.runs()
        room.clock.tick(A_MOMENT / 2)
        await run_to_the_end(step, room)

        assert early == []
        assert {(run.schedule, run.due_at) for run in room.runs()} == {
            ("hourly", DUE),
            ("new", DUE),
        }


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
