"""FireStep: what is due becomes a run, once, whatever the clock does."""

import asyncio
from collections import Counter
from datetime import timedelta
from pathlib import Path

import pytest

from scheduler.domain.records import Reason, RunState
from scheduler.engine.fire import LOOK_AHEAD
from tests.engine.rig import NINE, another_database, engine_room

HOUR = timedelta(hours=1)
QUEUED, SKIPPED, FAILED = RunState.QUEUED, RunState.SKIPPED, RunState.FAILED


async def test_a_due_schedule_becomes_a_run_and_its_mark_moves(database_url: str) -> None:
    async with engine_room(database_url) as room:
        room.schedule("hourly", misfire_grace="20m", priority=3)
        before = await room.fire()
        room.clock.tick(HOUR)
        following = await room.fire()

        (run,) = room.runs()
        schedule = room.stored_schedule("hourly")

    assert (before, following) == (NINE + HOUR - LOOK_AHEAD, NINE + 2 * HOUR - LOOK_AHEAD)
    assert (run.schedule, run.due_at, run.state, run.reason) == (
        "hourly", NINE + HOUR, QUEUED, Reason.DUE,
    )  # fmt: skip
    assert (run.send_before, run.priority) == (NINE + HOUR + timedelta(minutes=20), 3)
    assert (schedule.fired_until, schedule.next_fire_at) == (NINE + HOUR, NINE + 2 * HOUR)


async def test_a_clock_set_back_an_hour_and_played_again_fires_nothing_twice(
    database_url: str,
) -> None:
    async with engine_room(database_url) as room:
        room.schedule("often", every="10m", anchor="2026-03-02T00:00:00Z")
        step = room.fire_step()
        await step.run(room.clock())
        for minute in (*range(10, 70, 10), *range(0, 100, 10)):
            room.clock.now = NINE + timedelta(minutes=minute)
            await step.run(room.clock())
            await room.fire()

        fired = [run.due_at for run in room.runs()]

    assert fired == [NINE + timedelta(minutes=minute) for minute in range(10, 100, 10)]


@pytest.mark.parametrize(
    ("catch_up", "fates"),
    [
        ("all", [Reason.MISSED, Reason.MISSED, Reason.DUE, Reason.DUE, Reason.DUE]),
        ("latest", [Reason.MISSED, Reason.MISSED, Reason.COALESCED, Reason.COALESCED, Reason.DUE]),
        ("none", [Reason.MISSED] * 5),
    ],
)
async def test_after_downtime_every_missed_occurrence_has_its_row_and_its_reason(
    database_url: str, catch_up: str, fates: list[Reason]
) -> None:
    async with engine_room(database_url) as room:
        room.schedule("hourly", catch_up=catch_up, misfire_grace="2h30m")
        await room.fire()
        room.clock.tick(5 * HOUR + timedelta(minutes=10))
        await room.fire()

        found = room.runs()

    assert [run.due_at for run in found] == [NINE + hours * HOUR for hours in range(1, 6)]
    assert [run.reason for run in found] == fates
    assert all((run.state is QUEUED) == (run.reason is Reason.DUE) for run in found)


async def test_the_newest_run_stands_for_older_ones_that_still_wait(database_url: str) -> None:
    async with engine_room(database_url) as room:
        room.schedule("latest", catch_up="latest", misfire_grace="1d")
        room.schedule("all", catch_up="all", misfire_grace="1d")
        await room.fire()
        for _ in range(2):
            room.clock.tick(HOUR)
            await room.fire()

        ends = {name: [(r.state, r.reason) for r in room.runs(schedule=name)]
                for name in ("latest", "all")}  # fmt: skip

    assert ends["latest"] == [(SKIPPED, Reason.COALESCED), (QUEUED, Reason.DUE)]
    assert ends["all"] == [(QUEUED, Reason.DUE), (QUEUED, Reason.DUE)]


async def test_a_broken_row_is_invalid_while_others_fire_and_comes_back_mended(
    database_url: str,
) -> None:
    async with engine_room(database_url) as room:
        room.schedule("good")
        room.schedule("broken", cron="0 * * *")
        await room.fire()
        room.clock.tick(HOUR)
        await room.fire()
        invalid = room.stored_schedule("broken").error
        room.change("schedules", "broken", cron="30 * * * *")
        room.clock.tick(timedelta(minutes=10))
        await room.fire()
        mended = room.stored_schedule("broken")
        room.clock.tick(timedelta(minutes=20))
        await room.fire()

        fired = [(run.schedule, run.due_at) for run in room.runs()]

    assert invalid is not None
    assert "0 * * *" in invalid
    assert mended.error is None
    assert fired == [("good", NINE + HOUR), ("broken", NINE + timedelta(minutes=90))]


async def test_a_mended_neighbour_brings_a_schedule_back(database_url: str) -> None:
    """Nothing in the schedule's own row changes: what it names does."""
    async with engine_room(database_url) as room:
        room.schedule("hourly", exclude="holidays")
        step = room.fire_step()
        await step.run(room.clock())
        room.define("calendars", "holidays", rules="12-25")
        room.clock.tick(HOUR)
        await step.run(room.clock())

        (run,) = room.runs()

    assert run.due_at == NINE + HOUR


async def test_a_missing_batch_file_makes_a_failed_run_and_the_schedule_goes_on(
    database_url: str, tmp_path: Path
) -> None:
    file = tmp_path / "shops.txt"
    async with engine_room(database_url) as room:
        room.define("batches", "shops", file=str(file))
        room.schedule("hourly", batch="shops")
        step = room.fire_step()
        await step.run(room.clock())
        room.clock.tick(HOUR)
        await step.run(room.clock())
        file.write_text("https://example.org/a\nhttps://example.org/b\n")
        room.clock.tick(HOUR)
        await step.run(room.clock())

        missing, read = room.runs()

    assert (missing.state, missing.reason, missing.body) == (FAILED, Reason.BAD_INPUTS, None)
    assert str(file) in (missing.detail or "")
    assert (read.state, read.reason) == (QUEUED, Reason.DUE)
    assert read.body is not None


async def test_max_depth_refuses_what_the_queue_has_no_room_for(database_url: str) -> None:
    async with engine_room(database_url) as room:
        room.define("queues", "narrow", max_depth=2)
        room.schedule("hourly", queue="narrow", catch_up="all", misfire_grace="1d")
        await room.fire()
        room.clock.tick(4 * HOUR)
        await room.fire()

        found = room.runs()

    assert [run.reason for run in found] == [
        Reason.DUE, Reason.DUE, Reason.QUEUE_FULL, Reason.QUEUE_FULL,
    ]  # fmt: skip
    assert found[2].state is SKIPPED
    assert "max_depth" in (found[2].detail or "")


async def test_jitter_and_spread_are_stored_as_the_time_to_send(database_url: str) -> None:
    async with engine_room(database_url) as room:
        room.schedule("jittered", jitter="10m", catch_up="all", misfire_grace="1d")
        room.schedule("spread", spread="10m", catch_up="all", misfire_grace="1d")
        await room.fire()
        room.clock.tick(3 * HOUR)
        await room.fire()

        delays = {
            name: [run.not_before - run.due_at for run in room.runs(schedule=name)]
            for name in ("jittered", "spread")
        }

    assert all(timedelta() <= delay <= timedelta(minutes=10) for delay in delays["jittered"])
    assert len(set(delays["jittered"])) == 3
    assert len(set(delays["spread"])) == 1


async def test_two_daemons_that_fire_at_once_write_each_occurrence_once(
    postgresql_url: str,
) -> None:
    async with engine_room(postgresql_url) as room:
        for number in range(20):
            room.schedule(f"s{number}", catch_up="all", misfire_grace="1d")
        await room.fire()
        with another_database(postgresql_url) as other:
            room.clock.tick(3 * HOUR)
            await asyncio.gather(
                *(room.fire_step(db).run(room.clock()) for db in (room.db, other) * 3)
            )
        for _ in range(3):
            await room.fire()

        fired = [(run.schedule, run.due_at) for run in room.runs()]

    assert len(fired) == 60
    assert len(set(fired)) == 60


async def test_many_missed_occurrences_are_rows_each(database_url: str) -> None:
    async with engine_room(database_url) as room:
        room.schedule("tick", every="1s", misfire_grace="10s")
        await room.fire()
        room.clock.tick(timedelta(seconds=100))
        await room.fire()

        reasons = Counter(run.reason for run in room.runs())

    assert reasons == {Reason.MISSED: 89, Reason.DUE: 11}
