"""FollowStep: collections are asked about until they have ended, and their runs end with them."""

import asyncio
import itertools
import json
from collections.abc import Sequence
from datetime import timedelta

import pytest
from sqlalchemy import Connection, text

from scheduler.actions.runs import adopt_run, cancel_run
from scheduler.domain.errors import InvalidInput
from scheduler.domain.records import Outcome, Reason, Run, RunState
from scheduler.sandbox import Fault, FaultKind, SandboxSettings, When
from scheduler.storage import accounts, runs
from scheduler.storage.runs.followed import list_overdue
from scheduler.views.attention import list_needs
from scheduler.views.status import read_status
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
    """Poll the collections for so many minutes, or until the run has ended."""
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
    assert collection.next_poll_at is None
    assert collection.inputs == len(inputs)


LOG = "/dca/log/*"
ODD = [
    pytest.param(Fault(kind=FaultKind.OTHER_KEYS, times=None), id="documented keys"),
    pytest.param(Fault(kind=FaultKind.NUMBERS_AS_TEXT, times=None), id="numbers as text"),
    pytest.param(Fault(kind=FaultKind.WRAPPED, path=LOG, times=None), id="wrapped"),
    pytest.param(Fault(kind=FaultKind.OTHER_WORD, times=None, word="completed"), id="a word"),
    pytest.param(Fault(kind=FaultKind.OTHER_WORD, times=None, word="zorked"), id="no word"),
]


@pytest.mark.parametrize("fault", ODD)
@pytest.mark.parametrize(
    ("inputs", "state"),
    [([GOOD, GOOD], SUCCEEDED), ([GOOD, BAD], PARTIAL), ([BAD, BAD], FAILED)],
    ids=["done", "some failed", "all failed"],
)
async def test_a_run_ends_as_its_collection_did_however_that_is_written(
    sqlite_url: str, inputs: Sequence[object], state: RunState, fault: Fault
) -> None:
    async with engine_room(sqlite_url, inputs=inputs) as room:
        run_id = await sent(room)
        room.arm(fault)
        run = await followed(room, run_id)
        (collection,) = room.collections(run_id)

    assert run.state is state
    assert collection.inputs == 2
    assert collection.finished_at is not None


@pytest.mark.parametrize(
    ("min_rows", "state", "reason"),
    [(None, FAILED, Reason.NO_ROWS), (0, SUCCEEDED, Reason.DONE), (3, FAILED, Reason.NO_ROWS)],
)
async def test_a_run_without_rows_has_failed_unless_that_is_allowed(
    database_url: str, min_rows: int | None, state: RunState, reason: Reason
) -> None:
    async with engine_room(database_url) as room:
        room.define(
            "schedules", "night", collector="shop", batch="one", manual=True, min_rows=min_rows
        )
        run_id = await sent(room)
        room.execute("UPDATE runs SET schedule = 'night'")
        room.arm(Fault(kind=FaultKind.NO_ROWS, times=None))
        run = await followed(room, run_id)

    assert (run.state, run.reason) == (state, reason)


async def test_a_fall_against_what_is_usual_makes_a_run_partial(database_url: str) -> None:
    """Four times ten rows, then four, which is too few, and then six."""
    async with engine_room(database_url) as room:
        room.define(
            "schedules", "night", collector="shop", batch="one", manual=True, max_fall_percent=50
        )
        ends = []
        for count in (10, 10, 10, 10, 4, 6):
            room.change(
                "batches", "one", inputs=json.dumps([{"url": f"{n}"} for n in range(count)])
            )
            run_id = await sent(room)
            room.execute("UPDATE runs SET schedule = 'night'")
            run = await followed(room, run_id)
            ends.append((run.state, run.reason))

    assert ends == [
        *[(SUCCEEDED, Reason.DONE)] * 4,
        (PARTIAL, Reason.TOO_FEW_ROWS),
        (SUCCEEDED, Reason.DONE),
    ]


@pytest.mark.parametrize("status", [301, 401, 403, 404])
async def test_a_gateways_page_ends_no_collection_and_pauses_no_account(
    database_url: str, status: int
) -> None:
    async with engine_room(database_url, inputs=[GOOD] * 1000) as room:
        run_id = await sent(room)
        room.clock.tick(timedelta(minutes=11))
        room.arm(Fault(kind=FaultKind.PAGE, path=LOG, status=status, when=When.BEFORE))
        await room.follow()
        after_page, paused = room.run(run_id), room.brake().paused_at
        run = await followed(room, run_id, minutes=60)

    assert after_page.state is COLLECTING
    assert paused is None
    assert run.state is SUCCEEDED


@pytest.mark.parametrize("kind", [FaultKind.PAGE, FaultKind.REDIRECT])
@pytest.mark.parametrize("status", [301, 403, 404])
async def test_a_gateways_page_to_a_trigger_is_looked_for_and_sent_again(
    database_url: str, kind: FaultKind, status: int
) -> None:
    async with engine_room(database_url) as room:
        room.arm(Fault(kind=kind, status=status, when=When.BEFORE))
        run_id = await sent(room)
        lost, paused = room.run(run_id), room.brake().paused_at
        await room.lookup_to_the_end()
        room.clock.tick(timedelta(minutes=20))
        await room.dispatch()
        run, said = room.run(run_id), room.complaints()

    assert (lost.state, lost.reason) == (RunState.UNCONFIRMED, Reason.ANSWER_LOST)
    assert paused is None
    assert run.state is COLLECTING
    assert len(room.jobs) == 1
    assert said == []


async def test_a_look_that_dies_gives_its_place_back(sqlite_url: str) -> None:
    """A row may hold what no client can be built of, and be mended later."""
    async with engine_room(sqlite_url) as room:
        run_id = await sent(room)
        step = room.follow_step(upstreams=Broken())
        await room.follow(after=10, step=step)

        assert step.in_flight == 0
        assert (await followed(room, run_id)).state is SUCCEEDED


class Broken:
    """Upstreams of which no client can be made."""

    def client(self, account: object) -> object:
        raise RecursionError

    def token_fingerprint(self, account: object) -> str:
        return "none"


async def lost(room: Room) -> int:
    room.arm(Fault(kind=FaultKind.LOST, when=When.AFTER))
    return await sent(room)


async def test_a_collection_that_a_person_made_up_gives_the_run_back(database_url: str) -> None:
    async with engine_room(database_url) as room:
        run_id = await lost(room)
        with room.db.writing() as conn:
            adopt_run(conn, run_id, "j_nope", by="a test", now=room.clock())
        await room.follow()
        given_back, (attempt,) = room.run(run_id), room.attempts(run_id)
        with room.db.writing() as conn:
            adopt_run(conn, run_id, room.jobs[0], by="a test", now=room.clock())
        run = await followed(room, run_id)
        said = room.complaints()

    assert (given_back.state, given_back.reason) == (
        RunState.NEEDS_ATTENTION,
        Reason.LOOKUP_FAILED,
    )
    assert given_back.collection_id is None
    assert "j_nope" in (given_back.detail or "")
    assert (attempt.outcome, attempt.resolved_at) == (Outcome.LOST, None)
    assert (run.state, run.collection_id) == (SUCCEEDED, room.jobs[0])
    assert said == []


@pytest.mark.parametrize("text", ["", "j_", "nope", "vj_1", "j_ 1", "j_1\n", "c_1", "j_ü"])
async def test_what_is_no_id_of_a_collection_is_not_adopted(sqlite_url: str, text: str) -> None:
    async with engine_room(sqlite_url) as room:
        run_id = await lost(room)
        with room.db.writing() as conn, pytest.raises(InvalidInput, match="such as j_abc123"):
            adopt_run(conn, run_id, text, by="a test", now=room.clock())

        assert room.run(run_id).state is RunState.UNCONFIRMED


NEVER = Fault(kind=FaultKind.OTHER_WORD, path="/dca/*", times=None, word="running")


@pytest.mark.parametrize(
    ("deadline", "after"),
    [(None, timedelta(hours=24)), ("1h", timedelta(hours=1, minutes=11))],
    ids=["without a deadline", "after its deadline"],
)
async def test_a_collection_that_never_ends_is_told_once_and_holds_up_nobody(
    database_url: str, deadline: str | None, after: timedelta
) -> None:
    async with engine_room(database_url) as room:
        room.change("collectors", "shop", max_running=1)
        run_id = await sent(room, deadline=deadline)
        room.arm(NEVER)
        await room.follow(after=30)
        waiting = await sent(room)
        await room.follow(after=after - timedelta(minutes=5))
        in_time = room.run(run_id).overdue_at
        held = room.run(waiting).state
        await room.follow(after=timedelta(minutes=10))
        overdue = room.run(run_id)
        await room.dispatch()
        let_go = room.run(waiting).state
        await room.follow(after=timedelta(minutes=10))
        with room.db.reading() as conn:
            told = [run.id for run in list_overdue(conn)]
        room.sandbox.account.faults.disarm()
        run = await followed(room, run_id)

    assert (in_time, held) == (None, RunState.QUEUED)
    assert (overdue.state, overdue.overdue_at is not None) == (COLLECTING, True)
    assert let_go is COLLECTING
    assert run_id in told
    assert run.state is SUCCEEDED


async def test_a_collection_that_no_answer_tells_anything_of_is_told_soon(
    database_url: str,
) -> None:
    def told(room: Room) -> list[str]:
        with room.db.reading() as conn:
            needs = list_needs(read_status(conn, now=room.clock()))
            return [need.sentence for need in needs if "no answer told" in need.sentence]

    async with engine_room(database_url) as room:
        run_id = await sent(room)
        room.arm(Fault(kind=FaultKind.EMPTY, path=LOG, times=None))
        await followed(room, run_id, minutes=9)
        early = told(room)
        await followed(room, run_id, minutes=5)
        late = told(room)
        room.sandbox.account.faults.disarm()
        run = await followed(room, run_id)
        over = told(room)

    assert (early, over) == ([], [])
    assert [one[:48] for one in late] == ["no answer told anything of 1 collection, the fir"]
    assert f" of run {run_id}, accepted 2026-03-02 09:00:" in late[0]
    assert run.state is SUCCEEDED


async def test_what_its_deadline_cut_off_is_partial(database_url: str) -> None:
    async with engine_room(database_url, inputs=[GOOD] * 100) as room:
        run_id = await sent(room, deadline="10s")
        run = await followed(room, run_id)

    assert (run.state, run.reason) == (PARTIAL, Reason.DEADLINE_REACHED)


async def test_a_collection_is_asked_about_more_and_more_seldom(database_url: str) -> None:
    async with engine_room(database_url, inputs=[GOOD] * 7200) as room:
        run_id = await sent(room)
        await followed(room, run_id, minutes=240)
        polls = [one.at - NINE for one in room.received if one.path.startswith("/dca/log/")]

    pauses = [later - earlier for earlier, later in itertools.pairwise(polls)]
    assert pauses == sorted(pauses)
    assert (pauses[0], pauses[-2]) == (timedelta(seconds=10), timedelta(minutes=5))
    assert len(polls) < 70


async def test_a_cancel_by_hand_is_carried_out_and_named(database_url: str) -> None:
    async with engine_room(database_url, inputs=[GOOD] * 1000) as room:
        run_id = await sent(room)
        with room.db.writing() as conn:
            told = cancel_run(conn, run_id, by="a test", now=room.clock())
        run = await followed(room, run_id)

    assert told.state is COLLECTING
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


async def test_an_end_that_is_seen_before_the_answer_of_what_replaced_it(database_url: str) -> None:
    async with engine_room(database_url, inputs=[GOOD] * 1000) as room:
        running = await sent(room)
        room.clock.tick(1)
        room.arm(Fault(kind=FaultKind.LOST, when=When.AFTER))
        replacing = await sent(room, confirm_cancel=True)
        run = await followed(room, running)

        assert room.run(replacing).state is RunState.UNCONFIRMED
    assert (run.state, run.reason) == (CANCELLED, Reason.REPLACED)
    assert run.detail == f"run {replacing} was triggered with confirm_cancel"


async def test_what_replaced_it_is_looked_up_when_its_end_is_recorded(database_url: str) -> None:
    async with engine_room(database_url, inputs=[GOOD] * 1000) as room:
        running = await sent(room)
        room.clock.tick(1)
        replacing = await sent(room, confirm_cancel=True)
        not_yet, now = (f"UPDATE collections SET replaced_by = {by}" for by in ("NULL", replacing))
        room.execute(not_yet)
        step = room.follow_step()
        await step.run(room.clock())
        async with asyncio.timeout(60):
            await room.seen.get()
        room.execute(now)
        await room.follow(step=step)
        run = room.run(running)

    assert (run.state, run.reason) == (CANCELLED, Reason.REPLACED)


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
        async with asyncio.timeout(60):
            await room.seen.get()
        room.execute("UPDATE accounts SET name = 'renamed' WHERE name = 'main'")
        await room.follow(step=step)

        run = room.run(run_id)

    assert (run.state, run.account) == (SUCCEEDED, "renamed")


async def test_drain_takes_no_more_looks_and_records_those_under_way(database_url: str) -> None:
    async with engine_room(database_url) as room:
        room.shops(1)
        polled_at = await sent(room)
        room.arm(Fault(kind=FaultKind.SLOW, path="/dca/log/*", seconds=0.2))
        step = room.follow_step()
        room.clock.tick(60)
        await step.run(room.clock())
        later = await sent(room, collector="shop1")
        room.clock.tick(60)
        await step.drain(timedelta(seconds=10))

        states = [room.run(run_id).state for run_id in (polled_at, later)]
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
                asyncio.run_coroutine_threadsafe(dispatch.run(room.clock()), loop).result(60)
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
