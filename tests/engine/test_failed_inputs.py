"""FailedInputsStep: which inputs failed is known after a run; they are sent once more, once."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import update
from sqlalchemy.exc import IntegrityError

from scheduler.domain.records import Reason, Run, RunState
from scheduler.engine.failed_inputs import FailedInputsStep
from scheduler.sandbox import Fault, FaultKind, When
from scheduler.storage import failed_inputs, runs
from scheduler.storage.database import Connection
from scheduler.storage.tables import runs as runs_table
from scheduler.views.run_inputs import list_failed_inputs, list_run_inputs
from scheduler.views.runs import show_run
from tests.engine.rig import REQUEST_TIMEOUT, Room, engine_room

GOOD = {"url": "https://example.org/1"}
LATER = {"url": "https://example.org/2", "sandbox_error": "infra_error"}
DEAD = {"url": "https://example.org/3", "sandbox_error": "dead_page"}
INPUTS = [GOOD, LATER, DEAD]
POLICY = '{"max": 2, "after": "30m"}'


def step_of(room: Room, owner: str = "d1") -> FailedInputsStep:
    return FailedInputsStep(
        db=room.db,
        upstreams=room.upstreams,
        clock=room.clock,
        owner=owner,
        request_timeout=REQUEST_TIMEOUT,
        wake_dispatch=lambda: None,
    )


async def ended(room: Room, policy: str | None = POLICY, **columns: Any) -> int:
    """Send a run of the schedule `night`, and follow it to its end."""
    room.define(
        "schedules", "night", collector="shop", batch="one", manual=True,
        retry_failed_inputs=policy, **columns,
    )  # fmt: skip
    run_id = room.ask()
    room.execute("UPDATE runs SET schedule = 'night'")
    await collected(room, run_id)
    return run_id


async def collected(room: Room, run_id: int) -> Run:
    await room.dispatch()
    for _ in range(20):
        await room.follow(after=30)
        if room.run(run_id).ended_at is not None:
            break
    return room.run(run_id)


def shown(room: Room, run_id: int) -> tuple[int | None, list[tuple[int, str]], tuple[int, ...]]:
    with room.db.reading() as conn:
        view = list_failed_inputs(conn, run_id, limit=100)
    return view.failed_count, [(one.position, one.error) for one in view.items], view.retries


async def test_what_failed_is_kept_and_what_may_help_is_sent_once_more(database_url: str) -> None:
    async with engine_room(database_url, inputs=INPUTS) as room:
        run_id = await ended(room)
        await step_of(room).run(room.clock())
        told = shown(room, run_id)
        (child,) = told[2]
        early = await room.dispatch()
        waits = room.run(child)
        room.clock.tick(timedelta(minutes=31))
        run = await collected(room, child)
        with room.db.reading() as conn:
            sent = list_run_inputs(conn, child, limit=9).inputs
            lineage = show_run(conn, child, now=room.clock()).failed_inputs_of
            back = show_run(conn, run_id, now=room.clock()).retries
        said = room.complaints()

    assert early.in_flight == 0
    assert told[:2] == (2, [(1, "infra_error"), (2, "dead_page")])
    assert (waits.state, waits.reason) == (RunState.QUEUED, Reason.FAILED_INPUTS)
    assert sent == [LATER]
    assert (lineage, back) == (run_id, (child,))
    assert run.collection_id is not None
    assert said == []


async def test_they_are_sent_as_often_as_the_schedule_says(database_url: str) -> None:
    async with engine_room(database_url, inputs=INPUTS) as room:
        run_id = await ended(room)
        for _ in range(4):
            await step_of(room).run(room.clock())
            room.clock.tick(timedelta(minutes=31))
            for run in room.runs(states=[RunState.QUEUED]):
                await collected(room, run.id)
        made = room.runs()
        with room.db.reading() as conn:
            depth = failed_inputs.count_retries(conn, max(run.id for run in made))

    assert len(made) == 3
    assert depth == 2
    assert {run.failed_inputs_of for run in made} == {None, run_id, run_id + 1}


@pytest.mark.parametrize("policy", [None, '{"only": ["access"]}'], ids=["none", "others"])
async def test_without_a_policy_that_means_them_nothing_is_sent(
    sqlite_url: str, policy: str | None
) -> None:
    async with engine_room(sqlite_url, inputs=INPUTS) as room:
        run_id = await ended(room, policy)
        await step_of(room).run(room.clock())

        assert shown(room, run_id) == (2, [(1, "infra_error"), (2, "dead_page")], ())


async def test_inputs_that_the_dataset_lacks_are_missing(database_url: str) -> None:
    """Cut off by its deadline, and the upstream has no list of failed pages."""
    many = [{"url": f"https://example.org/{number}"} for number in range(20)]
    async with engine_room(database_url, inputs=many) as room:
        room.change("collectors", "shop", deadline="5s")
        run_id = await ended(room)
        refused = Fault(
            kind=FaultKind.ERROR, path="*/hp_errors", status=404, when=When.BEFORE, times=None
        )
        room.arm(refused)
        await step_of(room).run(room.clock())
        count, items, retries = shown(room, run_id)

    assert count is not None
    assert 0 < count < 20
    assert {error for _, error in items} == {"missing"}
    assert len(retries) == 1


async def test_an_upstream_that_does_not_answer_is_asked_again(database_url: str) -> None:
    async with engine_room(database_url, inputs=INPUTS) as room:
        run_id = await ended(room)
        room.arm(Fault(kind=FaultKind.ERROR, path="*/hp_errors", status=500, when=When.BEFORE))
        step = step_of(room)
        again = await step.run(room.clock())
        unknown = shown(room, run_id)
        assert again is not None
        room.clock.now = again
        await step.run(room.clock())

        assert unknown == (None, [], ())
        assert shown(room, run_id)[0] == 2


async def test_a_refusal_is_the_last_word(sqlite_url: str) -> None:
    async with engine_room(sqlite_url, inputs=INPUTS) as room:
        run_id = await ended(room)
        for path in ("*/hp_errors", "/dca/dataset"):
            room.arm(
                Fault(kind=FaultKind.ERROR, path=path, status=404, when=When.BEFORE, times=None)
            )
        due = await step_of(room).run(room.clock())

        assert due is None
        assert shown(room, run_id) == (None, [], ())


class Killed(BaseException):
    """The process ends here."""


@pytest.mark.parametrize("moment", ["before", "after"])
async def test_a_crash_around_the_commit_makes_exactly_one_run(
    database_url: str, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    """Killed with the run written and not committed, or committed and not yet known."""
    async with engine_room(database_url, inputs=INPUTS) as room:
        run_id = await ended(room)
        write = runs.insert_run

        def dying(conn: Connection, *given: Any, **how: Any) -> int:
            write(conn, *given, **how)
            raise Killed

        if moment == "before":
            with monkeypatch.context() as patch, pytest.raises(Killed):
                patch.setattr(runs, "insert_run", dying)
                await step_of(room).run(room.clock())
            assert shown(room, run_id) == (None, [], ())
        else:
            await step_of(room).run(room.clock())
        # Another daemon, once the lease of the dead one has ended.
        room.clock.tick(timedelta(minutes=5))
        await step_of(room, "d2").run(room.clock())
        await step_of(room, "d2").run(room.clock())
        children = [run for run in room.runs() if run.failed_inputs_of == run_id]
        said = room.complaints()

    assert len(children) == 1
    assert said == []


async def test_two_daemons_that_ask_at_once_make_one_run(database_url: str) -> None:
    """The second has asked under a lease that ended meanwhile."""
    async with engine_room(database_url, inputs=INPUTS) as room:
        run_id = await ended(room)
        first, second = step_of(room), step_of(room, "d2")
        (of_first,) = await room.db.write(lambda conn: first._claim(conn, now=room.clock()))
        room.clock.tick(timedelta(minutes=5))
        (of_second,) = await room.db.write(lambda conn: second._claim(conn, now=room.clock()))
        await second._ask(of_second)
        await first._ask(of_first)
        _, _, retries = shown(room, run_id)

    assert len(retries) == 1


async def test_the_database_lets_no_second_run_have_them(database_url: str) -> None:
    async with engine_room(database_url, inputs=INPUTS) as room:
        run_id = await ended(room)
        await step_of(room).run(room.clock())
        other = room.ask()
        with pytest.raises(IntegrityError):
            room.execute(
                "UPDATE runs SET failed_inputs_of = :of WHERE id = :id", of=run_id, id=other
            )


NEVER_AGAIN: Sequence[dict[str, Any]] = (
    {"enabled": False},
    {"retry_failed_inputs": "no json"},
)


@pytest.mark.parametrize("columns", NEVER_AGAIN, ids=["disabled", "unreadable"])
async def test_a_schedule_that_was_edited_meanwhile_is_asked_as_it_is_now(
    sqlite_url: str, columns: dict[str, Any]
) -> None:
    async with engine_room(sqlite_url, inputs=INPUTS) as room:
        run_id = await ended(room)
        room.change("schedules", "night", **columns)
        await step_of(room).run(room.clock())

        assert shown(room, run_id)[0] == 2
        assert shown(room, run_id)[2] == ()


async def test_what_must_end_by_some_time_must_so_when_it_is_sent_once_more(
    sqlite_url: str,
) -> None:
    async with engine_room(sqlite_url, inputs=INPUTS) as room:
        run_id = await ended(room)
        ends = room.clock() + timedelta(hours=3)
        with room.db.writing() as conn:
            conn.execute(update(runs_table).values(finish_by_at=ends))
        await step_of(room).run(room.clock())
        (child,) = shown(room, run_id)[2]
        until = room.run(child).finish_by_at

    assert until == ends


async def test_inputs_fail_for_a_time_by_a_fault(sqlite_url: str) -> None:
    fine = [{"url": f"https://example.org/{number}"} for number in range(3)]
    async with engine_room(sqlite_url, inputs=fine) as room:
        room.arm(Fault(kind=FaultKind.FAILED_INPUTS, error="blocked"))
        run_id = await ended(room)
        await step_of(room).run(room.clock())
        told = shown(room, run_id)
        room.clock.tick(timedelta(minutes=31))
        child = await collected(room, told[2][0])

    assert told[:2] == (2, [(0, "blocked"), (2, "blocked")])
    assert child.state is RunState.SUCCEEDED
