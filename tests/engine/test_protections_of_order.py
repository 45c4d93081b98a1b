"""
More protections of docs/promise.md taken out: order, the count of 429, and what is kept in memory.

Every test here is a pair, as in test_protections.py.
"""

from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any

import pytest

from scheduler.domain.brake import CEILING, WINDOW
from scheduler.domain.errors import DatabaseError
from scheduler.domain.records import Reason, RunState
from scheduler.engine.dispatch import DispatchStep
from scheduler.sandbox import Fault, FaultKind, SandboxSettings, When
from tests.engine.rig import Room, engine_room
from tests.engine.troubled import TroubledDatabase, after_the_commit, before_the_commit

BOTH = pytest.mark.parametrize("protected", [True, False], ids=["protected", "unprotected"])


class DropsAnswers(DispatchStep):
    """Forgets the answers that it could not record, as an exception handler soon does."""

    async def run(self, now: datetime) -> datetime | None:
        try:
            return await DispatchStep.run(self, now)
        except DatabaseError:
            self._flight.answers.clear()
            raise


@BOTH
async def test_answers_are_kept_while_the_database_is_away(
    database_url: str, protected: bool
) -> None:
    async with engine_room(database_url, database=TroubledDatabase) as room:
        assert isinstance(room.db, TroubledDatabase)
        room.ask()
        step = room.dispatcher(DispatchStep if protected else DropsAnswers)
        await step.run(room.clock())
        await room.next_answer()
        room.db.troubles.append(before_the_commit)
        with suppress(DatabaseError):
            await step.run(room.clock())
        await step.run(room.clock())

        said = room.complaints()

    assert (f"accepted and not stored: {room.jobs[0]}" in said) == (not protected)
    assert (said == []) == protected


@BOTH
async def test_the_head_of_a_queue_is_not_passed_while_it_is_unresolved(
    database_url: str, protected: bool
) -> None:
    async with engine_room(database_url) as room:
        # Without that, one unresolved run of the collector alone would hold the others.
        room.change("collectors", "shop", max_unresolved=5)
        room.arm(Fault(kind=FaultKind.LOST, when=When.BEFORE))
        for number in range(3):
            room.ask(queue="q", name=f"run {number}")
        if not protected:
            room.execute("UPDATE runs SET order_key = NULL")
        step = room.dispatch_step()
        for _ in range(3):
            await room.dispatch(step)
            await room.lookup_to_the_end()
            room.clock.tick(timedelta(minutes=2))

        order = [job.order.name for job in room.sandbox.account.book.jobs.values()]

    assert (order == ["run 0", "run 1", "run 2"]) == protected
    assert sorted(str(name) for name in order) == ["run 0", "run 1", "run 2"]


async def ask_for(
    room: Room, steps: Sequence[Callable[[], Awaitable[Any]]], time: timedelta
) -> int:
    """Let all steps work for *time*; return the most 429s in any five minutes."""
    until = room.clock() + time
    while room.clock() < until:
        for step in steps:
            await step()
        room.clock.tick(5)
    at = [one.at for one in room.received if one.status == 429]
    return max(sum(start <= one < start + WINDOW for one in at) for start in at)


@BOTH
async def test_the_429s_of_five_minutes_are_counted(sqlite_url: str, protected: bool) -> None:
    """Triggers, lookups and polls of two daemons, against an upstream that throttles everything."""
    settings = SandboxSettings(block_rule=False)
    async with engine_room(sqlite_url, settings) as room:
        for name in room.shops(12):
            room.ask(name)
        room.ask()
        await room.dispatch()
        room.arm(Fault(kind=FaultKind.THROTTLE, path="/dca/*", times=None, retry_after=1))
        for name in ("shop1", "shop2", "shop3"):
            room.ask(name)
        daemons = [room.dispatch_step(owner=f"d{number}") for number in range(2)]
        follower = room.follow_step()

        async def forget() -> None:
            if not protected:
                room.execute("DELETE FROM throttles")

        most = await ask_for(
            room,
            [
                forget,
                *(lambda step=step: room.dispatch(step) for step in daemons),
                lambda: room.follow(step=follower),
            ],
            timedelta(minutes=12),
        )

    assert (most < 10) == protected
    assert most >= CEILING


class TrustsItsCommits(DispatchStep):
    """Does not look for the claims of a commit that nobody confirmed."""

    async def run(self, now: datetime) -> datetime | None:
        self._unsure = False
        return await DispatchStep.run(self, now)


@BOTH
async def test_claims_of_an_unconfirmed_commit_are_read_back(
    database_url: str, protected: bool
) -> None:
    async with engine_room(database_url, database=TroubledDatabase) as room:
        assert isinstance(room.db, TroubledDatabase)
        run_id = room.ask()
        step = room.dispatcher(DispatchStep if protected else TrustsItsCommits)
        room.db.troubles.append(after_the_commit)
        with suppress(DatabaseError):
            await step.run(room.clock())
        await room.dispatch(step)

        run = room.run(run_id)

    assert (run.reason is Reason.ACCEPTED) == protected
    assert (run.state is RunState.DISPATCHING) == (not protected)
