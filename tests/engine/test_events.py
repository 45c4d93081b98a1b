"""Each move of a run has one line in the log, after its commit, whoever made it."""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from functools import partial
from io import StringIO
from typing import Any

import pytest
import structlog
from structlog.testing import capture_logs

from scheduler.actions.pauses import pause_account, pause_queue
from scheduler.domain.moves import MOVES, EventOfRun
from scheduler.domain.records import Reason, RunState
from scheduler.domain.reply import Accepted, TriggerReply
from scheduler.engine.answered import Unsendable
from scheduler.engine.dispatch import DispatchStep
from scheduler.engine.events import LOG, EventsStep, lines_of, logged_states
from scheduler.engine.send_buffer import Claim
from scheduler.logs import configure_logging
from scheduler.sandbox import Fault, FaultKind, When
from scheduler.storage import schedules, tables
from scheduler.storage.database import Connection
from scheduler.storage.run_events import list_events
from scheduler.views.waiting import why_waits
from tests.engine.rig import Room, engine_room

pytestmark = pytest.mark.quiet


def events_step(room: Room) -> EventsStep:
    return EventsStep(db=room.db, consumer=LOG, prepare=lines_of)


async def logged_of(room: Room) -> list[Any]:
    """Return the lines that are written for what has happened since the last call."""
    with capture_logs() as lines:
        await events_step(room).run(room.clock())
    return lines


async def test_a_run_can_be_followed_through_the_log_by_its_id(database_url: str) -> None:
    async with engine_room(database_url) as room:
        run_id = room.ask()
        await room.dispatch()
        room.clock.tick(timedelta(hours=1))
        await room.follow()
        lines = await logged_of(room)
        again = await logged_of(room)

    assert [(line["event"], line["log_level"], line["run_id"]) for line in lines] == [
        ("run_queued", "info", run_id),
        ("run_dispatching", "debug", run_id),
        ("run_collecting", "info", run_id),
        ("run_succeeded", "info", run_id),
    ]
    assert again == []


def test_steps_between_are_read_only_where_they_are_logged() -> None:
    try:
        configure_logging("debug", stream=StringIO())
        assert logged_states() == frozenset(RunState)
        configure_logging("info", stream=StringIO())
        assert logged_states() == frozenset(RunState) - {RunState.DISPATCHING}
    finally:
        structlog.reset_defaults()


async def test_how_late_a_run_is_counts_from_its_due_time_to_its_acceptance(
    database_url: str,
) -> None:
    async with engine_room(database_url) as room:
        room.ask()
        room.clock.tick(7)
        await room.dispatch()
        lines = await logged_of(room)

    assert [line["late_seconds"] for line in lines if line["event"] == "run_collecting"] == [7.0]


class SameAnswer(DispatchStep):
    """Gets one and the same id for every trigger."""

    async def _ask(self, claim: Claim) -> TriggerReply | Unsendable:
        return Accepted(collection_id="j_same", start_eta=None)


async def test_an_id_that_another_run_has_is_told_as_what_it_is(database_url: str) -> None:
    """The answer said `accepted`; the run needs a person."""
    async with engine_room(database_url) as room:
        first = room.ask()
        await room.dispatch(room.dispatcher(SameAnswer))
        second = room.ask()
        await room.dispatch(room.dispatcher(SameAnswer))
        lines = await logged_of(room)

    last = {line["run_id"]: line for line in lines}
    assert (last[first]["event"], last[first]["log_level"]) == ("run_collecting", "info")
    assert (last[second]["event"], last[second]["log_level"]) == (
        "run_needs_attention",
        "warning",
    )
    assert last[second]["detail"].startswith("the upstream answered with j_same, which run")


async def test_what_was_missed_is_a_warning_for_each_run(database_url: str) -> None:
    async with engine_room(database_url) as room:
        room.schedule("tick", every="1s", misfire_grace="2s")
        await room.fire()
        room.clock.tick(timedelta(seconds=8))
        await room.fire()
        lines = await logged_of(room)
        missed = [run.id for run in room.runs() if run.reason is Reason.MISSED]

    told = [line for line in lines if line["event"] == "run_skipped"]
    assert missed
    assert [(line["run_id"], line["log_level"]) for line in told] == [
        (run_id, "warning") for run_id in missed
    ]


async def test_what_cannot_be_sent_fails_with_its_words_in_a_warning(database_url: str) -> None:
    async with engine_room(database_url) as room:
        room.define("batches", "gone", file="/nowhere/gone.csv")
        room.schedule("hourly", batch="gone")
        await room.fire()
        room.clock.tick(timedelta(hours=1))
        await room.fire()
        (line,) = await logged_of(room)

    assert (line["event"], line["log_level"], line["reason"]) == (
        "run_failed",
        "warning",
        "bad_inputs",
    )
    assert "gone.csv" in line["detail"]


async def test_a_crash_between_the_line_and_the_commit_tells_the_line_again(
    database_url: str,
) -> None:
    def crash(events: Sequence[EventOfRun]) -> Callable[[], None]:
        def tell() -> None:
            lines_of(events)()
            raise KeyboardInterrupt

        return tell

    async with engine_room(database_url) as room:
        run_id = room.ask()
        with capture_logs() as first, pytest.raises(KeyboardInterrupt):
            step = EventsStep(db=room.db, consumer=LOG, prepare=crash)
            await step.run(room.clock())
        second = await logged_of(room)

    assert [line["run_id"] for line in first] == [run_id]
    assert [line["run_id"] for line in second] == [run_id]


async def test_what_another_daemon_told_meanwhile_is_not_told_again(database_url: str) -> None:
    async with engine_room(database_url) as room:
        room.ask()

        def told_meanwhile(events: Sequence[EventOfRun]) -> Callable[[], None]:
            with room.db.writing() as conn:
                events_step(room).take(conn)
            return lines_of(events)

        with capture_logs() as lines:
            await EventsStep(db=room.db, consumer=LOG, prepare=told_meanwhile).run(room.clock())

    assert [line["event"] for line in lines] == ["run_queued"]


async def test_events_are_read_together_however_often_it_is_woken(database_url: str) -> None:
    async with engine_room(database_url) as room:
        step = events_step(room)
        with capture_logs() as lines:
            room.ask()
            await step.run(room.clock())
            room.ask()
            again_at = await step.run(room.clock())
            early = len(lines)
            room.clock.tick(timedelta(seconds=0.25))
            await step.run(room.clock())

    assert again_at == room.clock()
    assert (early, len(lines)) == (1, 2)


async def test_every_move_of_an_engine_at_work_is_in_the_diagram(database_url: str) -> None:
    async with engine_room(database_url) as room:
        for _ in range(3):
            room.ask()
        room.arm(Fault(kind=FaultKind.LOST, when=When.AFTER, times=1))
        await room.dispatch()
        await room.lookup_to_the_end()
        await room.dispatch()
        room.clock.tick(timedelta(hours=1))
        await room.follow()
        with room.db.reading() as conn:
            events = [event for run in room.runs() for event in list_events(conn, run.id)]
        moves = {(event.from_state, event.to_state) for event in events}

    assert moves <= set(MOVES)
    assert {event.by for event in events} == {"d1"}
    assert (RunState.UNCONFIRMED, RunState.COLLECTING) in moves


@pytest.mark.parametrize("stopped", ["queue", "schedule", "freeze", "account"])
async def test_a_miss_says_who_had_stopped_it_since_when_and_why(
    database_url: str, stopped: str
) -> None:
    async with engine_room(database_url) as room:
        room.schedule("hourly", queue="nightly", misfire_grace="10m")
        await room.fire()
        room.clock.tick(timedelta(hours=1))
        await room.fire()
        with room.db.writing() as conn:
            stop(conn, stopped, now=room.clock())
        room.clock.tick(timedelta(minutes=11))
        await room.dispatch()
        (run,) = room.runs()

    assert run.reason is Reason.MISSED
    assert "it could not be sent within its misfire grace; " in str(run.detail)
    assert "by root from 2026-03-02 10:00:00Z on: budget" in str(run.detail)


async def test_what_waits_says_behind_which_run(database_url: str) -> None:
    async with engine_room(database_url) as room:
        first = room.ask(queue="nightly")
        second = room.ask(queue="nightly")
        third = room.ask()
        room.execute(
            "UPDATE runs SET waits_for = :first WHERE id = :third", first=first, third=third
        )
        with room.db.reading() as conn:
            words = [why_waits(conn, room.run(each), now=room.clock()) for each in (second, third)]

    assert words == [
        f"its turn: run {first} goes first, which is queued",
        f"the end of run {first}, which is queued",
    ]


def stop(conn: Connection, what: str, *, now: datetime) -> None:
    """Stop what the run hangs on, as a person does."""
    match what:
        case "queue":
            pause_queue(conn, "nightly", by="root", reason="budget", now=now)
        case "schedule":
            schedules.set_paused(conn, ["hourly"], by="root", reason="budget", now=now, until=None)
        case "freeze":
            freeze = {"scope": "all", "frozen_at": now, "frozen_by": "root", "reason": "budget"}
            conn.execute(tables.freezes.insert().values(**freeze))
        case "account":
            pause_account(conn, "main", by="root", reason="budget", now=now)


async def test_the_log_goes_on_in_a_database_that_was_moved_to_another_server(
    postgresql_url: str,
) -> None:
    """Whether there are news is asked by a reader, who may write nothing."""
    heard: list[EventOfRun] = []
    async with engine_room(postgresql_url) as room:
        step = EventsStep(
            db=room.db, consumer=LOG, prepare=lambda events: partial(heard.extend, events)
        )
        room.ask()
        await step.drain()
        for table in ("run_events", "event_cursors"):
            room.execute(f"UPDATE {table} SET transaction_id = transaction_id + 1000000")
        later = room.ask()
        await step.run(room.clock())

    assert [event.run_id for event in heard][1:] == [later]
