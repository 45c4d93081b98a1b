"""FireStep and edits: nothing fires by accident, and nothing that was owed is lost."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text

from scheduler.engine import fire
from scheduler.engine.fire import FireStep
from tests.engine.rig import NINE, Room, engine_room

HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)


async def fired(room: Room) -> list[str]:
    """Fire what is due, and return when every run so far was due."""
    await room.fire()
    return [f"{run.due_at:%H:%M}" for run in room.runs()]


@pytest.mark.parametrize(
    ("edit", "at_eleven"),
    [
        # Before 10:20 it was due at 10:00, and that had been fired.
        ({"cron": "30 * * * *"}, ["10:00", "10:30"]),
        ({"cron": "10 * * * *"}, ["10:00"]),
        ({"cron": None, "every": "15m"}, ["10:00", "10:30", "10:45", "11:00"]),
        ({"cron": None, "at": "2026-03-02T09:30:00"}, ["10:00"]),
        ({"cron": None, "manual": True}, ["10:00"]),
        ({"timezone": "Asia/Kolkata"}, ["10:00", "10:30"]),
        ({"priority": 5}, ["10:00", "11:00"]),
        ({"enabled": False}, ["10:00"]),
    ],
    ids=lambda value: str(value)[:40],
)
async def test_an_edit_counts_from_the_moment_it_was_made(
    database_url: str, edit: dict[str, Any], at_eleven: list[str]
) -> None:
    async with engine_room(database_url) as room:
        room.schedule("edited", catch_up="all", misfire_grace="1d")
        await fired(room)
        room.clock.now = NINE + HOUR
        await fired(room)
        room.clock.now = NINE + 80 * MINUTE
        room.change("schedules", "edited", **edit)
        at_once = await fired(room)
        room.clock.now = NINE + 2 * HOUR
        later = await fired(room)

    assert at_once == ["10:00"]
    assert later == at_eleven


async def test_what_was_owed_when_the_timetable_was_edited_is_fired(database_url: str) -> None:
    """The daemon was down at 10:00; at 10:05 somebody edits; at 10:10 it is back."""
    async with engine_room(database_url) as room:
        room.schedule("edited")
        await fired(room)
        room.clock.now = NINE + 65 * MINUTE
        room.change("schedules", "edited", cron="45 * * * *")
        room.clock.now = NINE + 70 * MINUTE
        at_once = await fired(room)
        room.clock.now = NINE + 105 * MINUTE
        later = await fired(room)

    assert at_once == ["10:00"]
    assert later == ["10:00", "10:45"]


async def test_a_new_schedule_owes_nothing_of_the_time_before_it(database_url: str) -> None:
    async with engine_room(database_url) as room:
        room.clock.now = NINE + 59 * MINUTE
        room.schedule("new", every="1m", catch_up="all", misfire_grace="1d")
        room.clock.now = NINE + HOUR + MINUTE
        first = await fired(room)

    assert first == ["10:00", "10:01"]


async def test_a_schedule_that_was_off_owes_nothing_of_that_time(database_url: str) -> None:
    async with engine_room(database_url) as room:
        room.schedule("switched", catch_up="all", misfire_grace="1d")
        await fired(room)
        room.change("schedules", "switched", enabled=False)
        room.clock.now = NINE + 2 * HOUR + 30 * MINUTE
        while_off = await fired(room)
        room.change("schedules", "switched", enabled=True)
        at_once = await fired(room)
        room.clock.now = NINE + 3 * HOUR
        later = await fired(room)

    assert (while_off, at_once, later) == ([], [], ["12:00"])


async def test_switching_off_and_on_between_two_passes_loses_nothing_that_comes_later(
    database_url: str,
) -> None:
    async with engine_room(database_url) as room:
        room.schedule("switched")
        await fired(room)
        room.clock.now = NINE + 30 * MINUTE
        room.change("schedules", "switched", enabled=False)
        room.change("schedules", "switched", enabled=True)
        room.clock.now = NINE + HOUR
        later = await fired(room)

    assert later == ["10:00"]


async def test_edited_twice_while_the_daemon_was_down_it_fires_what_it_owed_once(
    database_url: str,
) -> None:
    async with engine_room(database_url) as room:
        room.schedule("edited", misfire_grace="1d")
        await fired(room)
        room.clock.now = NINE + HOUR + MINUTE
        room.change("schedules", "edited", cron="20 * * * *")
        room.clock.now = NINE + HOUR + 10 * MINUTE
        room.change("schedules", "edited", cron="40 * * * *")
        room.clock.now = NINE + HOUR + 30 * MINUTE
        at_once = await fired(room)
        again = await fired(room)

    assert at_once == ["10:00"]
    assert again == at_once


async def test_renaming_a_collector_takes_its_schedules_along(database_url: str) -> None:
    async with engine_room(database_url) as room:
        room.schedule("hourly")
        await fired(room)
        room.execute("UPDATE collectors SET name = 'boutique' WHERE name = 'shop'")
        room.clock.now = NINE + HOUR
        await room.fire()

        (run,) = room.runs()

    assert run.collector == "boutique"


async def fire_all(room: Room, step: FireStep) -> datetime | None:
    """Fire until there is nothing more to do now; return when there is again."""
    while (again_at := await step.run(room.clock())) is not None and again_at <= room.clock():
        pass
    return again_at


async def test_what_a_client_holds_locked_is_fired_later_and_hinders_no_other(
    postgresql_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An editor may leave a transaction open, for more schedules than one pass takes."""
    monkeypatch.setattr(fire, "_AT_ONCE", 64)
    async with engine_room(postgresql_url) as room:
        locked = [f"s{number:03}" for number in range(80)]
        for name in locked:
            room.schedule(name)
        room.schedule("free", cron="1 10 * * *")
        step = room.fire_step()
        await fire_all(room, step)
        room.clock.tick(3600)
        with room.db.writing() as editor:
            editor.execute(text("SELECT name FROM schedules WHERE name <> 'free' FOR UPDATE"))
            again_at = await fire_all(room, step)
            asked_again_after = again_at and again_at - room.clock()
            room.clock.tick(60)
            await fire_all(room, step)
            meanwhile = [run.schedule for run in room.runs()]
        await fire_all(room, step)

        fired = sorted(str(run.schedule) for run in room.runs())

    assert asked_again_after == timedelta(seconds=1)
    assert meanwhile == ["free"]
    assert fired == ["free", *locked]
