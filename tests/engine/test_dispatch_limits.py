"""DispatchStep and the account: what closes its brake, and how much may leave at all."""

from datetime import timedelta

from scheduler.domain.records import Reason, RunState
from scheduler.sandbox import Fault, FaultKind, SandboxSettings
from tests.engine.rig import NINE, Room, engine_room

QUEUED, COLLECTING, FAILED = (
    RunState.QUEUED,
    RunState.COLLECTING,
    RunState.FAILED,
)


async def test_429_puts_the_run_back_uncounted_and_closes_the_brake(database_url: str) -> None:
    async with engine_room(database_url) as room:
        room.arm(Fault(kind=FaultKind.THROTTLE, retry_after=7))
        run_id = room.ask()
        step = await room.dispatch()
        put_back, brake = room.run(run_id), room.brake()
        room.clock.tick(6.9)
        await room.dispatch(step)
        too_early = len(room.triggers)
        room.clock.tick(0.2)
        await room.dispatch(step)

        run = room.run(run_id)

    assert (put_back.state, put_back.reason, put_back.attempt_count) == (
        QUEUED,
        Reason.THROTTLED,
        0,
    )
    assert brake.open_until == NINE + timedelta(seconds=7)
    assert too_early == 1
    assert (run.state, run.attempt_count, run.fence) == (COLLECTING, 1, 2)


async def test_a_full_collector_is_asked_again_after_half_a_minute(database_url: str) -> None:
    async with engine_room(database_url) as room:
        room.arm(Fault(kind=FaultKind.JOB_LIMIT))
        run_id = room.ask()
        step = await room.dispatch()
        put_back = room.run(run_id)
        next_at = await step.run(room.clock())
        room.clock.tick(30)
        await room.dispatch(step)

        run = room.run(run_id)

    assert (put_back.reason, put_back.attempt_count) == (Reason.JOB_LIMIT, 0)
    assert put_back.not_before == NINE + timedelta(seconds=30)
    assert next_at == put_back.not_before
    assert run.state is COLLECTING


async def test_what_could_not_leave_is_put_back_and_one_probe_finds_the_way(
    database_url: str,
) -> None:
    async with engine_room(database_url) as room:
        room.change("accounts", "main", base_url="http://127.0.0.1:9")
        collectors = [f"shop{number}" for number in range(3)]
        for name in collectors:
            room.define("collectors", name, account="main", collector_id=f"c_{name}")
        run_ids = [room.ask(name) for name in collectors]
        step = await room.dispatch()
        put_back = [room.run(run_id) for run_id in run_ids]
        brake = room.brake()
        room.change("accounts", "main", base_url=room.base_url)
        room.clock.tick(2)
        await step.run(room.clock())
        probes = step.in_flight
        await room.next_answer()
        await room.dispatch(step)

        sent = [room.run(run_id).state for run_id in run_ids]

    assert {(run.state, run.reason, run.attempt_count) for run in put_back} == {
        (QUEUED, Reason.NOT_SENT, 0)
    }
    assert brake.open_until == NINE + timedelta(seconds=2)
    assert probes == 1
    assert sent == [COLLECTING] * 3


async def test_the_third_answer_lost_in_a_row_closes_the_brake(database_url: str) -> None:
    async with engine_room(database_url) as room:
        room.arm(Fault(kind=FaultKind.ERROR, times=None))
        for number in range(4):
            room.define("collectors", f"s{number}", account="main", collector_id=f"c_{number}")
        step = room.dispatch_step()
        trips = []
        for number in range(3):
            room.ask(f"s{number}")
            await room.dispatch(step)
            trips.append(room.brake().trips)
        room.ask("s3")
        await room.dispatch(step)

    assert trips == [0, 0, 1]
    assert len(room.triggers) == 3


async def test_bad_credentials_pause_the_account_instead_of_burning_every_run(
    database_url: str,
) -> None:
    async with engine_room(database_url, SandboxSettings(tokens=frozenset({"new"}))) as room:
        for number in range(5):
            room.define("collectors", f"s{number}", account="main", collector_id=f"c_{number}")
        first = room.ask("s0")
        step = await room.dispatch()
        others = [room.ask(f"s{number}") for number in range(1, 5)]
        room.clock.tick(timedelta(hours=1))
        await room.dispatch(step)

        burnt, paused_at = room.run(first), room.brake().paused_at
        waiting = {room.run(run_id).state for run_id in others}

    assert (burnt.state, burnt.reason) == (FAILED, Reason.BAD_CREDENTIALS)
    assert waiting == {QUEUED}
    assert len(room.triggers) == 1
    assert paused_at == NINE


async def requests_per_pass(room: Room, passes: int) -> list[int]:
    step = room.dispatch_step()
    counts = []
    for _ in range(passes):
        before = len(room.triggers)
        await room.dispatch(step)
        counts.append(len(room.triggers) - before)
    return counts


async def test_no_more_requests_leave_in_a_second_than_the_account_allows(
    database_url: str,
) -> None:
    async with engine_room(database_url) as room:
        room.change("accounts", "main", requests_per_second=2.0)
        for number in range(6):
            room.define("collectors", f"s{number}", account="main", collector_id=f"c_{number}")
            room.ask(f"s{number}")
        at_once = await requests_per_pass(room, 3)
        room.clock.tick(1)
        a_second_later = await requests_per_pass(room, 2)

    assert at_once == [2, 0, 0]
    assert a_second_later == [2, 0]


async def test_no_more_collections_run_than_the_collector_allows(database_url: str) -> None:
    async with engine_room(database_url) as room:
        room.change("collectors", "shop", max_running=2)
        run_ids = [room.ask() for _ in range(4)]
        step = await room.dispatch()
        sent = [room.run(run_id).state for run_id in run_ids]
        await room.follow(after=60)
        await room.dispatch(step)
        after_two_ended = len(room.triggers)

    assert sent == [COLLECTING, COLLECTING, QUEUED, QUEUED]
    assert after_two_ended == 4


async def test_a_full_collectors_collections_are_looked_at_sooner_once_a_second(
    database_url: str,
) -> None:
    async with engine_room(database_url) as room:
        room.execute("UPDATE collectors SET max_running = 1")
        step = room.dispatch_step()
        running, _ = room.ask(), room.ask()
        await room.dispatch(step)
        hastened = [room.collections(running)[0].next_poll_at == room.clock()]
        room.execute(
            "UPDATE collections SET next_poll_at = :later", later=NINE + timedelta(hours=1)
        )
        await room.dispatch(step)
        hastened.append(room.collections(running)[0].next_poll_at == room.clock())

    assert hastened == [True, False]


async def test_a_run_ends_with_its_grace_although_it_was_to_be_sent_still_later(
    database_url: str,
) -> None:
    async with engine_room(database_url) as room:
        run_id = room.ask()
        room.execute(
            "UPDATE runs SET not_before = :later, send_before = :soon",
            later=NINE + timedelta(hours=1),
            soon=NINE + timedelta(minutes=1),
        )
        step = room.dispatch_step()
        await step.run(room.clock())
        room.clock.tick(61)
        await step.run(room.clock())
        run = room.run(run_id)

    assert (run.state, run.reason) == (RunState.SKIPPED, Reason.MISSED)
