"""What held a run up is told afterwards, and what holds it up now, in the same words."""

import os
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from scheduler.actions.pauses import pause_queue, resume_queue
from scheduler.config import SecretReference
from scheduler.config.secrets import SecretKind
from scheduler.daemon.config_state import ConfigState
from scheduler.daemon.housekeeping import Housekeeping
from scheduler.daemon.steady_clock import SteadyClock
from scheduler.daemon.systemd import Notifier
from scheduler.domain.holds import Hold
from scheduler.domain.records import RunState
from scheduler.domain.tally import Tally
from scheduler.sandbox import Fault, FaultKind
from scheduler.storage import accounts, daemons, definitions, holds, runs
from scheduler.tools.calendar.explain import explain_time
from scheduler.views.accounts import list_accounts
from scheduler.views.runs import show_run
from scheduler.views.waiting import why_held_up
from tests.engine.rig import NINE, Room, engine_room


def all_holds(room: Room) -> list[Hold]:
    with room.db.reading() as conn:
        return holds.list_holds(conn, since=NINE, until=NINE + timedelta(days=1))


def explained(room: Room, schedule: str) -> str:
    (run,) = room.runs()
    with room.db.reading() as conn:
        (answer,) = explain_time(conn, schedule, run.due_at, now=room.clock()).answers
    return answer.sentence


def waiting(room: Room, run_id: int) -> str | None:
    with room.db.reading() as conn:
        return why_held_up(conn, run_id, now=room.clock())


async def fired_hourly(room: Room, **columns: object) -> None:
    room.schedule("hourly", **columns)
    await room.fire()
    room.clock.tick(timedelta(hours=1))
    await room.fire()


async def test_a_late_start_says_which_pause_it_waited_for(database_url: str) -> None:
    async with engine_room(database_url) as room:
        await fired_hourly(room, queue="nightly")
        with room.db.writing() as conn:
            pause_queue(conn, "nightly", by="root", reason="budget", now=room.clock())
        await room.dispatch()
        waits = explained(room, "hourly")
        room.clock.tick(40)
        with room.db.writing() as conn:
            resume_queue(conn, "nightly", by="root", now=room.clock(), confirmed=True)
        await room.dispatch()
        room.clock.tick(60)
        late = explained(room, "hourly")
        with room.db.reading() as conn:
            shown = show_run(conn, 1, now=room.clock())

    why = (
        "queue nightly was paused by root from 2026-03-02 10:00:00Z to 2026-03-02 10:00:40Z: budget"
    )
    assert waits.endswith("; queue nightly is paused by root: budget")
    assert late.endswith(f"; it started 40s late: {why}")
    assert [held.why for held in shown.held_up] == [why]
    assert shown.why_waiting is None


async def test_what_a_429_held_up_is_told_with_the_brake(database_url: str) -> None:
    async with engine_room(database_url) as room:
        room.arm(Fault(kind=FaultKind.THROTTLE, retry_after=7, times=2))
        await fired_hourly(room)
        step = await room.dispatch()
        for _ in range(2):
            room.clock.tick(7)
            await room.dispatch(step)
        (hold,) = all_holds(room)
        late = explained(room, "hourly")

    assert hold.past == (
        "account main was braked from 2026-03-02 10:00:00Z to 2026-03-02 10:00:14Z:"
        " 2 answers of 429 in five minutes"
    )
    assert f"it started 14s late: {hold.past}; it was put back at" in late


async def test_what_waits_for_the_brake_says_so(database_url: str) -> None:
    async with engine_room(database_url) as room:
        room.arm(Fault(kind=FaultKind.THROTTLE, retry_after=7))
        room.ask()
        await room.dispatch()
        (other,) = room.shops(1)
        second = room.ask(other)

        assert waiting(room, second) == (
            "account main is braked: 1 answer of 429 in five minutes"
            " (pausing after 429 or a failed connection until 2026-03-02 09:00:07Z)"
        )


async def test_nothing_is_written_while_a_brake_stays_as_it_is(database_url: str) -> None:
    async with engine_room(database_url) as room:
        room.ask()
        await room.dispatch()

        assert all_holds(room) == []


async def test_what_cannot_be_reached_is_braked_for_that(database_url: str) -> None:
    async with engine_room(database_url) as room:
        room.change("accounts", "main", base_url="http://127.0.0.1:9")
        room.ask()
        await room.dispatch()
        (hold,) = all_holds(room)

    why = "nothing can be sent: cannot connect to 127.0.0.1:9: Connection refused"
    assert hold.present == f"account main is braked: {why}"


async def test_a_full_collector_is_why_a_run_waits(database_url: str) -> None:
    async with engine_room(database_url) as room:
        room.change("collectors", "shop", max_running=1)
        room.ask()
        await room.dispatch()
        second = room.ask()
        await room.dispatch()
        with room.db.reading() as conn:
            full = runs.list_full(conn, now=room.clock())

        assert room.run(second).state is RunState.QUEUED
        assert waiting(room, second) == "collector shop is full: 1 of it run, 1 may"
        assert full == {("main", "c_shop"): "1 of it run, 1 may"}


async def test_a_heartbeat_keeps_since_when_a_collector_is_full(database_url: str) -> None:
    async with engine_room(database_url) as room:
        room.change("collectors", "shop", max_running=1)
        room.ask()
        await room.dispatch()
        room.ask()
        chores = await housekeeping(room)
        await chores.heartbeat()
        await chores.heartbeat()
        (full,) = holds_until(room, chores.clock())
        room.change("collectors", "shop", max_running=2)
        await chores.heartbeat()
        (ended,) = holds_until(room, chores.clock())

    assert (full.scope, full.until) == ("full:main:c_shop", None)
    assert full.present == "collector c_shop is full: 1 of it run, 1 may"
    assert ended.until is not None


async def test_a_heartbeat_lifts_pauses_that_have_come_to_their_end(database_url: str) -> None:
    async with engine_room(database_url) as room:
        until = NINE + timedelta(minutes=1)
        with room.db.writing() as conn:
            definitions.set_queue_paused(conn, "q", paused_at=NINE, by="a", reason="", until=until)
            accounts.set_paused(conn, "main", by="a", reason="", now=NINE, until=until)
        await (await housekeeping(room)).heartbeat()

        with room.db.reading() as conn:
            assert definitions.list_queues(conn)["q"].paused_at is None
            assert accounts.list_paused(conn) == {}


@pytest.mark.parametrize("kind", ["unset", "missing", "pipe"])
async def test_a_token_that_is_not_there_is_told_before_anything_is_sent(
    database_url: str, tmp_path: Path, kind: str
) -> None:
    token = SecretReference(SecretKind.FILE, str(tmp_path / "token"))
    if kind == "pipe":
        os.mkfifo(tmp_path / "token")
    if kind == "unset":
        token = SecretReference(SecretKind.ENV, "TOKEN")
    async with engine_room(database_url) as room:
        with room.db.writing() as conn:
            daemons.insert_daemon(
                conn, "d1", host="one", pid=1, now=room.clock.now, version="1", zone_data="x"
            )
        room.upstreams.read_secret = lambda _: token.read({})
        await (await housekeeping(room)).heartbeat()

        with room.db.reading() as conn:
            (account,) = list_accounts(conn, now=room.clock.now)

    told = {"unset": "is not set", "missing": "no such file", "pipe": "is no regular file"}
    assert (account.error or "").startswith(f"the token cannot be read: {token}: ")
    assert told[kind] in (account.error or "")


async def housekeeping(room: Room) -> Housekeeping:
    clock = await SteadyClock.measured(room.db)
    return Housekeeping(
        db=room.db,
        clock=clock,
        owner="d1",
        loops=(),
        notifier=Notifier(None),
        witness=no_upstream,
        config=ConfigState(clock()),
        tally=Tally(),
        http_error=lambda: None,
        why_unusable=room.upstreams.why_unusable,
    )


def holds_until(room: Room, until: datetime) -> list[Hold]:
    with room.db.reading() as conn:
        return holds.list_holds(conn, since=NINE, until=until)


async def no_upstream() -> datetime | None:
    return None


async def test_a_collector_with_nothing_to_send_is_not_full(database_url: str) -> None:
    async with engine_room(database_url) as room:
        room.change("collectors", "shop", max_running=1)
        room.ask()
        await room.dispatch()
        with room.db.reading() as conn:
            assert runs.list_full(conn, now=room.clock()) == {}


async def test_an_account_without_a_free_slot_is_why_a_run_waits(database_url: str) -> None:
    async with engine_room(database_url) as room:
        room.change("accounts", "main", requests_per_second=0.1)
        first = room.ask()
        await room.dispatch()
        (other,) = room.shops(1)
        second = room.ask(other)

        assert room.run(first).state is RunState.COLLECTING
        assert waiting(room, second) == (
            "account main sends no more (requests per second until 2026-03-02 09:00:10Z)"
        )


@pytest.mark.parametrize(("most", "names_it"), [(1, True), (2, False)])
async def test_only_a_run_that_blocks_is_named_as_going_first(
    database_url: str, most: int, *, names_it: bool
) -> None:
    async with engine_room(database_url) as room:
        room.change("collectors", "shop", max_unresolved=most)
        room.arm(Fault(kind=FaultKind.LOST, times=1))
        first = room.ask()
        await room.dispatch()
        second = room.ask()
        with room.db.reading() as conn:
            ahead = runs.find_ahead(conn, room.run(second))

        assert room.run(first).state is RunState.UNCONFIRMED
        assert (ahead is not None and ahead.id == first) is names_it


@pytest.mark.parametrize(("queue", "names_it"), [("nightly", True), (None, False)])
async def test_only_a_run_of_the_same_order_is_named_as_having_gone_first(
    database_url: str, queue: str | None, *, names_it: bool
) -> None:
    async with engine_room(database_url) as room:
        first = room.ask(queue=queue)
        second = room.ask(queue=queue)
        room.clock.tick(5)
        step = await room.dispatch()
        room.clock.tick(5)
        await room.dispatch(step)
        with room.db.reading() as conn:
            shown = show_run(conn, second, now=room.clock())

    why = f"it was the turn of run {first} until 2026-03-02 09:00:05Z"
    assert [held.why for held in shown.held_up] == ([why] if names_it else [])
