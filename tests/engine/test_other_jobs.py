"""Jobs that somebody else started: they count for `overlap` and `max_running`, ours never twice."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest

from scheduler.domain.records import RunState
from scheduler.engine.other_jobs import OtherJobsStep
from scheduler.sandbox import Fault, FaultKind, SandboxSettings, When
from scheduler.storage import other_jobs
from scheduler.tools.calendar.explain import explain_time
from scheduler.views.attention import list_needs, list_others
from scheduler.views.status import read_status
from scheduler.views.waiting import why_waits
from tests.engine.rig import REQUEST_TIMEOUT, SHOP, Room, engine_room

LIST = "/dca/collector/jobs"
TEN_MINUTES = SandboxSettings(build_time=timedelta(), time_per_input=timedelta(minutes=10))
OVERLAPPED = (RunState.SKIPPED, "overlapped")
ACCEPTED = (RunState.COLLECTING, "accepted")


def step(room: Room, **parts: Any) -> OtherJobsStep:
    usual: dict[str, Any] = {
        "db": room.db,
        "upstreams": room.upstreams,
        "clock": room.clock,
        "owner": "d1",
        "poll_initial": timedelta(seconds=10),
        "overdue_after": timedelta(hours=24),
        "request_timeout": REQUEST_TIMEOUT,
        "wake_dispatch": lambda: None,
    }
    return OtherJobsStep(**(usual | parts))


async def look(room: Room, after: timedelta | float = 0, **parts: Any) -> None:
    """Let that much time pass, and list what is to be listed."""
    room.clock.tick(after)
    await step(room, **parts).run(room.clock())


async def due(room: Room) -> None:
    """Go to the next full hour, look just before it, and fire and send what is due."""
    room.clock.now = room.clock.now.replace(minute=59, second=45)
    await look(room)
    room.clock.tick(15)
    await room.fire()
    await room.dispatch()


def counted(room: Room) -> list[str]:
    with room.db.reading() as conn:
        return [job.id for job in other_jobs.list_all_counted(conn, now=room.clock())]


def asked(room: Room) -> int:
    return sum(one.path == LIST for one in room.received)


async def test_a_job_of_others_is_an_overlap(database_url: str) -> None:
    async with engine_room(database_url, TEN_MINUTES) as room:
        room.schedule("hourly", overlap="skip")
        await room.fire()
        room.clock.tick(timedelta(minutes=58))
        job = room.start_elsewhere()
        await due(room)
        (first,) = room.runs()
        await due(room)
        ends = room.ends()

    assert (first.state, first.reason.value) == OVERLAPPED
    assert first.detail == f"job {job} runs on the collector, and no run here has it"
    assert ends == [OVERLAPPED, ACCEPTED]


@pytest.mark.parametrize("overlap", ["queue_one", "replace"])
async def test_a_run_waits_for_the_end_of_what_others_run(database_url: str, overlap: str) -> None:
    async with engine_room(database_url, TEN_MINUTES) as room:
        room.schedule("hourly", overlap=overlap)
        await room.fire()
        room.clock.tick(timedelta(minutes=58))
        job = room.start_elsewhere()
        await due(room)
        waiting = room.runs()[0]
        for _ in range(12):
            await look(room, 20)
            await room.dispatch()
        still = room.runs()[0]
        for _ in range(30):
            await look(room, 20)
            await room.dispatch()
        sent = room.runs()[0]
        cancelled = [one for one in room.received if one.path.endswith("/cancel")]

    assert waiting.state is still.state is RunState.QUEUED
    assert waiting.waits_for_others
    assert job not in {sent.collection_id}
    assert sent.state is RunState.COLLECTING
    assert cancelled == []


@pytest.mark.parametrize("overlap", ["queue", "allow"])
async def test_who_runs_beside_others_asks_nothing(sqlite_url: str, overlap: str) -> None:
    async with engine_room(sqlite_url, TEN_MINUTES) as room:
        room.schedule("hourly", overlap=overlap)
        await room.fire()
        room.clock.tick(timedelta(minutes=58))
        room.start_elsewhere()
        await due(room)

        assert room.ends() == [ACCEPTED]
        assert asked(room) == 0


async def test_a_job_of_others_fills_a_collector(database_url: str) -> None:
    async with engine_room(database_url, TEN_MINUTES) as room:
        room.change("collectors", "shop", max_running=1)
        room.schedule("hourly", overlap="allow")
        await room.fire()
        room.clock.tick(timedelta(minutes=58))
        room.start_elsewhere()
        await due(room)
        waiting = room.ends()
        for _ in range(12):
            await look(room, 46)
            await room.dispatch()

        assert waiting == [(RunState.QUEUED, "due")]
        assert room.ends() == [ACCEPTED]


async def test_a_collector_may_leave_others_out(database_url: str) -> None:
    async with engine_room(database_url, TEN_MINUTES) as room:
        room.change("collectors", "shop", max_running=1, count_others=False)
        room.schedule("hourly", overlap="skip")
        await room.fire()
        room.clock.tick(timedelta(minutes=58))
        room.start_elsewhere()
        await due(room)

        assert room.ends() == [ACCEPTED]
        assert asked(room) == 0


async def test_an_hour_costs_one_question(sqlite_url: str) -> None:
    async with engine_room(sqlite_url) as room:
        room.schedule("hourly", overlap="skip")
        await room.fire()
        for _ in range(60 * 30):
            await look(room, 2)

    assert asked(room) == 1


async def test_a_schedule_of_seconds_costs_a_question_in_a_while(sqlite_url: str) -> None:
    async with engine_room(sqlite_url) as room:
        room.schedule("often", every="5s", overlap="skip")
        await room.fire()
        for _ in range(180):
            await look(room, 2)
            await room.fire()

    assert asked(room) == 14


async def test_two_daemons_ask_once(database_url: str) -> None:
    async with engine_room(database_url, TEN_MINUTES) as room:
        room.schedule("hourly", overlap="skip")
        await room.fire()
        room.clock.tick(timedelta(minutes=59, seconds=40))
        room.start_elsewhere()
        await look(room)
        await look(room, owner="d2")

        assert asked(room) == 1
        assert len(counted(room)) == 1


async def test_a_lost_answers_job_is_not_counted_twice(database_url: str) -> None:
    """While it is looked for it is one run; once it was found, too."""
    async with engine_room(database_url, TEN_MINUTES) as room:
        room.change("collectors", "shop", max_running=2)
        room.arm(Fault(kind=FaultKind.LOST, path="/dca/trigger", times=1))
        run_id = room.ask()
        await room.dispatch()
        lost = room.run(run_id).state
        room.ask(queue="other")
        await look(room, 2)
        while_lost = counted(room)
        await room.lookup()
        found = room.run(run_id).state
        await look(room, 60)

        assert len(room.jobs) == 1
        assert (lost, found) == (RunState.UNCONFIRMED, RunState.COLLECTING)
        assert (while_lost, counted(room)) == ([], [])
        assert asked(room) == 3


async def test_what_was_known_before_a_trigger_was_lost_goes_on_to_count(database_url: str) -> None:
    async with engine_room(database_url, TEN_MINUTES) as room:
        room.change("collectors", "shop", max_running=5)
        job = room.start_elsewhere()
        room.ask(queue="first")
        await look(room)
        room.arm(Fault(kind=FaultKind.LOST, path="/dca/trigger", times=1))
        await room.dispatch()
        room.ask(queue="other")
        await look(room, 46)

        assert len(room.jobs) == 2
        assert counted(room) == [job]


async def test_a_job_that_is_adopted_is_ours(database_url: str) -> None:
    async with engine_room(database_url, TEN_MINUTES) as room:
        room.change("collectors", "shop", max_running=2)
        job = room.start_elsewhere()
        run_id = room.ask()
        await look(room)
        before = counted(room)
        room.execute(
            "INSERT INTO collections (id, run_id, account, collector_id, accepted_at)"
            " VALUES (:id, :run, 'main', :collector, :now)",
            id=job, run=run_id, collector=SHOP, now=room.clock(),
        )  # fmt: skip

        assert (before, counted(room)) == ([job], [])


@pytest.mark.parametrize("status", [401, 404, 429, 500])
async def test_where_the_list_cannot_be_read_our_own_runs_decide(
    database_url: str, status: int
) -> None:
    async with engine_room(database_url, TEN_MINUTES) as room:
        room.schedule("hourly", overlap="skip")
        await room.fire()
        room.clock.tick(timedelta(minutes=58))
        room.start_elsewhere()
        room.arm(
            Fault(kind=FaultKind.ERROR, path=LIST, status=status, when=When.BEFORE, times=None)
        )
        await look(room, 105)
        with room.db.reading() as conn:
            (listed,) = other_jobs.list_lists(conn)
        room.clock.tick(15)
        await room.fire()

        assert room.ends() == [(RunState.QUEUED, "due")]
        assert (listed.listed_at, bool(listed.trouble)) == (None, True)


async def test_what_a_list_showed_counts_for_a_minute(database_url: str) -> None:
    async with engine_room(database_url, TEN_MINUTES) as room:
        room.change("collectors", "shop", max_running=1)
        room.start_elsewhere()
        run_id = room.ask()
        await look(room)
        room.arm(Fault(kind=FaultKind.ERROR, path=LIST, status=500, when=When.BEFORE, times=None))
        await look(room, 46)
        await room.dispatch()
        waiting = room.run(run_id).state
        room.clock.tick(15)
        await room.dispatch()

        assert waiting is RunState.QUEUED
        assert room.run(run_id).state is RunState.COLLECTING


async def test_what_runs_for_days_holds_up_nobody(database_url: str) -> None:
    forever = SandboxSettings(build_time=timedelta(), time_per_input=timedelta(days=16))
    async with engine_room(database_url, forever) as room:
        room.change("collectors", "shop", max_running=1)
        room.start_elsewhere()
        run_id = room.ask()
        await look(room)
        first = counted(room)
        await look(room, timedelta(hours=24))
        await room.dispatch()

        assert (len(first), counted(room)) == (1, [])
        assert room.run(run_id).state is RunState.COLLECTING


ODD = [
    pytest.param(Fault(kind=FaultKind.OTHER_KEYS, path=LIST, times=None), 1, id="other keys"),
    pytest.param(Fault(kind=FaultKind.NUMBERS_AS_TEXT, path=LIST, times=None), 1, id="texts"),
    pytest.param(Fault(kind=FaultKind.WRAPPED, path=LIST, times=None), 1, id="wrapped"),
    pytest.param(Fault(kind=FaultKind.BARE_ROWS, times=None), 1, id="bare rows"),
    pytest.param(Fault(kind=FaultKind.OTHER_NAME, times=None), 1, id="another name"),
    pytest.param(
        Fault(kind=FaultKind.PAGE, path=LIST, status=404, when=When.BEFORE, times=None),
        0,
        id="a gateway's page",
    ),
]


@pytest.mark.parametrize(("fault", "count"), ODD)
async def test_rows_of_any_shape(sqlite_url: str, fault: Fault, count: int) -> None:
    async with engine_room(sqlite_url, TEN_MINUTES) as room:
        room.change("collectors", "shop", max_running=1)
        room.start_elsewhere()
        room.ask()
        room.arm(fault)
        await look(room)

        assert len(counted(room)) == count


async def test_people_are_told_what_waits_for_others(database_url: str) -> None:
    async with engine_room(database_url, TEN_MINUTES) as room:
        room.change("collectors", "shop", max_running=1)
        room.schedule("hourly", overlap="queue_one")
        room.schedule("skips", overlap="skip")
        await room.fire()
        room.clock.tick(timedelta(minutes=58))
        job = room.start_elsewhere()
        await due(room)
        by_hand = room.ask(queue="other")
        with room.db.reading() as conn:
            status = read_status(conn, now=room.clock())
            waiting = [run for run in room.runs() if run.state is RunState.QUEUED]
            told = [why_waits(conn, run, now=room.clock()) for run in waiting]
            past, coming = (
                explain_time(conn, "skips", at, now=room.clock()).answers[0].sentence
                for at in (room.clock(), room.clock() + timedelta(hours=1))
            )

    named = f"job {job} runs on the collector, and no run here has it"
    assert [one.sentence for one in list_others(status)] == [f"c_shop of main: {named}"]
    assert [run.id for run in waiting][-1] == by_hand
    assert told == [
        f"the end of what others run: {named}",
        "collector shop is full: 1 of it run, 1 of them in no run here, 1 may",
    ]
    assert past == f"it was skipped, overlapped: {named}"
    then = f"now {named}: if that is so then, it is skipped"
    assert coming == f"it is due then, and its run starts at once; {then}"


async def test_a_list_that_cannot_be_read_is_told(sqlite_url: str) -> None:
    async with engine_room(sqlite_url) as room:
        room.schedule("skips", overlap="skip")
        await room.fire()
        room.arm(Fault(kind=FaultKind.ERROR, path=LIST, status=404, when=When.BEFORE, times=None))
        await look(room, timedelta(minutes=59, seconds=40))
        with room.db.reading() as conn:
            status = read_status(conn, now=room.clock())
            later = room.clock().replace(minute=0, second=0) + timedelta(hours=2)
            coming = explain_time(conn, "skips", later, now=room.clock()).answers[0].sentence

    (need,) = [need for need in list_needs(status) if need.subject == "collectors"]
    assert need.sentence.startswith("c_shop of main: its jobs cannot be listed (")
    assert "; only our own runs count, for the collector's jobs are not known: " in coming


async def test_a_followed_list_shows_what_others_run(database_url: str) -> None:
    async with engine_room(database_url, TEN_MINUTES) as room:
        room.change("collectors", "shop", max_unresolved=10, max_running=10)
        for name in ("one", "two"):
            room.ask(queue=name)
        await room.dispatch()
        job = room.start_elsewhere()
        await room.follow(20)

        assert counted(room) == [job]


async def test_a_question_is_on_the_wire_of_its_account(database_url: str) -> None:
    """A daemon that dies while it asks leaves what is suspected to have been 429."""
    async with engine_room(database_url) as room:
        room.change("collectors", "shop", max_running=1)
        room.ask()
        with room.db.writing() as conn:
            wanted = other_jobs.list_wanted(conn, now=room.clock())
            until = room.clock() + timedelta(seconds=32)
            other_jobs.claim(conn, wanted, owner="dead", now=room.clock(), lease_until=until)
        await look(room)
        before = asked(room)
        await room.reconcile_step().take_over(room.clock())
        suspected = suspects(room)
        await look(room, 33)

        assert (before, suspected, asked(room)) == (0, [True], 1)


def suspects(room: Room) -> Sequence[bool]:
    with room.db.reading() as conn:
        rows = conn.exec_driver_sql("SELECT suspected FROM throttles").all()
    return [bool(row[0]) for row in rows]
