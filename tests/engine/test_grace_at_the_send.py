"""A misfire grace holds until the first byte."""

from datetime import timedelta

from scheduler.domain.records import Outcome, Reason, RunState
from tests.engine.rig import NINE, engine_room

HOUR = timedelta(hours=1)
GRACE = timedelta(minutes=10)


async def test_what_is_claimed_in_time_and_late_on_the_wire_is_not_sent(database_url: str) -> None:
    async with engine_room(database_url) as room:
        room.schedule("hourly", misfire_grace="10m")
        await room.fire()
        room.clock.tick(HOUR)
        await room.fire()
        (run,) = room.runs()
        step = room.dispatch_step()
        room.clock.now = NINE + HOUR + GRACE - timedelta(microseconds=1)
        await step.run(room.clock())
        await room.next_answer()
        room.clock.tick(1)
        await step.run(room.clock())

        ended, (attempt,), said = room.run(run.id), room.attempts(run.id), room.complaints()

    assert room.triggers == []
    assert (attempt.outcome, ended.attempt_count) == (Outcome.DEFERRED, 0)
    assert (ended.state, ended.reason) == (RunState.SKIPPED, Reason.MISSED)
    assert said == []


async def test_what_could_not_leave_any_more_is_not_claimed(database_url: str) -> None:
    async with engine_room(database_url) as room:
        room.schedule("hourly", misfire_grace="10m")
        await room.fire()
        room.clock.tick(HOUR)
        await room.fire()
        (run,) = room.runs()
        room.clock.now = NINE + HOUR + GRACE  # and does not move: it would come back for ever
        await room.dispatch()

        ended = room.run(run.id)

    assert (ended.state, ended.reason) == (RunState.SKIPPED, Reason.MISSED)
    assert ended.fence == 0
