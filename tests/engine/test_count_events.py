"""Counters and histograms out of the history: right with several daemons, and after restarts."""

from datetime import timedelta

import pytest
from sqlalchemy import text

from scheduler.daemon.config_state import ConfigState
from scheduler.daemon.housekeeping import Housekeeping
from scheduler.daemon.steady_clock import SteadyClock
from scheduler.daemon.systemd import Notifier
from scheduler.domain.tally import (
    REQUESTS,
    RUNS_ENDED,
    START_DELAY,
    SUM,
    Key,
)
from scheduler.engine.count_events import CountStep
from scheduler.sandbox import Fault, FaultKind, When
from scheduler.storage import daemons, last_ends, tallies
from scheduler.storage.last_ends import LastEnd
from tests.engine.rig import NINE, Room, engine_room

pytestmark = pytest.mark.quiet


def counting(room: Room) -> CountStep:
    return CountStep(db=room.db)


def sums(room: Room, *metrics: str) -> dict[Key, float]:
    with room.db.reading() as conn:
        return tallies.read_sums(conn, metrics)


async def test_each_end_counts_once_however_many_daemons_look(database_url: str) -> None:
    async with engine_room(database_url) as room:
        for _ in range(3):
            room.ask()
        await room.dispatch()
        await room.follow(timedelta(hours=1))
        for _ in range(3):
            await counting(room).run(room.clock())

        assert sums(room, RUNS_ENDED) == {(RUNS_ENDED, ("succeeded", "done")): 3}


async def test_a_crash_before_the_commit_counts_nothing(database_url: str) -> None:
    async with engine_room(database_url) as room:
        room.ask()
        await room.dispatch()
        await room.follow(timedelta(hours=1))

        with pytest.raises(RuntimeError), room.db.writing() as conn:
            assert counting(room).take(conn) == 2
            raise RuntimeError("killed")
        before = sums(room, RUNS_ENDED)
        await counting(room).run(room.clock())

        assert (before, sums(room, RUNS_ENDED)) == ({}, {(RUNS_ENDED, ("succeeded", "done")): 1})


async def test_runs_that_are_deleted_still_count(database_url: str) -> None:
    async with engine_room(database_url) as room:
        room.ask()
        await room.dispatch()
        await room.follow(timedelta(hours=1))
        await counting(room).run(room.clock())
        before = sums(room, RUNS_ENDED, START_DELAY.name)
        with room.db.writing() as conn:
            for table in ("collections", "attempts", "runs"):
                conn.execute(text(f"DELETE FROM {table}"))
        await counting(room).run(room.clock())

        assert before == sums(room, RUNS_ENDED, START_DELAY.name)
        assert before[RUNS_ENDED, ("succeeded", "done")] == 1


async def test_the_delay_counts_from_the_due_time_to_the_acceptance(database_url: str) -> None:
    async with engine_room(database_url) as room:
        room.schedule("hourly")
        await room.fire()
        room.clock.tick(timedelta(hours=1))
        await room.fire()
        room.clock.tick(7)
        await room.dispatch()
        await counting(room).run(room.clock())

        assert sums(room, START_DELAY.name) == {
            (START_DELAY.name, ("schedule", "10")): 1,
            (START_DELAY.name, ("schedule", SUM)): 7,
        }


async def test_a_lost_answer_that_is_found_counts_when_it_was_accepted(database_url: str) -> None:
    async with engine_room(database_url) as room:
        room.arm(Fault(kind=FaultKind.LOST, when=When.AFTER))
        room.ask()
        await room.dispatch()
        await room.lookup_to_the_end()
        await counting(room).run(room.clock())

        assert sums(room, START_DELAY.name)[START_DELAY.name, ("request", "0.1")] == 1


async def test_what_is_asked_for_by_hand_is_meant_when_it_is_asked_for(database_url: str) -> None:
    """A backfill, or a retry, of a day that is long gone is not late by as much."""
    async with engine_room(database_url) as room:
        run_id = room.ask()
        room.execute("UPDATE runs SET due_at = :then WHERE id = :id", then=_YEARS_AGO, id=run_id)
        room.clock.tick(2)
        await room.dispatch()
        await counting(room).run(room.clock())

        assert sums(room, START_DELAY.name)[START_DELAY.name, ("request", SUM)] == 2


_YEARS_AGO = NINE - timedelta(days=1000)


async def test_the_last_end_and_the_last_success_of_a_schedule(database_url: str) -> None:
    async with engine_room(database_url) as room:
        room.schedule("hourly")
        await room.fire()
        for faults in ((), (Fault(kind=FaultKind.ERROR, status=400),)):
            room.clock.tick(timedelta(hours=1))
            await room.fire()
            room.arm(*faults)
            await room.dispatch()
            await room.follow(timedelta(minutes=5))
        await counting(room).run(room.clock())

        with room.db.reading() as conn:
            ends = last_ends.list_last_ends(conn, ["hourly", "x"])

    assert ends == {
        "hourly": LastEnd(
            schedule="hourly",
            ended_at=NINE + timedelta(hours=2, minutes=5),
            succeeded_at=NINE + timedelta(hours=1, minutes=5),
        )
    }


async def test_requests_count_by_call_and_class(database_url: str) -> None:
    async with engine_room(database_url) as room:
        room.arm(Fault(kind=FaultKind.THROTTLE, path="/dca/log/*"))
        for faults in (
            (),
            (Fault(kind=FaultKind.ERROR, status=400, path="/dca/trigger"),),
            (Fault(kind=FaultKind.LOST, when=When.AFTER, path="/dca/trigger"),),
        ):
            room.arm(*faults)
            room.ask()
            await room.dispatch()
        await room.follow(timedelta(hours=1))

        counted = room.upstreams.tally.values()

    assert {key: value for key, value in counted.items() if key[0] == REQUESTS} == {
        (REQUESTS, ("main", "trigger", "2xx")): 1,
        (REQUESTS, ("main", "trigger", "4xx")): 1,
        (REQUESTS, ("main", "trigger", "lost")): 1,
        (REQUESTS, ("main", "log", "429")): 1,
    }


async def heartbeat(room: Room, chores: Housekeeping) -> float:
    await chores.heartbeat()
    return sum(sums(room, REQUESTS).values())


async def chores_of(room: Room, owner: str) -> Housekeeping:
    clock = await SteadyClock.measured(room.db)
    with room.db.writing() as conn:
        daemons.insert_daemon(conn, owner, host="h", pid=1, version="1", zone_data="z", now=clock())
    return Housekeeping(
        db=room.db,
        clock=clock,
        owner=owner,
        loops=(),
        notifier=Notifier(None),
        witness=no_upstream,
        http_error=lambda: None,
        why_unusable=room.upstreams.why_unusable,
        config=ConfigState(clock()),
        tally=type(room.upstreams.tally)(),
    )


async def no_upstream() -> None:
    return None


async def test_daemons_count_together_and_no_sum_falls_when_one_stops(database_url: str) -> None:
    async with engine_room(database_url) as room:
        one, other = await chores_of(room, "d1"), await chores_of(room, "d2")
        seen = []
        for chores in (one, other, one):
            chores.tally.add(REQUESTS, "main", "log", "2xx")
            seen.append(await heartbeat(room, chores))
        other.tally.add(REQUESTS, "main", "log", "2xx")
        await other.leave()
        seen += [await heartbeat(room, one), await heartbeat(room, one)]

    assert seen == [1, 2, 3, 4, 4]


async def test_a_daemon_that_was_forgotten_counts_nothing_twice(database_url: str) -> None:
    """It hung for so long that what it had counted belongs to nobody now."""
    async with engine_room(database_url) as room:
        one, other = await chores_of(room, "d1"), await chores_of(room, "d2")
        one.tally.add(REQUESTS, "main", "log", "2xx")
        await heartbeat(room, one)
        room.execute("DELETE FROM daemons WHERE id = 'd1'")
        folded = await heartbeat(room, other)
        one.tally.add(REQUESTS, "main", "log", "2xx")
        again = await heartbeat(room, one)
        await one.leave()

        assert (folded, again, sum(sums(room, REQUESTS).values())) == (1, 1, 1)
