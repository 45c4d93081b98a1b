"""A wrong edit of a row, by any client, is told at the next pass, not when the schedule is due."""

import sqlite3
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import insert

from scheduler.domain.batch import DueTime, Parked, Reading
from scheduler.domain.records import Batch
from scheduler.domain.request import Spool
from scheduler.engine.bodies import BatchReader, Store
from scheduler.engine.fire import FireStep
from scheduler.storage import schedules, tables
from scheduler.storage.postgresql import listening_arguments
from scheduler.storage.schedules import InvalidSchedule
from tests.engine.rig import NINE, Room, engine_room

HOUR = timedelta(hours=1)


def plan(room: Room) -> None:
    """Write a schedule with everything of its own, and one that shares nothing with it."""
    room.define("collectors", "own", account="main", collector_id="c_own")
    room.define("batches", "own", inputs='[{"url": "https://example.org/2"}]')
    room.define("calendars", "closed", rules="12-25")
    room.schedule("broken", cron="0 10 * * *", collector="own", batch="own", exclude="closed",
                  confirm_cancel=True)  # fmt: skip
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
        "batch: no batch is called 'gone': name one that there is, or create it",
    ),
    "an account that there is not": (
        "UPDATE collectors SET account = 'gone' WHERE name = 'own'",
        "UPDATE collectors SET account = 'main' WHERE name = 'own'",
        "collectors.own: account: no account is called 'gone': name one that there is",
    ),
    "a collector that goes": (
        "DELETE FROM collectors WHERE name = 'own'",
        "INSERT INTO collectors (name, account, collector_id) VALUES ('own', 'main', 'c_own')",
        "collector: no collector is called 'own'",
    ),
    "a batch that goes": (
        "DELETE FROM batches WHERE name = 'own'",
        "INSERT INTO batches (name, inputs) VALUES ('own', '[{\"url\": \"https://x.org\"}]')",
        "batch: no batch is called 'own'",
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
    "a pace that is none": (
        "UPDATE schedules SET catch_up_pace = 'slowly' WHERE name = 'broken'",
        "UPDATE schedules SET catch_up_pace = NULL WHERE name = 'broken'",
        "catch_up_pace: 'slowly' is not a duration",
    ),
    "a collector without an id": (
        "UPDATE collectors SET collector_id = 'c_' WHERE name = 'own'",
        "UPDATE collectors SET collector_id = 'c_own' WHERE name = 'own'",
        "collectors.own: 'c_' is not a collector's id: it starts with c_ and has no spaces",
    ),
    "inputs that are no JSON": (
        "UPDATE batches SET inputs = '[{' WHERE name = 'own'",
        "UPDATE batches SET inputs = '[{\"url\": \"https://x.org\"}]' WHERE name = 'own'",
        "batch 'own':1:3: expecting property name",
    ),
    "chunks that would cancel one another": (
        "UPDATE batches SET max_inputs_per_trigger = 1 WHERE name = 'own'",
        "UPDATE batches SET max_inputs_per_trigger = NULL WHERE name = 'own'",
        "confirm_cancel: batch 'own' has max_inputs_per_trigger",
    ),
    "a calendar without sense": (
        "UPDATE calendars SET rules = 'some day' WHERE name = 'closed'",
        "UPDATE calendars SET rules = '12-26' WHERE name = 'closed'",
        "calendar 'closed': 'some day' is not a date",
    ),
    "a calendar that goes": (
        "DELETE FROM calendars WHERE name = 'closed'",
        "INSERT INTO calendars (name, rules) VALUES ('closed', '12-26')",
        "exclude: no calendar is called 'closed': name one that there is",
    ),
    "a calendar of another name": (
        "UPDATE calendars SET name = 'shut' WHERE name = 'closed'",
        "UPDATE calendars SET name = 'closed' WHERE name = 'shut'",
        "exclude: no calendar is called 'closed'",
    ),
    "an override that names nothing": (
        "INSERT INTO overrides (schedule, field, value, made_at, made_by, reason, until)"
        " VALUES ('broken', 'batch', 'gone', '2026-03-02', 'me', 'x', '2026-03-03')",
        "DELETE FROM overrides",
        "batch: no batch is called 'gone'",
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
    settle_clock(room)
    await step.run(room.clock())
    invalid = room.stored_schedule("broken")
    room.clock.now = NINE + HOUR
    await step.run(room.clock())
    fired = [run.schedule for run in room.runs()]
    by_shell(room, mended)
    await step.run(room.clock())

    assert error in (invalid.error or "")
    assert invalid.next_fire_at == NINE + HOUR
    assert fired == ["sound"]
    assert [run.schedule for run in room.runs()] == ["sound", "broken"]
    assert room.stored_schedule("broken").error is None


def settle_clock(room: Room) -> None:
    """Let an edit be of now: the database notes it by a clock that is not ours to set."""
    room.execute("UPDATE schedules SET edited_at = :now WHERE edited_at > :now", now=room.clock())


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
        room.execute("UPDATE collectors SET deadline = 'one hour'")
        await room.fire()

        errors = [room.stored_schedule(name).error or "" for name in ("broken", "sound")]

    assert [error.split(" is not")[0] for error in errors] == [
        "collectors.own: deadline: 'one hour'", "collectors.shop: deadline: 'one hour'",
    ]  # fmt: skip


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


async def test_what_an_edited_calendar_does_not_exclude_any_more_is_not_made_up_for(
    database_url: str,
) -> None:
    """It is half past ten, and until now ten o'clock was excluded: the edit fires nothing."""
    async with engine_room(database_url) as room:
        room.define("calendars", "closed", rules="2026-03-02")
        room.schedule("hourly", exclude="closed", catch_up="all", misfire_grace="1d")
        await room.fire()
        room.clock.now = NINE + 1.5 * HOUR
        room.change("calendars", "closed", rules="12-25")
        await room.fire()
        at_once = room.runs()
        room.clock.now = NINE + 2 * HOUR
        await room.fire()

        (run,) = room.runs()

    assert at_once == []
    assert run.due_at == NINE + 2 * HOUR


async def test_nothing_is_lost_while_a_calendar_is_broken(database_url: str) -> None:
    async with engine_room(database_url) as room:
        room.define("calendars", "closed", rules="12-25")
        room.schedule("hourly", exclude="closed", catch_up="all", misfire_grace="1d")
        await room.fire()
        room.clock.now = NINE + HOUR / 2
        room.change("calendars", "closed", rules="some day")
        await room.fire()
        room.clock.now = NINE + 2.5 * HOUR
        room.change("calendars", "closed", rules="12-26")
        await room.fire()
        await room.fire()

        due = [run.due_at for run in room.runs()]

    assert due == [NINE + HOUR, NINE + 2 * HOUR]


async def test_a_schedule_that_comes_after_none_that_is_there_is_told_so_and_comes_back(
    database_url: str,
) -> None:
    async with engine_room(database_url) as room:
        room.schedule("first")
        room.schedule("second", cron=None, after="first")
        step = room.fire_step()
        await step.run(room.clock())
        sound = room.stored_schedule("second").error
        room.execute("DELETE FROM schedules WHERE name = 'first'")
        await step.run(room.clock())
        gone = room.stored_schedule("second").error
        room.schedule("first", cron=None, after="second")
        await step.run(room.clock())
        ring = [room.stored_schedule(name).error for name in ("first", "second")]
        room.change("schedules", "first", after=None, manual=True)
        settle_clock(room)
        await step.run(room.clock())
        mended = [room.stored_schedule(name).error for name in ("first", "second")]

    assert sound is None
    assert gone == "after: no schedule is called 'first': name one that there is, or create it"
    assert [error is not None and "comes after itself" in error for error in ring] == [True, True]
    assert mended == [None, None]


async def test_more_than_one_pass_takes_are_all_told_and_all_come_back(database_url: str) -> None:
    """Each pass takes some; none of them waits for another time."""
    async with engine_room(database_url) as room:
        with room.db.writing() as conn:
            conn.execute(
                insert(tables.schedules),
                [
                    {"name": f"s{number}", "collector": "shop", "batch": "one", "cron": "0 0 * * *",
                     "created_at": NINE}
                    for number in range(1_200)
                ],
            )  # fmt: skip
        step = room.fire_step()
        await run_to_the_end(step, room)
        room.execute("UPDATE collectors SET deadline = 'x'")
        await run_to_the_end(step, room)
        told = list_errors(room)
        room.execute("UPDATE collectors SET deadline = NULL")
        await run_to_the_end(step, room)
        left = list_errors(room)

    assert (len(told), left) == (1_200, [])


async def run_to_the_end(step: FireStep, room: Room) -> None:
    while await step.run(room.clock()) == room.clock():
        pass  # there is more at this very moment


def list_errors(room: Room) -> list[InvalidSchedule]:
    with room.db.reading() as conn:
        return schedules.list_errors(conn)


async def test_those_invalid_are_looked_at_in_turns(sqlite_url: str) -> None:
    """An override that lapses writes no row: only looking again finds that it has."""
    async with engine_room(sqlite_url) as room:
        for number in range(501):
            room.schedule(f"s{number:03}", deadline="x", cron="0 0 * * *")
        room.execute("UPDATE schedules SET error = 'x', planned_at = :now", now=NINE)
        room.execute("UPDATE schedules SET deadline = '1h' WHERE name IN ('s000', 's500')")
        room.execute("UPDATE schedules SET planned_at = :now", now=NINE)
        step = room.fire_step()
        left = []
        for _ in range(3):
            room.clock.tick(5)
            await step.run(room.clock())
            left.append(len(list_errors(room)))

    assert left == [500, 499, 499]


class NotingReader(BatchReader):
    """Notes which batches are read."""

    def __init__(self) -> None:
        super().__init__()
        self.read_batches: list[str] = []

    def read(
        self,
        batch: Batch,
        due: DueTime | None,
        *,
        store: Store,
        spool: Spool | None = None,
        parked: Parked = frozenset(),
    ) -> Reading:
        self.read_batches.append(batch.name)
        return BatchReader.read(self, batch, due, store=store, spool=spool, parked=parked)


async def test_checking_reads_no_file_and_firing_after_the_mending_does(
    database_url: str, tmp_path: Path
) -> None:
    file = tmp_path / "shops.txt"
    file.write_text("https://example.org/a\n")
    reader = NotingReader()
    async with engine_room(database_url) as room:
        room.define("batches", "shops", file=str(file))
        room.schedule("hourly", batch="shops", deadline="x")
        step = room.fire_step(reader=reader)
        await step.run(room.clock())
        room.clock.tick(HOUR)
        await step.run(room.clock())
        checked = list(reader.read_batches)
        room.execute("UPDATE schedules SET deadline = NULL")
        await step.run(room.clock())

        (run,) = room.runs()

    assert checked == []
    assert run.due_at == NINE + HOUR
    assert run.body is not None
    assert set(reader.read_batches) == {"shops"}


async def test_an_edit_that_is_not_committed_yet_holds_up_no_schedule(
    postgresql_url: str,
) -> None:
    async with engine_room(postgresql_url) as room:
        plan(room)
        await room.fire()
        with psycopg.connect(**listening_arguments(postgresql_url)) as editor:
            editor.execute("UPDATE collectors SET deadline = 'one hour'")
            editor.execute("UPDATE calendars SET rules = '12-26'")
            room.clock.now = NINE + HOUR
            await room.fire()
            fired = {run.schedule for run in room.runs()}
        await room.fire()

        error = room.stored_schedule("sound").error

    assert fired == {"broken", "sound"}
    assert error is not None
    assert "deadline" in error


async def test_what_nobody_foresaw_in_one_schedule_sets_aside_only_that(sqlite_url: str) -> None:
    """The sqlite3 shell can be told to check nothing at all."""
    async with engine_room(sqlite_url) as room:
        plan(room)
        room.execute("DROP TRIGGER schedules_edited_texts")
        await room.fire()
        by_shell(room, "UPDATE schedules SET catch_up_window = x'00ff' WHERE name = 'broken'")
        room.clock.now = NINE + HOUR
        await room.fire()
        invalid = room.stored_schedule("broken")
        by_shell(room, "UPDATE schedules SET catch_up_window = NULL WHERE name = 'broken'")
        await room.fire()

        fired = [run.schedule for run in room.runs()]

    assert invalid.error is not None
    assert invalid.error.startswith("cannot be decided: TypeError: ")
    assert fired == ["sound", "broken"]
