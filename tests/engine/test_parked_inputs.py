"""`park_after`: an input that fails in each run is left out, told, and sent again on a word."""

import json
from datetime import datetime, timedelta
from typing import Any

import pytest

from scheduler.actions.parked_inputs import unpark_inputs
from scheduler.actions.schedules import prepare_fire
from scheduler.domain.errors import Conflict, NotFound
from scheduler.domain.notices import AlertKind
from scheduler.domain.parking import EndedPart, last_occurrences
from scheduler.domain.records import Reason, Run, RunState
from scheduler.storage import body_parts, definitions, standing
from scheduler.views.parked_inputs import list_parked_inputs
from scheduler.views.status import read_status
from tests.engine.rig import NINE, Room, engine_room
from tests.engine.test_failed_inputs import DEAD, GOOD, LATER, step_of

HOUR = timedelta(hours=1)


async def fired(room: Room, hours: float) -> Run:
    """Go to so many hours after nine, fire, and return the newest run."""
    room.clock.now = NINE + timedelta(hours=hours)
    await room.fire_step().run(room.clock())
    return room.runs()[-1]


async def ended(room: Room, run: Run) -> Run:
    """Send the run, follow it to its end, and ask what failed."""
    for _ in range(30):
        await room.dispatch()
        await room.follow(after=30)
        if room.run(run.id).ended_at is not None:
            break
    await step_of(room).run(room.clock())
    return room.run(run.id)


def sent_by(room: Room, run: Run) -> list[Any]:
    with room.db.reading() as conn:
        body = definitions.get_body(conn, str(run.body))
        sent: list[Any] = json.loads("".join(body_parts.iter_text(conn, body)))
        return sent


def parked(room: Room) -> list[tuple[Any, str, int]]:
    with room.db.reading() as conn:
        return [
            (one.input, one.error, one.run_id)
            for one in list_parked_inputs(conn, "hourly", now=NINE, limit=9)
        ]


def define(room: Room, inputs: list[Any], **columns: Any) -> None:
    room.define("batches", "many", inputs=json.dumps(inputs))
    room.schedule("hourly", batch="many", **columns)


async def test_what_fails_in_each_run_is_left_out_and_told(database_url: str) -> None:
    async with engine_room(database_url) as room:
        define(room, [GOOD, DEAD], park_after=2)
        await room.fire()
        await ended(room, await fired(room, 1))
        early = parked(room)
        second = await ended(room, await fired(room, 2))
        late = parked(room)
        third = await fired(room, 3)
        sent = sent_by(room, third)
        good = await ended(room, third)
        with room.db.reading() as conn:
            told = list(standing.list_standing(conn, now=room.clock()))
            status = read_status(conn, now=room.clock())

    assert early == []
    assert late == [(DEAD, "dead_page", second.id)]
    assert sent == [GOOD]
    assert third.detail == "1 parked input is left out"
    assert good.state is RunState.SUCCEEDED
    alert = next(one for one in told if one.kind is AlertKind.PARKED)
    assert (alert.subject, str(alert.detail)[:17]) == ("schedules.hourly", "1 input is parked")
    assert [(one.schedule, one.count) for one in status.parked] == [("hourly", 1)]


async def test_what_was_sent_once_more_and_came_is_not_parked(database_url: str) -> None:
    async with engine_room(database_url) as room:
        define(room, [GOOD, LATER], park_after=1, retry_failed_inputs='{"max": 1}')
        await room.fire()
        first = await ended(room, await fired(room, 1))
        before = parked(room)
        child = room.runs()[-1]
        await ended(room, child)
        after = parked(room)

    assert child.failed_inputs_of == first.id
    assert before == []
    assert after == [(LATER, "infra_error", child.id)]


async def test_a_batch_that_is_wholly_parked_is_skipped_by_name(database_url: str) -> None:
    async with engine_room(database_url) as room:
        define(room, [DEAD], park_after=1)
        await room.fire()
        await ended(room, await fired(room, 1))
        none = await fired(room, 2)
        with pytest.raises(Conflict, match="all inputs of batch 'many' are parked"):
            prepare_fire(room.db, "hourly", now=room.clock())
        with room.db.writing() as conn:
            (one,) = list_parked_inputs(conn, "hourly", now=NINE, limit=9)
            with pytest.raises(NotFound, match=f"no parked input {one.id + 1}"):
                unpark_inputs(conn, "hourly", [one.id + 1], by="alice", now=room.clock())
            gone = unpark_inputs(conn, "hourly", [one.id], by="alice", now=room.clock())
        again = await fired(room, 3)
        sent = sent_by(room, again)
        await ended(room, again)
        with room.db.reading() as conn:
            (anew,) = list_parked_inputs(conn, "hourly", now=NINE, limit=9)

    assert (none.state, none.reason) == (RunState.SKIPPED, Reason.PARKED)
    assert "schedules parked hourly" in str(none.detail)
    assert gone.ids == (one.id,)
    assert (again.state, sent) == (RunState.QUEUED, [DEAD])
    assert anew.id > one.id  # who has the old list does not unpark another


def at(hour: int) -> datetime:
    return NINE + hour * HOUR


@pytest.mark.parametrize(
    ("parts", "counted"),
    [
        ([EndedPart(at(3), False, 2, 1), EndedPart(at(2), False, 2, 0)], [3, 2]),
        pytest.param(
            [EndedPart(at(3), False, 5, 5), EndedPart(at(2), False, 5, 1)], [2], id="an outage"
        ),
        pytest.param([EndedPart(at(3), False, 1, 1)], [3], id="its only input"),
        pytest.param(
            [EndedPart(at(3), False, 5, 2), EndedPart(at(3), True, 2, 2)], [3], id="a retry"
        ),
        pytest.param(
            [EndedPart(at(3), False, 5, 0), EndedPart(at(3), False, 5, 5)], [], id="a chunk"
        ),
    ],
)
def test_an_occurrence_of_which_nothing_came_says_nothing_of_an_input(
    parts: list[EndedPart], counted: list[int]
) -> None:
    assert last_occurrences(parts, 2) == [at(hour) for hour in counted]
