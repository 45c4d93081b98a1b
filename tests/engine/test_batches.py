"""Batches when a schedule fires: chunks in order, due times, guards, and files that are large."""

import asyncio
import json
import resource
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from scheduler.domain.records import Reason, Run, RunState
from scheduler.engine.bodies import BatchReader
from scheduler.engine.fire import LOOK_AHEAD, FireStep
from scheduler.inputs import iter_stored
from scheduler.sandbox import Fault, FaultKind, SandboxSettings, When
from scheduler.storage import body_parts, definitions
from tests.engine.rig import NINE, Room, engine_room

HOUR = timedelta(hours=1)
MIB = 1024**2
QUEUED, SKIPPED, FAILED = RunState.QUEUED, RunState.SKIPPED, RunState.FAILED
FIVE = json.dumps([{"url": f"https://x.org/{number}"} for number in range(1, 6)])


def sent_by(room: Room, run: Run) -> list[Any]:
    """Return the inputs of a run."""
    assert run.body is not None, run.detail
    with room.db.reading() as conn:
        body = definitions.get_body(conn, run.body)
        return list(iter_stored(body.send_as, body_parts.iter_text(conn, body)))


def urls_of(room: Room, runs: list[Run]) -> list[list[str]]:
    return [[one["url"].removeprefix("https://x.org/") for one in sent_by(room, r)] for r in runs]


async def fire_at(room: Room, hours: float, step: FireStep | None = None) -> list[Run]:
    """Go to so many hours after nine, fire, and return all runs."""
    room.clock.now = NINE + timedelta(hours=hours)
    await (step or room.fire_step()).run(room.clock())
    return room.runs()


def define(room: Room, *, schedule: dict[str, Any] | None = None, **batch: Any) -> None:
    """Write a batch `many` and a schedule `hourly` with it."""
    room.define("batches", "many", **batch)
    room.schedule("hourly", batch="many", **(schedule or {}))


@pytest.mark.parametrize(
    "schedule",
    [
        pytest.param({}, id="queue"),
        pytest.param({"overlap": "allow"}, id="allow: in an order key of their own"),
        pytest.param({"queue": "news"}, id="a named queue"),
    ],
)
async def test_many_inputs_become_parts_that_are_sent_in_order(
    database_url: str, schedule: dict[str, Any]
) -> None:
    async with engine_room(database_url) as room:
        room.change("collectors", "shop", max_unresolved=5)
        define(room, inputs=FIVE, max_inputs_per_trigger=2, schedule=schedule)
        await room.fire()
        runs = await fire_at(room, 1)
        urls = urls_of(room, runs)
        await room.dispatch()
        accepted = [room.run(run.id).collection_id for run in runs]
        said, jobs, numbers = room.complaints(), room.jobs, [one.inputs for one in room.triggers]

    assert [(run.due_at, run.chunk, run.chunks) for run in runs] == [
        (NINE + HOUR, chunk, 3) for chunk in (1, 2, 3)
    ]
    assert urls == [["1", "2"], ["3", "4"], ["5"]]
    assert len({run.order_key for run in runs}) == 1
    assert numbers == [2, 2, 1]
    assert accepted == jobs
    assert said == []


async def test_a_part_waits_until_the_one_before_is_settled(database_url: str) -> None:
    """Even where the schedule's occurrences wait for nobody, and the collector has room."""
    async with engine_room(database_url) as room:
        room.change("collectors", "shop", max_unresolved=5)
        define(room, inputs=FIVE, max_inputs_per_trigger=2, schedule={"overlap": "allow"})
        await room.fire()
        await fire_at(room, 1)
        room.arm(Fault(kind=FaultKind.RESET, when=When.AFTER))
        await room.dispatch()
        lost = [run.state for run in room.runs()]
        await room.lookup()
        await room.dispatch()
        found = [run.state for run in room.runs()]
        said = room.complaints()

    assert lost == [RunState.UNCONFIRMED, QUEUED, QUEUED]
    assert found == [RunState.COLLECTING] * 3
    assert said == []


async def test_firing_again_with_a_clock_set_back_makes_no_part_twice(database_url: str) -> None:
    async with engine_room(database_url) as room:
        define(room, inputs=FIVE, max_inputs_per_trigger=1)
        await room.fire()
        await fire_at(room, 1)
        await fire_at(room, 0)

        runs = await fire_at(room, 1)

    assert [run.chunk for run in runs] == [1, 2, 3, 4, 5]


async def test_a_queue_without_room_for_an_occurrence_is_told_part_by_part(
    database_url: str,
) -> None:
    async with engine_room(database_url) as room:
        room.define("queues", "news", max_depth=2)
        define(room, inputs=FIVE, max_inputs_per_trigger=2, schedule={"queue": "news"})
        await room.fire()

        runs = await fire_at(room, 1)

    assert [run.reason for run in runs] == [Reason.DUE, Reason.DUE, Reason.QUEUE_FULL]


async def test_equal_inputs_are_sent_once_where_it_is_wished(database_url: str) -> None:
    twice = json.dumps([*json.loads(FIVE), {"url": "https://x.org/1"}])
    async with engine_room(database_url) as room:
        define(room, inputs=twice, dedupe=True)
        await room.fire()

        (run,) = await fire_at(room, 1)
        urls = urls_of(room, [run])

    assert urls == [["1", "2", "3", "4", "5"]]


async def test_each_occurrence_sends_its_own_due_time_told_in_the_schedules_zone(
    database_url: str, tmp_path: Path
) -> None:
    file = tmp_path / "days.csv"
    file.write_text("url,n\nhttps://x.org/{due_at:%d %H:%M},{id}\n")
    async with engine_room(database_url) as room:
        define(
            room,
            file=str(file),
            schedule={"timezone": "Asia/Tokyo", "catch_up": "all", "misfire_grace": "1d"},
        )
        room.schedule("utc", batch="many")
        await room.fire()
        await fire_at(room, 3)

        tokyo = urls_of(room, room.runs(schedule="hourly"))
        utc = urls_of(room, [run for run in room.runs(schedule="utc") if run.state is QUEUED])
        (other,) = {sent_by(room, run)[0]["n"] for run in room.runs(schedule="hourly")}
        said = room.complaints()

    assert tokyo == [["02 19:00"], ["02 20:00"], ["02 21:00"]]
    assert utc == [["02 12:00"]]
    assert other == "{id}"
    assert said == []


async def test_an_input_without_a_required_field_fails_the_run_and_names_its_place(
    database_url: str, tmp_path: Path
) -> None:
    file = tmp_path / "shops.csv"
    file.write_text("url,n\nhttps://x.org/1,1\n ,2\n")
    async with engine_room(database_url) as room:
        define(room, file=str(file), required="url,n", max_inputs_per_trigger=1)
        await room.fire()

        (run,) = await fire_at(room, 1)

    assert (run.state, run.reason, run.body) == (FAILED, Reason.BAD_INPUTS, None)
    assert (run.detail or "").startswith(f"{file}:3: has no 'url'")


async def test_files_are_joined_as_they_are_when_the_run_is_due(
    database_url: str, tmp_path: Path
) -> None:
    async with engine_room(database_url) as room:
        define(room, file=str(tmp_path / "*.txt"))
        step = room.fire_step()
        await step.run(room.clock())
        await fire_at(room, 1, step)
        (tmp_path / "2.txt").write_text("https://x.org/b\n")
        await fire_at(room, 2, step)
        (tmp_path / "1.txt").write_text("https://x.org/a\n")
        none, one, two = await fire_at(room, 3, step)
        urls = urls_of(room, [one, two])

    assert (none.state, none.reason) == (FAILED, Reason.BAD_INPUTS)
    assert "matches no file" in (none.detail or "")
    assert urls == [["b"], ["a", "b"]]
    assert one.body != two.body


async def test_too_few_inputs_are_refused_until_a_person_says_that_they_are_right(
    database_url: str, tmp_path: Path
) -> None:
    file = tmp_path / "shops.txt"
    file.write_text("".join(f"https://x.org/{number}\n" for number in range(10)))
    async with engine_room(database_url) as room:
        define(room, file=str(file), max_change_percent=50, max_inputs_per_trigger=4)
        await room.fire()
        first = await fire_at(room, 1)
        await room.dispatch()
        file.write_text("https://x.org/1\nhttps://x.org/2\n")
        refused = (await fire_at(room, 2))[-1]
        again = (await fire_at(room, 3))[-1]
        room.ask(batch="many")
        await room.dispatch()
        sent = (await fire_at(room, 4))[-1]

    assert [run.reason for run in first] == [Reason.DUE] * 3
    assert (refused.state, refused.reason) == (FAILED, Reason.BAD_INPUTS)
    assert "has 2 inputs and the last run sent had 10: 80 % fewer" in (refused.detail or "")
    assert (again.state, again.reason) == (FAILED, Reason.BAD_INPUTS)
    assert (sent.schedule, sent.state) == ("hourly", QUEUED)


async def test_only_what_was_accepted_is_what_numbers_are_compared_with(
    database_url: str,
) -> None:
    async with engine_room(database_url) as room:
        define(room, inputs=FIVE, max_change_percent=10, schedule={"catch_up": "all"})
        await room.fire()
        await fire_at(room, 1)
        room.change("batches", "many", inputs='[{"url": "https://x.org/1"}]')

        runs = await fire_at(room, 2)

    assert [run.state for run in runs] == [QUEUED, QUEUED]


async def test_a_part_that_would_cancel_the_one_before_is_no_definition(database_url: str) -> None:
    async with engine_room(database_url) as room:
        define(room, inputs=FIVE, max_inputs_per_trigger=2, schedule={"confirm_cancel": True})
        await room.fire()

        error = room.stored_schedule("hourly").error

    assert "each chunk would cancel the one before it" in (error or "")


async def test_an_occurrence_replaces_every_part_of_the_one_before(database_url: str) -> None:
    slow = SandboxSettings(time_per_input=HOUR)
    async with engine_room(database_url, slow) as room:
        define(room, inputs=FIVE, max_inputs_per_trigger=2, schedule={"overlap": "replace"})
        await room.fire()
        first = await fire_at(room, 1)
        await room.dispatch()
        second = (await fire_at(room, 2))[3:]
        await room.dispatch()
        held = [room.run(run.id).state for run in second]
        for _ in range(4):
            await room.follow(after=60)
        await room.dispatch()
        ends = [room.run(run.id).state for run in first]
        sent = [room.run(run.id).state for run in second]

    assert held == [QUEUED] * 3
    assert ends == [RunState.CANCELLED] * 3
    assert sent == [RunState.COLLECTING] * 3


async def test_what_comes_after_a_schedule_comes_once_when_all_parts_have_ended(
    database_url: str,
) -> None:
    async with engine_room(database_url) as room:
        define(room, inputs=FIVE, max_inputs_per_trigger=2, schedule={"cron": "0 10 * * *"})
        room.define(
            "schedules", "then", collector="shop", batch="one", after="hourly",
            after_when="succeeded", created_at=NINE,
        )  # fmt: skip
        await room.fire()
        await fire_at(room, 1)
        await room.dispatch()
        seen: list[tuple[int, int]] = []
        for _ in range(12):
            await room.follow(after=5)
            await room.fire()
            ended = [run for run in room.runs(schedule="hourly") if run.ended_at is not None]
            seen.append((len(ended), len(room.runs(schedule="then"))))
        last = max(run.ended_at for run in room.runs(schedule="hourly") if run.ended_at)
        (then,) = room.runs(schedule="then")

    assert {pair for pair in seen if pair[0] < 3} <= {(0, 0), (1, 0), (2, 0)}
    assert seen[-1] == (3, 1)
    assert (then.due_at, then.reason) == (last, Reason.DUE)


async def test_a_schedule_after_one_of_which_a_part_failed_is_told_so(database_url: str) -> None:
    async with engine_room(database_url) as room:
        define(room, inputs=FIVE, max_inputs_per_trigger=2, schedule={"cron": "0 10 * * *"})
        room.define(
            "schedules", "then", collector="shop", batch="one", after="hourly",
            after_when="succeeded", created_at=NINE,
        )  # fmt: skip
        await room.fire()
        _, second, _ = await fire_at(room, 1)
        room.execute(
            "UPDATE runs SET state = 'failed', reason = 'refused', ended_at = :now WHERE id = :id",
            now=room.clock(), id=second.id,
        )  # fmt: skip
        await room.dispatch()
        for _ in range(12):
            await room.follow(after=5)
            await room.fire()
        (then,) = room.runs(schedule="then")

    assert (then.state, then.reason) == (SKIPPED, Reason.PREDECESSOR_FAILED)


async def test_a_large_file_is_read_aside_and_holds_up_nobody(
    database_url: str, tmp_path: Path
) -> None:
    """50 MB: other schedules fire meanwhile, and little of it is ever held."""
    file = tmp_path / "large.csv"
    row = "https://x.org/" + "x" * 986 + "\n"
    file.write_text("url\n" + row * 50_000)
    async with engine_room(database_url) as room:
        define(room, file=str(file), max_inputs_per_trigger=5_000)
        room.schedule("quick")
        step = room.fire_step(reader=BatchReader(patience=0))
        await step.run(room.clock())
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        quick = await fire_at(room, 1, step)
        async with asyncio.timeout(120):
            while step.reader.is_busy:
                again = await step.run(room.clock())
        runs = room.runs()
        grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
        chunks = [run for run in runs if run.schedule == "hourly"]
        counts = [len(sent_by(room, run)) for run in chunks]
        said = room.complaints()

    assert [run.schedule for run in quick] == ["quick"]
    assert again == NINE + 2 * HOUR - LOOK_AHEAD
    assert [run.chunk for run in chunks] == list(range(1, 11))
    assert counts == [5_000] * 10
    assert grown * 1024 < 120 * MIB
    assert said == []
