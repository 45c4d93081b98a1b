"""Bodies as rendered: the exact text, its fingerprint, and what a body cannot hold."""

import csv
import hashlib
import io
import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduler.domain.errors import InvalidInput
from scheduler.domain.records import JsonObject
from scheduler.domain.request import SendAs, body_content, body_inputs, render_body
from tests.make import make_body

ONE = [{"url": "https://x.org/ü"}]


@contextmanager
def csv_limit_of_the_module() -> Iterator[None]:
    """Be a process that has read no inputs yet: their reader lifts the limit for all."""
    limit = csv.field_size_limit(128 * 1024)
    try:
        yield
    finally:
        csv.field_size_limit(limit)


@pytest.mark.parametrize(
    ("inputs", "text"),
    [
        pytest.param(ONE, '[{"url":"https://x.org/ü"}]', id="compact, not escaped"),
        pytest.param([{"a": 1}, {"b": [None, True, 1.5]}], '[{"a":1},{"b":[null,true,1.5]}]'),
        pytest.param(
            [{"a": 'x"\n\0\u2028😀'}], '[{"a":"x\\"\\n\\u0000\u2028😀"}]', id="characters"
        ),
        pytest.param([{"b": 1, "a": 2}], '[{"b":1,"a":2}]', id="keys keep their order"),
        pytest.param([{}], "[{}]", id="no keys"),
        pytest.param([{"n": 10**400}], f'[{{"n":1{"0" * 400}}}]', id="a long number"),
    ],
)
def test_json_is_a_compact_array(inputs: list[JsonObject], text: str) -> None:
    body = render_body(inputs, SendAs.JSON)

    assert (body.text, body.row_count) == (text, len(inputs))
    assert body_content(body) == ("application/json", text.encode())
    assert body_inputs(body) == inputs


@pytest.mark.parametrize(
    ("inputs", "text"),
    [
        pytest.param(ONE, "url\r\nhttps://x.org/ü\r\n", id="one column"),
        pytest.param(
            [{"b": "1", "a": "2"}, {"a": "3", "c": "4"}],
            "b,a,c\r\n1,2,\r\n,3,4\r\n",
            id="columns in order of first appearance",
        ),
        pytest.param(
            [{"t": True, "f": False, "z": None, "n": -1.5, "i": 10**400}],
            f"t,f,z,n,i\r\ntrue,false,,-1.5,1{'0' * 400}\r\n",
            id="values that are no text",
        ),
        pytest.param(
            [{"a": "x,y", "b": 'say "x"', "c": "x\ny", "d": "x\ry", "e": "x;y\tz"}],
            'a,b,c,d,e\r\n"x,y","say ""x""","x\ny","x\ry",x;y\tz\r\n',
            id="quotes only where RFC 4180 wants them",
        ),
        pytest.param([{" a ": "  x "}], " a \r\n  x \r\n", id="spaces are kept"),
        pytest.param([{'a,"b"': "1"}], '"a,""b"""\r\n1\r\n', id="a name with marks"),
        pytest.param([{"a": None}, {"a": ""}], 'a\r\n""\r\n""\r\n', id="no row is a blank line"),
        pytest.param([{}, {"a": "1"}], 'a\r\n""\r\n1\r\n', id="an input without keys"),
        pytest.param([{"a": "=1+1"}], "a\r\n=1+1\r\n", id="no formula is changed"),
        pytest.param([{"a": ""}, {"a": "", "b": ""}], "a,b\r\n,\r\n,\r\n", id="only empty values"),
    ],
)
def test_csv_has_a_header_and_a_row_for_each_input(inputs: list[JsonObject], text: str) -> None:
    body = render_body(inputs, SendAs.CSV)

    assert (body.text, body.row_count, body.byte_count) == (text, len(inputs), len(text.encode()))
    assert body_content(body) == ("text/csv", text.encode())


def test_multipart_is_the_csv_as_a_file() -> None:
    body = render_body(ONE, SendAs.MULTIPART)

    content_type, content = body_content(body)

    assert content_type == f"multipart/form-data; boundary={body.fingerprint}"
    assert content.decode().splitlines() == [
        f"--{body.fingerprint}",
        'Content-Disposition: form-data; name="data"; filename="inputs.csv"',
        "Content-Type: text/csv",
        "",
        "url",
        "https://x.org/ü",
        "",
        f"--{body.fingerprint}--",
    ]
    assert content.count(b"\n") == content.count(b"\r\n")


def test_a_boundary_never_occurs_in_the_content() -> None:
    first = "f" * 64
    second = hashlib.sha256(first.encode()).hexdigest()
    text = f"url\r\n--{first}\r\n--{second}--\r\n"
    body = make_body(fingerprint=first, send_as="multipart", text=text)

    content_type, content = body_content(body)

    boundary = content_type.partition("boundary=")[2]
    assert boundary not in text
    assert len(boundary) <= 70  # RFC 2046
    assert content.count(boundary.encode()) == 2
    assert text.encode() in content
    assert body_content(body) == (content_type, content)


def test_a_fingerprint_is_of_the_kind_and_the_text() -> None:
    bodies = [render_body(ONE, kind) for kind in SendAs]

    for body in bodies:
        raw = f"{body.send_as}\0{body.text}".encode()
        assert body.fingerprint == hashlib.sha256(raw).hexdigest()
    assert len({body.fingerprint for body in bodies}) == len(SendAs)


@pytest.mark.parametrize("kind", SendAs)
def test_equal_inputs_make_an_equal_body(kind: SendAs) -> None:
    twins = [json.loads('[{"a": "x", "b": 1}]') for _ in range(2)]

    first, second = (render_body(twin, kind) for twin in twins)

    assert first == second
    assert body_content(first) == body_content(second)


@pytest.mark.parametrize("other", [[{"a": "y"}], [{"b": "x"}], [{"a": "x"}] * 2, [{"a": "x "}]])
@pytest.mark.parametrize("kind", SendAs)
def test_other_inputs_make_another_fingerprint(kind: SendAs, other: list[JsonObject]) -> None:
    ours = render_body([{"a": "x"}], kind)

    assert ours.fingerprint != render_body(other, kind).fingerprint


CSV_KINDS = [SendAs.CSV, SendAs.MULTIPART]


@pytest.mark.parametrize(
    ("inputs", "kinds", "problem"),
    [
        pytest.param([], list(SendAs), "there are no inputs: a trigger needs at least one"),
        pytest.param(
            [{"a": 1}, {"a": "x", "b": {"c": 1}}],
            CSV_KINDS,
            "input 2: 'b' is an object or an array, which CSV cannot hold:"
            ' change it, or write send_as = "json"',
            id="an object",
        ),
        pytest.param(
            [{"tags": []}],
            CSV_KINDS,
            "input 1: 'tags' is an object or an array, which CSV cannot hold:"
            ' change it, or write send_as = "json"',
            id="an array",
        ),
        pytest.param(
            [{"a": "x\0y"}],
            CSV_KINDS,
            "input 1: 'a' holds a NUL character, which CSV cannot hold:"
            ' change it, or write send_as = "json"',
            id="NUL",
        ),
        pytest.param(
            [{"x\0y": "a"}],
            CSV_KINDS,
            "the name of a column holds a NUL character, which CSV cannot hold:"
            ' change it, or write send_as = "json"',
            id="NUL in a name",
        ),
        pytest.param(
            [{}, {}],
            CSV_KINDS,
            'the inputs have no keys, and CSV needs a column: write send_as = "json"',
            id="no keys",
        ),
        *(
            pytest.param(
                [{"a": value}],
                CSV_KINDS,
                "input 1: 'a' is no JSON value: write text, or a finite number",
                id=f"{value!r:.6} in CSV",
            )
            for value in (float("nan"), float("-inf"), (1,), {1}, b"x")
        ),
        pytest.param(
            [{"a": float("inf")}],
            [SendAs.JSON],
            "the inputs cannot be written as JSON: Out of range float values",
            id="infinity in JSON",
        ),
        pytest.param(
            [{"a": {1}}],
            [SendAs.JSON],
            "the inputs cannot be written as JSON: Object of type set",
            id="a set in JSON",
        ),
        pytest.param(
            [{"a": "fine"}, {"a": "\ud800"}],
            list(SendAs),
            "input 2 holds half a character (a surrogate without the other half)",
            id="half a character",
        ),
        pytest.param(
            [{"\udfff": "x"}],
            list(SendAs),
            "input 1 holds half a character (a surrogate without the other half)",
            id="half a character in a name",
        ),
    ],
)
def test_what_a_body_cannot_hold_is_refused(
    inputs: list[Any], kinds: list[SendAs], problem: str
) -> None:
    for kind in kinds:
        with pytest.raises(InvalidInput) as caught:
            render_body(inputs, kind)

        assert str(caught.value).startswith(problem)


@pytest.mark.parametrize("kind", SendAs)
def test_a_request_above_the_limit_is_refused_and_one_at_it_is_not(kind: SendAs) -> None:
    size = len(body_content(render_body(ONE, kind))[1])

    render_body(ONE, kind, most_bytes=size)

    with pytest.raises(InvalidInput) as caught:
        render_body(ONE, kind, most_bytes=size - 1)
    assert str(caught.value) == (
        f"the inputs come to more than {size - 1} bytes, which is the most that one request may"
        " have: divide them among several"
    )


@pytest.mark.parametrize("kind", CSV_KINDS)
def test_a_long_value_is_read_back_from_a_stored_body(kind: SendAs) -> None:
    body = render_body([{"html": "x" * 300_000}], kind)

    with csv_limit_of_the_module():
        assert body_inputs(body) == [{"html": "x" * 300_000}]


text = st.text(st.characters(exclude_categories=["Cs"]))
plain = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3),
    max_leaves=6,
)


@given(st.lists(st.dictionaries(text, values, max_size=4), min_size=1, max_size=5))
def test_all_json_is_read_back_from_its_bytes(inputs: list[JsonObject]) -> None:
    body = render_body(inputs, SendAs.JSON)

    assert json.loads(body_content(body)[1]) == inputs
    assert body_inputs(body) == inputs


@given(
    columns=st.lists(plain, min_size=1, max_size=4, unique=True),
    rows=st.lists(st.lists(plain, min_size=4, max_size=4), min_size=1, max_size=5),
)
def test_all_csv_is_read_back_from_its_bytes(columns: list[str], rows: list[list[str]]) -> None:
    inputs = [dict(zip(columns, row, strict=False)) for row in rows]
    body = render_body(inputs, SendAs.CSV)

    raw = body_content(body)[1].decode()
    header, *records = csv.reader(io.StringIO(raw, newline=""), strict=True)

    assert [dict(zip(header, record, strict=True)) for record in records] == inputs
    assert body_inputs(body) == inputs
