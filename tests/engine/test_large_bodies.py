"""Large bodies: made, kept, sent and looked for part by part, by the same rules as small ones."""

import hashlib
import json
import tracemalloc
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from scheduler.domain.records import Outcome, Reason, RunState, StoredBody
from scheduler.domain.request import BodyWriter, SendAs, Spool, body_content, render_body
from scheduler.engine.stored_body import content_of
from scheduler.inputs import iter_stored, write_body
from scheduler.sandbox import Fault, FaultKind, When
from scheduler.storage import definitions
from scheduler.storage.body_parts import DatabaseSpool, iter_text
from scheduler.storage.database import Database
from tests.engine.rig import LEASE, NINE, Room, engine_room

MIB = 1024**2
INPUTS = [{"url": f"https://example.org/{number:04}", "html": "ä" * 1000} for number in range(1500)]


def large_file(folder: Path, inputs: list[dict[str, Any]] = INPUTS) -> Path:
    file = folder / "large.jsonl"
    file.write_text("".join(f"{json.dumps(one)}\n" for one in inputs))
    return file


def rows(db: Database, query: str) -> list[tuple[Any, ...]]:
    with db.reading() as conn:
        return [tuple(row) for row in conn.execute(text(query))]


def make_large(db: Database, send_as: SendAs = SendAs.JSON) -> StoredBody:
    writer = BodyWriter(send_as, columns=list(INPUTS[0]), spool=DatabaseSpool(db, NINE))
    body = write_body(INPUTS, writer)
    with db.writing() as conn:
        definitions.insert_bodies(conn, [body], now=NINE)
    return body


async def fire_large(room: Room, folder: Path) -> None:
    room.define("batches", "large", file=str(large_file(folder)))
    room.schedule("nightly", batch="large")
    room.clock.tick(timedelta(hours=1))
    step = room.fire_step()
    await step.run(room.clock())
    while step.reader.is_busy:
        room.clock.tick(1)
        await step.run(room.clock())


async def test_a_large_batch_is_kept_in_parts_and_sent_whole(
    database_url: str, tmp_path: Path
) -> None:
    async with engine_room(database_url) as room:
        await fire_large(room, tmp_path)
        await room.dispatch()

        (kept,) = rows(room.db, "SELECT text, byte_count, row_count FROM bodies")
        parts = rows(room.db, "SELECT number, length(text) FROM body_parts ORDER BY number")
        said = room.complaints()
        (job,) = room.sandbox.account.book.jobs.values()

    whole = render_body(INPUTS, SendAs.JSON)
    assert kept == ("", whole.byte_count, 1500)
    assert [number for number, _ in parts] == [1, 2, 3]
    assert sum(length for _, length in parts) == len(whole.text)
    assert list(job.order.inputs) == INPUTS
    assert said == []


@pytest.mark.parametrize("send_as", SendAs)
async def test_what_leaves_is_what_would_leave_in_one_piece(
    database_url: str, send_as: SendAs
) -> None:
    with Database(database_url) as db:
        body = make_large(db, send_as)
        content_type, pieces = content_of(db, body)
        assert not isinstance(pieces, bytes)
        sent = b"".join([piece async for piece in pieces])

    whole = render_body(INPUTS, send_as)
    assert (body.fingerprint, body.byte_count) == (whole.fingerprint, whole.byte_count)
    assert (content_type, sent) == body_content(whole)
    assert pieces.length == len(sent)


@pytest.mark.parametrize("send_as", SendAs)
def test_the_inputs_of_a_large_body_are_read_again(database_url: str, send_as: SendAs) -> None:
    with Database(database_url) as db:
        body = make_large(db, send_as)
        with db.reading() as conn:
            found = list(iter_stored(send_as, iter_text(conn, body)))

    assert found == INPUTS


async def test_a_large_trigger_whose_answer_was_lost_is_found(
    database_url: str, tmp_path: Path
) -> None:
    async with engine_room(database_url) as room:
        await fire_large(room, tmp_path)
        room.arm(Fault(kind=FaultKind.LOST, when=When.AFTER))
        await room.dispatch()
        await room.lookup()

        (found,) = rows(room.db, "SELECT state, reason, collection_id FROM runs")
        said = room.complaints()

    assert found == (RunState.COLLECTING, Reason.ADOPTED, room.jobs[0])
    assert said == []


async def test_of_a_body_whose_parts_are_gone_nothing_leaves(
    database_url: str, tmp_path: Path
) -> None:
    async with engine_room(database_url) as room:
        await fire_large(room, tmp_path)
        with room.db.writing() as conn:
            conn.execute(text("DELETE FROM body_parts"))
        await room.dispatch()

        outcomes = rows(room.db, "SELECT outcome FROM attempts")

    assert room.triggers == []
    assert outcomes == [(Outcome.DEFERRED,)]


async def test_the_lease_of_a_large_claim_lasts_as_long_as_it_may_be_under_way(
    database_url: str, tmp_path: Path
) -> None:
    async with engine_room(database_url) as room:
        await fire_large(room, tmp_path)
        step = room.dispatch_step()
        await step.run(room.clock())
        ((run_id,),) = rows(room.db, "SELECT id FROM runs")
        lease_until = room.run(run_id).lease_until
        await room.dispatch(step)

    assert lease_until is not None
    assert lease_until > room.clock() + LEASE + timedelta(seconds=2)


async def test_a_body_of_before_is_sent_whole_however_large_it_is(database_url: str) -> None:
    old = render_body(INPUTS, SendAs.JSON)
    async with engine_room(database_url) as room:
        run_id = room.ask("shop")
        with room.db.writing() as conn:
            definitions.insert_bodies(conn, [old], now=NINE)
            conn.execute(text("UPDATE runs SET body = :body"), {"body": old.fingerprint})
        await room.dispatch()

        (job,) = room.sandbox.account.book.jobs.values()
        state = room.run(run_id).state

    assert old.parts is None
    assert state is RunState.COLLECTING
    assert list(job.order.inputs) == INPUTS


def test_equal_bodies_are_kept_once(database_url: str) -> None:
    with Database(database_url) as db:
        first, second = make_large(db), make_large(db)

        kept = rows(db, "SELECT DISTINCT parts FROM body_parts")

    assert first.parts != second.parts
    assert kept == [(first.parts,)]


def test_parts_go_with_their_body(database_url: str) -> None:
    with Database(database_url) as db:
        make_large(db)
        with db.writing() as conn:
            conn.execute(text("DELETE FROM bodies"))

        assert rows(db, "SELECT * FROM body_parts") == []


def test_what_became_no_body_is_deleted_a_day_later_and_nothing_else(database_url: str) -> None:
    with Database(database_url) as db:
        used = make_large(db)
        spool: Spool = DatabaseSpool(db, NINE + timedelta(hours=1))
        left, new = spool.begin(), spool.begin()
        spool.put(left, 1, "[")
        spool = DatabaseSpool(db, NINE + timedelta(hours=2))
        spool.put(new, 1, "[")
        DatabaseSpool(db, NINE + timedelta(hours=25, minutes=30)).begin()

        kept = rows(db, "SELECT DISTINCT parts FROM body_parts")

    assert set(kept) == {(used.parts,), (new,)}


def test_what_cannot_be_read_to_its_end_leaves_no_parts(database_url: str, tmp_path: Path) -> None:
    with Database(database_url) as db:
        writer = BodyWriter(SendAs.JSON, spool=DatabaseSpool(db, NINE))
        with pytest.raises(ZeroDivisionError):
            write_body((1 / 0 if one is None else one for one in [*INPUTS, None]), writer)  # type: ignore[misc]

        assert rows(db, "SELECT * FROM body_parts") == []


async def test_a_large_body_is_made_and_read_in_the_memory_of_a_few_parts(sqlite_url: str) -> None:
    page = "x" * 10_000
    with Database(sqlite_url) as db:
        make_large(db)  # what is made once, such as a statement, is there
        tracemalloc.start()
        try:
            writer = BodyWriter(SendAs.JSON, spool=DatabaseSpool(db, NINE))
            body = write_body(
                ({"url": str(number), "html": page} for number in range(5000)), writer
            )
            _, pieces = content_of(db, body)
            assert not isinstance(pieces, bytes)
            found = hashlib.sha256(b"json\0")
            async for piece in pieces:
                found.update(piece)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    assert body.byte_count > 47 * MIB
    assert found.hexdigest() == body.fingerprint
    assert peak < 8 * MIB
