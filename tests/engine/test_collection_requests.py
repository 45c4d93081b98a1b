"""What persons have the upstream do with collections: asked once, noted, and never lost."""

from datetime import timedelta
from typing import Any

import pytest

from scheduler.actions.collection_requests import request_act, request_chosen
from scheduler.actions.settle_restore import settle_restore
from scheduler.domain.collection_acts import CollectionAct
from scheduler.domain.errors import Conflict, InvalidInput, NeedsConfirmation
from scheduler.domain.records import RunState
from scheduler.engine.collection_requests import CollectionRequestsStep
from scheduler.sandbox import Fault, FaultKind, SandboxSettings, When
from scheduler.storage import restores
from scheduler.views.collections import get_collection
from scheduler.views.runs import RunFilter
from tests.engine.rig import LOOKUP_AFTER, REQUEST_TIMEOUT, SOON, Room, engine_room

SLOW = SandboxSettings(build_time=timedelta(), time_per_input=timedelta(minutes=10))
PAUSE, RESUME, RERUN = CollectionAct


def step(room: Room, **parts: Any) -> CollectionRequestsStep:
    usual: dict[str, Any] = {
        "db": room.db,
        "upstreams": room.upstreams,
        "clock": room.clock,
        "owner": "d1",
        "request_timeout": REQUEST_TIMEOUT,
        "first_lookup": LOOKUP_AFTER[0],
        "wake_follow": lambda: None,
    }
    return CollectionRequestsStep(**(usual | parts))


async def carry_out(room: Room, after: timedelta | float = 0) -> None:
    room.clock.tick(after)
    await step(room).run(room.clock())


async def running(room: Room) -> str:
    room.ask()
    await room.dispatch()
    return room.jobs[-1]


async def ended(room: Room) -> str:
    job = await running(room)
    await room.follow(after=timedelta(minutes=30))
    assert room.run(1).state is RunState.SUCCEEDED
    return job


def ask(room: Room, act: CollectionAct, job: str, **how: Any) -> None:
    with room.db.writing() as conn:
        request_act(conn, act, [job], by="ann", now=room.clock(), **how)


def came_of(room: Room, job: str) -> list[tuple[Any, ...]]:
    with room.db.reading() as conn:
        asked = get_collection(conn, job).requests
    return [(one.verb, one.outcome, one.detail, one.made_run) for one in asked]


async def test_a_collection_is_paused_and_goes_on(database_url: str) -> None:
    async with engine_room(database_url, SLOW) as room:
        job = await running(room)

        ask(room, PAUSE, job, why="they mend the site")
        ask(room, PAUSE, job)
        await carry_out(room)
        await room.follow()
        with room.db.reading() as conn:
            status = get_collection(conn, job).status
        ask(room, RESUME, job)
        await carry_out(room)

        assert status == "paused"
        assert came_of(room, job) == [(PAUSE, "done", None, None), (RESUME, "done", None, None)]
        assert room.sandbox.account.book.jobs[job].status != "paused"


async def test_a_rerun_is_asked_about_and_is_a_run_that_is_followed(database_url: str) -> None:
    async with engine_room(database_url) as room:
        job = await ended(room)

        with pytest.raises(NeedsConfirmation, match="run again, and paid for"):
            ask(room, RERUN, job)
        ask(room, RERUN, job, confirmed=True)
        await carry_out(room)
        await room.follow(after=timedelta(minutes=30))

        again = room.jobs[-1]
        assert len(room.jobs) == 2
        assert came_of(room, job) == [(RERUN, "done", again, 2)]
        assert (room.run(2).state, room.run(2).retry_of) == (RunState.SUCCEEDED, 1)
        assert room.complaints() == []


async def test_a_refused_request_says_why_and_makes_no_run(database_url: str) -> None:
    async with engine_room(database_url) as room:
        job = await ended(room)

        ask(room, RERUN, job, failed_only=True, confirmed=True)
        await carry_out(room)

        assert came_of(room, job) == [(RERUN, "refused", "No failed inputs", None)]
        assert len(room.jobs) == 1


async def test_an_upstream_that_has_never_heard_of_it_is_a_sentence(database_url: str) -> None:
    async with engine_room(database_url, SLOW) as room:
        job = await running(room)
        room.arm(Fault(kind=FaultKind.ERROR, when=When.BEFORE, path="*/pause", status=404))

        ask(room, PAUSE, job)
        await carry_out(room)

        ((_, outcome, detail, _),) = came_of(room, job)
        assert outcome == "refused"
        assert detail


async def test_a_rerun_whose_answer_is_lost_is_looked_for_and_not_asked_again(
    database_url: str,
) -> None:
    async with engine_room(database_url, request_timeout=SOON) as room:
        job = await ended(room)
        room.arm(Fault(kind=FaultKind.LOST, path="*/rerun"))

        ask(room, RERUN, job, confirmed=True)
        await carry_out(room)
        lost = room.run(2).state
        await carry_out(room, after=timedelta(minutes=5))
        await room.lookup_to_the_end()

        assert lost is RunState.UNCONFIRMED
        assert len(room.jobs) == 2
        assert (room.run(2).state, room.run(2).collection_id) == (
            RunState.COLLECTING,
            room.jobs[-1],
        )


async def test_a_daemon_that_dies_with_a_rerun_on_the_wire_leaves_a_run_to_look_for(
    database_url: str,
) -> None:
    async with engine_room(database_url) as room:
        job = await ended(room)
        ask(room, RERUN, job, confirmed=True)
        dying = step(room, owner="dead")
        with room.db.writing() as conn:
            dying._claim(conn, now=room.clock())

        await carry_out(room, after=timedelta(minutes=2))

        assert [one.path for one in room.received if one.path.endswith("rerun")] == []
        assert came_of(room, job)[0][1] == "lost"
        assert room.run(2).state is RunState.UNCONFIRMED
        await room.lookup_to_the_end()
        assert (room.run(2).state, room.run(2).reason) == (RunState.NEEDS_ATTENTION, "held")


async def test_a_rerun_that_waits_in_a_backup_is_looked_for_and_not_sent(sqlite_url: str) -> None:
    async with engine_room(sqlite_url) as room:
        job = await ended(room)
        ask(room, RERUN, job, confirmed=True)
        with room.db.writing() as conn:
            restores.insert_restore(conn, backup_at=room.clock())
            settle_restore(conn, by="ann", now=room.clock(), confirmed=True)

        await carry_out(room)

        assert [one.path for one in room.received if one.path.endswith("rerun")] == []
        assert room.run(2).state is RunState.UNCONFIRMED


async def test_what_it_is_not_for_is_refused_and_a_filter_leaves_it_out(database_url: str) -> None:
    async with engine_room(database_url, SLOW) as room:
        over, open_ = await ended(room), await running(room)

        for act, job in ((PAUSE, over), (RERUN, open_)):
            with pytest.raises(Conflict, match="ended"):
                ask(room, act, job, confirmed=True)
        with pytest.raises(InvalidInput, match="only a rerun"):
            ask(room, PAUSE, open_, failed_only=True)
        room.clock.tick(timedelta(days=17))
        with pytest.raises(Conflict, match="runs retry 1"):
            ask(room, RERUN, over, confirmed=True)
        with room.db.writing() as conn:
            wanted = RunFilter(collector="shop")
            asked = request_chosen(conn, PAUSE, wanted, by="ann", now=room.clock(), confirmed=True)
        assert [one.collection_id for one in asked] == [open_]
