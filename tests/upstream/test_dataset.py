"""The dataset reader: any shape that was seen, any cut between pieces, bounded memory."""

import json
import tracemalloc
from time import process_time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduler.domain.answers import EchoedInputs, NotReady, input_key
from scheduler.upstream.dataset import DatasetReader

Result = EchoedInputs | NotReady | None
BUILDING = NotReady(detail="the dataset is building")
EMPTY = NotReady(detail="the dataset is empty")
A, B = input_key({"url": "a"}), input_key({"url": "b"})


def read(*pieces: bytes) -> Result:
    reader = DatasetReader()
    for piece in pieces:
        if not reader.feed(piece):
            break
    return reader.result()


def whole(*keys: str) -> EchoedInputs:
    return EchoedInputs(keys=frozenset(keys), is_whole=True)


def part(*keys: str) -> EchoedInputs:
    return EchoedInputs(keys=frozenset(keys), is_whole=False)


CASES = [
    (b'[{"input":{"url":"a"}},{"input":{"url":"b"},"error":"x"}]', whole(A, B)),
    (b' \xef\xbb\xbf [ {"input" : {"url":"a"}} ,\n{"input":{"url":"a"}} ] \n', whole(A)),
    (b'{"input":{"url":"a"}}\n{"input":{"url":"b"}}\n', whole(A, B)),
    (b'{"input":{"url":"a"}}', whole(A)),
    (b"[]", whole()),
    (b'[{"input":{"url":"a"}},{"error":"no input"}]', part(A)),
    (b'[{"input":{"url":"a"}},7,"x",[{"input":{"url":"b"}}],null]', part(A)),
    (b'{"status":"building","message":"Dataset is not ready yet"}', BUILDING),
    (b"", EMPTY),
    (b" \n", EMPTY),
    (b'[{"input":{"url":"a"}},', None),
    (b'[{"input":{"url":"a"}}', None),
    (b"[", None),
    (b'[{"input":{"url":"a"}}] and more', None),
    (b'{"input":{"url":"a"}}\n{"inp', None),
    (b'{"error":"no such thing"}', None),
    (b'[{"rows":1},{"rows":2}]', None),
    (b"<html></html>", None),
    (b'{"status":["building"]}', None),
    (b"[" * 50_000, None),
    (b"12", None),
    (b"\xff\xfe", None),
]  # fmt: skip


@pytest.mark.parametrize(("body", "expected"), CASES)
def test_a_dataset_says_the_same_however_it_is_cut(body: bytes, expected: Result) -> None:
    assert read(body) == expected
    if len(body) < 1000:
        assert read(*(body[at : at + 1] for at in range(len(body)))) == expected
        assert all(read(body[:at], body[at:]) == expected for at in range(len(body)))


def test_the_same_input_is_the_same_key_whatever_the_order_of_its_fields() -> None:
    assert input_key({"a": 1, "b": "ü"}) == input_key({"b": "ü", "a": 1})
    assert input_key({"a": 1}) != input_key({"a": "1"})


@given(st.lists(st.dictionaries(st.text(), st.text() | st.integers() | st.none()), min_size=1))
def test_every_input_of_any_dataset_is_echoed(inputs: list[dict[str, object]]) -> None:
    rows = json.dumps([{"input": one, "data": "]}[{"} for one in inputs]).encode()

    assert read(*(rows[at : at + 7] for at in range(0, len(rows), 7))) == whole(
        *map(input_key, inputs)
    )


def test_of_inputs_without_a_good_row_the_first_error_is_told() -> None:
    """A code goes before words; what brought a row as well has not failed."""
    reader = DatasetReader()
    reader.feed(
        b'[{"input":{"url":"a"},"error":"The page\\nfailed","error_code":"infra_error"},'
        b'{"input":{"url":"b"},"Error":"words only"},{"input":{"url":"b"},"error":"later words"},'
        b'{"input":{"url":"c"},"error":"x"},{"input":{"url":"c"},"price":1}]'
    )
    result = reader.result()

    assert isinstance(result, EchoedInputs)
    assert result.good == {'{"url":"c"}'}
    assert result.errors == {'{"url":"a"}': "infra_error", '{"url":"b"}': "words only"}


def test_a_dataset_of_any_size_needs_little_memory() -> None:
    row = b'{"input":{"url":"a"},"html":"' + b"x" * 100_000 + b'"},'
    reader = DatasetReader()
    reader.feed(b"[")

    tracemalloc.start()
    for _ in range(1000):
        reader.feed(row[:60_000])
        reader.feed(row[60_000:])
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    reader.feed(b'{"input":{"url":"b"}}]')

    assert reader.result() == whole(A, B)
    assert peak < 3_000_000


def test_too_many_different_inputs_are_known_in_part() -> None:
    reader = DatasetReader()
    reader.feed(b"[")
    taken = 0
    while reader.feed(b'{"input":{"url":"%d%s"}},' % (taken, b"x" * 100_000)):
        taken += 1
    result = reader.result()

    assert 60 < taken < 100
    assert isinstance(result, EchoedInputs)
    assert (len(result.keys), result.is_whole) == (taken + 1, False)


def test_a_row_without_end_is_given_up_soon() -> None:
    reader = DatasetReader()
    pieces = 1
    started = process_time()
    reader.feed(b'[{"input":{"url":"a"}},{"html":"')
    while reader.feed(b"x" * 65536):
        pieces += 1

    assert pieces == 128
    assert process_time() - started < 2
    assert reader.result() == part(A)
