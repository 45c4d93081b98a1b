"""`only_if_changed` and `batch_max_age`: what would be paid for in vain is skipped, by name."""

import json
import os
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from scheduler.domain.notices import AlertKind, EndedRun, opened_by
from scheduler.domain.records import Reason, Run, RunState
from scheduler.tools.calendar.explain import explain_time
from scheduler.tools.calendar.preview import preview_schedules
from tests.engine.rig import NINE, Room, engine_room

HOUR = timedelta(hours=1)
SKIPPED, SUCCEEDED = RunState.SKIPPED, RunState.SUCCEEDED


async def fired(room: Room, hours: float) -> Run:
    """Go to so many hours after nine, fire, and return the newest run."""
    room.clock.now = NINE + timedelta(hours=hours)
    await room.fire_step().run(room.clock())
    return room.runs()[-1]


async def ended(room: Room, run: Run) -> Run:
    for _ in range(30):
        await room.dispatch()
        await room.follow(after=30)
        if room.run(run.id).ended_at is not None:
            break
    return room.run(run.id)


def define(room: Room, **columns: Any) -> None:
    room.define("batches", "many", **columns.pop("batch"))
    room.schedule("hourly", batch="many", **columns)


def urls(*numbers: int) -> str:
    return json.dumps([{"url": f"https://x.org/{number}"} for number in numbers])


@pytest.mark.parametrize("chunk", [None, 2], ids=["whole", "in chunks"])
async def test_what_has_not_changed_since_it_was_good_is_not_paid_for_again(
    database_url: str, chunk: int | None
) -> None:
    async with engine_room(database_url) as room:
        batch = {"inputs": urls(1, 2, 3), "max_inputs_per_trigger": chunk}
        define(room, batch=batch, only_if_changed=True)
        await room.fire()
        await fired(room, 1)
        good = [await ended(room, run) for run in room.runs()]
        same = await fired(room, 2)
        room.change("batches", "many", inputs=urls(1, 2, 4))
        await fired(room, 2.5)
        other = await fired(room, 3)
        sent = len(room.triggers)
        with room.db.reading() as conn:
            told = explain_time(conn, "hourly", NINE + 2 * HOUR, now=room.clock())
            to_come = explain_time(conn, "hourly", NINE + 9 * HOUR, now=room.clock())
            note = preview_schedules(conn, ["hourly"], days=1, now=room.clock()).schedules[0].note

    assert {run.state for run in good} == {SUCCEEDED}
    assert (same.state, same.reason) == (SKIPPED, Reason.UNCHANGED)
    assert f"its inputs are those of run {good[-1].id}, due 2026-03-02 10:00:00Z" in str(same)
    assert other.state is RunState.QUEUED
    assert sent == len(good)
    assert "its inputs had not changed (only_if_changed)" in str(told)
    assert "skipped if its inputs are those of its last good run" in str(to_come)
    assert note == "only_if_changed: what has not changed is skipped"


async def test_what_did_not_end_well_or_went_elsewhere_is_sent_again(database_url: str) -> None:
    async with engine_room(database_url) as room:
        dead = json.dumps([*json.loads(urls(1)), {"url": "x", "sandbox_error": "dead_page"}])
        define(room, batch={"inputs": dead}, only_if_changed=True)
        await room.fire()
        partial = await ended(room, await fired(room, 1))
        again = await fired(room, 2)
        await ended(room, again)
        room.change("batches", "many", inputs=urls(1))
        await fired(room, 2.5)
        good = await ended(room, await fired(room, 3))
        room.change("collectors", "shop", collector_id="c_other")
        await fired(room, 3.5)
        elsewhere = await fired(room, 4)

    assert (partial.state, again.state) == (RunState.PARTIAL, RunState.QUEUED)
    assert (good.state, elsewhere.state) == (SUCCEEDED, RunState.QUEUED)


async def test_a_file_that_nobody_wrote_anew_is_not_sent(database_url: str, tmp_path: Path) -> None:
    file = tmp_path / "urls.txt"
    file.write_text("https://x.org/1\n")
    async with engine_room(database_url) as room:
        define(room, batch={"file": str(file)}, batch_max_age="24h")
        await room.fire()
        os.utime(file, (0, (NINE - 24 * HOUR).timestamp()))
        old = await fired(room, 1)
        os.utime(file, (0, (NINE - 22 * HOUR).timestamp()))
        new = await fired(room, 2)
        error = room.stored_schedule("hourly").error
        room.change("batches", "many", file=None, inputs=urls(1))
        await fired(room, 3)
        ageless = room.stored_schedule("hourly").error

    assert (old.state, old.reason) == (SKIPPED, Reason.STALE_BATCH)
    assert "last written at 2026-03-01 09:00:00Z, 1d1h before" in str(old.detail)
    assert new.state is RunState.QUEUED
    assert error is None
    assert "batch_max_age: batch 'many' has its inputs in its row" in str(ageless)


def test_only_an_old_batch_is_told() -> None:
    def opened(reason: Reason) -> AlertKind | None:
        run = EndedRun(
            run_id=1, happened_at=NINE, to_state=SKIPPED, reason=reason, detail=None,
            schedule="hourly", collector="shop", labels=None, on_end=None,
        )  # fmt: skip
        alert = opened_by(run)
        return None if alert is None else alert.kind

    assert opened(Reason.STALE_BATCH) is AlertKind.MISSED
    assert opened(Reason.UNCHANGED) is None
