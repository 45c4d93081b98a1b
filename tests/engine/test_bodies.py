"""BatchReader: batches become bodies, and are read again when they have changed."""

import asyncio
import os
import threading
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from scheduler.domain.batch import Asked, Dated, DueTime, Reading
from scheduler.domain.errors import InputsError, SchedulerError
from scheduler.domain.records import Batch, StoredBody
from scheduler.engine.bodies import BatchReader
from tests.make import NINE, make_batch


def read_batch(reader: BatchReader, batch: Batch) -> Reading:
    def store(body: StoredBody) -> None:
        raise AssertionError("nothing here is so large")

    return reader.read(batch, None, store=store)


def body_of(found: Reading) -> StoredBody:
    assert isinstance(found, tuple), found
    (chunk,) = found
    assert chunk.body is not None
    return chunk.body


def read(reader: BatchReader, file: Path) -> StoredBody:
    return body_of(read_batch(reader, make_batch(file=str(file), inputs=None)))


def test_a_file_that_has_not_changed_is_not_read_again(tmp_path: Path) -> None:
    file = tmp_path / "urls.txt"
    file.write_text("https://example.org/a\n")
    reader = BatchReader()

    assert read(reader, file) is read(reader, file)


def test_a_changed_file_makes_another_body(tmp_path: Path) -> None:
    file = tmp_path / "urls.txt"
    file.write_text("https://example.org/a\n")
    reader = BatchReader()
    before = read(reader, file)
    file.write_text("https://example.org/a\nhttps://example.org/b\n")

    assert (before.row_count, read(reader, file).row_count) == (1, 2)


def test_a_file_put_in_place_of_another_is_noticed_whatever_its_size_and_time(
    tmp_path: Path,
) -> None:
    file, other = tmp_path / "urls.txt", tmp_path / "other.txt"
    file.write_text("https://example.org/a\n")
    other.write_text("https://example.org/b\n")
    stat = file.stat()
    os.utime(other, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    reader = BatchReader()
    before = read(reader, file)
    other.replace(file)

    assert "/b" in read(reader, file).text
    assert before.fingerprint != read(reader, file).fingerprint


def test_a_missing_file_says_so_and_is_found_when_it_is_there(tmp_path: Path) -> None:
    file = tmp_path / "urls.txt"
    reader = BatchReader()
    missing = read_batch(reader, make_batch(file=str(file), inputs=None))
    file.write_text("https://example.org/a\n")

    assert isinstance(missing, InputsError)
    assert str(file) in str(missing)
    assert read(reader, file).row_count == 1


def test_inputs_that_make_no_body_are_told_and_not_raised() -> None:
    problem = read_batch(BatchReader(), make_batch(inputs="[]"))

    assert isinstance(problem, SchedulerError)


def test_equal_inputs_make_the_same_body_wherever_they_stand(tmp_path: Path) -> None:
    file = tmp_path / "inputs.json"
    file.write_text('[{"url": "https://example.org/1"}]')
    reader = BatchReader()
    written = body_of(read_batch(reader, make_batch()))

    assert read(reader, file).fingerprint == written.fingerprint


def test_what_is_too_much_to_keep_is_stored_part_by_part_and_read_again_next_time(
    tmp_path: Path,
) -> None:
    file = tmp_path / "urls.txt"
    file.write_text("".join(f"https://example.org/{number}\n" for number in range(10)))
    batch = make_batch(file=str(file), inputs=None, max_inputs_per_trigger=1)
    reader = BatchReader(most_kept_bytes=100)
    stored: list[StoredBody] = []

    found = reader.read(batch, None, store=stored.append)
    reader.read(batch, None, store=stored.append)

    assert isinstance(found, tuple)
    assert [chunk.body for chunk in found] == [None] * 10
    assert [chunk.fingerprint for chunk in found] == [body.fingerprint for body in stored[:10]]
    assert len(stored) == 20


def test_what_was_not_asked_for_longest_is_forgotten_first(tmp_path: Path) -> None:
    old, used, new = (tmp_path / name for name in ("old.txt", "used.txt", "new.txt"))
    for file in (old, used, new):
        file.write_text(f"https://example.org/{file.name}\n")
    reader = BatchReader(most_kept_bytes=2500)
    read_old, read_used = read(reader, old), read(reader, used)
    assert read(reader, old) is read_old
    assert read(reader, used) is read_used
    read_new = read(reader, new)

    assert read(reader, new) is read_new
    assert read(reader, used) is read_used
    assert read(reader, old) is not read_old


def test_a_file_that_changes_while_it_is_read_is_not_sent_in_half(tmp_path: Path) -> None:
    file = tmp_path / "urls.txt"
    file.write_text("https://example.org/1\nhttps://example.org/2\n")
    batch = make_batch(file=str(file), inputs=None, max_inputs_per_trigger=1)

    def grow(_: StoredBody) -> None:
        os.utime(file, ns=(0, file.stat().st_mtime_ns + 1))

    problem = BatchReader(most_kept_bytes=10).read(batch, None, store=grow)

    assert isinstance(problem, InputsError)
    assert "is changed while it is read" in str(problem)


async def test_a_reading_that_is_given_up_ends_soon(tmp_path: Path) -> None:
    """Else a daemon could not stop before the last line of a file was read."""
    file = tmp_path / "large.txt"
    file.write_text(("https://x.org/" + "x" * 85 + "\n") * 900)
    batch = make_batch(name="large", file=str(file), inputs=None, max_inputs_per_trigger=10)
    reader = BatchReader(most_kept_bytes=10)
    loop, begun, go = asyncio.get_running_loop(), asyncio.Event(), threading.Event()
    stored: list[str] = []

    def store(body: StoredBody) -> None:
        stored.append(body.fingerprint)
        loop.call_soon_threadsafe(begun.set)
        go.wait(timeout=60)

    found = await reader.read_all({Asked("large"): batch}, store=store)
    async with asyncio.timeout(60):
        await begun.wait()
    (aside,) = asyncio.all_tasks() - {asyncio.current_task()}
    aside.cancel()
    await asyncio.wait([aside])
    go.set()
    await loop.shutdown_default_executor()

    assert (found, aside.cancelled(), len(stored)) == ({}, True, 1)


def test_a_file_that_has_become_whole_meanwhile_is_read_again_at_once(tmp_path: Path) -> None:
    file = tmp_path / "urls.txt"
    file.write_text("https://example.org/1\nhttps://example.org/2\n")
    batch = make_batch(file=str(file), inputs=None, max_inputs_per_trigger=1)

    def grow(_: StoredBody) -> None:
        whole = "https://example.org/1\nhttps://example.org/2\nhttps://example.org/3\n"
        if file.read_text() != whole:
            file.write_text(whole)

    found = BatchReader(most_kept_bytes=10).read(batch, None, store=grow)

    assert isinstance(found, tuple)
    assert len(found) == 3


def test_a_batch_that_depends_on_its_due_time_is_kept_for_each(tmp_path: Path) -> None:
    batch = make_batch(inputs='[{"url": "{due_at:%H}"}]')
    reader = BatchReader()
    nine, ten = (DueTime(NINE + timedelta(hours=hours), "UTC") for hours in (0, 1))
    never = read_batch(reader, batch)

    first, second = (reader.read(batch, due, store=print) for due in (nine, ten))

    assert never is Dated.DATED
    assert [body_of(found).text for found in (first, second)] == [
        '[{"url":"09"}]', '[{"url":"10"}]',
    ]  # fmt: skip
    assert reader.read(batch, nine, store=print) is first
    assert read_batch(reader, batch) is Dated.DATED


def test_other_rules_make_other_bodies_of_the_same_inputs() -> None:
    batch = make_batch(inputs='[{"url": "a"}, {"url": "a"}]')
    reader = BatchReader()
    plain = body_of(read_batch(reader, batch))
    once = body_of(read_batch(reader, replace(batch, dedupe=True)))
    lacking = read_batch(reader, replace(batch, required="n"))

    assert (plain.row_count, once.row_count) == (2, 1)
    assert isinstance(lacking, InputsError)
