"""FollowStep by the jobs list: one page tells of many collections, the log of what is doubtful."""

from collections.abc import Sequence
from datetime import timedelta

import pytest

from scheduler.domain.records import Reason, RunState
from scheduler.sandbox import Fault, FaultKind, SandboxSettings, When
from tests.engine.rig import Room, engine_room

GOOD, BAD = {"url": "https://example.org/1"}, {"url": "x", "sandbox_error": "navigation_failed"}
LIST, LOG = "/dca/collector/jobs", "/dca/log/"
QUICK = SandboxSettings(build_time=timedelta(seconds=1), time_per_input=timedelta(seconds=1))


async def sent(room: Room, count: int) -> list[int]:
    """Send *count* runs of one collector, each in a queue of its own: they run side by side."""
    ids = [room.ask(queue=f"q{number}") for number in range(count)]
    room.change("collectors", "shop", max_unresolved=1000, max_running=1000)
    while any(room.run(one).state is RunState.QUEUED for one in ids):
        room.clock.tick(1)
        await room.dispatch()
    return ids


async def followed(room: Room, ids: Sequence[int], *, minutes: int = 30) -> set[RunState]:
    """Poll until all have ended, or for so many minutes; return their states."""
    step = room.follow_step()
    until = room.clock() + timedelta(minutes=minutes)
    while room.clock() < until and any(not room.run(one).ended_at for one in ids):
        due = await room.follow(step=step)
        room.clock.now = max(due or room.clock() + timedelta(seconds=2), room.clock())
    return {room.run(one).state for one in ids}


def asked(room: Room, path: str) -> int:
    """How many questions of *path* the upstream was asked."""
    return sum(one.path.startswith(path) for one in room.received)


async def test_one_page_of_jobs_ends_many_runs(database_url: str) -> None:
    async with engine_room(database_url, QUICK) as room:
        ids = await sent(room, 40)
        room.clock.tick(60)
        states = await followed(room, ids)
        kept = [room.collections(one)[0] for one in ids]

    assert states == {RunState.SUCCEEDED}
    assert asked(room, LIST) == 1
    assert asked(room, LOG) == 0
    assert {(one.page_loads, one.failed_pages, one.expired) for one in kept} == {(1, 0, False)}
    assert {(one.lines, one.inputs, one.next_poll_at) for one in kept} == {(1, 1, None)}


async def test_what_is_due_soon_is_asked_about_with_what_is_due(sqlite_url: str) -> None:
    """Forty that run for minutes: some pages of jobs, and not a question for each."""
    slow = SandboxSettings(time_per_input=timedelta(minutes=10))
    async with engine_room(sqlite_url, slow) as room:
        ids = await sent(room, 40)
        states = await followed(room, ids, minutes=5)

    assert states == {RunState.COLLECTING}
    assert asked(room, LOG) == 0
    assert asked(room, LIST) < 40


async def test_a_lone_collection_is_asked_about_by_its_log(sqlite_url: str) -> None:
    async with engine_room(sqlite_url, QUICK) as room:
        states = await followed(room, await sent(room, 1))

    assert states == {RunState.SUCCEEDED}
    assert asked(room, LIST) == 0


@pytest.mark.parametrize(
    ("inputs", "state"),
    [([GOOD, BAD], RunState.PARTIAL), ([BAD, BAD], RunState.FAILED)],
    ids=["some failed", "all failed"],
)
async def test_a_bad_end_is_told_by_the_log(
    database_url: str, inputs: Sequence[object], state: RunState
) -> None:
    async with engine_room(database_url, QUICK, inputs=inputs) as room:
        ids = await sent(room, 3)
        room.clock.tick(60)
        states = await followed(room, ids)
        (kept,) = room.collections(ids[0])

    assert states == {state}
    assert asked(room, LOG) == 3
    assert (kept.page_loads, kept.failed_pages) == (2, sum("sandbox_error" in i for i in inputs))  # type: ignore[operator]


async def test_what_the_list_told_of_a_job_that_ran_is_no_bill(database_url: str) -> None:
    slow = SandboxSettings(time_per_input=timedelta(minutes=10))
    async with engine_room(database_url, slow, inputs=[GOOD, BAD]) as room:
        ids = await sent(room, 2)
        await followed(room, ids, minutes=5)
        listed = asked(room, LIST)
        room.arm(Fault(kind=FaultKind.ERROR, path=LIST, status=404, when=When.BEFORE, times=None))
        await followed(room, ids)
        (kept,) = room.collections(ids[0])

    assert listed > 0
    assert (kept.pages, kept.page_loads, kept.failed_pages) == (2, None, None)


ODD = [
    pytest.param(Fault(kind=FaultKind.OTHER_KEYS, path=LIST, times=None), 0, id="other keys"),
    pytest.param(Fault(kind=FaultKind.NUMBERS_AS_TEXT, path=LIST, times=None), 0, id="texts"),
    pytest.param(Fault(kind=FaultKind.WRAPPED, path=LIST, times=None), 0, id="wrapped"),
    pytest.param(
        Fault(kind=FaultKind.OTHER_WORD, path=LIST, times=None, word="zorked"), 3, id="a word"
    ),
    pytest.param(Fault(kind=FaultKind.BARE_ROWS, times=None), 3, id="bare rows"),
    pytest.param(Fault(kind=FaultKind.NO_ROWS, path=LIST, times=None), 3, id="no rows"),
    pytest.param(Fault(kind=FaultKind.LATE_LISTING, seconds=9999, times=None), 3, id="not listed"),
    pytest.param(
        Fault(kind=FaultKind.ERROR, path=LIST, status=404, when=When.BEFORE, times=None),
        3,
        id="refused",
    ),
    pytest.param(
        Fault(kind=FaultKind.PAGE, path=LIST, status=404, when=When.BEFORE, times=None),
        3,
        id="a gateway's page",
    ),
    pytest.param(
        Fault(kind=FaultKind.ERROR, path=LIST, status=500, when=When.BEFORE, times=None),
        3,
        id="a failure",
    ),
]


@pytest.mark.parametrize(("fault", "logs"), ODD)
async def test_runs_end_whatever_the_list_is_like(sqlite_url: str, fault: Fault, logs: int) -> None:
    async with engine_room(sqlite_url, QUICK) as room:
        room.arm(fault)
        ids = await sent(room, 3)
        room.clock.tick(60)
        states = await followed(room, ids)
        paused = room.brake().paused_at

    assert states == {RunState.SUCCEEDED}
    assert paused is None
    assert asked(room, LOG) == logs


async def test_a_gateways_page_for_a_list_is_nobodys_verdict(database_url: str) -> None:
    async with engine_room(database_url, QUICK) as room:
        ids = await sent(room, 3)
        room.clock.tick(timedelta(minutes=11))
        room.arm(Fault(kind=FaultKind.PAGE, path=LIST, status=404, when=When.BEFORE))
        await room.follow()
        after_page = {room.run(one).state for one in ids}
        states = await followed(room, ids)

    assert after_page == {RunState.COLLECTING}
    assert states == {RunState.SUCCEEDED}
    assert asked(room, LOG) == 0


async def test_more_jobs_than_a_page_holds_are_asked_for_page_by_page(sqlite_url: str) -> None:
    """600 that somebody else started since are listed first; each page is paid for."""
    async with engine_room(sqlite_url, QUICK) as room:
        ids = await sent(room, 3)
        room.clock.tick(1)
        for _ in range(600):
            room.start_elsewhere()
        room.clock.tick(600)
        before = room.brake().tokens
        await room.follow()
        states = {room.run(one).state for one in ids}

    assert states == {RunState.SUCCEEDED}
    assert asked(room, LIST) == 2
    assert before is not None


async def test_an_end_that_the_list_shows_is_taken_though_nobody_asked(sqlite_url: str) -> None:
    async with engine_room(sqlite_url, QUICK) as room:
        ids = await sent(room, 3)
        later = room.clock() + timedelta(hours=1)
        room.execute(
            "UPDATE collections SET next_poll_at = :later WHERE run_id = :one",
            later=later,
            one=ids[0],
        )
        room.clock.tick(60)
        await room.follow()

        assert {room.run(one).state for one in ids} == {RunState.SUCCEEDED}


async def test_a_429_to_a_list_is_counted_once_and_nothing_else_is_asked(sqlite_url: str) -> None:
    async with engine_room(sqlite_url, QUICK) as room:
        ids = await sent(room, 5)
        room.clock.tick(60)
        room.arm(Fault(kind=FaultKind.THROTTLE, path="/dca/*", times=None))
        await room.follow()
        refused = len([one for one in room.received if one.status == 429])
        room.sandbox.account.faults.disarm()
        states = await followed(room, ids)

    assert refused == 1
    assert states == {RunState.SUCCEEDED}


async def test_a_floor_that_a_listed_end_is_below_is_judged_by_its_log(sqlite_url: str) -> None:
    async with engine_room(sqlite_url, QUICK) as room:
        room.define("schedules", "night", collector="shop", batch="one", manual=True, min_rows=9)
        ids = await sent(room, 3)
        room.execute("UPDATE runs SET schedule = 'night', chunk = id")
        room.clock.tick(60)
        states = await followed(room, ids)
        reasons = {room.run(one).reason for one in ids}

    assert states == {RunState.FAILED}
    assert reasons == {Reason.TOO_FEW_ROWS}
    assert asked(room, LOG) == 3
