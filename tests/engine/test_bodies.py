"""BatchReader: batches become bodies, and are read again when they have changed."""

import os
from pathlib import Path

from scheduler.domain.errors import InputsError, SchedulerError
from scheduler.domain.records import StoredBody
from scheduler.engine.bodies import BatchReader
from tests.make import make_batch


def read(reader: BatchReader, file: Path) -> StoredBody:
    body = reader.read(make_batch(file=str(file), inputs=None))
    assert isinstance(body, StoredBody), body
    return body


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
    missing = reader.read(make_batch(file=str(file), inputs=None))
    file.write_text("https://example.org/a\n")

    assert isinstance(missing, InputsError)
    assert str(file) in str(missing)
    assert read(reader, file).row_count == 1


def test_inputs_that_make_no_body_are_told_and_not_raised() -> None:
    problem = BatchReader().read(make_batch(inputs="[]"))

    assert isinstance(problem, SchedulerError)


def test_equal_inputs_make_the_same_body_wherever_they_stand(tmp_path: Path) -> None:
    file = tmp_path / "inputs.json"
    file.write_text('[{"url": "https://example.org/1"}]')
    reader = BatchReader()
    written = reader.read(make_batch())

    assert isinstance(written, StoredBody)
    assert read(reader, file).fingerprint == written.fingerprint
