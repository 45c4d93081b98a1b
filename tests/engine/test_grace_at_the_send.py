"""A misfire grace holds until the first byte."""

from datetime import timedelta

from scheduler.domain.records import Outcome, Reason, RunState
from tests.engine.rig import NINE, engine_room

HOUR = timedelta(hours=1)


async def test_what_is_claimed_in_time_and_late_on_the_wire_is_not_sent(database_url: str) -> None:
    async with engine_room(database_url) as room:
        room.schedule("hourly", misfire_grace="10m")
        await room.fire()
        room.clock.tick(HOUR)
        await room.fire()
        (run,) = room.runs()
        step = room.dispatch_step()
        room.clock.now = NINE + HOUR + timedelta(minutes=10)  # the last moment of its grace
        await step.run(room.clock())
        await room.next_answer()
        room.clock.tick(1)
        await step.run(room.clock())

        ended, (attempt,), said = room.run(run.id), room.attempts(run.id), room.complaints()

    assert room.triggers == []
    assert (attempt.outcome, ended.attempt_count) == (Outcome.DEFERRED, 0)
    assert (ended.state, ended.reason) == (RunState.SKIPPED, Reason.MISSED)
    assert said == []
