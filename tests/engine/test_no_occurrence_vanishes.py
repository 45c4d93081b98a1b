"""What stands in the way of an occurrence is told, and the occurrence is kept."""

from datetime import timedelta

import pytest
from structlog.testing import capture_logs

from scheduler.domain.errors import DatabaseError
from scheduler.domain.records import RunState
from scheduler.storage.weaknesses import mend_sequences
from tests.engine.rig import NINE, engine_room

HOUR = timedelta(hours=1)


async def test_a_sequence_that_is_behind_is_an_error_and_loses_no_occurrence(
    postgresql_url: str,
) -> None:
    async with engine_room(postgresql_url) as room:
        room.schedule("hourly", trigger_name="{schedule} {due_at:%H:%M}", misfire_grace="1d")
        await room.fire()
        room.ask(name="by hand")
        with room.db.writing() as conn:
            conn.exec_driver_sql("SELECT setval('runs_id_seq', 1, false)")
        room.clock.tick(HOUR)
        with capture_logs() as lines, pytest.raises(DatabaseError, match="sequence is behind"):
            await room.fire()
        with room.db.writing() as conn:
            mend_sequences(conn)
        await room.fire()

        fired = [run.due_at for run in room.runs() if run.schedule == "hourly"]

    assert [line for line in lines if line["event"] == "run_fired"] == []
    assert fired == [NINE + HOUR]


async def test_an_occurrence_that_had_its_run_is_not_told_as_fired(database_url: str) -> None:
    async with engine_room(database_url) as room:
        room.schedule("hourly", misfire_grace="1d")
        await room.fire()
        room.clock.tick(HOUR)
        await room.fire()
        room.execute("UPDATE schedules SET fired_until = :then, next_fire_at = :due",
                     then=NINE, due=NINE + HOUR)  # fmt: skip
        with capture_logs() as lines:
            await room.fire()

        states = [run.state for run in room.runs()]

    assert states == [RunState.QUEUED]
    assert [line["event"] for line in lines] == ["occurrences_had_their_runs"]
