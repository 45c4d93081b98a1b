"""Files that are larger than what is held of them, and errors deep inside."""

import json
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduler.domain.errors import InputsError
from scheduler.inputs import iter_bodies, iter_inputs, read_inputs
from scheduler.inputs.json_stream import iter_json
from tests.inputs.make import make_file, problem_of
from tests.make import make_batch

MIB = 1024**2


def peak_of_reading(file: Path, **columns: object) -> tuple[int, int]:
    """Return how many inputs the file's bodies have, and the most memory that took."""
    batch = make_batch(file=str(file), inputs=None, **columns)
    tracemalloc.start()
    try:
        count = sum(body.row_count for body in iter_bodies(batch, None))
        return count, tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("name", ["a.csv", "a.txt", "a.jsonl", "a.json"])
def test_a_large_file_is_read_in_little_memory(tmp_path: Path, name: str) -> None:
    url = "https://example.org/" + "x" * 980
    count = 12_000
    heads, tails = {"a.csv": "url\n", "a.json": "["}, {"a.json": '{"url": ""}]'}
    row = f"{url}\n" if name in ("a.csv", "a.txt") else f'{{"url": "{url}"}}'
    row += {"a.jsonl": "\n", "a.json": ",\n"}.get(name, "")
    file = make_file(tmp_path, name, heads.get(name, "") + row * count + tails.get(name, ""))

    found, peak = peak_of_reading(file, max_inputs_per_trigger=100, max_chunks=200)

    assert file.stat().st_size > 11 * MIB
    assert found in (count, count + 1)
    # A window of JSON is 8 MiB, twice while it moves; lines need next to nothing.
    assert peak < (28 * MIB if name == "a.json" else 6 * MIB)


def test_a_quote_that_is_never_closed_does_not_swallow_a_large_file(tmp_path: Path) -> None:
    file = make_file(tmp_path, "a.csv", 'url\nx\n"y\n' + "z" * 99 + ("\n" + "z" * 99) * 300_000)
    tracemalloc.start()
    try:
        problem = problem_of(file)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert problem == (
        "a.csv:3: a row goes on for more than 16 MiB: is a quote in this row not closed,"
        " or not doubled?"
    )
    assert peak < 100 * MIB


def test_what_is_no_text_is_named_by_its_line_deep_inside_a_file(tmp_path: Path) -> None:
    file = make_file(tmp_path, "a.txt", b"https://example.org/\n" * 200_000 + b"\xff\n")

    assert problem_of(file) == "a.txt:200001: not text in UTF-8: save the file as UTF-8"


def test_inputs_before_a_fault_are_given_and_then_the_fault(tmp_path: Path) -> None:
    found = iter_inputs(make_file(tmp_path, "a.jsonl", '{"a": 1}\n{"a": 2}\noops\n'))

    assert [next(found).value, next(found).value] == [{"a": 1}, {"a": 2}]
    with pytest.raises(InputsError, match=r"a\.jsonl:3:1"):
        next(found)


# No key is one of an error that somebody answered.
keys = st.text().map(lambda key: f"x{key}")
objects = st.dictionaries(keys, st.integers() | st.text() | st.lists(st.none()), max_size=3)


@given(
    inputs=st.lists(objects, min_size=1, max_size=6),
    indent=st.sampled_from([None, 1]),
    window=st.integers(1, 30),
    chunk=st.integers(1, 20),
)
def test_an_array_is_read_the_same_through_any_window(
    inputs: list[dict[str, object]], indent: int | None, window: int, chunk: int
) -> None:
    text = json.dumps(inputs, indent=indent, ensure_ascii=False)
    chunks = (text[start : start + chunk] for start in range(0, len(text), chunk))

    found = [one for _, one in iter_json(chunks, "a.json", window=window)]

    assert found == inputs


@pytest.mark.parametrize(
    "text",
    [
        '[\n{"a": 1},\n{"a": }]',
        '[{"a": 1},\n"x"]',
        '[{"a": 1}\n{"a": 2}]',
        '[{"a": 1},\n{"a": 2}',
        '[{"a": 1}]\n]',
        '[{"a": 1},\n{"b": 1, "b": 2}]',
        '[{"a": 1},\n\n{"b": NaN}]',
        '[{"a": 1},\n{"b": "\\ud800"}]',
    ],
)
def test_a_fault_is_told_the_same_way_through_a_small_window(tmp_path: Path, text: str) -> None:
    whole = problem_of(make_file(tmp_path, "a.json", text))
    with pytest.raises(InputsError) as caught:
        list(iter_json(iter(text), "a.json", window=4))

    assert str(caught.value).split(":")[:2] == whole.split(":")[:2]
    assert str(caught.value).rsplit(":", 1)[1] == whole.rsplit(":", 1)[1]


@pytest.mark.parametrize(
    ("name", "head", "tail"),
    [
        ("a.json", '{"html": "', '"}'),
        ("a.json", '[{"a": 1}, {"html": "', '"}]'),
        ("a.jsonl", '{"a": 1}\n{"html": "', '"}\n'),
        ("a.csv", 'html\n"', '"\n'),
    ],
)
def test_an_input_that_is_far_too_large_is_refused_before_it_is_held(
    tmp_path: Path, name: str, head: str, tail: str
) -> None:
    file = make_file(tmp_path, name, head + "x" * 40 * MIB + tail)
    tracemalloc.start()
    try:
        problem = problem_of(file)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert "16 MiB" in problem
    assert peak < 100 * MIB


def test_a_fault_far_from_the_end_is_told_before_the_rest_is_read() -> None:
    taken = []

    def chunks() -> Iterator[str]:
        yield '[{"a": 1}, {"b" 2},'
        for number in range(1000):
            taken.append(number)
            yield '{"a": 1},'

    with pytest.raises(InputsError, match=r"a\.json:1:17: expecting ':' delimiter"):
        list(iter_json(chunks(), "a.json", window=100))

    assert len(taken) < 100


def test_a_single_object_may_be_larger_than_the_window(tmp_path: Path) -> None:
    file = make_file(tmp_path, "a.json", json.dumps({"html": "x" * 9 * MIB}))

    assert len(read_inputs(file)[0]["html"]) == 9 * MIB
