"""Slots always come back: from cancelled callers, from closing, from every fault at once."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from scheduler.clock import boot_seconds
from scheduler.domain.answers import Unanswered
from scheduler.domain.reply import Accepted, Deferral, Deferred, Lost, TriggerReply
from scheduler.domain.request import TriggerRequest
from scheduler.sandbox import Fault, FaultKind, Sandbox
from scheduler.upstream import Dca
from tests.upstream.rig import (
    Wire,
    answering,
    assert_not_sent,
    client,
    http,
    playing,
    trigger,
    turns,
)

Play = Callable[[Wire], Awaitable[None]]


async def hesitate(wire: Wire) -> None:
    """Answer in small steps, so that a cancel can fall between any two of them."""
    while True:
        await wire.request()
        answer = http()
        for start in range(0, len(answer), 40):
            await wire.say(answer[start : start + 40])
            await turns(2)


@pytest.mark.parametrize("step", range(40))
async def test_a_caller_cancelled_at_any_step_is_answered_and_leaves_no_slot(
    step: int,
) -> None:
    async with playing(hesitate) as server, client(server.url, connections=1) as dca:
        cancelled = asyncio.create_task(trigger(dca))
        await turns(step)
        cancelled.cancel()
        await asyncio.wait({cancelled})
        replies = [await trigger(dca) for _ in range(3)]

    assert [type(reply) for reply in replies] == [Accepted] * 3
    reply = None if cancelled.cancelled() else cancelled.result()
    assert (reply is None) == (step == 0)
    if not isinstance(reply, Accepted | Lost):  # it provably never left
        assert server.heads == 3


async def test_hundreds_of_cancelled_callers_leave_no_slot_behind() -> None:
    async with playing(hesitate) as server, client(server.url, connections=4) as dca:
        callers = [asyncio.create_task(trigger(dca)) for _ in range(200)]
        await turns(10)
        for caller in callers:
            caller.cancel()
        await asyncio.wait(callers)
        replies = await asyncio.gather(*(trigger(dca) for _ in range(8)))

    assert [type(reply) for reply in replies] == [Accepted] * 8
    assert server.connections <= 4 + 4  # those of the callers were closed


async def test_no_more_connections_are_open_than_allowed() -> None:
    async with playing(hesitate) as server, client(server.url, connections=3) as dca:
        await asyncio.gather(*(trigger(dca) for _ in range(30)))

    assert server.connections == 3


async def test_closing_ends_what_is_under_way_and_still_tells_what_became_of_it() -> None:
    asked = asyncio.Event()

    async def play(wire: Wire) -> None:
        await wire.request()
        asked.set()
        await wire.hang()

    async with playing(play) as server, client(server.url, connections=1) as dca:
        sent = asyncio.create_task(trigger(dca))
        waiting = asyncio.create_task(trigger(dca))
        question = asyncio.create_task(dca.get_log("j_1"))
        await asked.wait()
        await dca.close()

        assert await sent == Lost(detail="the client was closed")
        not_sent = Deferred(deferral=Deferral.NOT_SENT, detail="the client was closed")
        assert await waiting == not_sent
        assert await question == Unanswered(detail="the client was closed")
    assert len(server.requests) == 1


async def test_what_a_caller_goes_on_with_while_the_client_closes_does_not_leave() -> None:
    asked = asyncio.Event()

    async def play(wire: Wire) -> None:
        await wire.request()
        asked.set()
        await wire.hang()

    async with playing(play) as server, client(server.url) as dca:

        async def one_after_another() -> list[TriggerReply]:
            return [await trigger(dca) for _ in range(2)]

        replies = asyncio.create_task(one_after_another())
        await asked.wait()
        await dca.close()
        first, second = await replies

    assert first == Lost(detail="the client was closed")
    assert_not_sent(second, "the client is closed")
    assert len(server.requests) == 1


async def test_a_closed_client_sends_nothing() -> None:
    async with playing(answering(http(), http())) as server, client(server.url) as dca:
        await trigger(dca)
        await dca.close()
        reply = await trigger(dca)

    assert isinstance(reply, Deferred)
    assert reply.deferral is Deferral.NOT_SENT
    assert len(server.requests) == 1


async def test_many_at_once_under_random_faults_agree_with_the_sandboxs_log() -> None:
    """Accepted and created are the same, apart from what is Lost; Deferred never created."""
    kinds = (FaultKind.LOST, FaultKind.RESET, FaultKind.HALF, FaultKind.THROTTLE, FaultKind.ERROR)
    sandbox = Sandbox()
    sandbox.arm(
        *(
            Fault(kind=kind, times=None, probability=0.1, seed=seed)
            for seed, kind in enumerate(kinds)
        )
    )
    async with sandbox.serving() as url, client(url, connections=16) as dca:
        replies = await asyncio.gather(*(send(dca, number) for number in range(300)))

    created = {job.order.name: job.id for job in sandbox.account.book.jobs.values()}
    accepted = {name: reply.collection_id for name, reply in replies if isinstance(reply, Accepted)}
    lost = {name for name, reply in replies if isinstance(reply, Lost)}
    deferred = {name for name, reply in replies if isinstance(reply, Deferred)}
    assert accepted.items() <= created.items()
    assert created.keys() <= accepted.keys() | lost
    assert not created.keys() & deferred
    assert min(len(accepted), len(lost), len(deferred)) > 10
    # Each was received once at most: nothing repeats a request by itself.
    assert sandbox.account.journal.received == 300


async def send(dca: Dca, number: int) -> tuple[str, object]:
    name = f"n{number}"
    params = (("collector", f"c_{number}"), ("name", name))
    request = TriggerRequest(params, "application/json", b'[{"url": "a"}]')
    return name, await dca.trigger(request, send_before=boot_seconds() + 60)
