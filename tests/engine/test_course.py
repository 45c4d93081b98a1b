"""What takes too long, starts late, or outlasts its interval: told, and cancelled where asked."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import insert

from scheduler.domain.notices import AlertKind, Observed
from scheduler.domain.records import Reason, RunState
from scheduler.sandbox import SandboxSettings
from scheduler.storage import course, tables
from scheduler.views.attention import attention_sentences
from scheduler.views.runs import show_run
from scheduler.views.status import read_status
from tests.engine.rig import NINE, Room, engine_room
from tests.storage.rows import insert_body, insert_run

SLOW = SandboxSettings(build_time=timedelta(hours=2), time_per_input=timedelta(hours=9))


def minutes(count: float) -> timedelta:
    return timedelta(minutes=count)


def took(room: Room, *durations: float, schedule: str = "night", chunk: int = 1) -> None:
    """Let good runs of the schedule have taken so many minutes each, in the days before."""
    with room.db.writing() as conn:
        if chunk == 1:
            insert_body(conn)
        for day, duration in enumerate(durations, 1):
            at = NINE - timedelta(days=len(durations) - day + 1)
            run_id = _good(conn, schedule, at, duration, day, chunk)
            conn.execute(
                insert(tables.collections).values(
                    id=f"j_past{day}_{chunk}",
                    run_id=run_id,
                    account="main",
                    collector_id="c_shop",
                    accepted_at=at,
                    started_at=at,
                    finished_at=at + minutes(duration),
                )
            )


def _good(conn: Any, schedule: str, at: Any, duration: float, day: int, chunk: int) -> int:
    return insert_run(
        conn,
        id=1000 * chunk + day,
        schedule=schedule,
        chunk=chunk,
        chunks=chunk,
        due_at=at,
        state="succeeded",
        reason="done",
        triggered_at=at,
        ended_at=at + minutes(duration),
        collection_id=f"j_past{day}_{chunk}",
    )


async def begun(room: Room, **schedule: Any) -> int:
    """Fire a nightly schedule whose runs usually take 30 minutes, and see its collection begin."""
    usual = {"cron": "0 9 * * *", "created_at": NINE - timedelta(days=30)}
    room.schedule("night", **(usual | {"fired_until": NINE - minutes(1)} | schedule))
    took(room, *[30] * 5)
    await room.fire()
    await room.dispatch()
    (run,) = [one for one in room.runs(schedule="night") if one.state is RunState.COLLECTING]
    return run.id


def astray(room: Room) -> list[Observed]:
    with room.db.reading() as conn:
        return course.list_astray(conn, now=room.clock())


def kinds(room: Room) -> list[AlertKind]:
    return [seen.kind for seen in astray(room)]


@pytest.mark.parametrize(
    ("on_overrun", "state", "reason"),
    [
        ("tell", RunState.COLLECTING, Reason.ACCEPTED),
        ("cancel", RunState.CANCELLED, Reason.OVERRUN),
    ],
)
async def test_what_takes_much_longer_than_usual_is_told_and_cancelled_where_asked(
    database_url: str, on_overrun: str, state: RunState, reason: Reason
) -> None:
    settings = SandboxSettings(build_time=minutes(1), time_per_input=timedelta(hours=9))
    async with engine_room(database_url, settings) as room:
        run_id = await begun(room, on_overrun=on_overrun)
        await room.follow(minutes(2))
        (collection,) = room.collections(run_id)
        before = kinds(room)
        room.clock.now = NINE + minutes(62)
        during = kinds(room)
        with room.db.reading() as conn:
            shown = show_run(conn, run_id, now=room.clock())
            said = list(attention_sentences(read_status(conn, now=room.clock())))
        await room.follow()
        await room.follow(1)
        run = room.run(run_id)

    assert collection.expected_end_at == NINE + minutes(31)
    assert collection.overruns_at == NINE + minutes(61)
    assert (before, during) == ([], [AlertKind.OVERRUN])
    assert shown.remarks == (f"overrun: {collection.id} has run for 1h1m, 30m is usual",)
    assert any("overruns" in sentence for sentence in said)
    assert (run.state, run.reason) == (state, reason)


async def test_the_first_chunk_is_held_against_first_ones_only(database_url: str) -> None:
    async with engine_room(database_url, SLOW) as room:
        room.schedule("night", cron="0 9 * * *", fired_until=NINE - timedelta(days=1))
        took(room, *[2] * 5)
        took(room, *[90] * 5, chunk=2)
        with room.db.reading() as conn:
            usual = course.list_usual_times(conn, [("night", True), ("night", False)])

    assert usual["night", True].median == minutes(2)
    assert usual["night", False].median == minutes(90)


async def test_what_outlives_its_deadline_is_cancelled_where_asked(database_url: str) -> None:
    settings = SandboxSettings(build_time=minutes(1), time_per_input=timedelta(hours=9))
    async with engine_room(database_url, settings) as room:
        run_id = await begun(room, on_overrun="cancel")
        room.execute("UPDATE runs SET query = query || '&deadline=5m' WHERE id = :id", id=run_id)
        await room.follow(minutes(2))
        await room.follow(minutes(20))
        await room.follow(1)
        run = room.run(run_id)

    assert run.overdue_at is not None
    assert run.reason is Reason.OVERRUN


async def test_what_has_not_begun_when_promised_starts_late_until_it_has(
    database_url: str,
) -> None:
    async with engine_room(database_url, SLOW) as room:
        run_id = await begun(room, cron="0 9 * * *")
        room.execute("UPDATE runs SET start_eta = :eta", eta=NINE + minutes(1))
        room.execute("UPDATE collections SET start_eta = :eta", eta=NINE + minutes(1))
        await room.follow(minutes(2))
        early = kinds(room)
        room.clock.now = NINE + minutes(11)
        late = astray(room)
        room.clock.now = NINE + minutes(130)
        await room.follow()
        after = kinds(room)
        with room.db.reading() as conn:
            remarks = show_run(conn, run_id, now=room.clock()).remarks

    assert early == after == []
    assert [(seen.kind, seen.run_id) for seen in late] == [(AlertKind.LATE_START, run_id)]
    assert remarks[0].startswith("late start: ")


@pytest.mark.parametrize(("overlap", "told"), [("queue", [AlertKind.OUTLASTING]), ("allow", [])])
async def test_an_end_expected_after_the_next_is_due_is_told_at_once(
    database_url: str, overlap: str, told: list[AlertKind]
) -> None:
    settings = SandboxSettings(build_time=minutes(1), time_per_input=timedelta(hours=9))
    async with engine_room(database_url, settings) as room:
        run_id = await begun(room, cron="*/20 * * * *", overlap=overlap)
        await room.follow(minutes(2))
        found = astray(room)
        room.clock.now = NINE + minutes(20)
        await room.fire()
        later = [seen for seen in astray(room) if seen.run_id == run_id]

    assert [seen.kind for seen in found] == told
    assert [seen.kind for seen in later] == told
    assert all("2026-03-02 09:20:00Z" in str(seen.detail) for seen in (*found, *later))
