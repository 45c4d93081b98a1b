"""DispatchStep and order: who goes first, who waits for whom, and who may pass."""

from datetime import timedelta

import pytest

from scheduler.actions.runs import abandon_run, resend_run
from scheduler.domain.records import RunState
from scheduler.engine.dispatch import DispatchStep
from scheduler.sandbox import Fault, FaultKind, When
from scheduler.storage import accounts, definitions
from tests.engine.rig import NINE, Room, engine_room

NEVER_ARRIVED = Fault(kind=FaultKind.LOST, when=When.BEFORE)
ACCEPTED_AND_LOST = Fault(kind=FaultKind.LOST, when=When.AFTER)


def accepted(room: Room) -> list[str | None]:
    """Return the names of all accepted triggers, in their order."""
    return [job.order.name for job in room.sandbox.account.book.jobs.values()]


async def work(room: Room, step: DispatchStep, *, minutes: int) -> None:
    """Send, lookup and send again for so long."""
    lookups = room.reconcile_step()
    for _ in range(minutes * 6):
        await room.dispatch(step)
        await lookups.run(room.clock())
        room.clock.tick(10)


async def test_a_named_queue_keeps_its_order_under_retries_and_lost_answers(
    database_url: str,
) -> None:
    async with engine_room(database_url) as room:
        # It is the queue that keeps the order, not the limit of the collector.
        room.change("collectors", "shop", max_unresolved=10, backoff_initial="1s")
        room.arm(
            Fault(kind=FaultKind.JOB_LIMIT),
            Fault(kind=FaultKind.THROTTLE, retry_after=3),
            Fault(kind=FaultKind.LOST, when=When.BEFORE, skip=1),
            Fault(kind=FaultKind.LOST, when=When.AFTER, skip=1),
            Fault(kind=FaultKind.ERROR, when=When.BEFORE, skip=2),
        )
        names = [f"run {number}" for number in range(8)]
        for name in names:
            room.ask(queue="q", name=name)
        await work(room, room.dispatch_step(), minutes=15)

        order, said = accepted(room), room.complaints()

    assert order == names
    assert said == []


@pytest.mark.parametrize(
    ("rules", "while_the_head_waits"),
    [("strict", []), ("relaxed", ["second", "third"])],
)
async def test_a_relaxed_queue_lets_others_pass_and_a_strict_one_does_not(
    database_url: str, rules: str, while_the_head_waits: list[str]
) -> None:
    async with engine_room(database_url) as room:
        room.change("collectors", "shop", max_unresolved=10)
        room.define("queues", "q", queue_order=rules)
        room.arm(NEVER_ARRIVED)
        for name in ("head", "second", "third"):
            room.ask(queue="q", name=name)
        await room.dispatch()

        order = accepted(room)

    assert order == while_the_head_waits


async def test_a_head_that_needs_a_person_blocks_its_queue_until_it_is_settled(
    database_url: str,
) -> None:
    async with engine_room(database_url) as room:
        room.change("collectors", "shop", on_unconfirmed="hold")
        room.arm(NEVER_ARRIVED)
        head = room.ask(queue="q", name="head")
        room.ask(queue="q", name="second")
        room.ask(queue="other", name="beside it")
        step = await room.dispatch()
        await room.lookup_to_the_end()
        await room.dispatch(step)
        blocked = accepted(room)
        with room.db.writing() as conn:
            resend_run(conn, head, by="a test", now=room.clock())
        await room.dispatch(step)

        order = accepted(room)

    assert blocked == ["beside it"]
    assert order == ["beside it", "head", "second"]


async def test_an_abandoned_head_lets_the_next_go(database_url: str) -> None:
    async with engine_room(database_url) as room:
        room.arm(ACCEPTED_AND_LOST)
        head = room.ask(queue="q", name="head")
        room.ask(queue="q", name="second")
        step = await room.dispatch()
        with room.db.writing() as conn:
            abandon_run(conn, head, by="a test", now=room.clock())
        await room.dispatch(step)

        state, order = room.run(head).state, accepted(room)

    assert state is RunState.FAILED
    assert order == ["head", "second"]


async def test_a_refused_head_lets_the_next_go(database_url: str) -> None:
    async with engine_room(database_url) as room:
        room.arm(Fault(kind=FaultKind.ERROR, when=When.BEFORE, status=400))
        room.ask(queue="q", name="head")
        room.ask(queue="q", name="second")
        await room.dispatch()

        order = accepted(room)

    assert order == ["second"]


async def test_higher_priorities_go_first_within_a_queue(database_url: str) -> None:
    async with engine_room(database_url) as room:
        for name, priority in (("low", -1), ("usual", 0), ("high", 5), ("high, later", 5)):
            room.ask(queue="q", name=name, priority=priority)
            room.clock.tick(1)
        await room.dispatch()

        order = accepted(room)

    assert order == ["high", "high, later", "usual", "low"]


async def test_a_paused_queue_sends_nothing_and_others_go_on(database_url: str) -> None:
    async with engine_room(database_url) as room:
        room.ask(queue="q", name="paused")
        room.ask(queue="other", name="other")
        with room.db.writing() as conn:
            definitions.set_queue_paused(conn, "q", paused_at=NINE, by="me", reason="because")
        step = await room.dispatch()
        while_paused = accepted(room)
        with room.db.writing() as conn:
            definitions.set_queue_paused(conn, "q", paused_at=None, by=None, reason=None)
        await room.dispatch(step)

        order = accepted(room)

    assert while_paused == ["other"]
    assert order == ["other", "paused"]


async def test_a_queues_pause_ends_by_itself(database_url: str) -> None:
    async with engine_room(database_url) as room:
        room.ask(queue="q", name="paused")
        end = room.clock() + timedelta(minutes=5)
        with room.db.writing() as conn:
            definitions.set_queue_paused(
                conn, "q", paused_at=NINE, by="me", reason="because", until=end
            )
        step = await room.dispatch()
        while_paused = accepted(room)
        room.clock.tick(timedelta(minutes=5))
        await room.dispatch(step)

        assert while_paused == []
        assert accepted(room) == ["paused"]


async def test_an_accounts_pause_ends_by_itself(database_url: str) -> None:
    async with engine_room(database_url) as room:
        room.ask(name="paused")
        end = room.clock() + timedelta(minutes=5)
        with room.db.writing() as conn:
            accounts.set_paused(conn, "main", by="me", reason="because", now=NINE, until=end)
        step = await room.dispatch()
        while_paused = accepted(room)
        room.clock.tick(timedelta(minutes=5))
        await room.dispatch(step)

        assert while_paused == []
        assert accepted(room) == ["paused"]


async def test_the_default_queue_keeps_each_schedules_order_and_no_other(
    database_url: str,
) -> None:
    async with engine_room(database_url) as room:
        room.change("collectors", "shop", max_unresolved=10)
        for name in ("a", "b"):
            room.schedule(
                name, trigger_name="{schedule} {due_at:%H}", catch_up="all", misfire_grace="1d"
            )
        await room.fire()
        room.clock.tick(timedelta(hours=2))
        await room.fire()
        room.arm(NEVER_ARRIVED)
        await room.dispatch()

        order = accepted(room)

    assert order == ["b 10", "b 11"]
