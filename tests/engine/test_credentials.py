"""CredentialsStep: an account that was paused for its token sends again with another one."""

from collections.abc import Awaitable, Callable

import pytest
from structlog.testing import capture_logs

from scheduler.domain.records import Reason, RunState
from scheduler.engine.credentials import CredentialsStep
from scheduler.sandbox import SandboxSettings
from scheduler.storage import accounts, audit
from tests.engine.rig import Room, engine_room

ONLY_NEW = SandboxSettings(tokens=frozenset({"new"}))


def credentials_step(room: Room, woken: list[str]) -> CredentialsStep:
    return CredentialsStep(
        db=room.db, upstreams=room.upstreams, wake_dispatch=lambda: woken.append("dispatch")
    )


async def test_a_new_token_lifts_the_pause_without_a_restart(database_url: str) -> None:
    woken: list[str] = []
    async with engine_room(database_url, ONLY_NEW) as room:
        refused = room.ask()
        dispatch = await room.dispatch()
        waiting = room.ask()
        step = credentials_step(room, woken)
        await step.run(room.clock())
        await room.dispatch(dispatch)
        still_paused, asked_once = room.brake().paused_at, len(room.triggers)
        room.token[0] = "new"
        await step.run(room.clock())
        await room.dispatch(dispatch)

        ends = [(run.state, run.reason) for run in (room.run(refused), room.run(waiting))]
        with room.db.reading() as conn:
            (change,) = [one for one in audit.list_changes(conn, limit=9) if one.action == "resume"]

    assert (change.by, change.subject) == (audit.DAEMON, "accounts.main")
    assert still_paused is not None
    assert asked_once == 1
    assert woken == ["dispatch"]
    assert ends == [
        (RunState.FAILED, Reason.BAD_CREDENTIALS),
        (RunState.COLLECTING, Reason.ACCEPTED),
    ]


async def test_a_person_can_lift_the_pause_with_the_same_token(database_url: str) -> None:
    async with engine_room(database_url, ONLY_NEW) as room:
        room.ask()
        dispatch = await room.dispatch()
        waiting = room.ask()
        with room.db.writing() as conn:
            accounts.set_resumed(conn, "main")
        await room.dispatch(dispatch)

        run = room.run(waiting)

    assert (run.state, run.reason) == (RunState.FAILED, Reason.BAD_CREDENTIALS)
    assert len(room.triggers) == 2


async def test_a_persons_own_pause_is_not_lifted_by_a_token(database_url: str) -> None:
    woken: list[str] = []
    async with engine_room(database_url) as room:
        with room.db.writing() as conn:
            accounts.set_paused(conn, "main", by="ann", reason="holidays", now=room.clock())
        room.token[0] = "another"
        await credentials_step(room, woken).run(room.clock())

        brake = room.brake()

    assert brake.paused_reason == "holidays"
    assert woken == []


async def trigger_several(room: Room) -> None:
    for shop in room.shops(3):
        room.ask(shop)
    await room.dispatch()


async def follow(room: Room) -> None:
    await room.follow(after=10)


async def lookup(room: Room) -> None:
    for move in (
        "state = 'needs_attention', collection_id = NULL, next_lookup_at = :now",
        "state = 'queued', next_lookup_at = :now",
        "state = 'dispatching', lease_owner = 'd1', lease_until = :now",
        "state = 'unconfirmed', next_lookup_at = :now, lease_owner = NULL, lease_until = NULL",
    ):
        room.execute(f"UPDATE runs SET reason = 'answer_lost', {move}", now=room.clock())
    await room.lookup()


@pytest.mark.parametrize("ask", [trigger_several, follow, lookup])
async def test_a_pause_for_a_token_is_told_once(
    database_url: str, ask: Callable[[Room], Awaitable[None]]
) -> None:
    async with engine_room(database_url, ONLY_NEW) as room:
        room.token[0] = "new"
        room.ask()
        await room.dispatch()
        room.token[0] = "a1b2c3"
        with capture_logs() as lines:
            await ask(room)
        reason = room.brake().paused_reason
        with room.db.reading() as conn:
            (change,) = [one for one in audit.list_changes(conn, limit=9) if one.action == "pause"]

    told = [line for line in lines if line["event"] == "account_paused"]
    assert told == [
        {"event": "account_paused", "log_level": "error", "account": "main", "reason": reason}
    ]
    assert (change.by, change.subject) == (audit.DAEMON, "accounts.main")
    assert change.columns() == {"paused_reason": [None, reason]}
    assert "a1b2c3" not in str(lines)
