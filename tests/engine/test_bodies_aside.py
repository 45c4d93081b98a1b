"""BatchReader: what one batch's file does to others, whatever it is."""

import json
import os
import threading
from pathlib import Path
from typing import Any

import pytest

from scheduler.domain.batch import Asked
from scheduler.domain.errors import SchedulerError
from scheduler.domain.records import Batch, StoredBody
from scheduler.engine.bodies import BatchReader
from scheduler.inputs import InputFiles
from tests.make import make_batch

GOOD = make_batch(name="good")


def file_batch(file: Path, **columns: Any) -> Batch:
    return make_batch(name="odd", file=str(file), inputs=None, **columns)


def keep_nothing(_: StoredBody) -> None:
    pass


async def read_beside(batch: Batch, reader: BatchReader) -> dict[str, object]:
    """Return what *batch* and a good one come to, by their names."""
    wanted = {Asked(one.name): one for one in (batch, GOOD)}
    found = await reader.read_all(wanted, store=keep_nothing)
    return {asked.batch: reading for asked, reading in found.items()}


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.json", '[{"a":' + "[" * 900 + "]" * 900 + "}]"),
        ("a.csv", ",".join(f"c{number}" for number in range(100_000)) + "\n1\n"),
        ("a.json", "[" + json.dumps({f"k{n}": n for n in range(60_000)})[:-1] + ',"k1":1}]'),
        ("a.jsonl", "".join(f'{{"k{n}": 1}}\n' for n in range(20_000))),
    ],
)
async def test_a_file_without_measure_is_an_error_of_its_batch(
    tmp_path: Path, name: str, text: str
) -> None:
    file = tmp_path / name
    file.write_text(text)

    found = await read_beside(file_batch(file, send_as="csv"), BatchReader(patience=20))

    assert isinstance(found["odd"], SchedulerError)
    assert isinstance(found["good"], tuple)


async def test_a_file_that_does_not_answer_holds_up_nobody_and_is_given_up(tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    file.write_text("url\nx\n")
    answer = threading.Event()

    def hanging() -> InputFiles:
        answer.wait(timeout=60)
        return InputFiles()

    reader = BatchReader(files=hanging, patience=0.05, gives_up_after=0.1)
    batch = file_batch(file)
    first = await reader.read_all({Asked("odd"): batch}, store=keep_nothing)
    reader.patience = 20
    second = await reader.read_all({Asked("odd"): batch}, store=keep_nothing)
    answer.set()

    assert first == {}
    assert "was not read to its end" in str(second[Asked("odd")])
    assert not reader.is_busy


async def test_what_the_database_does_not_take_is_no_error_of_the_batch(tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    file.write_text("url\nx\n")

    def refuse(_: StoredBody) -> None:
        raise OSError("the disk is full")

    with pytest.raises(OSError, match="disk is full"):
        reader = BatchReader(most_kept_bytes=1, patience=20)
        await reader.read_all({Asked("odd"): file_batch(file)}, store=refuse)


async def test_a_file_edited_in_place_with_its_old_time_is_read_again(tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    file.write_text("url\nx\n")
    reader = BatchReader(patience=20)
    before = await reader.read_all({Asked("odd"): file_batch(file)}, store=keep_nothing)
    stat = file.stat()
    file.write_text("url\ny\n")
    os.utime(file, ns=(stat.st_atime_ns, stat.st_mtime_ns))

    after = await reader.read_all({Asked("odd"): file_batch(file)}, store=keep_nothing)

    assert before != after


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ({"max_inputs": 4}, "has more than 4 inputs, its max_inputs"),
        (
            {"max_inputs_per_trigger": 1, "max_chunks": 4},
            "has more than 4 triggers, its max_chunks",
        ),
    ],
)
async def test_a_batch_sends_no_more_than_its_ceilings(
    tmp_path: Path, columns: dict[str, int], said: str
) -> None:
    file = tmp_path / "a.csv"
    file.write_text("url\n" + "x\n" * 5)

    found = await read_beside(file_batch(file, **columns), BatchReader(patience=20))

    assert said in str(found["odd"])


async def test_without_a_word_a_hundred_triggers_and_no_more_are_sent(tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    file.write_text("url\n" + "x\n" * 101)

    found = await read_beside(file_batch(file, max_inputs_per_trigger=1), BatchReader(patience=20))

    assert "has more than 100 triggers" in str(found["odd"])
