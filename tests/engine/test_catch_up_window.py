"""A window beyond the misfire grace is kept until what it lets through is sent."""

from datetime import timedelta

from tests.engine.rig import engine_room

HOUR = timedelta(hours=1)


async def test_all_within_a_window_beyond_the_grace_is_sent_after_a_day_of_downtime(
    database_url: str,
) -> None:
    async with engine_room(database_url) as room:
        room.schedule(
            "hourly", misfire_grace="1h", catch_up="all", catch_up_window="6h", overlap="allow"
        )
        await room.fire()
        room.clock.tick(24 * HOUR + timedelta(minutes=30))
        await room.fire()
        for _ in range(7):
            await room.dispatch()

        reasons = [run.reason.value for run in room.runs()]

    assert len(room.triggers) == 6
    assert reasons == ["missed"] * 18 + ["accepted"] * 6
