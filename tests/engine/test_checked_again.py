"""A wrong edit of a row, by any client, is told at the next pass, not when the schedule is due."""

import sqlite3
from contextlib import closing
from datetime import timedelta

import pytest

from tests.engine.rig import NINE, Room, engine_room

HOUR = timedelta(hours=1)


def plan(room: Room) -> None:
    room.schedule("broken", cron="0 10 * * *")
    room.schedule("sound", cron="0 10 * * *")


DANGLING = {
    "a collector that there is not": (
        "UPDATE schedules SET collector = 'gone' WHERE name = 'broken'",
        "UPDATE schedules SET collector = 'shop' WHERE name = 'broken'",
        "collector: no collector is called 'gone'",
    ),
    "a batch that there is not": (
        "UPDATE schedules SET batch = 'gone' WHERE name = 'broken'",
        "UPDATE schedules SET batch = 'one' WHERE name = 'broken'",
        "batch: no batch is called 'gone'",
    ),
}
WRONG = {
    "a deadline that is none": (
        "UPDATE schedules SET deadline = 'one hour' WHERE name = 'broken'",
        "UPDATE schedules SET deadline = NULL WHERE name = 'broken'",
        "deadline",
    ),
    "a misfire grace that is none": (
        "UPDATE schedules SET misfire_grace = 'long' WHERE name = 'broken'",
        "UPDATE schedules SET misfire_grace = '10m' WHERE name = 'broken'",
        "misfire_grace",
    ),
    "delivery that is no JSON": (
        "UPDATE schedules SET deliver = '{' WHERE name = 'broken'",
        "UPDATE schedules SET deliver = NULL WHERE name = 'broken'",
        "deliver",
    ),
    "a trigger name with an unknown placeholder": (
        "UPDATE schedules SET trigger_name = '{nobody}' WHERE name = 'broken'",
        "UPDATE schedules SET trigger_name = NULL WHERE name = 'broken'",
        "nobody",
    ),
}


@pytest.mark.parametrize(("wrong", "mended", "error"), WRONG.values(), ids=WRONG)
async def test_a_wrong_edit_is_told_at_once_and_hinders_nobody_else(
    database_url: str, wrong: str, mended: str, error: str
) -> None:
    async with engine_room(database_url) as room:
        await edit_and_mend(room, wrong, mended, error)


@pytest.mark.parametrize(("wrong", "mended", "error"), DANGLING.values(), ids=DANGLING)
async def test_a_name_that_leads_nowhere_is_told_at_once(
    sqlite_url: str, wrong: str, mended: str, error: str
) -> None:
    """The sqlite3 shell checks no references unless it is told to; PostgreSQL always does."""
    async with engine_room(sqlite_url) as room:
        await edit_and_mend(room, wrong, mended, error)


async def edit_and_mend(room: Room, wrong: str, mended: str, error: str) -> None:
    plan(room)
    step = room.fire_step()
    await step.run(room.clock())
    by_shell(room, wrong)
    await step.run(room.clock())
    set_aside = room.stored_schedule("broken")
    room.clock.now = NINE + HOUR
    await step.run(room.clock())
    fired = [run.schedule for run in room.runs()]
    by_shell(room, mended)
    await step.run(room.clock())

    assert error in (set_aside.error or "")
    assert set_aside.next_fire_at == NINE + HOUR
    assert fired == ["sound"]
    assert [run.schedule for run in room.runs()] == ["sound", "broken"]
    assert room.stored_schedule("broken").error is None


def by_shell(room: Room, statement: str) -> None:
    if room.db.file is None:
        room.execute(statement)
        return
    with closing(sqlite3.connect(room.db.file)) as shell, shell:
        shell.execute(statement)


async def test_an_edit_of_a_collector_is_told_for_each_schedule_that_names_it(
    database_url: str,
) -> None:
    async with engine_room(database_url) as room:
        plan(room)
        await room.fire()
        room.execute("UPDATE collectors SET deadline = 'one hour' WHERE name = 'shop'")
        await room.fire()

        errors = [room.stored_schedule(name).error for name in ("broken", "sound")]

    assert all("deadline" in (error or "") for error in errors)


async def test_an_edit_fires_nothing_and_loses_nothing(database_url: str) -> None:
    async with engine_room(database_url) as room:
        plan(room)
        await room.fire()
        room.clock.now = NINE + HOUR
        room.execute("UPDATE schedules SET deadline = '1h', catch_up = 'all', labels = ',a,'")
        await room.fire()
        fired = [(run.schedule, run.due_at) for run in room.runs()]
        room.execute("UPDATE schedules SET deadline = '2h'")
        await room.fire()

        assert fired == [("broken", NINE + HOUR), ("sound", NINE + HOUR)]
        assert len(room.runs()) == 2


async def test_an_edited_calendar_counts_from_now_on(database_url: str) -> None:
    """What it excluded until now is not owed; what it does not exclude any more comes."""
    async with engine_room(database_url) as room:
        room.define("calendars", "closed", rules="2026-03-02..2026-03-03")
        room.schedule("daily", cron="30 8,10 * * *", exclude="closed")
        await room.fire()
        before = room.stored_schedule("daily").next_fire_at
        room.change("calendars", "closed", rules="2026-03-03")
        await room.fire()
        after = room.stored_schedule("daily").next_fire_at
        runs = room.runs()

    assert before == NINE + timedelta(days=1, hours=23.5)
    assert after == NINE + timedelta(hours=1.5)
    assert runs == []
