"""JSON and JSON Lines: what is read, and where what is not read stands."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduler.domain.errors import InputsError
from scheduler.inputs import parse_inputs, read_inputs
from scheduler.inputs.json_text import iter_json_lines
from tests.inputs.make import make_file, problem_of

DOCUMENT = "write one array of objects (an object a line goes into a .jsonl file)"
HALF = r"holds half a character (\ud800 to \udfff without the other half): mend the escape"


@pytest.mark.parametrize(
    ("text", "inputs"),
    [
        pytest.param('[{"url": "a"}, {"url": "b"}]', [{"url": "a"}, {"url": "b"}], id="array"),
        pytest.param('{"url": "a"}', [{"url": "a"}], id="one object"),
        pytest.param(' \n [\n{"a": 1}\n]\n ', [{"a": 1}], id="space around"),
        pytest.param(
            '[{"n": 1, "f": 1.5, "t": true, "z": null, "o": {"k": [1]}}]',
            [{"n": 1, "f": 1.5, "t": True, "z": None, "o": {"k": [1]}}],
            id="every kind of value",
        ),
        pytest.param(r'[{"a": "\ud83d\ude00 ü"}]', [{"a": "😀 ü"}], id="a character in two halves"),
        pytest.param(r'[{"a": "\\ud800"}]', [{"a": r"\ud800"}], id="no escape at all"),
        pytest.param(r'[{"a": "\u0000"}]', [{"a": "\0"}], id="NUL as an escape"),
        pytest.param('[{"a": {"b": 1}, "c": {"b": 1}}]', None, id="one key in two objects"),
        pytest.param(f'[{{"a": {"9" * 4300}}}]', [{"a": int("9" * 4300)}], id="many digits"),
        pytest.param("[{}]", [{}], id="an object without keys"),
    ],
)
def test_json_is_read(tmp_path: Path, text: str, inputs: list[dict[str, Any]] | None) -> None:
    expected = json.loads(text) if inputs is None else inputs

    assert read_inputs(make_file(tmp_path, "a.json", text)) == expected
    assert parse_inputs(text, place="batch 'a'") == expected


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        pytest.param("", "a.json: holds no inputs: write at least one", id="nothing"),
        pytest.param(" \n", "a.json: holds no inputs: write at least one", id="only space"),
        pytest.param("[]", "a.json: holds no inputs: write at least one", id="empty array"),
        pytest.param('"x"', f"a.json: is text: {DOCUMENT}", id="text"),
        pytest.param("7", f"a.json: is a number: {DOCUMENT}", id="number"),
        pytest.param("null", f"a.json: is null: {DOCUMENT}", id="null"),
        pytest.param("true", f"a.json: is true or false: {DOCUMENT}", id="boolean"),
        pytest.param(
            '[\n {"a": 1},\n {"a": 2}\n\n , "https://x.org"]',
            "a.json:5: input 3 is text, not an object: write it as {…}",
            id="not an object",
        ),
        pytest.param(
            "[[1]]", "a.json:1: input 1 is an array, not an object: write it as {…}", id="array"
        ),
        pytest.param(
            '[\n {"a": 1},\n {"a": }]', f"a.json:3:8: expecting value: {DOCUMENT}", id="broken"
        ),
        pytest.param('{"a":1}\n{"a":2}', f"a.json:2:1: extra data: {DOCUMENT}", id="JSON Lines"),
        pytest.param(
            '[\n{"a": 1},\n\n{"a": NaN}]',
            "a.json:4: NaN is not JSON: write null, or a number",
            id="NaN",
        ),
        pytest.param(
            '{"a": -Infinity}',
            "a.json:1: -Infinity is not JSON: write null, or a number",
            id="infinity",
        ),
        pytest.param(
            '\n[{"a": -1e999}]',
            "a.json:2: -1e999 is too large for a number: write it as text",
            id="a number past all bounds",
        ),
        pytest.param(
            f'[{{"a": {"9" * 4301}}}]',
            "a.json:1: a number has 4301 digits: write it as text",
            id="too many digits",
        ),
        pytest.param(
            '[\n{"a": 1},\n{"b": {"a": 1, "c": 2, "a": 3}}\n]',
            "a.json:3: an object has the key 'a' twice: keep one of them",
            id="a key twice",
        ),
        pytest.param(
            '{"a": 1, "a": 1}',
            "a.json:1: an object has the key 'a' twice: keep one of them",
            id="a key twice in one object",
        ),
        pytest.param(
            '[\n{"a": ' + "[" * 100_000, "a.json:2: is nested too deeply", id="depth without end"
        ),
        pytest.param(
            '[{"a": "x"},\n{"a": "\\uD800"}]', f"a.json:2: input 2 {HALF}", id="half a character"
        ),
        pytest.param(r'[{"\udc00": "\ud83d\ude00"}]', f"a.json:1: input 1 {HALF}", id="half a key"),
    ],
)
def test_json_that_is_no_inputs_is_refused_with_its_place(
    tmp_path: Path, text: str, problem: str
) -> None:
    assert problem_of(make_file(tmp_path, "a.json", text)) == problem


def test_a_comma_too_many_is_named_with_line_and_column(tmp_path: Path) -> None:
    problem = problem_of(make_file(tmp_path, "a.json", '[\n{"a": 1},]'))

    # What Python says of it, and of which column, differs from 3.13 on.
    assert problem.startswith("a.json:2:")
    assert problem.endswith(DOCUMENT)


@pytest.mark.parametrize("suffix", [".jsonl", ".ndjson", ".JSONL"])
def test_json_lines_are_an_object_a_line(tmp_path: Path, suffix: str) -> None:
    text = '\n{"a": 1}\r\n  \n\t{"a": "\u2028"}\n'

    assert read_inputs(make_file(tmp_path, f"a{suffix}", text)) == [{"a": 1}, {"a": "\u2028"}]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        pytest.param("\n\n", "a.jsonl: holds no inputs: write at least one", id="blank"),
        pytest.param(
            '{"a": 1}\n\n[1]',
            "a.jsonl:3: is an array, not an object: write it as {…}",
            id="an array",
        ),
        pytest.param(
            '{"a": 1}\n{"a": ',
            "a.jsonl:2:7: expecting value: each line must hold one whole object",
            id="broken",
        ),
        pytest.param(
            '{"a": 1}\n{"a": 1} {"a": 2}',
            "a.jsonl:2:10: extra data: each line must hold one whole object",
            id="two on a line",
        ),
        pytest.param(
            '{"a": 1}\n\n{"a": NaN}',
            "a.jsonl:3: NaN is not JSON: write null, or a number",
            id="NaN",
        ),
        pytest.param(
            '{"a": 1}\n{"a": 1, "a": 1}',
            "a.jsonl:2: an object has the key 'a' twice: keep one of them",
            id="a key twice",
        ),
        pytest.param('{"a": 1}\n{"a": "\\udfff"}', f"a.jsonl:2: {HALF}", id="half a character"),
    ],
)
def test_json_lines_that_are_no_inputs_are_refused_with_their_line(
    tmp_path: Path, text: str, problem: str
) -> None:
    assert problem_of(make_file(tmp_path, "a.jsonl", text)) == problem


def test_inline_inputs_are_named_by_their_place() -> None:
    with pytest.raises(InputsError, match=r"^batch 'news':1:2: expecting property name"):
        parse_inputs("{oops}", place="batch 'news'")
    with pytest.raises(InputsError, match=r"^batch 'news': holds no inputs: write at least one$"):
        parse_inputs("[]", place="batch 'news'")


values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
objects = st.dictionaries(st.text(), values, max_size=4)


@given(st.lists(objects, min_size=1), st.booleans(), st.sampled_from([None, 0, 2]))
def test_all_json_that_can_be_written_is_read_back(
    inputs: list[dict[str, Any]], ensure_ascii: bool, indent: int | None
) -> None:
    text = json.dumps(inputs, ensure_ascii=ensure_ascii, indent=indent)

    assert parse_inputs(text, place="here") == inputs
    lines = [json.dumps(one, ensure_ascii=ensure_ascii) for one in inputs]
    assert [read for _, read in iter_json_lines(lines, "here")] == inputs


@given(st.text(st.sampled_from('[]{}",:1eaN\\ud8 \n.-'), max_size=30))
def test_no_text_at_all_makes_anything_but_inputs_or_an_explanation(text: str) -> None:
    try:
        inputs = parse_inputs(text, place="here")
    except InputsError as error:
        assert str(error).startswith("here:")
    else:
        assert all(isinstance(one, dict) for one in inputs)
