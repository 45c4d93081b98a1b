"""DispatchStep in trouble: the database away, commits nobody confirmed, cancelled in the middle."""

import asyncio
from contextlib import suppress
from datetime import timedelta
from typing import Any, NoReturn

import pytest
import structlog

from scheduler.domain.errors import DatabaseError
from scheduler.domain.records import Outcome, RunState
from scheduler.engine.dispatch import DispatchStep
from scheduler.sandbox import Fault, FaultKind, When
from tests.engine.rig import LEASE, Room, engine_room
from tests.engine.troubled import (
    Really,
    after_the_commit,
    before_the_commit,
    troubled_room,
)

COLLECTING, DISPATCHING, QUEUED = RunState.COLLECTING, RunState.DISPATCHING, RunState.QUEUED


async def fails(step: DispatchStep, room: Room) -> None:
    """Let a pass fail as the loop would see it."""
    with pytest.raises(DatabaseError):
        await step.run(room.clock())


async def test_claims_whose_commit_failed_were_never_made(database_url: str) -> None:
    async with troubled_room(database_url) as (room, troubles):
        run_id = room.ask()
        step = room.dispatch_step()
        troubles.append(before_the_commit)
        await fails(step, room)
        untouched = room.run(run_id)
        await room.dispatch(step)

        run = room.run(run_id)

    assert (untouched.state, untouched.fence) == (QUEUED, 0)
    assert (run.state, run.fence, len(room.triggers)) == (COLLECTING, 1, 1)


async def test_claims_whose_commit_was_not_confirmed_are_released_and_sent_once(
    database_url: str,
) -> None:
    async with troubled_room(database_url) as (room, troubles):
        run_id = room.ask()
        step = room.dispatch_step()
        troubles.append(after_the_commit)
        await fails(step, room)
        left_behind = room.run(run_id)
        await room.dispatch(step)

        run, attempts = room.run(run_id), room.attempts(run_id)
        said = room.complaints()

    assert left_behind.state is DISPATCHING
    assert (run.state, run.attempt_count, run.fence) == (COLLECTING, 1, 2)
    assert [one.outcome for one in attempts] == [Outcome.DEFERRED, Outcome.ACCEPTED]
    assert len(room.triggers) == 1
    assert said == []


async def test_answers_wait_until_the_database_is_back(database_url: str) -> None:
    async with troubled_room(database_url) as (room, troubles):
        run_id = room.ask()
        step = room.dispatch_step()
        await step.run(room.clock())
        await room.next_answer()
        troubles += [before_the_commit, after_the_commit, before_the_commit]
        for _ in range(3):
            room.clock.tick(LEASE)
            await fails(step, room)
        kept = step.in_flight
        await room.dispatch(step)

        run, said = room.run(run_id), room.complaints()

    assert kept == 1
    assert (run.state, run.collection_id) == (COLLECTING, room.jobs[0])
    assert len(room.triggers) == 1
    assert said == []


async def test_an_answer_that_comes_while_claims_are_read_back_is_not_an_unsent_claim(
    database_url: str,
) -> None:
    """What was sent before the trouble is answered during the very transaction that cleans up."""

    async def until_the_answer_is_there(really: Really) -> Any:
        await room.next_answer()
        return await really()

    async with troubled_room(database_url) as (room, troubles):
        room.shops(1)
        room.arm(Fault(kind=FaultKind.SLOW, seconds=0.3))
        sent = room.ask(name="sent before")
        step = room.dispatch_step()
        await step.run(room.clock())
        claimed = room.ask("shop1", name="claimed and not confirmed")
        troubles += [after_the_commit, until_the_answer_is_there]
        await fails(step, room)
        await room.dispatch(step)

        ends = [room.run(run_id).state for run_id in (sent, claimed)]
        said = room.complaints()

    assert said == []
    assert ends == [COLLECTING, COLLECTING]
    assert len(room.triggers) == 2


async def test_a_run_claimed_anew_is_apart_from_its_old_request_that_is_still_under_way(
    sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So it is when a daemon wakes up that was stopped: the old request ends a moment later."""
    old, new = asyncio.Event(), asyncio.Event()

    async def until_told(fault: Fault) -> None:
        await (old if fault.when is When.BEFORE else new).wait()

    monkeypatch.setattr("scheduler.sandbox.faults.delay", until_told)
    async with engine_room(sqlite_url) as room:
        room.arm(Fault(kind=FaultKind.HANG, when=When.BEFORE))
        room.arm(Fault(kind=FaultKind.HANG, when=When.AFTER))
        run_id = room.ask()
        step = room.dispatch_step()
        await step.run(room.clock())
        room.clock.tick(LEASE + timedelta(seconds=1))
        await room.reconcile_step(owner="d2").run(room.clock())
        await room.lookup_to_the_end()
        room.clock.tick(timedelta(minutes=30))
        await step.run(room.clock())
        both = step.in_flight
        old.set()
        await room.next_answer()
        await step.run(room.clock())
        new_one = step.in_flight
        new.set()
        await room.next_answer()
        await step.run(room.clock())

        run, said = room.run(run_id), room.complaints()

    assert (both, new_one) == (2, 1)
    assert (run.state, run.fence) == (COLLECTING, 2)
    assert said == []


async def test_a_renamed_account_does_not_keep_its_answers_from_being_recorded(
    database_url: str,
) -> None:
    async with engine_room(database_url) as room:
        run_id = room.ask()
        step = room.dispatch_step()
        await step.run(room.clock())
        await room.next_answer()
        room.execute("UPDATE accounts SET name = 'renamed' WHERE name = 'main'")
        await room.dispatch(step)

        run, (collection,) = room.run(run_id), room.collections(run_id)

    assert (run.state, run.account) == (COLLECTING, "renamed")
    assert collection.account == "renamed"


async def test_a_log_that_cannot_be_written_keeps_no_claim_from_being_sent(
    sqlite_url: str,
) -> None:
    """A full disk fails the log as well: what is claimed leaves, and its answer is recorded."""

    def full(*_: object) -> NoReturn:
        raise OSError("No space left on device")

    async with engine_room(sqlite_url) as room:
        run_id = room.ask()
        step = room.dispatch_step()
        structlog.configure(processors=[full])
        try:
            for _ in range(2):
                with suppress(OSError):
                    await step.run(room.clock())
                if step.in_flight:
                    await room.next_answer()
        finally:
            structlog.reset_defaults()

        run, said = room.run(run_id), room.complaints()

    assert (run.state, run.fence) == (COLLECTING, 1)
    assert said == []


def spoil(room: Room, run_id: int) -> None:
    """Let the answer of one run be refused by the database, whatever it is."""
    condition = f"NEW.run_id = {run_id} AND NEW.outcome <> 'sending'"
    with room.db.writing() as conn:
        if room.db.file is not None:
            conn.exec_driver_sql(
                f"CREATE TRIGGER spoilt BEFORE UPDATE ON attempts WHEN {condition}"
                " BEGIN SELECT RAISE(ABORT, 'spoilt'); END"
            )
            return
        conn.exec_driver_sql(
            "CREATE FUNCTION spoil() RETURNS trigger LANGUAGE plpgsql AS"
            " $$BEGIN RAISE EXCEPTION 'spoilt'; END$$"
        )
        conn.exec_driver_sql(
            f"CREATE TRIGGER spoilt BEFORE UPDATE ON attempts FOR EACH ROW WHEN ({condition})"
            " EXECUTE FUNCTION spoil()"
        )


async def answered(room: Room, step: DispatchStep, runs: int) -> list[int]:
    """Send runs of as many collectors, and have all answers waiting to be recorded."""
    names = [f"c_{number}" for number in range(runs)]
    for name in names:
        room.execute(
            "INSERT INTO collectors (name, account, collector_id) VALUES (:name, 'main', :name)",
            name=name,
        )
    run_ids = [room.ask(name) for name in names]
    await step.run(room.clock())
    await asyncio.wait(list(step._flight.sending.values()), timeout=60)
    return run_ids


async def test_an_answer_that_cannot_be_stored_stops_no_other(database_url: str) -> None:
    async with engine_room(database_url) as room:
        step = room.dispatch_step()
        good, bad, other = await answered(room, step, 3)
        spoil(room, bad)
        with structlog.testing.capture_logs() as said, pytest.raises(Exception, match="spoilt"):
            await step.run(room.clock())
        states = [room.run(run_id).state for run_id in (good, bad, other)]

    assert states == [COLLECTING, DISPATCHING, COLLECTING]
    (told,) = [line for line in said if line["event"] == "answer_not_recorded"]
    assert told["run_id"] == bad
    assert any(job in told["reply"] for job in room.jobs)


async def test_a_stop_tells_the_ids_that_it_could_not_store(database_url: str) -> None:
    async with engine_room(database_url) as room:
        step = room.dispatch_step()
        (bad,) = await answered(room, step, 1)
        spoil(room, bad)
        with structlog.testing.capture_logs() as said:
            await step.drain(timedelta(seconds=1))

    (told,) = [line for line in said if line["event"] == "answer_not_recorded"]
    assert room.jobs[0] in told["reply"]
