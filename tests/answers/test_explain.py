"""What became of an occurrence, asked of the rows that the real FireStep writes."""

from datetime import datetime, timedelta

from scheduler.domain.records import Reason, RunState
from scheduler.storage import schedules
from scheduler.tools.calendar.explain import Explanations, explain_time
from scheduler.tools.calendar.explain_instant import Explained, ExplainedVerdict
from tests.engine.rig import Room, engine_room
from tests.engine.rows import NINE
from tests.surfaces.rig import Home

HOUR = timedelta(hours=1)


def ask(room: Room, moment: datetime, name: str = "hourly") -> Explanations:
    with room.db.reading() as conn:
        return explain_time(conn, name, moment, now=room.clock())


def answer(room: Room, moment: datetime, name: str = "hourly") -> Explained:
    (only,) = ask(room, moment, name).answers
    return only


def fate(room: Room, hours: float) -> tuple[ExplainedVerdict, Reason | None]:
    explained = answer(room, NINE + hours * HOUR)
    return explained.verdict, explained.reason


async def test_after_downtime_each_occurrence_says_what_became_of_it(database_url: str) -> None:
    async with engine_room(database_url) as room:
        room.schedule("hourly", misfire_grace="2h30m")
        await room.fire()
        room.clock.tick(HOUR)
        await room.fire()
        room.clock.tick(4 * HOUR + timedelta(minutes=10))
        owed = fate(room, 3)
        await room.fire()

        fates = {hours: fate(room, hours) for hours in (0, 1, 1.5, 2, 3, 5, 6)}
        missed = answer(room, NINE + 2 * HOUR)
        coalesced = answer(room, NINE + 3 * HOUR)
        newest = room.runs()[-1]

    assert owed == (ExplainedVerdict.OWED, None)
    assert fates == {
        0: (ExplainedVerdict.BEFORE_CREATED, None),
        1: (ExplainedVerdict.SKIPPED, Reason.COALESCED),
        1.5: (ExplainedVerdict.NO_OCCURRENCE, None),
        2: (ExplainedVerdict.SKIPPED, Reason.MISSED),
        3: (ExplainedVerdict.SKIPPED, Reason.COALESCED),
        5: (ExplainedVerdict.FIRED, Reason.DUE),
        6: (ExplainedVerdict.WILL_FIRE, Reason.DUE),
    }
    assert "no daemon was there at its time" in missed.sentence
    assert f"run {newest.id}, due 2026-03-02 14:00:00Z, stands for it" in coalesced.sentence
    assert missed.previous is not None
    assert missed.following is not None
    assert (missed.previous.due_at, missed.following.due_at) == (NINE + HOUR, NINE + 3 * HOUR)
    assert missed.following.run is not None


async def test_a_run_is_told_with_its_collection(database_url: str) -> None:
    async with engine_room(database_url) as room:
        room.schedule("hourly")
        await room.fire()
        room.clock.tick(HOUR)
        await room.fire()
        await room.dispatch()

        explained = answer(room, NINE + HOUR)

    (run,) = explained.runs
    assert (explained.verdict, explained.reason) == (ExplainedVerdict.FIRED, Reason.ACCEPTED)
    assert run.state is RunState.COLLECTING
    assert f"collection {run.collection_id}" in explained.sentence


async def test_a_pause_is_told_before_and_after_it_skipped(database_url: str) -> None:
    async with engine_room(database_url) as room:
        room.schedule("hourly")
        await room.fire()
        with room.db.writing() as conn:
            schedules.set_paused(
                conn, ["hourly"], by="eve", reason="budget", now=NINE, until=NINE + 3 * HOUR
            )
        before = fate(room, 1)
        room.clock.tick(HOUR)
        await room.fire()

        after, later = fate(room, 1), fate(room, 3)
        sentence = answer(room, NINE + HOUR).sentence

    assert before == (ExplainedVerdict.WILL_BE_SKIPPED, Reason.PAUSED)
    assert after == (ExplainedVerdict.SKIPPED, Reason.PAUSED)
    assert later == (ExplainedVerdict.WILL_FIRE, Reason.DUE)
    assert "eve" in sentence
    assert "budget" in sentence


async def test_an_overlapped_occurrence_says_so(database_url: str) -> None:
    async with engine_room(database_url) as room:
        room.schedule("hourly", overlap="skip")
        await room.fire()
        for _ in range(2):
            room.clock.tick(HOUR)
            await room.fire()

        fates = [fate(room, hours) for hours in (1, 2)]
        sentence = answer(room, NINE + 2 * HOUR).sentence

    assert sentence == "it was skipped, overlapped: run 1 of the schedule had not ended"
    assert fates == [
        (ExplainedVerdict.FIRED, Reason.DUE),
        (ExplainedVerdict.SKIPPED, Reason.OVERLAPPED),
    ]


async def test_before_an_edit_only_the_rows_are_known(database_url: str) -> None:
    async with engine_room(database_url) as room:
        room.schedule("hourly")
        await room.fire()
        room.clock.tick(HOUR)
        await room.fire()
        room.clock.tick(HOUR / 2)
        room.change("schedules", "hourly", cron="45 * * * *")
        await room.fire()

        fates = {hours: fate(room, hours) for hours in (1, 1.25, 1.75, 2)}

    assert fates == {
        1: (ExplainedVerdict.FIRED, Reason.DUE),
        1.25: (ExplainedVerdict.BEFORE_EDITED, None),
        1.75: (ExplainedVerdict.WILL_FIRE, Reason.DUE),
        2: (ExplainedVerdict.NO_OCCURRENCE, None),
    }


async def test_a_calendar_is_named(database_url: str) -> None:
    async with engine_room(database_url) as room:
        room.define("calendars", "holidays", rules="2026-03-02")
        room.schedule("hourly", exclude="holidays")
        await room.fire()
        room.clock.tick(2 * HOUR)
        await room.fire()

        explained = answer(room, NINE + HOUR)

    assert explained.verdict is ExplainedVerdict.EXCLUDED
    assert "holidays: 2026-03-02" in explained.sentence


async def test_a_broken_row_is_invalid_and_says_why(database_url: str) -> None:
    async with engine_room(database_url) as room:
        room.schedule("hourly", cron="0 * * *")
        await room.fire()

        explained = answer(room, NINE + HOUR)

    assert explained.verdict is ExplainedVerdict.INVALID
    assert "0 * * *" in explained.sentence


def test_the_command_explains_both_passes_of_a_wall_time(home: Home) -> None:
    home.sql("UPDATE schedules SET cron = '30 2 * * *', dst_fold = 'both' WHERE name = 'nightly'")
    home.sql("UPDATE schedules SET edited_at = NULL")

    told = home.done("explain", "nightly", "2026-10-25T02:30:00", "--json").json
    text = home.done("explain", "nightly", "2026-10-25T02:30:00").out

    assert "comes twice" in told["note"]
    assert [(one["instant_at"], one["verdict"], one["dst"]) for one in told["answers"]] == [
        ("2026-10-25T00:30:00.000000Z", "will_fire", "first_pass"),
        ("2026-10-25T01:30:00.000000Z", "will_fire", "second_pass"),
    ]
    assert "will fire: it is due then" in text
    assert "before it: 2026-10-24 00:30:00Z" in text


def test_the_command_explains_a_wall_time_that_does_not_exist(home: Home) -> None:
    home.sql("UPDATE schedules SET cron = '30 2 * * *' WHERE name = 'nightly'")
    home.sql("UPDATE schedules SET edited_at = NULL")

    told = home.done("explain", "nightly", "2026-03-29T02:30:00", "--json").json

    assert "does not exist" in told["note"]
    (only,) = told["answers"]
    assert (only["instant_local"], only["verdict"], only["dst"]) == (
        "2026-03-29T03:00:00+02:00",
        "will_fire",
        "shifted",
    )


def test_no_such_schedule_is_refused(home: Home) -> None:
    refused = home.call("explain", "nobody", "2026-10-25T02:30:00")

    assert refused.code == 1
    assert "no schedule is called 'nobody'" in refused.err
