"""A restored backup: what waited in it is looked for at the upstream before anything is sent."""

import asyncio
from datetime import timedelta
from urllib.request import Request, urlopen

import pytest

from scheduler.actions.pauses import thaw
from scheduler.actions.settle_restore import look_further, settle_restore
from scheduler.domain.errors import Conflict
from scheduler.domain.records import Reason, RunState
from scheduler.domain.timestamps import iso_time
from scheduler.engine.restore_check import RestoreStep
from scheduler.storage import daemons, definitions, restores
from scheduler.storage.restores import UnknownJob
from tests.engine.rig import Room, engine_room

QUEUED, COLLECTING = RunState.QUEUED, RunState.COLLECTING


def be_alive(room: Room) -> None:
    """Let a daemon be seen now: the last that the backup knows."""
    with room.db.writing() as conn:
        daemons.insert_daemon(
            conn, "d0", host="h", pid=1, version="1", zone_data="2026a", now=room.clock()
        )


async def sent_after_the_backup(
    room: Room, run_id: int, inputs: str | None = None, **instead: str
) -> str:
    """Let the upstream accept what the run sends, or others, of which the database knows none."""
    run = room.run(run_id)
    query = run.query
    for old, new in instead.items():
        query = query.replace(old, new)
    with room.db.reading() as conn:
        body = definitions.get_body(conn, str(run.body)).text
    request = Request(  # noqa: S310 - of the sandbox
        f"{room.base_url}/dca/trigger?{query}",
        data=(inputs or str(body)).encode(),
        headers={"Authorization": "Bearer token", "Content-Type": "application/json"},
    )
    await asyncio.to_thread(lambda: urlopen(request).read())  # noqa: S310
    return room.jobs[-1]


def settle(room: Room) -> tuple[int, ...]:
    with room.db.writing() as conn:
        return settle_restore(conn, by="ann", now=room.clock(), confirmed=True).looked_for


async def look(room: Room) -> None:
    """Do what a daemon does after its start until all is looked for."""
    restore = RestoreStep(db=room.db, upstreams=room.upstreams, clock=room.clock)
    await room.reconcile_step(owner="d2").take_over(room.clock())
    await restore.run(room.clock())
    for _ in range(8):
        room.clock.tick(timedelta(minutes=1))
        await room.lookup_to_the_end()
        with room.db.writing() as conn:
            look_further(conn, now=room.clock())


def thaw_all(room: Room) -> None:
    with room.db.writing() as conn:
        thaw(conn, "all", by="ann", now=room.clock(), confirmed=True)


async def test_what_was_sent_since_is_adopted_and_the_rest_waits_for_the_thaw(
    database_url: str,
) -> None:
    async with engine_room(database_url) as room:
        sent, unsent = room.ask(name="one"), room.ask(name="two")
        be_alive(room)
        room.clock.tick(20)
        job = await sent_after_the_backup(room, sent)
        room.clock.tick(20)
        looked_for = settle(room)
        with pytest.raises(Conflict, match="still looked for"):
            thaw_all(room)
        await look(room)
        adopted, absent = room.run(sent), room.run(unsent)
        await room.dispatch()
        frozen = list(room.jobs)
        thaw_all(room)
        room.clock.tick(timedelta(minutes=30))
        await room.dispatch()

        assert looked_for == (sent,)  # the other sends the same: it is looked for after it
        assert (adopted.state, adopted.collection_id) == (COLLECTING, job)
        assert (absent.state, absent.reason) == (QUEUED, Reason.ABSENT)
        assert (frozen, len(room.jobs)) == ([job], 2)
        assert room.run(unsent).state is COLLECTING


async def test_a_strangers_job_since_the_backup_is_not_believed_for_its_count_alone(
    database_url: str,
) -> None:
    async with engine_room(database_url) as room:
        run_id = room.ask(name="one")
        be_alive(room)
        room.clock.tick(20)
        stranger = '[{"url": "https://stranger.example/"}]'
        job = await sent_after_the_backup(room, run_id, inputs=stranger, one="theirs")
        room.clock.tick(20)
        settle(room)
        await look(room)
        run = room.run(run_id)

    assert run.collection_id != job
    assert run.state is not COLLECTING


async def test_what_stands_behind_another_in_its_order_is_looked_for_next(
    database_url: str,
) -> None:
    async with engine_room(database_url) as room:
        room.define("batches", "two", inputs='[{"url": "https://example.org/2"}]')
        first, second = (room.ask(queue="q", batch=batch) for batch in ("one", "two"))
        be_alive(room)
        room.clock.tick(20)
        jobs = [await sent_after_the_backup(room, run_id) for run_id in (first, second)]
        room.clock.tick(20)
        looked_for = settle(room)
        await look(room)

        assert looked_for == (first,)
        assert [room.run(run_id).collection_id for run_id in (first, second)] == jobs
        with room.db.reading() as conn:
            assert restores.find_looked_into(conn) is None


async def test_jobs_that_are_in_no_run_are_told_until_the_thaw(database_url: str) -> None:
    async with engine_room(database_url) as room:
        room.define("collectors", "other", account="main", collector_id="c_other")
        known = room.ask(name="one")
        be_alive(room)
        before = await sent_after_the_backup(room, known, c_shop="c_other")
        room.clock.tick(timedelta(minutes=5))
        room.execute("UPDATE daemons SET seen_at = :now", now=room.clock())
        room.clock.tick(20)
        await sent_after_the_backup(room, known)
        job = await sent_after_the_backup(room, known, c_shop="c_other")
        queued_at = room.clock()
        settle(room)
        await look(room)
        with room.db.reading() as conn:
            told = restores.list_unknown_jobs(conn)
        thaw_all(room)
        with room.db.reading() as conn:
            after = restores.list_unknown_jobs(conn)

    assert job != before
    assert [(one.id, one.collector_id, one.name) for one in told] == [(job, "c_other", None)]
    assert told[0].queued_at == iso_time(queued_at)
    assert after == []
    assert isinstance(told[0], UnknownJob)
