"""How a collection ended, by all that its log tells: its status alone does not."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduler.domain.answers import CollectionLog
from scheduler.domain.records import ENDED_STATES, Reason, RunState
from scheduler.domain.verdict import (
    FORGOTTEN_AFTER,
    KEPT_FOR,
    RowRules,
    Verdict,
    judge,
    judge_endless,
    judge_rows,
    judge_unknown,
    next_poll_after,
)
from tests.make import NINE, make_log, minutes, seconds

HOUR = timedelta(hours=1)
TICK = timedelta(microseconds=1)

SUCCEEDED = (RunState.SUCCEEDED, Reason.DONE)
SOME_FAILED = (RunState.PARTIAL, Reason.SOME_INPUTS_FAILED)
CUT_OFF = (RunState.PARTIAL, Reason.DEADLINE_REACHED)
FAILED = (RunState.FAILED, Reason.COLLECTION_FAILED)
NO_ROWS = (RunState.FAILED, Reason.NO_ROWS)
LOW_RATE = (RunState.FAILED, Reason.LOW_SUCCESS_RATE)
TOO_FEW = (RunState.FAILED, Reason.TOO_FEW_ROWS)
FALLEN = (RunState.PARTIAL, Reason.TOO_FEW_ROWS)
CANCELLED = (RunState.CANCELLED, Reason.COLLECTION_CANCELLED)


def judged(
    log: CollectionLog, deadline: timedelta | None = None, rules: RowRules | None = None
) -> tuple[RunState, Reason] | None:
    verdict = judge(log, deadline=deadline)
    if verdict is None:
        return None
    verdict = judge_rows(verdict, log, rules or RowRules())
    return verdict.state, verdict.reason


STATUSES = [
    ("building", None),
    ("running", None),
    ("paused", None),
    ("queued", None),
    ("done", SUCCEEDED),
    ("failed", FAILED),
    ("error", FAILED),
    ("cancelled", CANCELLED),
    ("canceled", CANCELLED),
    ("DONE", SUCCEEDED),
    (" Canceled ", CANCELLED),
    ("", None),
    ("a word of tomorrow", None),
    ("completed", SUCCEEDED),
    ("Success", SUCCEEDED),
    ("stopped", CANCELLED),
    ("crashed", FAILED),
    ("aborted", SOME_FAILED),
    ("terminated", SOME_FAILED),
    ("timeout", CUT_OFF),
    ("timed out", CUT_OFF),
    ("Timed-Out", CUT_OFF),
    ("expired", CUT_OFF),
    ("done_with_errors", SOME_FAILED),
    ("Completed with errors", SOME_FAILED),
    ("partial", SOME_FAILED),
]


@pytest.mark.parametrize(("status", "expected"), STATUSES)
def test_the_upstream_s_word_is_read_where_it_is_known(
    status: str, expected: tuple[RunState, Reason] | None
) -> None:
    """Without a finish: a job that is building has none, and a word alone may have to do."""
    assert judged(make_log(status=status, finished_at=None)) == expected


@pytest.mark.parametrize("status", ["building", "running", "paused"])
def test_a_job_that_still_goes_on_has_not_ended_whatever_its_finish(status: str) -> None:
    """A rerun leaves the finish of the run before it standing."""
    assert judged(make_log(status=status)) is None


def test_a_job_without_a_status_has_ended_when_it_tells_a_finish() -> None:
    assert judged(make_log(status=None)) == SUCCEEDED
    assert judged(make_log(status=None, finished_at=None)) is None
    assert judged(make_log(status=None, fails=3)) == SOME_FAILED


COUNTS = {
    "everything": (make_log(), SUCCEEDED),
    "nothing is told": (
        make_log(inputs=None, lines=None, fails=None, pages_left=None, success_rate=None),
        SUCCEEDED,
    ),
    "no rows, and no failure": (make_log(lines=0), NO_ROWS),
    "no rows of no inputs": (make_log(lines=0, inputs=0), NO_ROWS),
    "no rows of inputs that are not told": (make_log(lines=0, inputs=None), NO_ROWS),
    "one page failed": (make_log(fails=1), SOME_FAILED),
    "a rate below one": (make_log(success_rate=0.999), SOME_FAILED),
    "a rate below one, without counts": (
        make_log(inputs=None, lines=None, fails=None, success_rate=0.5),
        SOME_FAILED,
    ),
    "all failed": (make_log(lines=0, fails=10, success_rate=0.0), FAILED),
    "no rows, and failures": (make_log(lines=0, fails=1, success_rate=None), FAILED),
    "a rate of zero, without counts": (
        make_log(inputs=None, lines=None, fails=None, success_rate=0.0),
        FAILED,
    ),
    "one failure of ten, rows not told": (
        make_log(lines=None, fails=1, success_rate=0.9),
        SOME_FAILED,
    ),
    "one failure of ten, neither rows nor rate told": (
        make_log(lines=None, fails=1, success_rate=None),
        SOME_FAILED,
    ),
    "ten failures of ten, neither rows nor rate told": (
        make_log(lines=None, fails=10, success_rate=None),
        FAILED,
    ),
    "rows in spite of a rate of zero": (make_log(fails=10, success_rate=0.0), SOME_FAILED),
    "pages left": (make_log(pages_left=4), CUT_OFF),
    "pages left and failures": (make_log(pages_left=4, fails=2, success_rate=0.5), CUT_OFF),
}


@pytest.mark.parametrize(("log", "expected"), COUNTS.values(), ids=list(COUNTS))
def test_a_finished_job_is_judged_by_its_counts(
    log: CollectionLog, expected: tuple[RunState, Reason]
) -> None:
    assert judged(log) == expected


DEADLINES = {
    "as long as the deadline": (make_log(finished_at=NINE + HOUR), CUT_OFF),
    "longer": (make_log(finished_at=NINE + 2 * HOUR), CUT_OFF),
    "shorter by a hair": (make_log(finished_at=NINE + HOUR - TICK), SUCCEEDED),
    "the wait in the queue is none of it": (
        make_log(created_at=NINE - 5 * HOUR, finished_at=NINE + minutes(1)),
        SUCCEEDED,
    ),
    "its start is not told": (make_log(started_at=None, finished_at=NINE + 2 * HOUR), SUCCEEDED),
    "its finish is not told": (make_log(finished_at=None), SUCCEEDED),
    "it failed before": (make_log(status="failed", finished_at=NINE + minutes(1)), FAILED),
    "a person cancelled it": (make_log(status="canceled", pages_left=7), CANCELLED),
}


@pytest.mark.parametrize(("log", "expected"), DEADLINES.values(), ids=list(DEADLINES))
def test_a_life_as_long_as_the_deadline_was_cut_off_by_it(
    log: CollectionLog, expected: tuple[RunState, Reason]
) -> None:
    assert judged(log, HOUR) == expected


UNKNOWN = {
    "a full success by its numbers": (make_log(status="wrapped_up"), SUCCEEDED),
    "failures": (make_log(status="wrapped_up", fails=2), SOME_FAILED),
    "pages left": (make_log(status="wrapped_up", pages_left=2), CUT_OFF),
    "all failed": (make_log(status="wrapped_up", lines=0, fails=10, success_rate=0.0), FAILED),
    "no rows": (make_log(status="wrapped_up", lines=0, success_rate=None), NO_ROWS),
    "no rate told": (make_log(status="wrapped_up", success_rate=None), SOME_FAILED),
    "no rows told": (make_log(status="wrapped_up", lines=None), SOME_FAILED),
    "errors by its word, none by its numbers": (make_log(status="done_with_errors"), SOME_FAILED),
    "aborted without a row": (make_log(status="aborted", lines=0), FAILED),
    "out of time without a row": (make_log(status="timeout", lines=None), FAILED),
}


@pytest.mark.parametrize(("log", "expected"), UNKNOWN.values(), ids=list(UNKNOWN))
def test_a_finish_ends_a_job_whatever_its_word_and_its_numbers_judge_it(
    log: CollectionLog, expected: tuple[RunState, Reason]
) -> None:
    assert judged(log) == expected


def test_a_word_that_is_none_of_the_documents_is_told() -> None:
    verdict = judge(make_log(status="wrapped_up", fails=2), deadline=None)

    assert verdict is not None
    assert verdict.detail is not None
    assert verdict.detail.startswith("the upstream calls it wrapped_up: 10 inputs, ")


USUAL = RowRules(max_fall_percent=60, usual=(100, 90, 110, 5))
RATE = RowRules(min_success_rate=0.9)
PER_INPUT = RowRules(min_rows_per_input=0.8)
ROWS = {
    "as many as must come": (make_log(lines=5), RowRules(min_rows=5), SUCCEEDED),
    "fewer": (make_log(lines=4), RowRules(min_rows=5), TOO_FEW),
    "fewer, and some failed": (make_log(lines=4, fails=1), RowRules(min_rows=5), TOO_FEW),
    "none, which is allowed": (make_log(lines=0), RowRules(min_rows=0), SUCCEEDED),
    "not told": (make_log(lines=None), RowRules(min_rows=5), SUCCEEDED),
    "cut off with fewer": (make_log(lines=4, pages_left=1), RowRules(min_rows=5), CUT_OFF),
    "cancelled with none": (make_log(status="canceled", lines=0), RowRules(min_rows=5), CANCELLED),
    "a fall as large as may be": (make_log(lines=38), USUAL, SUCCEEDED),
    "a larger fall": (make_log(lines=37), USUAL, FALLEN),
    "a fall to nothing, which is allowed": (
        make_log(lines=0),
        RowRules(min_rows=0, max_fall_percent=60, usual=(100, 90, 110)),
        FALLEN,
    ),
    "too few good runs to tell": (
        make_log(lines=1),
        RowRules(max_fall_percent=60, usual=(100, 90)),
        SUCCEEDED,
    ),
    "a success rate as low as may be": (make_log(success_rate=0.9, fails=1), RATE, SOME_FAILED),
    "a lower success rate": (make_log(success_rate=0.89, fails=1), RATE, LOW_RATE),
    "a lower rate by its counts": (make_log(success_rate=None, fails=2), RATE, LOW_RATE),
    "no rate is told": (make_log(success_rate=None, fails=None, pages=None), RATE, SUCCEEDED),
    "rows enough for its inputs": (make_log(lines=8), PER_INPUT, SUCCEEDED),
    "too few for its inputs": (make_log(lines=7), PER_INPUT, TOO_FEW),
    "inputs are not told": (make_log(lines=7, inputs=None), PER_INPUT, SUCCEEDED),
    "any fall is one": (make_log(lines=99), RowRules(max_fall_percent=0, usual=(100,) * 3), FALLEN),
    "nothing is usual": (make_log(), RowRules(max_fall_percent=60, usual=(0, 0, 0)), SUCCEEDED),
}


@pytest.mark.parametrize(("log", "rules", "expected"), ROWS.values(), ids=list(ROWS))
def test_a_run_is_judged_by_what_it_brought(
    log: CollectionLog, rules: RowRules, expected: tuple[RunState, Reason]
) -> None:
    assert judged(log, rules=rules) == expected


@pytest.mark.parametrize(
    ("rules", "told"),
    [
        (RowRules(min_rows=9), "at least 9 rows are to come (min_rows); "),
        (PER_INPUT, "0.7 rows came for each input, at least 0.8 are to (min_rows_per_input); "),
        (RATE, "its success rate is 0.7, at least 0.9 is to be (min_success_rate); "),
        (
            RowRules(max_fall_percent=20, usual=(10,) * 3),
            "10 rows are usual, 20 % fewer may come (max_fall_percent); ",
        ),
    ],
)
def test_a_verdict_names_its_rule_and_the_numbers(rules: RowRules, told: str) -> None:
    log = make_log(lines=7, fails=3, success_rate=0.7)
    verdict = judge(log, deadline=None)

    assert verdict is not None
    detail = judge_rows(verdict, log, rules).detail
    assert detail == f"{told}10 inputs, 7 lines, 3 failed pages, 0 pages left"


def test_without_a_deadline_a_long_life_is_just_long() -> None:
    assert judged(make_log(finished_at=NINE + timedelta(days=3))) == SUCCEEDED


def test_what_is_not_a_plain_success_is_told_in_numbers() -> None:
    verdict = judge(make_log(fails=2, lines=8, success_rate=0.8), deadline=None)

    assert verdict == Verdict(
        state=RunState.PARTIAL,
        reason=Reason.SOME_INPUTS_FAILED,
        detail="10 inputs, 8 lines, 2 failed pages, 0 pages left",
    )


def test_a_failure_without_numbers_has_no_detail() -> None:
    log = make_log(status="failed", inputs=None, lines=None, fails=None, pages_left=None)

    verdict = judge(log, deadline=None)

    assert verdict == Verdict(state=RunState.FAILED, reason=Reason.COLLECTION_FAILED)


counts = st.none() | st.integers(0, 20)
logs = st.builds(
    make_log,
    status=st.none() | st.sampled_from([status for status, _ in STATUSES]),
    inputs=counts,
    lines=counts,
    fails=counts,
    pages_left=counts,
    success_rate=st.none() | st.sampled_from([0.0, 0.3, 1.0]),
    started_at=st.none() | st.just(NINE),
    finished_at=st.none() | st.integers(0, 7200).map(lambda late: NINE + seconds(late)),
)


@given(logs, st.none() | st.just(HOUR))
def test_success_is_never_said_of_a_log_that_tells_a_failure(
    log: CollectionLog, deadline: timedelta | None
) -> None:
    verdict = judge(log, deadline=deadline)

    if verdict is not None and verdict.state is RunState.SUCCEEDED:
        assert not log.fails
        assert not log.pages_left
        assert log.success_rate in (None, 1.0)
    assert verdict is None or verdict.state in ENDED_STATES


PAUSES = {
    "just accepted": (timedelta(), minutes(1)),
    "within the first pause": (minutes(10), minutes(1)),
    "a tenth of its age": (minutes(25), minutes(2.5)),
    "at the longest pause": (minutes(100), minutes(10)),
    "for days": (timedelta(days=3), minutes(10)),
    "a clock set back": (minutes(-90), minutes(1)),
}


@pytest.mark.parametrize(("age", "pause"), PAUSES.values(), ids=list(PAUSES))
def test_the_older_a_collection_the_more_seldom_it_is_asked_about(
    age: timedelta, pause: timedelta
) -> None:
    now = NINE + age

    at = next_poll_after(NINE, now, poll_initial=minutes(1), poll_max=minutes(10))

    assert at == now + pause


@pytest.mark.parametrize("age", [timedelta(days=-1), timedelta(), FORGOTTEN_AFTER - TICK])
def test_a_new_collection_may_not_be_known_yet(age: timedelta) -> None:
    assert judge_unknown(NINE, NINE + age) is None


def test_an_older_collection_that_is_not_known_is_gone() -> None:
    verdict = judge_unknown(NINE, NINE + FORGOTTEN_AFTER)

    assert verdict is not None
    assert (verdict.state, verdict.reason) == (RunState.FAILED, Reason.COLLECTION_GONE)


@pytest.mark.parametrize("age", [timedelta(days=-1), timedelta(), KEPT_FOR - TICK])
def test_a_collection_may_take_as_long_as_results_are_kept(age: timedelta) -> None:
    assert judge_endless(NINE, NINE + age) is None


def test_a_collection_without_an_end_is_given_up_when_its_results_would_be_gone() -> None:
    verdict = judge_endless(NINE, NINE + KEPT_FOR)

    assert verdict is not None
    assert (verdict.state, verdict.reason) == (RunState.FAILED, Reason.COLLECTION_GONE)
