"""Backfill: occurrences of the past are sent once, in order, so many at a time, however late."""

import json
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import pytest

from scheduler.config import Config
from scheduler.domain.errors import Conflict, InvalidInput
from scheduler.domain.records import Reason, Run, RunState
from scheduler.storage import audit, definitions
from scheduler.tools.calendar.backfill import Ask, Backfill, prepare_backfill, write_backfill
from scheduler.tools.calendar.choose_backfill import (
    Reprocess,
    ToSend,
    choose_backfill,
    take_occurrences,
)
from tests.engine.rig import Room, engine_room
from tests.engine.rows import NINE
from tests.make import make_run
from tests.surfaces.rig import Home

HOUR = timedelta(hours=1)
SEVEN = NINE - 2 * HOUR


def ask(start: datetime = SEVEN, end: datetime = NINE, **more: Any) -> Ask:
    return Ask(schedule="hourly", start=start, end=end, **more)


def prepare(room: Room, asked: Ask) -> Backfill:
    with room.db.reading() as conn:
        return prepare_backfill(conn, asked, now=room.clock())


def backfill(room: Room, asked: Ask) -> list[int]:
    prepared = prepare(room, asked)
    with room.db.writing() as conn:
        return write_backfill(conn, prepared, config=Config(), by="eve", now=room.clock())


SKIPPED = {"state": RunState.SKIPPED, "reason": Reason.MISSED, "body": None}
FAILED = {"state": RunState.FAILED, "reason": Reason.REFUSED}
DONE = {"state": RunState.SUCCEEDED, "reason": Reason.DONE}
OPEN = {"state": RunState.COLLECTING, "reason": Reason.ACCEPTED}
FIRST: dict[str, Any] = {"id": 1}
RETRY: dict[str, Any] = {"id": 2, "retry_of": 1}


@pytest.mark.parametrize(
    ("rows", "none", "failed", "all_"),
    [
        ([], [None], [None], [None]),
        ([FIRST | SKIPPED], [1], [1], [1]),
        ([FIRST | FAILED], [], [1], [1]),
        ([FIRST | DONE], [], [], [1]),
        ([FIRST | OPEN], [], [], []),
        ([FIRST | SKIPPED, RETRY | OPEN], [], [], []),
        ([FIRST | SKIPPED, RETRY | SKIPPED], [2], [2], [2]),
        ([FIRST | SKIPPED, RETRY | FAILED], [], [2], [2]),
        ([FIRST | FAILED, RETRY | DONE], [], [], [2]),
        (
            [FIRST | DONE | {"chunks": 2}, {"id": 2, "chunk": 2, "chunks": 2} | FAILED],
            [],
            [2],
            [1, 2],
        ),
    ],
)
def test_what_is_sent_is_without_a_run_or_wanted_again(
    rows: Sequence[dict[str, Any]],
    none: list[int | None],
    failed: list[int | None],
    all_: list[int | None],
) -> None:
    runs = [make_run(**row) for row in rows]

    def chosen(reprocess: Reprocess) -> list[int | None]:
        found = choose_backfill([NINE], {NINE: runs} if runs else {}, reprocess)
        return [one.over.id if one.over else None for one in found]

    assert chosen(Reprocess.NONE) == none
    assert chosen(Reprocess.FAILED) == failed
    assert chosen(Reprocess.ALL) == all_


def test_a_part_is_sent_as_it_was_and_all_else_as_the_batch_is_now() -> None:
    chunk: Run = make_run(chunks=2, **FAILED)
    whole: Run = make_run(id=2, due_at=NINE + HOUR, **FAILED)

    chosen = choose_backfill([], {NINE: [chunk], NINE + HOUR: [whole]}, Reprocess.FAILED)

    assert chosen == [ToSend(NINE, chunk, as_it_was=True), ToSend(NINE + HOUR, whole)]


def test_too_long_a_stretch_is_refused() -> None:
    with pytest.raises(InvalidInput, match="more than 2 occurrences"):
        take_occurrences([NINE] * 3, most=2)


async def test_occurrences_of_before_the_schedule_are_sent_in_order_one_by_one(
    database_url: str,
) -> None:
    async with engine_room(database_url) as room:
        room.schedule("hourly", misfire_grace="1m", queue="q", catch_up="all")
        await room.fire()

        ids = backfill(room, ask())
        found = [room.run(run_id) for run_id in ids]
        sent = []
        for _ in ids:
            await room.dispatch()
            sent.append(len(room.triggers))
            room.execute(
                "UPDATE runs SET state = 'succeeded', reason = 'done', ended_at = :now"
                " WHERE state = 'collecting'",
                now=room.clock(),
            )

        with room.db.reading() as conn:
            (change,) = audit.list_changes(conn, subject="schedules.hourly", limit=5)
    assert [run.due_at for run in found] == [SEVEN, SEVEN + HOUR, NINE]
    assert {
        (run.state, run.reason, run.send_before, run.order_key, run.queue) for run in found
    } == {(RunState.QUEUED, Reason.BACKFILL, None, None, "q")}
    assert [run.waits_for for run in found] == [None, ids[0], ids[1]]
    assert sent == [1, 2, 3]
    assert (change.by, change.action, change.columns()["runs"]) == ("eve", "backfill", [None, 3])


async def test_at_most_so_many_are_under_way_at_once(database_url: str) -> None:
    async with engine_room(database_url) as room:
        room.schedule("hourly")

        ids = backfill(room, ask(SEVEN - 2 * HOUR, max_concurrent=2))
        for _ in range(5):
            await room.dispatch()
        waits_for = [room.run(run_id).waits_for for run_id in ids]
        sent = len(room.triggers)

    assert waits_for == [None, None, *ids[:3]]
    assert sent == 2


async def test_twice_is_once(database_url: str) -> None:
    async with engine_room(database_url) as room:
        room.schedule("hourly", misfire_grace="30m")
        await room.fire()
        room.clock.tick(3 * HOUR + timedelta(minutes=40))
        await room.fire()
        asked = ask(end=room.clock())

        first = backfill(room, asked)
        second = backfill(room, asked)
        found = [room.run(run_id) for run_id in first]

    assert [(run.due_at, run.retry_of is None) for run in found] == [
        (SEVEN, True),
        (SEVEN + HOUR, True),
        (NINE, True),
        (NINE + HOUR, False),
        (NINE + 2 * HOUR, False),
        (NINE + 3 * HOUR, False),
    ]
    assert second == []


async def test_two_who_prepared_the_same_write_it_once(database_url: str) -> None:
    async with engine_room(database_url) as room:
        room.schedule("hourly")
        mine, theirs = prepare(room, ask()), prepare(room, ask())

        with room.db.writing() as conn:
            first = write_backfill(conn, mine, config=Config(), by="a", now=NINE)
        with room.db.writing() as conn:
            second = write_backfill(conn, theirs, config=Config(), by="b", now=NINE)

    assert (len(first), second) == (3, [])


async def test_the_schedule_goes_on_beside_it(database_url: str) -> None:
    """A backfill that waits holds up no occurrence of now."""
    async with engine_room(database_url) as room:
        room.schedule("hourly", catch_up="all", misfire_grace="10m")
        await room.fire()
        backfill(room, ask())
        await room.dispatch()
        room.clock.tick(HOUR)
        await room.fire()
        await room.dispatch()

        states = {run.due_at: run.state for run in room.runs()}

    assert states == {
        SEVEN: RunState.COLLECTING,
        SEVEN + HOUR: RunState.QUEUED,
        NINE: RunState.QUEUED,
        NINE + HOUR: RunState.COLLECTING,
    }


async def test_parts_and_due_times_are_those_of_each_occurrence(database_url: str) -> None:
    inputs = [{"url": f"https://example.org/{number}/{{due_at:%H}}"} for number in range(3)]
    async with engine_room(database_url, inputs=inputs) as room:
        room.change("batches", "one", max_inputs_per_trigger=2)
        room.schedule("hourly")

        ids = backfill(room, ask(NINE - HOUR))
        found = [room.run(run_id) for run_id in ids]
        with room.db.reading() as conn:
            bodies = [json.loads(definitions.get_body(conn, run.body or "").text) for run in found]

    assert [(run.due_at.hour, run.chunk, run.chunks) for run in found] == [
        (8, 1, 2), (8, 2, 2), (9, 1, 2), (9, 2, 2),
    ]  # fmt: skip
    assert [run.waits_for for run in found] == [None, None, ids[1], ids[1]]
    assert bodies[1] == [{"url": "https://example.org/2/08"}]
    assert bodies[2][0] == {"url": "https://example.org/0/09"}


@pytest.mark.parametrize(
    ("columns", "asked", "error", "said"),
    [
        ({}, ask(end=NINE + HOUR), InvalidInput, "still to come"),
        ({}, ask(NINE, SEVEN), InvalidInput, "is before its start"),
        ({"manual": True}, ask(), InvalidInput, "no times of its own"),
    ],
)
async def test_what_cannot_be_backfilled_is_refused(
    sqlite_url: str, columns: dict[str, Any], asked: Ask, error: type[Exception], said: str
) -> None:
    async with engine_room(sqlite_url) as room:
        room.schedule("hourly", **columns)

        with pytest.raises(error, match=said):
            prepare(room, asked)


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ({"confirm_cancel": True}, "confirm_cancel"),
        ({"max_runs": 2}, "max_runs"),
        ({"queue": "narrow"}, "max_depth"),
    ],
)
async def test_what_would_do_harm_is_shown_and_not_written(
    sqlite_url: str, columns: dict[str, Any], said: str
) -> None:
    async with engine_room(sqlite_url) as room:
        room.define("queues", "narrow", max_depth=2)
        room.schedule("hourly", **columns)
        prepared = prepare(room, ask())

        assert len(prepared.chosen) == 3
        with pytest.raises(Conflict, match=said), room.db.writing() as conn:
            write_backfill(conn, prepared, config=Config(), by="eve", now=room.clock())
        assert room.runs() == []


def test_a_dry_run_lists_what_would_be_refused_and_why(home: Home) -> None:
    dry, asked = home.done(*WORDS, "--dry-run"), home.call(*WORDS, "--yes")
    why = "28 runs are more than queue 'nightly' has room for: its max_depth is 7, and 0 wait"

    assert f"this would be refused: {why}" in dry.err
    assert sum(line.startswith("2026-02-") for line in dry.out.splitlines()) == 28
    assert home.json(*WORDS, "--dry-run")["refusals"][0].startswith(why)
    assert (asked.code, why in asked.err) == (1, True)


WORDS = ("backfill", "nightly", "--from", "2026-02-01", "--to", "2026-02-28T23:00:00")


def test_the_command_shows_then_writes_and_then_finds_nothing(home: Home) -> None:
    home.sql("UPDATE queues SET max_depth = NULL")
    dry = home.done(*WORDS, "--dry-run")
    refused = home.call(*WORDS)
    written = home.done(*WORDS, "--yes", "--json")
    again = home.done(*WORDS, "--yes")

    assert "28 occurrences of nightly: 28 without a run" in dry.out
    assert "; 28 runs, 1 occurrence at once, batch pages as it is" in dry.out
    assert "nothing was written" in dry.out
    assert (refused.code, "say --yes" in refused.err) == (1, True)
    assert len(written.json["run_ids"]) == written.json["run_count"] == 28
    assert written.json["chosen"][0] == {"due_at": "2026-02-01T01:00:00.000000Z", "retry_of": None}
    assert "0 without a run, 0 to be sent again" in again.err
    assert home.sql("SELECT count(*), count(waits_for) FROM runs") == [(28, 27)]


def test_more_than_a_thousand_runs_need_yes(home: Home) -> None:
    words = ("backfill", "hourly", "--from", "2026-01-01", "--to", "2026-03-01")

    refused = home.call(*words)

    assert refused.code == 1
    assert "more than 1000 at once: say --yes if that is meant" in refused.err
    assert home.sql("SELECT count(*) FROM runs") == [(0,)]
