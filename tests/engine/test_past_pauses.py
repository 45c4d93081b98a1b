"""Fire and backfill in spite of a pause: on a person's word, told by the audit, and sent."""

from datetime import timedelta
from typing import Any

import pytest

from scheduler.actions.pauses import freeze, pause_account, pause_queue, pause_schedule
from scheduler.actions.schedules import fire_schedule
from scheduler.domain.errors import Conflict, NeedsConfirmation
from scheduler.domain.records import RunState
from scheduler.tools.calendar.backfill import Ask, prepare_backfill, write_backfill
from scheduler.views.changes import list_changes
from tests.engine.rig import NINE, Room, engine_room
from tests.engine.rows import CONFIG


def fire(room: Room, **how: Any) -> int:
    made = fire_schedule(room.db, "night", config=CONFIG, by="ann", now=room.clock(), **how)
    return made[0].id


def stop(room: Room, action: Any, *words: Any, **how: Any) -> None:
    with room.db.writing() as conn:
        how = {"reason": "sale", "until": None, "by": "bob", "now": room.clock()} | how
        action(conn, *words, **how)


def stop_all(room: Room) -> None:
    room.define("queues", "slow")
    room.schedule("night", cron="0 3 * * *", queue="slow")
    stop(room, pause_schedule, "night")
    stop(room, pause_queue, "slow")
    stop(room, freeze, "all")


async def test_it_asks_goes_past_what_is_stopped_and_waits_and_the_audit_says_so(
    database_url: str,
) -> None:
    async with engine_room(database_url) as room:
        stop_all(room)
        waits = fire(room)
        room.clock.tick(1)
        with pytest.raises(NeedsConfirmation, match=r"night is paused by bob.*all is frozen"):
            fire(room, past_pauses=True)
        past = fire(room, past_pauses=True, confirmed=True)

        await room.dispatch()

        assert room.run(waits).state is RunState.QUEUED
        assert (room.run(past).state, room.run(past).past_pauses) == (RunState.COLLECTING, True)
        with room.db.reading() as conn:
            newest = list_changes(conn, subject="schedules.night", limit=1).items
        assert "past_pauses" in str(newest)
        assert "sale" in str(newest)


async def test_a_backfill_goes_past_it_too(sqlite_url: str) -> None:
    async with engine_room(sqlite_url) as room:
        stop_all(room)
        day = timedelta(days=1)
        ask = Ask(schedule="night", start=NINE - 3 * day, end=NINE - day, past_pauses=True)
        with room.db.writing() as conn:
            prepared = prepare_backfill(conn, ask, now=room.clock())
            how: dict[str, Any] = {"config": CONFIG, "by": "ann", "now": room.clock()}
            with pytest.raises(NeedsConfirmation, match="frozen"):
                write_backfill(conn, prepared, **how)
            ids = write_backfill(conn, prepared, confirmed=True, **how)

        await room.dispatch()

        assert room.run(ids[0]).state is RunState.COLLECTING


async def test_where_nothing_is_stopped_it_is_as_always(sqlite_url: str) -> None:
    async with engine_room(sqlite_url) as room:
        room.schedule("night", cron="0 3 * * *")

        made = room.run(fire(room, past_pauses=True))

        assert (made.past_pauses, made.order_key) == (False, "schedule:night")


async def test_the_pause_of_an_account_is_never_passed(sqlite_url: str) -> None:
    async with engine_room(sqlite_url) as room:
        stop_all(room)
        stop(room, pause_account, "main")

        with pytest.raises(Conflict, match="account main is paused by bob"):
            fire(room, past_pauses=True, confirmed=True)
