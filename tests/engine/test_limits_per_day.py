"""LimitGate: what is beyond a limit is skipped before it is sent, on the first day."""

from datetime import timedelta

import pytest

from scheduler.actions.schedules import fire_schedule
from scheduler.domain.errors import NeedsConfirmation
from scheduler.domain.moves import is_notable
from scheduler.domain.records import Reason, RunState
from scheduler.engine.count_events import CountStep
from scheduler.sandbox import Fault, FaultKind, SandboxCollector, SandboxSettings, When
from scheduler.storage import run_events
from tests.engine.rig import NINE, Room, engine_room
from tests.engine.rows import CONFIG

SENT = (RunState.COLLECTING, "due")


async def every_minute(room: Room, minutes: int) -> None:
    for _ in range(minutes):
        room.clock.tick(60)
        await room.fire()
        await send_all(room)


async def send_all(room: Room) -> None:
    """On a busy machine what was claimed may come back unsent."""
    step = await room.dispatch()
    while room.runs(states=(RunState.QUEUED,)):
        await room.dispatch(step)


async def count(room: Room) -> None:
    await CountStep(db=room.db).run(room.clock())


def reasons(room: Room) -> list[str]:
    return [reason for _, reason in room.ends()]


@pytest.mark.parametrize("holder", ["schedules", "collectors", "accounts"])
async def test_a_typed_every_minute_stops_on_the_first_day(database_url: str, holder: str) -> None:
    async with engine_room(database_url) as room:
        room.schedule("slip", cron="* * * * *", overlap="allow", catch_up="all")
        name = {"schedules": "slip", "collectors": "shop", "accounts": "main"}[holder]
        room.change(holder, name, max_runs_per_day=3)
        await every_minute(room, 5)
        ends, detail = room.ends(), room.runs()[3].detail
        with room.db.reading() as conn:
            *_, event = run_events.list_events(conn, room.runs()[-1].id)
        sent = len(room.triggers)
        room.clock.now = NINE + timedelta(days=1)  # the next day has its own
        await room.fire()
        await send_all(room)
        sent_next_day = len(room.triggers) - sent

    assert ends[:3] == [(RunState.COLLECTING, "accepted")] * 3
    assert ends[3:] == [(RunState.SKIPPED, "over_limit")] * 2
    assert (sent, sent_next_day) == (3, 3)
    assert detail is not None and "max_runs_per_day is 3" in detail and name in detail
    assert is_notable(event)


async def test_what_was_counted_and_what_is_yet_to_be_counts_once(database_url: str) -> None:
    async with engine_room(database_url) as room:
        room.schedule("slip", cron="* * * * *", overlap="allow", catch_up="all")
        await every_minute(room, 2)
        await count(room)
        await every_minute(room, 2)
        room.change("schedules", "slip", max_runs_per_day=5)  # four were sent before there was one
        await every_minute(room, 3)

        sent = len(room.triggers)

    assert sent == 5


async def test_a_batch_ten_times_its_size_is_not_sent_at_all(database_url: str) -> None:
    async with engine_room(database_url) as room:
        ten = ", ".join(f'{{"url": "https://example.org/{number}"}}' for number in range(10))
        room.schedule(
            "grown", cron="* * * * *", overlap="allow", catch_up="all", max_inputs_per_day=9
        )
        await every_minute(room, 1)
        room.change("batches", "one", inputs=f"[{ten}]", max_inputs_per_trigger=4)
        await every_minute(room, 1)

        runs = room.runs()

    assert [run.reason for run in runs] == [Reason.ACCEPTED, *[Reason.OVER_LIMIT] * 3]
    assert "this would send 10" in str(runs[1].detail)


async def test_an_occurrence_in_chunks_is_one_run_and_is_sent_whole(database_url: str) -> None:
    async with engine_room(database_url) as room:
        three = ", ".join(f'{{"url": "https://example.org/{number}"}}' for number in range(3))
        room.change("batches", "one", inputs=f"[{three}]", max_inputs_per_trigger=1)
        room.schedule(
            "parts", cron="* * * * *", max_runs_per_day=1, max_inputs_per_day=3, min_interval="1m"
        )
        await every_minute(room, 1)
        await every_minute(room, 1)

        ends = reasons(room)

    assert ends[:3] == ["accepted"] * 3
    assert ends[3:] == ["over_limit"] * 3


async def test_what_was_meant_too_soon_is_skipped(database_url: str) -> None:
    async with engine_room(database_url) as room:
        room.schedule(
            "often", cron="*/20 * * * *", overlap="allow", catch_up="all", min_interval="40m"
        )
        for _ in range(4):
            room.clock.tick(20 * 60)
            await room.fire()
            await send_all(room)
            await count(room)

        ends = reasons(room)

    assert ends == ["accepted", "over_limit", "accepted", "over_limit"]


async def test_what_the_upstream_refused_is_no_run_of_the_day(database_url: str) -> None:
    settings = SandboxSettings(collectors=(SandboxCollector(id="c_shop"),))
    async with engine_room(database_url, settings) as room:
        room.change("accounts", "main", max_runs_per_day=1)
        room.define("collectors", "gone", account="main", collector_id="c_unknown")
        refused = room.ask("gone")
        step = await room.dispatch()
        sent = room.ask()
        await room.dispatch(step)

        states = [room.run(refused).state, room.run(sent).state]

    assert states == [RunState.FAILED, RunState.COLLECTING]


async def test_a_lost_answer_counts_until_it_is_known_and_so_does_its_resend(
    database_url: str,
) -> None:
    async with engine_room(database_url) as room:
        room.change("accounts", "main", max_runs_per_day=1)
        room.shops(1)
        room.arm(Fault(kind=FaultKind.LOST, when=When.AFTER))
        lost = room.ask()
        await room.dispatch()
        other = room.ask("shop1")
        await room.dispatch()

        states = [(room.run(run_id).state, room.run(run_id).reason) for run_id in (lost, other)]

    assert states == [
        (RunState.UNCONFIRMED, Reason.ANSWER_LOST),
        (RunState.SKIPPED, Reason.OVER_LIMIT),
    ]


async def test_a_person_is_asked_and_their_word_goes_past_the_limit(database_url: str) -> None:
    async with engine_room(database_url) as room:
        room.schedule("nightly", manual=True, max_runs_per_day=1)
        fire_schedule(room.db, "nightly", config=CONFIG, by="ann", now=room.clock())
        await room.dispatch()
        room.clock.tick(60)
        with pytest.raises(NeedsConfirmation, match="max_runs_per_day is 1"):
            fire_schedule(room.db, "nightly", config=CONFIG, by="ann", now=room.clock())
        fire_schedule(room.db, "nightly", config=CONFIG, by="ann", now=room.clock(), confirmed=True)
        await room.dispatch()

        sent = len(room.triggers)
        marks = [run.past_limits for run in room.runs()]

    assert sent == 2
    assert marks == [False, True]
