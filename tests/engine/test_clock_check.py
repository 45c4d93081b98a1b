"""A clock that is wrong is noticed before anything is decided by it, and downtime is not one."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select

from scheduler.daemon.steady_clock import SteadyClock
from scheduler.engine.clock_check import DOWNTIME, UNWITNESSED, ClockCheck
from scheduler.storage import daemons
from scheduler.storage.database import Database
from scheduler.storage.tables import schedules
from tests.engine.rig import Room, engine_room
from tests.engine.rows import ManualClock

LAST_ALIVE = datetime(2027, 3, 2, 9, tzinfo=UTC)
DAY = timedelta(days=1)


def check_of(room: Room, *, shows: datetime) -> ClockCheck:
    """Return the check of a daemon that starts by a clock that shows this time."""
    with room.db.writing() as conn:
        daemons.insert_daemon(
            conn, "d0", host="h", pid=1, version="1", zone_data="2026a", now=LAST_ALIVE
        )
    room.clock.now = shows
    return ClockCheck(db=room.db, clock=room.clock, upstreams=room.upstreams)


@pytest.mark.parametrize("ahead", [timedelta(hours=2), 40 * DAY, 400 * DAY], ids=str)
async def test_a_clock_that_is_ahead_at_the_start_is_held(
    database_url: str, ahead: timedelta
) -> None:
    true = ManualClock()
    true.now = LAST_ALIVE + timedelta(minutes=1)
    async with engine_room(database_url, upstream_clock=true) as room:
        check = check_of(room, shows=true.now + ahead)
        doubt = await check.find_doubt()
        room.clock.now = true.now
        mended = await check.find_doubt()

    assert "and the upstream's 2027-03-02 09:01:" in str(doubt)
    assert mended is None


async def test_an_upstream_whose_own_clock_is_wrong_need_not_be_believed(sqlite_url: str) -> None:
    wrong = ManualClock()
    wrong.now = LAST_ALIVE + 400 * DAY
    async with engine_room(sqlite_url, upstream_clock=wrong) as room:
        believing = check_of(room, shows=LAST_ALIVE + 7 * DAY)
        ours = replace(believing, trusts_upstream=False)
        held, asked = await believing.find_doubt(), len(room.received)

        assert (await ours.find_doubt(), await ours.ask_upstreams()) == (None, None)
        assert len(room.received) == asked
        room.clock.now = datetime(2000, 1, 1, tzinfo=UTC)
        assert await ours.find_doubt() is not None
    assert held is not None


async def test_a_machine_that_was_off_for_a_week_is_no_wrong_clock(database_url: str) -> None:
    true = ManualClock()
    true.now = LAST_ALIVE + 7 * DAY
    async with engine_room(database_url, upstream_clock=true) as room:
        assert await check_of(room, shows=true.now).find_doubt() is None


async def test_after_a_short_restart_no_upstream_is_asked(sqlite_url: str) -> None:
    async with engine_room(sqlite_url) as room:
        check = check_of(room, shows=LAST_ALIVE + DOWNTIME - timedelta(seconds=1))

        assert await check.find_doubt() is None
        assert room.received == []


async def test_a_clock_without_a_battery_is_held_whoever_answers(sqlite_url: str) -> None:
    async with engine_room(sqlite_url) as room:
        doubt = await check_of(room, shows=datetime(2000, 1, 1, tzinfo=UTC)).find_doubt()

    assert doubt == (
        "the clock shows 2000-01-01 00:00:00Z, and this version was made later: set it right"
    )


@pytest.mark.parametrize(
    ("downtime", "is_held"), [(UNWITNESSED, False), (UNWITNESSED + DOWNTIME, True)], ids=str
)
async def test_a_long_downtime_waits_for_an_upstream_that_tells_the_time(
    sqlite_url: str, downtime: timedelta, is_held: bool
) -> None:
    async with engine_room(sqlite_url) as room:
        room.change("accounts", "main", base_url="http://127.0.0.1:9")
        doubt = await check_of(room, shows=LAST_ALIVE + downtime).find_doubt()

    assert ("no upstream answers" in str(doubt)) == is_held


HOUR = timedelta(hours=1)


@pytest.mark.parametrize(
    ("set_by", "upstream_is", "moves_by"),
    [
        (2 * HOUR, timedelta(), timedelta()),
        (2 * HOUR, 2 * HOUR, 2 * HOUR),
        (2 * HOUR, None, timedelta()),
        (-timedelta(seconds=90), -timedelta(seconds=90), -timedelta(seconds=90)),
        (timedelta(seconds=90), timedelta(), timedelta()),
        (timedelta(seconds=1), None, timedelta(seconds=1)),
    ],
    ids=["wrongly", "rightly", "nobody tells", "back, rightly", "a little, wrongly", "kept right"],
)
async def test_a_clock_that_is_set_is_followed_where_an_upstream_says_so(
    sqlite_url: str,
    set_by: timedelta,
    upstream_is: timedelta | None,
    moves_by: timedelta,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    wall = ManualClock()
    monkeypatch.setattr("scheduler.daemon.steady_clock.utc_now", wall)
    monkeypatch.setattr("scheduler.daemon.steady_clock.boot_seconds", lambda: 1000.0)

    async def witness() -> datetime | None:
        return None if upstream_is is None else right + upstream_is

    with Database(sqlite_url) as db:
        clock = await SteadyClock.measured(db)
        right = clock()
        wall.tick(set_by)
        await clock.measure(db, witness)

    assert clock() - right == moves_by
    assert (clock.last_error is None) == (moves_by == set_by)


@pytest.mark.parametrize("wrong_by", [40 * DAY, -60 * DAY], ids=["ahead", "behind"])
async def test_a_schedule_made_by_a_start_whose_clock_was_wrong_begins_when_it_is_right(
    database_url: str, wrong_by: timedelta, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("scheduler.engine.clock_check._AGAIN", 0)
    true = ManualClock()
    true.now = LAST_ALIVE + 7 * DAY
    async with engine_room(database_url, upstream_clock=true) as room:
        check = check_of(room, shows=true.now + wrong_by)
        room.schedule("new", every="1h", created_at=room.clock.now)

        async def set_right(_: str) -> None:
            room.clock.now = true.now

        async def remeasure() -> None:
            pass

        await check.hold(asyncio.Event(), remeasure=remeasure, tell=set_right)
        with room.db.reading() as conn:
            decided = conn.scalar(select(schedules.c.fired_until))

    assert decided == true.now
