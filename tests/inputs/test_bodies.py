"""From a batch to its bodies: files joined, inputs checked, repeats left out, chunks made."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from scheduler.domain.batch import DueTime, DueTimeNeeded
from scheduler.domain.errors import InputsError, InvalidInput
from scheduler.domain.records import Batch
from scheduler.domain.request import SendAs, body_inputs, render_body
from scheduler.inputs import iter_bodies
from tests.inputs.make import make_file, url_lines
from tests.make import make_batch

DUE = DueTime(datetime(2026, 3, 2, 9, tzinfo=UTC), "UTC")


def file_batch(file: Path | str, **columns: Any) -> Batch:
    return make_batch(name="shops", file=str(file), inputs=None, **columns)


def urls(batch: Batch, due: DueTime | None = None) -> list[list[str]]:
    """Return the path of each input's url, body by body."""
    return [
        [one["url"].removeprefix("https://x.org/") for one in body_inputs(body)]
        for body in iter_bodies(batch, due)
    ]


def problem(batch: Batch, folder: Path, **limits: Any) -> str:
    with pytest.raises((InputsError, InvalidInput)) as caught:
        list(iter_bodies(batch, DUE, **limits))
    return str(caught.value).replace(f"{folder}/", "")


@pytest.mark.parametrize(
    ("most", "chunks"),
    [
        (None, ["abcde"]),
        (1, ["a", "b", "c", "d", "e"]),
        (2, ["ab", "cd", "e"]),
        (5, ["abcde"]),
        (9, ["abcde"]),
    ],
)
def test_inputs_come_in_parts_in_order(tmp_path: Path, most: int | None, chunks: list[str]) -> None:
    file = make_file(tmp_path, "a.txt", url_lines(*"abcde"))

    found = urls(file_batch(file, max_inputs_per_trigger=most))

    assert ["".join(chunk) for chunk in found] == chunks


def test_a_batch_makes_the_very_bodies_that_its_inputs_make() -> None:
    inputs = [{"url": "https://x.org/1"}, {"url": "https://x.org/2"}]

    for send_as in SendAs:
        batch = make_batch(inputs=json.dumps(inputs), send_as=send_as)
        assert list(iter_bodies(batch, None)) == [render_body(inputs, send_as)]


def test_files_that_a_pattern_matches_are_joined_by_name(tmp_path: Path) -> None:
    make_file(tmp_path, "b.csv", "url,n\nb,1\n")
    make_file(tmp_path, "a.csv", "n;url\n1;a\n2;c\n")
    make_file(tmp_path, "c.csv", "url\n")
    make_file(tmp_path, ".hidden.csv", "url\nhidden\n")
    make_file(tmp_path, "d.txt", "other\n")
    (tmp_path / "folder.csv").mkdir()

    assert urls(file_batch(tmp_path / "*.csv", max_inputs_per_trigger=2)) == [["a", "c"], ["b"]]


def test_a_pattern_reaches_folders_below(tmp_path: Path) -> None:
    (tmp_path / "x" / "y").mkdir(parents=True)
    make_file(tmp_path / "x" / "y", "a.txt", url_lines("deep"))

    assert urls(file_batch(tmp_path / "**" / "*.txt")) == [["deep"]]


def test_a_name_with_brackets_is_the_file_of_that_name(tmp_path: Path) -> None:
    make_file(tmp_path, "a.txt", url_lines("pattern"))
    file = make_file(tmp_path, "[a].txt", url_lines("brackets"))

    assert urls(file_batch(file)) == [["brackets"]]


@pytest.mark.parametrize(
    ("pattern", "said"),
    [
        ("*.json", "*.json: matches no file: is its path right?"),
        ("*.xml", "a.xml: must end in one of .csv .json .jsonl .ndjson .txt"),
        ("empty*.txt", "empty*.txt: holds no inputs: write at least one"),
    ],
)
def test_a_pattern_without_inputs_is_refused(tmp_path: Path, pattern: str, said: str) -> None:
    make_file(tmp_path, "a.xml", "<a/>")
    make_file(tmp_path, "empty1.txt", "")
    make_file(tmp_path, "empty2.txt", "# nothing\n")

    assert problem(file_batch(tmp_path / pattern), tmp_path) == said


def test_repeats_are_left_out_before_parts_are_made(tmp_path: Path) -> None:
    file = make_file(tmp_path, "a.txt", url_lines(*"babacb"))

    assert urls(file_batch(file, dedupe=True, max_inputs_per_trigger=2)) == [["b", "a"], ["c"]]
    assert urls(file_batch(file)) == [["b", "a", "b", "a", "c", "b"]]


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        pytest.param("a.csv", "url,n\nx,1\n\n,2\n", "a.csv:4: has no 'url'", id="CSV, its line"),
        pytest.param("a.csv", "link\nx\n", "a.csv:2: has no 'url'", id="no such column"),
        pytest.param("a.jsonl", '{"url":1}\n{"a":1}\n', "a.jsonl:2: has no 'url'", id="JSON Lines"),
        pytest.param(
            "a.json", '[{"url":1},\n\n{"url":null}]', "a.json: input 2: has no 'url'", id="JSON"
        ),
    ],
)
def test_an_input_without_a_required_field_is_named_by_its_place(
    tmp_path: Path, name: str, content: str, said: str
) -> None:
    file = make_file(tmp_path, name, content)

    told = problem(file_batch(file, required="url"), tmp_path)

    assert told == f"{said}, which the batch requires: write one, or leave the input out"


def test_a_due_time_is_filled_in(tmp_path: Path) -> None:
    file = make_file(tmp_path, "a.txt", url_lines("x/{id}/{due_at:%Y/%m}", "y"))

    assert urls(file_batch(file), DUE) == [["x/{id}/2026/03", "y"]]
    with pytest.raises(DueTimeNeeded):
        urls(file_batch(file))


def test_a_malformed_due_time_is_named_by_its_place(tmp_path: Path) -> None:
    file = make_file(tmp_path, "a.txt", url_lines("y", "{due_at:%Q}"))

    assert problem(file_batch(file), tmp_path).startswith("a.txt:2: '{due_at:%Q}'")


@pytest.mark.parametrize(
    ("columns", "advice"),
    [
        ({}, "set max_inputs_per_trigger, such as 10,"),
        ({"max_inputs_per_trigger": 400}, "lower max_inputs_per_trigger (it is 400),"),
    ],
)
@pytest.mark.parametrize("limits", [{"most_bytes": 99 * 10}, {"most_inputs": 98}])
def test_what_is_too_much_for_one_trigger_must_come_in_parts(
    tmp_path: Path, columns: dict[str, Any], advice: str, limits: dict[str, int]
) -> None:
    file = make_file(tmp_path, "a.txt", url_lines("6789") * 500)

    told = problem(file_batch(file, **columns), tmp_path, **limits)

    assert advice in told
    assert sum(map(len, urls(file_batch(file, max_inputs_per_trigger=50)))) == 500


def test_what_grows_too_large_only_when_it_is_written_is_refused_as_well() -> None:
    inputs = [{"a long name of a column": 1}] * 10
    batch = make_batch(inputs=json.dumps(inputs))

    assert "set max_inputs_per_trigger" in problem(batch, Path(), most_bytes=100)
    assert len(list(iter_bodies(batch, None, most_bytes=400))) == 1


def test_an_input_that_is_too_large_by_itself_is_not_advised_to_be_split() -> None:
    told = problem(make_batch(inputs='[{"a": "0123456789"}]'), Path(), most_bytes=5)

    assert told == "batch 'bestsellers': one of its inputs is larger than 0 MiB"


def test_a_part_that_cannot_be_written_is_named() -> None:
    batch = make_batch(inputs='[{"a": 1}, {"a": [2]}]', send_as="csv", max_inputs_per_trigger=1)

    assert problem(batch, Path()).startswith("batch 'bestsellers': chunk 2: input 1: 'a' is an")


def test_a_separator_that_a_spreadsheet_names_is_obeyed(tmp_path: Path) -> None:
    file = make_file(tmp_path, "a.csv", 'sep=;\r\n"a,b,c";url\r\n1,2;x\r\n3;\r\n')

    (body,) = iter_bodies(file_batch(file), None)
    told = problem(file_batch(file, required="url"), tmp_path)

    assert body_inputs(body) == [{"a,b,c": "1,2", "url": "x"}, {"a,b,c": "3", "url": ""}]
    assert told.startswith("a.csv:4: has no 'url'")
