"""FollowStep: collections are asked about until they have ended, and their runs end with them."""

import asyncio
import itertools
from collections.abc import Sequence
from datetime import timedelta

import pytest
from sqlalchemy import Connection, text

from scheduler.actions.runs import cancel_run
from scheduler.domain.records import Reason, Run, RunState
from scheduler.sandbox import Fault, FaultKind, SandboxSettings, When
from scheduler.storage import accounts, runs
from tests.engine.rig import NINE, Room, engine_room

COLLECTING, SUCCEEDED, PARTIAL, FAILED, CANCELLED = (
    RunState.COLLECTING,
    RunState.SUCCEEDED,
    RunState.PARTIAL,
    RunState.FAILED,
    RunState.CANCELLED,
)
GOOD, BAD = {"url": "https://example.org/1"}, {"url": "x", "sandbox_error": "navigation_failed"}


async def sent(room: Room, **request: object) -> int:
    """Ask for a run and send it."""
    run_id = room.ask(**request)  # type: ignore[arg-type]  # a request's fields, by name
    await room.dispatch()
    return run_id


async def followed(room: Room, run_id: int, *, minutes: int = 30) -> Run:
    """Look at the collections for so many minutes, or until the run has ended."""
    step = room.follow_step()
    until = room.clock() + timedelta(minutes=minutes)
    while room.run(run_id).state is COLLECTING and room.clock() < until:
        due = await room.follow(step=step)
        # None: the brake holds, and the loop comes again by itself.
        room.clock.now = max(due or room.clock() + timedelta(seconds=2), room.clock())
    return room.run(run_id)


@pytest.mark.parametrize(
    ("inputs", "state", "reason"),
    [
        ([GOOD, GOOD], SUCCEEDED, Reason.DONE),
        ([GOOD, BAD], PARTIAL, Reason.SOME_INPUTS_FAILED),
        ([BAD, BAD], FAILED, Reason.COLLECTION_FAILED),
        ([GOOD, {"sandbox_status": "failed"}, GOOD], FAILED, Reason.COLLECTION_FAILED),
        ([{"sandbox_status": "canceled"}], CANCELLED, Reason.COLLECTION_CANCELLED),
    ],
    ids=["done", "some failed", "all failed", "failed", "cancelled"],
)
async def test_a_run_ends_as_its_collection_did(
    database_url: str, inputs: Sequence[object], state: RunState, reason: Reason
) -> None:
    async with engine_room(database_url, inputs=inputs) as room:
        run_id = await sent(room)
        run = await followed(room, run_id)
        (collection,) = room.collections(run_id)

    assert (run.state, run.reason) == (state, reason)
    assert run.ended_at is not None
    assert collection.look_at is None
    assert collection.inputs == len(inputs)


async def test_what_its_deadline_cut_off_is_partial(database_url: str) -> None:
    async with engine_room(database_url, inputs=[GOOD] * 100) as room:
        run_id = await sent(room, deadline="10s")
        run = await followed(room, run_id)

    assert (run.state, run.reason) == (PARTIAL, Reason.DEADLINE_REACHED)


async def test_a_collection_is_asked_about_more_and_more_seldom(database_url: str) -> None:
    async with engine_room(database_url, inputs=[GOOD] * 7200) as room:
        run_id = await sent(room)
        await followed(room, run_id, minutes=240)
        looks = [one.at - NINE for one in room.received if one.path.startswith("/dca/log/")]

    pauses = [later - earlier for earlier, later in itertools.pairwise(looks)]
    assert pauses == sorted(pauses)
    assert (pauses[0], pauses[-2]) == (timedelta(seconds=10), timedelta(minutes=5))
    assert len(looks) < 70


async def test_a_cancel_by_hand_is_carried_out_and_named(database_url: str) -> None:
    async with engine_room(database_url, inputs=[GOOD] * 1000) as room:
        run_id = await sent(room)
        with room.db.writing() as conn:
            done = cancel_run(conn, run_id, by="a test", now=room.clock())
        run = await followed(room, run_id)

    assert not done.at_once
    assert (run.state, run.reason) == (CANCELLED, Reason.CANCELLED_BY_HAND)
    assert [one.path for one in room.received if one.path.endswith("/cancel")]


async def test_a_429_to_a_cancel_is_counted_and_nothing_else_is_asked(database_url: str) -> None:
    async with engine_room(database_url, inputs=[GOOD] * 1000) as room:
        run_id = await sent(room)
        room.arm(Fault(kind=FaultKind.THROTTLE, path="/dca/*", times=None))
        with room.db.writing() as conn:
            cancel_run(conn, run_id, by="a test", now=room.clock())
        await room.follow(after=10)
        with room.db.reading() as conn:
            counted = accounts.list_throttled(conn, "main", now=room.clock())
        room.sandbox.account.faults.disarm()
        run = await followed(room, run_id)

    assert len([one for one in room.received if one.status == 429]) == len(counted) == 1
    assert (run.state, run.reason) == (CANCELLED, Reason.CANCELLED_BY_HAND)


async def test_confirm_cancel_replaces_what_runs_and_what_waits(database_url: str) -> None:
    """One runs, one may be sent, one is held up; what comes then takes the places of two."""
    async with engine_room(database_url, inputs=[GOOD] * 1000) as room:
        running = await sent(room)
        room.define("queues", "held", paused_at=room.clock())
        waiting, held_up = room.ask(), room.ask(queue="held")
        room.clock.tick(1)
        replacing = await sent(room, confirm_cancel=True)
        run = await followed(room, running)
        ended = [room.run(one) for one in (running, waiting, held_up, replacing)]
        (replaced,) = room.collections(running)
        said = room.complaints()

    assert [(one.state, one.reason) for one in ended] == [
        (CANCELLED, Reason.REPLACED),
        (RunState.SKIPPED, Reason.SUPERSEDED),
        (RunState.QUEUED, Reason.REQUESTED),
        (COLLECTING, Reason.ACCEPTED),
    ]
    assert replaced.replaced_by == replacing
    assert str(replacing) in (run.detail or "")
    assert said == []


async def test_a_collection_that_the_upstream_forgot_is_gone(database_url: str) -> None:
    async with engine_room(database_url) as room:
        run_id = await sent(room)
        room.sandbox.account.book.jobs.clear()
        new = await followed(room, run_id, minutes=9)
        run = await followed(room, run_id, minutes=9)

    assert new.state is COLLECTING
    assert (run.state, run.reason) == (FAILED, Reason.COLLECTION_GONE)


async def test_a_collection_whose_end_is_never_seen_is_given_up_after_16_days(
    database_url: str,
) -> None:
    async with engine_room(database_url) as room:
        run_id = await sent(room)
        room.arm(Fault(kind=FaultKind.ERROR, path="/dca/log/*", times=None, when=When.BEFORE))
        await room.follow(after=60)
        early = room.run(run_id).state
        room.clock.tick(timedelta(days=16))
        await room.follow()

        run = room.run(run_id)

    assert early is COLLECTING
    assert (run.state, run.reason) == (FAILED, Reason.COLLECTION_GONE)


async def test_a_log_without_a_status_has_ended_when_it_tells_a_finish(database_url: str) -> None:
    async with engine_room(database_url, inputs=[GOOD] * 60) as room:
        room.arm(Fault(kind=FaultKind.NO_STATUS, times=None))
        run_id = await sent(room)
        early = await followed(room, run_id, minutes=1)
        run = await followed(room, run_id)

    assert early.state is COLLECTING
    assert (run.state, run.reason) == (SUCCEEDED, Reason.DONE)


async def test_nothing_is_asked_while_the_brake_is_closed(database_url: str) -> None:
    settings = SandboxSettings(build_time=timedelta(), time_per_input=timedelta(minutes=5))
    async with engine_room(database_url, settings) as room:
        room.shops(1)
        await sent(room)
        room.arm(Fault(kind=FaultKind.THROTTLE, path="/dca/trigger", retry_after=60))
        await sent(room, collector="shop1")
        before = len(room.received)
        await room.follow(after=30)
        closed = len(room.received)
        await room.follow(after=31)

    assert closed == before
    assert len(room.received) == before + 1


async def test_a_look_of_a_dead_daemon_is_done_again(database_url: str) -> None:
    async with engine_room(database_url) as room:
        run_id = await sent(room)
        room.execute(
            "UPDATE collections SET lease_owner = 'dead', lease_until = :until",
            until=room.clock() + timedelta(seconds=30),
        )
        await room.follow(after=20)
        held = room.run(run_id).state
        await room.follow(after=11)

        run = room.run(run_id)

    assert (held, run.state) == (COLLECTING, SUCCEEDED)


async def test_a_renamed_account_does_not_keep_its_collections_from_ending(
    database_url: str,
) -> None:
    async with engine_room(database_url) as room:
        run_id = await sent(room)
        step = room.follow_step()
        room.clock.tick(60)
        await step.run(room.clock())
        async with asyncio.timeout(20):
            await room.seen.get()
        room.execute("UPDATE accounts SET name = 'renamed' WHERE name = 'main'")
        await room.follow(step=step)

        run = room.run(run_id)

    assert (run.state, run.account) == (SUCCEEDED, "renamed")


async def test_drain_takes_no_more_looks_and_records_those_under_way(database_url: str) -> None:
    async with engine_room(database_url) as room:
        room.shops(1)
        looked_at = await sent(room)
        room.arm(Fault(kind=FaultKind.SLOW, path="/dca/log/*", seconds=0.2))
        step = room.follow_step()
        room.clock.tick(60)
        await step.run(room.clock())
        later = await sent(room, collector="shop1")
        room.clock.tick(60)
        await step.drain(timedelta(seconds=10))

        states = [room.run(run_id).state for run_id in (looked_at, later)]
        with room.db.reading() as conn:
            leased = conn.scalar(
                text("SELECT count(*) FROM collections WHERE lease_owner IS NOT NULL")
            )

    assert states == [SUCCEEDED, COLLECTING]
    assert leased == 0


async def test_a_run_that_is_accepted_while_its_replacement_is_written_is_cancelled(
    postgresql_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two connections, neither of which sees what the other writes."""
    async with engine_room(postgresql_url) as room:
        room.schedule("often", cron="* * * * *", overlap="replace")
        await room.fire()
        room.clock.tick(60)
        await room.fire()
        dispatch = room.dispatch_step()
        await dispatch.run(room.clock())
        await room.next_answer()
        room.clock.tick(60)
        listed = runs.list_unfinished

        def list_and_let_it_be_accepted(conn: Connection, names: Sequence[str]) -> object:
            found = listed(conn, names)
            if dispatch.in_flight:
                asyncio.run_coroutine_threadsafe(dispatch.run(room.clock()), loop).result(20)
            return found

        loop = asyncio.get_running_loop()
        monkeypatch.setattr(runs, "list_unfinished", list_and_let_it_be_accepted)
        await room.fire()
        accepted, replacing = room.runs()
        await dispatch.run(room.clock())
        (cancelled,) = room.collections(accepted.id)

    assert (replacing.waits_for, replacing.replaces) == (accepted.id, True)
    assert cancelled.cancel_requested_at == room.clock()


async def test_what_cannot_be_asked_now_is_asked_with_the_next_token(database_url: str) -> None:
    """Half of a second's requests are left to triggers; waiting longer, nothing would end."""
    async with engine_room(database_url) as room:
        room.execute("UPDATE accounts SET requests_per_second = 20")
        await sent(room)
        room.clock.tick(5)
        now = room.clock()
        room.execute("UPDATE brakes SET tokens = 10, refilled_at = :now", now=now)
        again_at = await room.follow_step().run(now)

    assert again_at == now + timedelta(seconds=1 / 20)
