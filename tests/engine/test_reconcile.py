"""ReconcileStep: what was lost is found, proved absent, or left to a person; never guessed."""

import asyncio
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta

import pytest

from scheduler.domain.records import Outcome, Reason, Run, RunState
from scheduler.sandbox import Fault, FaultKind, SandboxSettings, When
from scheduler.sandbox.jobs import Order
from scheduler.storage import accounts
from tests.engine.rig import LEASE, LOOKUP_AFTER, NINE, Room, engine_room

QUEUED, COLLECTING, UNCONFIRMED, ATTENTION, FAILED, DISPATCHING = (
    RunState.QUEUED,
    RunState.COLLECTING,
    RunState.UNCONFIRMED,
    RunState.NEEDS_ATTENTION,
    RunState.FAILED,
    RunState.DISPATCHING,
)
ACCEPTED_AND_LOST = Fault(kind=FaultKind.LOST, when=When.AFTER)
NEVER_ARRIVED = Fault(kind=FaultKind.LOST, when=When.BEFORE)
JOBS_LIST = "/dca/collector/jobs"


async def lose(room: Room, fault: Fault, *, collector: str = "shop", name: str = "lost") -> int:
    """Send one trigger whose answer gets lost, and return its run."""
    room.arm(fault)
    run_id = room.ask(collector, name=name)
    await room.dispatch()
    assert room.run(run_id).state is UNCONFIRMED
    return run_id


async def test_the_one_job_that_fits_is_adopted_at_the_first_look(database_url: str) -> None:
    async with engine_room(database_url) as room:
        run_id = await lose(room, ACCEPTED_AND_LOST)
        await room.lookup()

        run, (attempt,), said = room.run(run_id), room.attempts(run_id), room.complaints()

    assert (run.state, run.reason, run.collection_id) == (COLLECTING, Reason.ADOPTED, room.jobs[0])
    assert (run.triggered_at, run.lease_owner) == (NINE, None)
    assert (attempt.outcome, attempt.collection_id) == (Outcome.ADOPTED, room.jobs[0])
    assert said == []


@pytest.mark.parametrize(
    ("policy", "state", "reason"),
    [
        ("resend", QUEUED, Reason.ABSENT),
        ("hold", ATTENTION, Reason.HELD),
        ("skip", FAILED, Reason.ABANDONED),
    ],
)
async def test_what_is_absent_at_the_last_look_is_what_the_policy_says(
    database_url: str, policy: str, state: RunState, reason: Reason
) -> None:
    async with engine_room(database_url) as room:
        room.change("collectors", "shop", on_unconfirmed=policy)
        run_id = await lose(room, NEVER_ARRIVED)
        states = []
        for after in (5, 25, 90):
            await room.lookup(after)
            states.append(room.run(run_id).state)

        run, said = room.run(run_id), room.complaints()

    assert states == [UNCONFIRMED, UNCONFIRMED, state]
    assert run.reason is reason
    assert said == []


async def test_a_resent_run_is_sent_once_more_and_no_more_than_it_has_attempts(
    database_url: str,
) -> None:
    async with engine_room(database_url) as room:
        room.change("collectors", "shop", max_attempts=2)
        room.arm(NEVER_ARRIVED)
        run_id = await lose(room, NEVER_ARRIVED)
        await room.lookup_to_the_end()
        room.clock.tick(timedelta(minutes=1))
        await room.dispatch()
        await room.lookup_to_the_end()

        run, attempts = room.run(run_id), room.attempts(run_id)

    assert (run.state, run.reason) == (FAILED, Reason.ATTEMPTS_EXHAUSTED)
    assert [one.outcome for one in attempts] == [Outcome.ABSENT, Outcome.ABSENT]
    assert len(room.triggers) == 2


async def test_a_job_that_is_listed_late_is_found_by_a_later_look(database_url: str) -> None:
    """Absent twice, there at the third lookup: only the last one decides."""
    async with engine_room(database_url) as room:
        # Half an answer is lost, and this kind hides the job from the list.
        room.arm(Fault(kind=FaultKind.LATE_LISTING, seconds=60))
        run_id = room.ask(name="late")
        step = room.dispatch_step()
        await step.run(room.clock())
        await room.next_answer()
        # The answer is thrown away with the daemon that had it.
        await room.reconcile_step(owner="d2").take_over(room.clock())
        states = []
        for after in (5, 25, 90):
            await room.lookup(after)
            states.append(room.run(run_id).state)

        said = room.complaints()

    assert states == [UNCONFIRMED, UNCONFIRMED, COLLECTING]
    assert said == []


async def lose_oddly_listed(room: Room, kind: FaultKind, *, seconds: float = 1) -> int:
    """Send one trigger whose daemon dies with its answer; its job is listed as *kind* says."""
    room.arm(Fault(kind=kind, seconds=seconds))
    run_id = room.ask(name="nightly")
    step = room.dispatch_step()
    await step.run(room.clock())
    await room.next_answer()
    await room.reconcile_step(owner="d2").take_over(room.clock())
    return run_id


LONG = SandboxSettings(time_per_input=timedelta(hours=1))


async def test_a_job_that_is_counted_late_is_found_once_it_is_counted(database_url: str) -> None:
    async with engine_room(database_url, LONG) as room:
        run_id = await lose_oddly_listed(room, FaultKind.LATE_COUNT, seconds=20)
        states = []
        for after in (5, 25):
            await room.lookup(after)
            states.append(room.run(run_id).state)

        run, said = room.run(run_id), room.complaints()

    assert states == [UNCONFIRMED, COLLECTING]
    assert (run.reason, run.collection_id) == (Reason.ADOPTED, room.jobs[0])
    assert said == []


async def test_a_single_job_that_is_never_counted_is_adopted_at_the_last_look(
    database_url: str,
) -> None:
    async with engine_room(database_url, LONG) as room:
        run_id = await lose_oddly_listed(room, FaultKind.LATE_COUNT, seconds=3600)
        await room.lookup_to_the_end()

        run = room.run(run_id)

    assert (run.state, run.collection_id) == (COLLECTING, room.jobs[0])
    assert len(room.triggers) == 1


async def test_a_job_under_another_name_is_never_taken_for_absent(database_url: str) -> None:
    """Nothing tells what names mean to this list: a person must say whose job it is."""
    async with engine_room(database_url, LONG) as room:
        run_id = await lose_oddly_listed(room, FaultKind.OTHER_NAME)
        await room.lookup_to_the_end()

        run = room.run(run_id)

    assert (run.state, run.reason) == (ATTENTION, Reason.SEVERAL_CANDIDATES)
    assert room.jobs[0] in (run.detail or "")
    assert len(room.triggers) == 1


async def test_a_job_under_another_name_is_known_by_what_its_dataset_echoes(
    database_url: str,
) -> None:
    settings = SandboxSettings(build_time=timedelta(), time_per_input=timedelta(seconds=1))
    async with engine_room(database_url, settings) as room:
        run_id = await lose_oddly_listed(room, FaultKind.OTHER_NAME)
        await room.lookup()

        run = room.run(run_id)

    assert (run.state, run.collection_id) == (COLLECTING, room.jobs[0])


async def test_other_names_mean_nothing_where_all_our_jobs_bear_them(database_url: str) -> None:
    async with engine_room(database_url, LONG) as room:
        room.arm(Fault(kind=FaultKind.OTHER_NAME))
        room.ask(name="earlier")
        await room.dispatch()
        room.clock.tick(2)
        run_id = await lose_oddly_listed(room, FaultKind.OTHER_NAME)
        await room.lookup()

        run = room.run(run_id)

    assert (run.state, run.collection_id) == (COLLECTING, room.jobs[1])


async def test_a_strangers_count_rules_it_out_where_our_own_are_counted(database_url: str) -> None:
    async with engine_room(database_url, LONG) as room:
        room.ask(name="earlier")
        await room.dispatch()
        room.clock.tick(2)
        run_id = await lose(room, NEVER_ARRIVED)
        await foreign_job(room, [{"url": "a"}, {"url": "b"}, {"url": "c"}])
        await room.lookup_to_the_end()

        run = room.run(run_id)

    assert (run.state, run.reason) == (QUEUED, Reason.ABSENT)


@pytest.mark.parametrize("is_earlier_job_listed", [True, False])
async def test_a_job_that_the_list_dates_before_its_trigger_is_not_sent_again(
    database_url: str, is_earlier_job_listed: bool
) -> None:
    """The clock, or the zone, of the list's rows is not that of the answers' `Date`."""
    async with engine_room(database_url, LONG) as room:
        for name in ("that told the time", "earlier"):
            room.ask(name=name)
            await room.dispatch()
            room.clock.tick(2)
        run_id = await lose(room, ACCEPTED_AND_LOST)
        _, earlier, ours = room.sandbox.account.book.jobs.values()
        ours.queued_at -= timedelta(minutes=5)
        earlier.queued_at -= timedelta(minutes=5 if is_earlier_job_listed else 9_999)
        await room.lookup_to_the_end()

        run = room.run(run_id)

    ends = {True: (COLLECTING, Reason.ADOPTED), False: (ATTENTION, Reason.SEVERAL_CANDIDATES)}
    assert (run.state, run.reason) == ends[is_earlier_job_listed]
    assert len(room.triggers) == 3


async def test_around_midnight_the_jobs_of_both_days_are_read(database_url: str) -> None:
    async with engine_room(database_url) as room:
        room.clock.now = datetime(2026, 3, 2, 23, 59, 58, tzinfo=UTC)
        run_id = await lose(room, ACCEPTED_AND_LOST)
        await room.lookup()

        run = room.run(run_id)
        (asked,) = [dict(one.query) for one in room.received if one.path == JOBS_LIST]

    assert run.reason is Reason.ADOPTED
    # The upstream had not told the time before: our clock may have been wrong at the claim.
    assert (asked["from_date"], asked["to_date"]) == ("2026-02-27", "2026-03-04")


async def test_another_runs_job_is_never_adopted(database_url: str) -> None:
    """Three runs of one collector, a moment apart; the answer of the second never came."""
    async with engine_room(database_url) as room:
        room.arm(Fault(kind=FaultKind.LOST, when=When.BEFORE, skip=1))
        run_ids = [room.ask(name=f"run {number}") for number in range(3)]
        await room.dispatch()
        before = [room.run(run_id).state for run_id in run_ids]
        for after in (5, 25, 90):
            await room.lookup(after)
        after_lookup = room.run(run_ids[1])
        said = room.complaints()

    assert before == [COLLECTING, UNCONFIRMED, QUEUED]
    assert (after_lookup.state, after_lookup.reason) == (QUEUED, Reason.ABSENT)
    assert said == []


async def foreign_job(room: Room, inputs: list[dict[str, object]]) -> str:
    """Start a job that no run knows of, as a person at the vendor's panel does."""
    book = room.sandbox.account.book
    book.advance(room.clock())
    job, _ = book.submit(Order(collector="c_shop", inputs=tuple(inputs)))
    return job.id


async def test_the_inputs_that_datasets_echo_decide_between_several(database_url: str) -> None:
    settings = SandboxSettings(build_time=timedelta(), time_per_input=timedelta(seconds=1))
    async with engine_room(database_url, settings) as room:
        run_id = await lose(room, ACCEPTED_AND_LOST)
        room.clock.tick(2)
        await foreign_job(room, [{"url": "https://example.org/foreign"}])
        await room.lookup(3)

        run = room.run(run_id)

    assert (run.state, run.collection_id) == (COLLECTING, room.jobs[0])


async def test_several_that_nothing_tells_apart_are_left_to_a_person(database_url: str) -> None:
    async with engine_room(database_url) as room:
        run_id = await lose(room, ACCEPTED_AND_LOST)
        await foreign_job(room, [{"url": "https://example.org/1"}])
        await room.lookup_to_the_end()

        run = room.run(run_id)

    assert (run.state, run.reason) == (ATTENTION, Reason.SEVERAL_CANDIDATES)
    assert all(job in (run.detail or "") for job in room.jobs)
    assert len(room.triggers) == 1


async def test_a_name_in_the_list_decides(database_url: str) -> None:
    async with engine_room(database_url, SandboxSettings(jobs_carry_name=True)) as room:
        room.change("collectors", "shop", max_unresolved=2)
        run_ids = [
            await lose(room, ACCEPTED_AND_LOST, name=name) for name in ("the first", "the second")
        ]
        await room.lookup()

        found = [room.run(run_id).collection_id for run_id in run_ids]
        said = room.complaints()

    assert found == room.jobs
    assert said == []


async def test_a_list_that_cannot_be_read_is_left_to_a_person(database_url: str) -> None:
    async with engine_room(database_url) as room:
        run_id = await lose(room, ACCEPTED_AND_LOST)
        room.arm(Fault(kind=FaultKind.ERROR, path=JOBS_LIST, times=None, when=When.BEFORE))
        states = []
        for after in (5, 30, 100):
            await room.lookup(after)
            states.append(room.run(run_id).state)

        run = room.run(run_id)

    assert states == [UNCONFIRMED, UNCONFIRMED, ATTENTION]
    assert run.reason is Reason.LOOKUP_FAILED


async def test_a_list_that_can_be_read_again_at_the_last_look_is_believed(
    database_url: str,
) -> None:
    async with engine_room(database_url) as room:
        run_id = await lose(room, ACCEPTED_AND_LOST)
        room.arm(Fault(kind=FaultKind.HTML, path=JOBS_LIST, times=2, when=When.BEFORE))
        for after in (5, 30, 100):
            await room.lookup(after)

        run = room.run(run_id)

    assert (run.state, run.reason) == (COLLECTING, Reason.ADOPTED)


async def test_what_a_dead_daemon_left_is_taken_over_and_looked_for(database_url: str) -> None:
    async with engine_room(database_url) as room:
        run_id = room.ask(name="left behind")
        step = room.dispatch_step()
        await step.run(room.clock())
        await room.next_answer()
        await room.lookup(LEASE - timedelta(seconds=1))
        still_leased = room.run(run_id).state
        await room.lookup(2)
        taken_over = room.run(run_id)
        await room.lookup()
        found = room.run(run_id)
        await step.run(room.clock())

        late, said = room.run(run_id), room.complaints()

    assert still_leased is DISPATCHING
    assert (taken_over.state, taken_over.reason) == (UNCONFIRMED, Reason.DAEMON_DIED)
    assert (found.state, found.reason) == (COLLECTING, Reason.ADOPTED)
    assert late == found
    assert said == []


async def test_an_answer_that_comes_during_the_looks_ends_them(database_url: str) -> None:
    async with engine_room(database_url) as room:
        room.arm(Fault(kind=FaultKind.LATE_LISTING, seconds=3600))
        run_id = room.ask()
        step = room.dispatch_step()
        await step.run(room.clock())
        await room.next_answer()
        await room.lookup(LEASE + timedelta(seconds=1))
        await room.lookup()
        await step.run(room.clock())
        answered = room.run(run_id)
        await room.lookup_to_the_end()

        run, said = room.run(run_id), room.complaints()

    assert (answered.state, answered.reason) == (COLLECTING, Reason.ACCEPTED)
    assert run == answered
    assert said == []


async def test_two_daemons_look_once_between_them(postgresql_url: str) -> None:
    async with engine_room(postgresql_url) as room:
        for name in room.shops(2):
            await lose(room, NEVER_ARRIVED, collector=name)
            room.clock.tick(2)
        room.clock.tick(5)
        steps = [room.reconcile_step(owner=f"d{number}") for number in range(4)]
        await asyncio.gather(*(step.run(room.clock()) for step in steps))

        looked: list[Run] = room.runs()

    assert [run.lookups for run in looked] == [1, 1]
    assert len([one for one in room.received if one.path == JOBS_LIST]) == 2


async def test_a_429_to_any_question_of_a_look_is_counted_and_ends_the_look(
    database_url: str,
) -> None:
    """Between several jobs, datasets are read one after the other: the first 429 stops that."""
    async with engine_room(database_url) as room:
        await lose(room, ACCEPTED_AND_LOST)
        for _ in range(3):
            await foreign_job(room, [{"url": "https://example.org/1"}])
        room.arm(Fault(kind=FaultKind.THROTTLE, path="/dca/dataset", times=None))
        await room.lookup()

        with room.db.reading() as conn:
            counted = accounts.list_throttled(conn, "main", now=room.clock())
        trips = room.brake().trips

    assert len([one for one in room.received if one.status == 429]) == 1
    assert (len(counted), trips) == (1, 1)


def test_the_looks_of_these_tests_are_as_many_as_they_think() -> None:
    assert [delay.total_seconds() for delay in LOOKUP_AFTER] == [5, 30, 120]


async def test_an_account_that_is_gone_holds_up_no_other(sqlite_url: str) -> None:
    """SQLite's shell renames an account, and nothing that names it."""
    async with engine_room(sqlite_url) as room:
        run_id = await lose(room, ACCEPTED_AND_LOST)
        room.define("accounts", "gone", token="env:TOKEN")
        room.define("collectors", "theirs", account="gone", collector_id="c_theirs")
        theirs = room.ask("theirs")
        for move in (
            "state = 'dispatching', lease_owner = 'd1', lease_until = :now",
            "state = 'unconfirmed', next_lookup_at = :now, lease_owner = NULL, lease_until = NULL",
        ):
            room.execute(f"UPDATE runs SET {move} WHERE id = {theirs}", now=room.clock())
        assert room.db.file is not None
        with closing(sqlite3.connect(room.db.file, isolation_level=None)) as shell:
            shell.execute("UPDATE accounts SET name = 'renamed' WHERE name = 'gone'")
        await room.lookup()

        run = room.run(run_id)

    assert (run.state, run.reason) == (COLLECTING, Reason.ADOPTED)
