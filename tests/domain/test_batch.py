"""What a batch asks of its inputs, and what they become."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduler.domain.batch import (
    Asked,
    Chunk,
    Dated,
    DueTime,
    DueTimeNeeded,
    Reading,
    change_problem,
    fill_due_at,
    find_chunks,
    find_lack,
    input_digest,
    list_unread,
    required_fields,
    split_run,
)
from scheduler.domain.errors import InputsError, InvalidInput
from scheduler.domain.records import Reason, RunState
from tests.make import NINE, make_batch, make_new_run

BERLIN = DueTime(datetime(2026, 3, 1, 23, 30, tzinfo=UTC), "Europe/Berlin")
CHUNKS = tuple(Chunk(letter * 64, 2, None) for letter in "abc")


@pytest.mark.parametrize(
    ("value", "filled"),
    [
        pytest.param("day={due_at:%Y-%m-%d}", "day=2026-03-02", id="told in the zone"),
        pytest.param("{due_at}", "2026-03-02T00:30:00+01:00", id="without a format"),
        pytest.param("{due_at:%d}/{due_at:%m}", "02/03", id="twice"),
        pytest.param("{id}?d={due_at:%d}&q={{x}}", "{id}?d=02&q={{x}}", id="other braces stay"),
        pytest.param("{id} {} {{}} {", "{id} {} {{}} {", id="braces of other templates"),
        pytest.param("{due_attribution}", "{due_attribution}", id="a longer name"),
        pytest.param('{"a": "{due_at:%Y}"}', '{"a": "2026"}', id="within JSON"),
        pytest.param(["{due_at:%d}", {"deep": "{due_at:%m}"}], ["02", {"deep": "03"}], id="deep"),
        pytest.param(7, 7, id="a number"),
        pytest.param(None, None, id="null"),
    ],
)
def test_a_due_time_is_filled_into_values_and_nothing_else_is_touched(
    value: Any, filled: Any
) -> None:
    assert fill_due_at({"{due_at}": value}, BERLIN) == {"{due_at}": filled}


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ("{due_at:%Y-%m", "the brace is not closed"),
        ("{due_at:%Q}", "'%Q' is not a time format"),
        ("{due_at.year}", "is unknown"),
        ("{due_at!r}", "is not possible"),
    ],
)
def test_a_placeholder_that_is_meant_and_wrong_is_refused(value: str, problem: str) -> None:
    with pytest.raises(InvalidInput, match=problem):
        fill_due_at({"url": value}, BERLIN)


def test_without_a_due_time_only_what_needs_one_is_refused() -> None:
    plain: dict[str, Any] = {"a": "{id}", "b": ["x", {"c": "y"}], "n": 1}

    assert fill_due_at(plain, None) == plain
    with pytest.raises(DueTimeNeeded):
        fill_due_at({"a": ["{due_at}"]}, None)


@given(st.dictionaries(st.text(), st.text().filter(lambda text: "{due_at" not in text)))
def test_what_has_no_placeholder_is_never_changed(one: dict[str, str]) -> None:
    assert fill_due_at(one, BERLIN) == one


@pytest.mark.parametrize(
    ("one", "lack"),
    [
        ({"url": "x", "country": "de"}, None),
        ({"url": "x", "country": 0, "more": ""}, None),
        ({"url": "x", "country": False}, None),
        ({"country": "de"}, "url"),
        ({"url": "", "country": ""}, "url"),
        ({"url": " \t", "country": "de"}, "url"),
        ({"url": "x", "country": None}, "country"),
        ({"url": "x", "country": []}, "country"),
    ],
)
def test_a_required_field_is_there_and_has_a_value(one: dict[str, Any], lack: str | None) -> None:
    assert find_lack(one, required_fields(make_batch(required="url, country"))) == lack


def test_nothing_is_required_unless_it_is_said() -> None:
    assert required_fields(make_batch()) == ()
    assert find_lack({}, ()) is None


def test_equal_inputs_have_one_digest_whatever_the_order_of_their_keys() -> None:
    assert input_digest({"a": 1, "b": "x"}) == input_digest({"b": "x", "a": 1})
    assert input_digest({"a": 1}) != input_digest({"a": "1"})
    assert input_digest({"a": None}) != input_digest({})


@pytest.mark.parametrize(
    ("count", "last", "is_refused"),
    [
        pytest.param(5, None, False, id="nothing sent before"),
        pytest.param(10, 10, False, id="the same"),
        pytest.param(15, 10, False, id="just as much more as allowed"),
        pytest.param(5, 10, False, id="just as much fewer as allowed"),
        pytest.param(16, 10, True, id="too many"),
        pytest.param(4, 10, True, id="too few"),
    ],
)
def test_a_number_of_inputs_may_differ_so_much_from_the_last(
    count: int, last: int | None, is_refused: bool
) -> None:
    problem = change_problem(make_batch(max_change_percent=50), count, last)

    assert (problem is not None) is is_refused


def test_a_change_that_is_refused_is_told_with_both_numbers_and_the_ways_out() -> None:
    batch = make_batch(name="shops", max_change_percent=50)

    assert change_problem(batch, 3, 10) == (
        "batch 'shops' has 3 inputs and the last run sent had 10: 70 % fewer, above"
        " max_change_percent = 50: see `dca-scheduler batches diff shops`; if that is right,"
        " raise it, or send it once by hand: the next is compared with that"
    )


def test_without_a_guard_any_number_is_right() -> None:
    assert change_problem(make_batch(), 1, 1000) is None


def test_with_no_change_allowed_one_input_more_is_refused() -> None:
    batch = make_batch(max_change_percent=0)

    assert change_problem(batch, 10, 10) is None
    assert change_problem(batch, 11, 10) is not None


def test_an_occurrence_becomes_a_run_for_each_part_in_order() -> None:
    runs = split_run(make_new_run(body=None), CHUNKS)

    assert [(run.body, run.chunk, run.chunks) for run in runs] == [
        ("a" * 64, 1, 3), ("b" * 64, 2, 3), ("c" * 64, 3, 3),
    ]  # fmt: skip
    assert {run.order_key for run in runs} == {"schedule:hourly"}


def test_parts_that_wait_for_nobody_else_still_wait_for_each_other() -> None:
    here = split_run(make_new_run(order_key=None), CHUNKS)
    later = split_run(make_new_run(order_key=None, due_at=NINE + timedelta(hours=1)), CHUNKS)
    alone = split_run(make_new_run(order_key=None), CHUNKS[:1])

    assert len({run.order_key for run in here}) == 1
    assert None not in {run.order_key for run in here}
    assert here[0].order_key != later[0].order_key
    assert [run.order_key for run in alone] == [None]


def test_what_is_not_sent_is_not_split() -> None:
    skipped = make_new_run(state=RunState.SKIPPED, reason=Reason.MISSED, body=None)

    assert split_run(skipped, CHUNKS) == [skipped]


def test_a_dated_batch_is_read_for_each_due_time_and_others_once() -> None:
    later = DueTime(BERLIN.due_at + timedelta(days=1), BERLIN.zone)
    error = InputsError("a.csv: is gone")
    readings: dict[Asked, Reading] = {
        Asked("plain"): CHUNKS,
        Asked("broken"): error,
        Asked("dated"): Dated.DATED,
        Asked("dated", BERLIN): CHUNKS[:1],
    }

    assert find_chunks(readings, "plain", BERLIN) == CHUNKS
    assert find_chunks(readings, "broken", BERLIN) is error
    assert find_chunks(readings, "dated", BERLIN) == CHUNKS[:1]
    assert find_chunks(readings, "dated", later) is None
    assert find_chunks(readings, "unknown", BERLIN) is None
    assert list_unread(readings, "plain", [BERLIN, later]) == []
    assert list_unread(readings, "dated", [BERLIN, later]) == [Asked("dated", later)]
    assert list_unread(readings, "unknown", [BERLIN]) == [Asked("unknown")]
    assert list_unread(readings, "unknown", []) == []
