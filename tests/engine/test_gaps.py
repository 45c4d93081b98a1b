"""Of a long gap that is not sent there is one row, and it stands for every occurrence in it."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from scheduler.actions.clock_reset import preview_reset, reset
from scheduler.domain.records import Reason, Run, RunState
from scheduler.storage.invariants import list_violations
from scheduler.storage.run_events import list_events
from scheduler.storage.runs.troubles import find_missed
from scheduler.tools.calendar.backfill import Ask, prepare_backfill
from scheduler.tools.calendar.explain import explain_time
from scheduler.tools.calendar.explain_instant import ExplainedVerdict
from scheduler.views.vanished import list_vanished
from tests.engine.rig import NINE, Room, engine_room

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
DECADES = 9500 * DAY


async def away(room: Room, length: timedelta, **columns: Any) -> int:
    """Make a schedule of every minute, be away for *length*, and return the passes it took."""
    room.schedule("often", **({"cron": "* * * * *"} | columns))
    step = room.fire_step()
    await step.run(room.clock())
    room.clock.tick(length)
    return await fire_all(room)


async def fire_all(room: Room) -> int:
    step, passes = room.fire_step(), 0
    due: datetime | None = room.clock()
    while due is not None and due <= room.clock():
        due, passes = await step.run(room.clock()), passes + 1
    return passes


def seen(runs: list[Run]) -> list[tuple[Reason, int]]:
    return [(run.reason, run.occurrences) for run in runs]


async def test_decades_of_every_minute_are_two_rows_and_one_to_send(database_url: str) -> None:
    async with engine_room(database_url) as room:
        room.clock.tick(-DECADES)
        passes = await away(room, DECADES, misfire_grace="6h")
        runs = room.runs()
        with room.db.reading() as conn:
            broken, vanished = list_violations(conn), list_vanished(conn)
            told = find_missed(conn, since=NINE)
            events = [list_events(conn, run.id) for run in runs]

    assert passes <= 3
    assert seen(runs) == [
        (Reason.MISSED, 9500 * 24 * 60 - 361), (Reason.COALESCED, 360), (Reason.DUE, 1),
    ]  # fmt: skip
    missed, coalesced, due = runs
    assert (missed.due_at, missed.due_until) == (NINE - DECADES + MINUTE, NINE - 361 * MINUTE)
    assert (coalesced.due_at, coalesced.due_until) == (
        NINE - 6 * HOUR, NINE - MINUTE,
    )  # fmt: skip
    assert (due.due_at, due.due_until) == (NINE, None)
    assert missed.detail == (
        "13679639 occurrences from 2000-02-27 09:01:00Z to 2026-03-02 02:59:00Z"
    )
    assert [event.detail for event in events[0]] == [missed.detail]
    assert (broken, vanished) == ([], [])
    assert told is not None
    assert told.count == missed.occurrences


@pytest.mark.parametrize(
    ("columns", "fates"),
    [
        ({"catch_up": "none"}, [(Reason.MISSED, 1439), (Reason.DUE, 1)]),
        ({"catch_up": "all", "catch_up_max": 2, "misfire_grace": "12h"},
         [(Reason.MISSED, 719), (Reason.COALESCED, 719), (Reason.DUE, 1), (Reason.DUE, 1)]),
        ({"catch_up": "all", "misfire_grace": "2m"},
         [(Reason.MISSED, 1437), *[(Reason.DUE, 1)] * 3]),
    ],
)  # fmt: skip
async def test_what_is_sent_keeps_a_row_each(
    database_url: str, columns: dict[str, Any], fates: list[tuple[Reason, int]]
) -> None:
    async with engine_room(database_url) as room:
        await away(room, DAY, **columns)

        assert seen(room.runs()) == fates


async def test_a_hundred_have_a_row_each_and_no_gap_crosses_a_pause(database_url: str) -> None:
    async with engine_room(database_url) as room:
        room.schedule("often", cron="* * * * *", catch_up="none")
        await room.fire()
        room.change("schedules", "often", paused_at=NINE + 100.5 * MINUTE, paused_by="ann",
                    paused_reason="test", paused_until=NINE + 300.5 * MINUTE)  # fmt: skip
        await room.fire()
        room.clock.tick(DAY)
        await fire_all(room)
        runs = room.runs()

    assert seen(runs[:100]) == [(Reason.MISSED, 1)] * 100
    assert seen(runs[100:]) == [(Reason.PAUSED, 200), (Reason.MISSED, 1139), (Reason.DUE, 1)]
    assert runs[100].detail is not None
    assert runs[100].detail.endswith("; paused by ann: test")


async def test_what_was_never_planned_while_the_clock_was_behind_is_one_row(
    database_url: str,
) -> None:
    async with engine_room(database_url) as room:
        room.clock.tick(-30 * DAY)
        room.schedule("new", cron="* * * * *", misfire_grace="6h")
        room.schedule("once", cron="0 9 2 3 *")
        room.clock.tick(30 * DAY)
        passes = await fire_all(room)
        runs = room.runs()

    assert passes <= 3
    assert seen([run for run in runs if run.schedule == "new"]) == [
        (Reason.MISSED, 30 * 24 * 60 - 361), (Reason.COALESCED, 360), (Reason.DUE, 1),
    ]  # fmt: skip
    assert seen([run for run in runs if run.schedule == "once"]) == [(Reason.DUE, 1)]


async def test_what_comes_after_an_edit_of_long_ago_is_one_row(database_url: str) -> None:
    async with engine_room(database_url) as room:
        room.schedule("often", cron="* * * * *", misfire_grace="6h")
        await room.fire()
        room.clock.tick(5 * MINUTE)
        room.change("schedules", "often", cron="*/2 * * * *")
        room.clock.tick(30 * DAY)
        await fire_all(room)
        runs = room.runs()

    assert seen(runs) == [
        (Reason.MISSED, 1), (Reason.MISSED, 30 * 24 * 30 - 180), (Reason.COALESCED, 179),
        (Reason.DUE, 1),
    ]  # fmt: skip
    assert runs[0].due_at == NINE + MINUTE


async def test_where_a_calendar_excludes_ten_thousand_are_one_row(database_url: str) -> None:
    async with engine_room(database_url) as room:
        room.define("calendars", "night", rules="00:00-06:00")
        await away(room, 20 * DAY, exclude="night")
        runs = room.runs()
        with room.db.reading() as conn:
            vanished = list_vanished(conn)

    missed = [run for run in runs if run.reason is Reason.MISSED]
    assert [run.occurrences for run in missed] == [10_000, 10_000, 20 * 18 * 60 - 20_000 - 61]
    assert sum(run.occurrences for run in runs) == 20 * 18 * 60
    assert vanished == []


async def test_a_pass_that_is_played_again_writes_nothing_twice(database_url: str) -> None:
    async with engine_room(database_url) as room:
        await away(room, DAY)
        before = seen(room.runs())
        room.execute("UPDATE schedules SET fired_until = :then, next_fire_at = :due",
                     then=NINE, due=NINE + MINUTE)  # fmt: skip
        await fire_all(room)

        assert seen(room.runs()) == before


async def test_an_instant_in_a_gap_is_explained_by_its_row(database_url: str) -> None:
    async with engine_room(database_url) as room:
        await away(room, DAY)
        with room.db.reading() as conn:
            (inside,) = explain_time(conn, "often", NINE + 5 * HOUR, now=room.clock()).answers
            beside = explain_time(conn, "often", NINE + 5.001 * HOUR, now=room.clock()).answers[0]

    assert (inside.verdict, inside.reason) == (ExplainedVerdict.SKIPPED, Reason.MISSED)
    assert "1379 occurrences from 2026-03-02 09:01:00Z" in inside.sentence
    assert inside.previous is not None
    assert inside.previous.run == inside.runs[0]
    assert beside.verdict is ExplainedVerdict.NO_OCCURRENCE


async def test_what_is_in_a_gap_can_be_backfilled(database_url: str) -> None:
    async with engine_room(database_url) as room:
        await away(room, DAY)
        hour = Ask(schedule="often", start=NINE + HOUR, end=NINE + 2 * HOUR)
        first = Ask(schedule="often", start=NINE + MINUTE, end=NINE + MINUTE)
        with room.db.reading() as conn:
            inside = prepare_backfill(conn, hour, now=room.clock())
            begin = prepare_backfill(conn, first, now=room.clock())

    assert [one.due_at for one in inside.chosen] == [NINE + HOUR + n * MINUTE for n in range(61)]
    assert [(one.due_at, one.over and one.over.reason) for one in begin.chosen] == [
        (NINE + MINUTE, Reason.MISSED)
    ]


async def test_a_clock_reset_cuts_a_gap_that_reaches_beyond_now(database_url: str) -> None:
    async with engine_room(database_url) as room:
        await away(room, 400 * DAY, catch_up="none")
        now = NINE + HOUR
        with room.db.writing() as conn:
            told = preview_reset(conn, now=now)
            reset(conn, by="ann", now=now, confirmed=True)
        (gap, sent) = room.runs()
        room.clock.now = now + MINUTE
        await fire_all(room)
        fired = room.runs()[2:]

    assert told.schedules[0].skipped_count == 400 * 24 * 60 - 1 - 60
    assert (gap.due_until, gap.occurrences) == (now, 60)
    assert gap.detail == "60 occurrences from 2026-03-02 09:01:00Z to 2026-03-02 10:00:00Z"
    assert sent.state is RunState.QUEUED
    assert [(run.due_at, run.reason) for run in fired] == [(now + MINUTE, Reason.DUE)]
