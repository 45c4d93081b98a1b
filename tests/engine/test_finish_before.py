"""`finish_before`: what is left when a trigger is sent is its deadline, or it is not sent."""

from datetime import timedelta

import pytest

from scheduler.actions.runs import retry_runs
from scheduler.domain.records import Reason, RunState
from scheduler.engine.limit_gate import LimitGate
from scheduler.tools.calendar.explain import explain_time
from scheduler.tools.calendar.preview import preview_schedules
from tests.engine.rig import NINE, Room, engine_room


def minutes(count: float) -> timedelta:
    return timedelta(minutes=count)


async def fired(room: Room, **columns: object) -> None:
    made = {"created_at": NINE - minutes(60), "fired_until": NINE - minutes(1)}
    room.schedule("night", finish_before="11:00", **made, **columns)
    await room.fire()


@pytest.mark.parametrize(
    ("deadline", "waited", "sent"),
    [(None, 0, "2h"), ("3h", 30, "90m"), ("1h", 30, "1h"), (None, 115, "5m")],
)
async def test_what_is_left_is_the_deadline_that_is_sent(
    database_url: str, deadline: str | None, waited: float, sent: str
) -> None:
    async with engine_room(database_url) as room:
        await fired(room, deadline=deadline, misfire_grace="6h")
        room.clock.tick(minutes(waited))
        await room.dispatch()
        (run,) = room.runs()
        (attempt,) = room.attempts(run.id)

    assert [query["deadline"] for query in room.queries()] == [sent]
    assert f"deadline={sent}" in attempt.request
    assert run.finish_by_at == NINE + timedelta(hours=2)
    assert f"deadline={sent}" in run.query


async def test_a_later_try_has_less_time(database_url: str) -> None:
    async with engine_room(database_url) as room:
        await fired(room)
        (run,) = room.runs()
        with room.db.writing() as conn:
            for hours in (0, 1, 0.5):
                now = NINE + timedelta(hours=hours)
                assert LimitGate(conn, now, has_finish=True).admit([run.id]) == {run.id}
        (later,) = room.runs()

    assert "deadline=1h" in later.query


async def test_what_would_be_paid_for_in_vain_is_skipped_with_that_reason(
    database_url: str,
) -> None:
    async with engine_room(database_url) as room:
        await fired(room, misfire_grace="6h")
        other = room.ask()
        room.clock.tick(minutes(115.5))
        for _ in range(2):  # what is behind it is looked at by the next pass
            await room.dispatch()
        (run,) = room.runs(schedule="night")
        behind = room.run(other)

    assert (run.state, run.reason) == (RunState.SKIPPED, Reason.NO_TIME)
    assert "2026-03-02 11:00:00Z" in str(run.detail)
    assert behind.state is RunState.COLLECTING
    assert len(room.triggers) == 1


async def test_it_is_told_beforehand(database_url: str) -> None:
    async with engine_room(database_url) as room:
        room.schedule("night", cron="0 10 * * *", finish_before="11:00")
        await room.fire()
        with room.db.reading() as conn:
            preview = preview_schedules(conn, ["night"], days=1, now=NINE)
            explained = explain_time(conn, "night", NINE + minutes(60), now=NINE)

    assert preview.schedules[0].note == (
        "finish_before = 11:00: what is left is the deadline, 1h of the first"
    )
    assert "what is left until 2026-03-02 11:00:00Z" in str(explained)


async def test_a_row_that_is_no_time_of_day_makes_the_schedule_invalid(
    database_url: str,
) -> None:
    async with engine_room(database_url) as room:
        room.schedule("night", finish_before="11:00")
        await room.fire()
        room.change("schedules", "night", finish_before="soon")
        await room.fire()
        error = room.stored_schedule("night").error

    assert "finish_before: 'soon' is no time of day" in str(error)


@pytest.mark.parametrize(("own", "sent"), [(None, None), ("90m", "90m")])
async def test_a_retry_by_hand_has_the_whole_time_again(
    database_url: str, own: str | None, sent: str | None
) -> None:
    async with engine_room(database_url) as room:
        await fired(room, deadline=own, misfire_grace="6h")
        room.clock.tick(minutes(110))
        await room.dispatch()
        (run,) = room.runs()
        for _ in range(20):
            await room.follow(after=30)
        with room.db.writing() as conn:
            (again,) = retry_runs(conn, [run.id], by="alice", now=room.clock(), confirmed=True)
        await room.dispatch()

    assert [query.get("deadline") for query in room.queries()] == ["10m", sent]
    assert again.finish_by_at is None
