"""A backfill beside the live occurrences of its schedule: neither takes the place of the other."""

from typing import Any

import pytest

from scheduler.domain.records import RunState
from tests.answers.test_backfill import HOUR, SEVEN, ask, backfill
from tests.engine.rig import engine_room
from tests.engine.rows import NINE


@pytest.mark.parametrize(
    "columns",
    [
        {"catch_up": "latest"},
        {"catch_up": "none"},
        {"catch_up": "all", "overlap": "skip"},
        {"catch_up": "all", "overlap": "queue_one"},
        {"catch_up": "all", "overlap": "replace"},
    ],
)
async def test_neither_a_backfill_nor_the_schedule_gives_way(
    database_url: str, columns: dict[str, Any]
) -> None:
    async with engine_room(database_url) as room:
        room.schedule("hourly", misfire_grace="10m", **columns)
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
