"""DispatchStep: what each answer makes of a run, and what is on disk before it can come."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import unquote_plus

import pytest

from scheduler.domain.records import Outcome, Reason, RunState
from scheduler.sandbox import Fault, FaultKind, SandboxCollector, SandboxSettings, When
from tests.engine.rig import NINE, REQUEST_TIMEOUT, SOON, engine_room

QUEUED, COLLECTING, UNCONFIRMED, FAILED, SKIPPED = (
    RunState.QUEUED,
    RunState.COLLECTING,
    RunState.UNCONFIRMED,
    RunState.FAILED,
    RunState.SKIPPED,
)


LOST_ANSWERS = [
    Fault(kind=FaultKind.LOST, when=When.BEFORE),
    Fault(kind=FaultKind.LOST, when=When.AFTER),
    Fault(kind=FaultKind.RESET, when=When.BEFORE),
    Fault(kind=FaultKind.RESET, when=When.AFTER),
    Fault(kind=FaultKind.HALF),
    Fault(kind=FaultKind.HTML, when=When.BEFORE),
    Fault(kind=FaultKind.HTML, when=When.AFTER),
    Fault(kind=FaultKind.PAGE, when=When.BEFORE, status=404),
    Fault(kind=FaultKind.PAGE, when=When.AFTER, status=403),
    Fault(kind=FaultKind.REDIRECT, when=When.BEFORE, status=302),
    Fault(kind=FaultKind.REDIRECT, when=When.AFTER, status=307),
    Fault(kind=FaultKind.BROKEN_JSON),
    Fault(kind=FaultKind.NO_ID),
    Fault(kind=FaultKind.EMPTY, path="/dca/trigger"),
    Fault(kind=FaultKind.ERROR, when=When.BEFORE, status=500),
    Fault(kind=FaultKind.ERROR, when=When.AFTER, status=502),
    Fault(kind=FaultKind.ERROR, when=When.AFTER, status=503),
    Fault(kind=FaultKind.HANG, when=When.AFTER, seconds=3),
    Fault(kind=FaultKind.HANG, when=When.BEFORE, seconds=3),
    Fault(kind=FaultKind.DRIP, seconds=30),
]


def told(fault: Fault) -> str:
    return f"{fault.kind}-{fault.moment}"


async def test_an_accepted_trigger_is_stored_with_its_id_and_start(database_url: str) -> None:
    async with engine_room(database_url) as room:
        run_id = room.ask()
        await room.dispatch()

        run, (attempt,), (collection,) = (
            room.run(run_id), room.attempts(run_id), room.collections(run_id),
        )  # fmt: skip
        (job,) = room.jobs

    assert (run.state, run.reason, run.collection_id) == (COLLECTING, Reason.ACCEPTED, job)
    assert (run.triggered_at, run.lease_owner) == (NINE, None)
    assert run.start_eta is not None
    assert (attempt.outcome, attempt.collection_id, attempt.http_status) == (
        Outcome.ACCEPTED, job, 200,
    )  # fmt: skip
    assert (collection.id, collection.accepted_at, collection.start_eta) == (
        job, NINE, run.start_eta,
    )  # fmt: skip


async def test_the_next_loops_are_told_when_there_is_something_to_ask(database_url: str) -> None:
    to_poll: list[datetime] = []
    to_find: list[datetime] = []
    async with engine_room(database_url) as room:
        step = room.dispatch_step(wake_follow=to_poll.append, wake_reconcile=to_find.append)
        accepted = room.ask()
        await room.dispatch(step)
        (collection,) = room.collections(accepted)
        told = to_poll.copy(), to_find.copy()
        room.arm(Fault(kind=FaultKind.NO_ID))
        lost = room.ask()
        await room.dispatch(step)
        look_up_at = room.run(lost).next_lookup_at

    assert told == ([collection.next_poll_at], [])
    assert (to_poll, to_find) == (told[0], [look_up_at])


async def test_an_answer_without_a_start_is_accepted_and_stored_without_one(
    database_url: str,
) -> None:
    async with engine_room(database_url) as room:
        room.arm(Fault(kind=FaultKind.NO_ETA))
        run_id = room.ask()
        await room.dispatch()

        run = room.run(run_id)

    assert (run.state, run.start_eta, run.collection_id) == (COLLECTING, None, room.jobs[0])


@pytest.mark.parametrize("fault", LOST_ANSWERS, ids=told)
async def test_an_answer_that_cannot_be_read_leaves_its_run_unconfirmed(
    sqlite_url: str, fault: Fault
) -> None:
    timeout = SOON if fault.seconds > SOON.total_seconds() else REQUEST_TIMEOUT
    async with engine_room(sqlite_url, request_timeout=timeout) as room:
        room.arm(fault)
        run_id = room.ask()
        step = await room.dispatch()
        room.clock.tick(timedelta(days=1))
        await room.dispatch(step)

        run, attempts = room.run(run_id), room.attempts(run_id)

    assert (run.state, run.reason) == (UNCONFIRMED, Reason.ANSWER_LOST)
    assert (run.attempt_count, run.next_lookup_at) == (1, NINE + timedelta(seconds=5))
    assert [attempt.outcome for attempt in attempts] == [Outcome.LOST]
    assert attempts[0].resolved_at is None
    assert len(room.triggers) == 1


REFUSALS: list[tuple[str, dict[str, Any], Reason, int]] = [
    ("real-time", {}, Reason.REFUSED, 400),
    ("strict", {"inputs": [{"uri": "https://example.org"}]}, Reason.REFUSED, 422),
    ("unknown", {}, Reason.REFUSED, 404),
]


@pytest.mark.parametrize(
    ("collector", "request_", "reason", "status"), REFUSALS, ids=lambda value: str(value)[:20]
)
async def test_a_refusal_is_final_and_keeps_the_upstreams_words(
    sqlite_url: str, collector: str, request_: dict[str, Any], reason: Reason, status: int
) -> None:
    settings = SandboxSettings(
        collectors=(
            SandboxCollector(id="c_real_time", real_time=True),
            SandboxCollector(id="c_strict"),
        )
    )
    async with engine_room(sqlite_url, settings) as room:
        room.define(
            "collectors",
            collector,
            account="main",
            collector_id=f"c_{collector.replace('-', '_')}",
        )
        wanted = {"batch": None} | request_ if request_ else {}
        run_id = room.ask(collector, **wanted)
        step = await room.dispatch()
        await room.dispatch(step)

        run, (attempt,) = room.run(run_id), room.attempts(run_id)

    assert (run.state, run.reason, run.ended_at) == (FAILED, reason, NINE)
    assert (attempt.outcome, attempt.http_status, attempt.resolved_at) == (
        Outcome.REJECTED, status, NINE,
    )  # fmt: skip
    assert run.detail == attempt.detail
    assert run.detail
    assert len(room.triggers) == 1


async def test_the_attempt_is_on_disk_when_its_request_arrives(database_url: str) -> None:
    """The sandbox asks its clock when a request's head has come: there the database is read."""
    seen = []
    async with engine_room(database_url) as room:
        run_id = room.ask(name="the one")

        def watching() -> datetime:
            (attempt,) = room.attempts(run_id)
            seen.append((room.run(run_id).state, attempt.outcome, attempt.request))
            return room.clock()

        room.sandbox._clock = watching
        await room.dispatch()

    state, outcome, request = seen[0]
    assert (state, outcome) == (RunState.DISPATCHING, Outcome.SENDING)
    assert request == "POST /dca/trigger?collector=c_shop&name=the%20one&queue_next=1"


async def test_the_stored_request_is_the_one_that_was_sent(database_url: str) -> None:
    async with engine_room(database_url) as room:
        run_id = room.ask(name="a & b", deadline="90m", queue="q")
        await room.dispatch()

        run, (attempt,) = room.run(run_id), room.attempts(run_id)
        (arrived,) = room.triggers

    assert attempt.request == f"POST /dca/trigger?{run.query}"
    assert dict(arrived.query) == {
        "collector": "c_shop", "queue": "q", "name": "a & b", "deadline": "90m",
    }  # fmt: skip


async def test_secrets_are_filled_in_on_the_wire_and_nowhere_else(database_url: str) -> None:
    deliver = '{"type": "webhook", "endpoint": "https://example.org", "auth": "${secret:hook}"}'
    async with engine_room(database_url) as room:
        run_id = room.ask(deliver=deliver)
        step = room.dispatch_step(secret={"hook": "canary-4711"}.get)
        await room.dispatch(step)

        (attempt,) = room.attempts(run_id)
        run = room.run(run_id)
        (query,) = room.queries()

    assert "canary-4711" in query["deliver"]
    assert "canary-4711" not in f"{attempt}{run}"
    assert "${secret:hook}" in unquote_plus(attempt.request)


async def test_a_missing_secret_fails_the_run_and_sends_nothing(database_url: str) -> None:
    deliver = '{"type": "webhook", "endpoint": "https://example.org", "auth": "${secret:hook}"}'
    async with engine_room(database_url) as room:
        run_id = room.ask(deliver=deliver)
        await room.dispatch()

        run = room.run(run_id)

    assert (run.state, run.reason) == (FAILED, Reason.BAD_DEFINITION)
    assert "hook" in (run.detail or "")
    assert room.triggers == []


@pytest.mark.parametrize(
    ("sent_before", "state"), [(False, SKIPPED), (True, FAILED)], ids=["never sent", "sent before"]
)
async def test_nothing_is_sent_after_its_misfire_grace(
    database_url: str, sent_before: bool, state: RunState
) -> None:
    async with engine_room(database_url) as room:
        room.schedule("hourly", misfire_grace="10m", backoff_initial="1h", backoff_max="1h")
        await room.fire()
        room.clock.tick(timedelta(hours=1))
        await room.fire()
        (run,) = room.runs()
        if sent_before:
            room.arm(Fault(kind=FaultKind.LOST, when=When.BEFORE))
            await room.dispatch()
            await room.lookup_to_the_end()
        room.clock.now = NINE + timedelta(hours=3)
        await room.dispatch()

        late = room.run(run.id)

    assert (late.state, late.reason) == (state, Reason.MISSED)
    assert len(room.triggers) == sent_before


async def test_a_request_whose_lease_is_over_does_not_leave(database_url: str) -> None:
    async with engine_room(database_url) as room:
        run_id = room.ask()
        await room.dispatch(room.dispatch_step(lease=REQUEST_TIMEOUT))

        run, (attempt,) = room.run(run_id), room.attempts(run_id)

    assert (run.state, run.reason, run.attempt_count) == (QUEUED, Reason.NOT_SENT, 0)
    assert attempt.outcome is Outcome.DEFERRED
    assert room.received == []


def test_lost_answers_are_a_table_of_every_way_to_lose_one() -> None:
    """A new kind of fault belongs into the table, or into the list of those that lose nothing."""
    harmless = {
        FaultKind.SLOW, FaultKind.THROTTLE, FaultKind.JOB_LIMIT, FaultKind.NO_ETA,
        FaultKind.NO_STATUS, FaultKind.BUILDING_AS_200, FaultKind.JSON_LINES,
        FaultKind.LATE_LISTING, FaultKind.LATE_COUNT, FaultKind.OTHER_NAME, FaultKind.OTHER_KEYS,
        FaultKind.NUMBERS_AS_TEXT, FaultKind.WRAPPED, FaultKind.OTHER_WORD, FaultKind.NO_ROWS,
        FaultKind.BARE_ROWS, FaultKind.HUGE, FaultKind.FAILED_INPUTS,
    }  # fmt: skip

    assert {fault.kind for fault in LOST_ANSWERS} | harmless == set(FaultKind)
    assert all(replace(fault, times=1) == fault for fault in LOST_ANSWERS)
