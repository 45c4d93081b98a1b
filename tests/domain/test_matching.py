"""Which of the upstream's jobs can be the lost one."""

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduler.domain.answers import EchoedInputs, ListedJob, input_key
from scheduler.domain.matching import (
    CLOCK_DIFFERENCE,
    LostTrigger,
    by_their_clock,
    candidates,
    dates_to_search,
    may_be_ours,
    possible_counts,
)
from tests.make import NINE, make_job, minutes, seconds

TICK = timedelta(microseconds=1)
MIDNIGHT = datetime(2026, 3, 3, tzinfo=UTC)
SECOND, THIRD, FOURTH = date(2026, 3, 2), date(2026, 3, 3), date(2026, 3, 4)

DAYS = {
    "at noon": (NINE, NINE + minutes(5), (SECOND, SECOND)),
    "looked for after midnight": (
        MIDNIGHT - minutes(5),
        MIDNIGHT + minutes(5),
        (SECOND, THIRD),
    ),
    "an upstream's clock that is ahead has midnight already": (
        MIDNIGHT - minutes(5),
        MIDNIGHT - seconds(30),
        (SECOND, THIRD),
    ),
    "an upstream's clock that is behind has yesterday still": (
        MIDNIGHT + seconds(30),
        MIDNIGHT + minutes(5),
        (SECOND, THIRD),
    ),
    "just clear of midnight on both sides": (
        MIDNIGHT + CLOCK_DIFFERENCE,
        MIDNIGHT + timedelta(days=1) - CLOCK_DIFFERENCE - TICK,
        (THIRD, THIRD),
    ),
    "found by a daemon that was down for a day": (
        MIDNIGHT - minutes(5),
        MIDNIGHT + timedelta(days=1),
        (SECOND, FOURTH),
    ),
    "the first of a month": (
        datetime(2026, 3, 1, tzinfo=UTC),
        datetime(2026, 3, 1, 0, 5, tzinfo=UTC),
        (date(2026, 2, 28), date(2026, 3, 1)),
    ),
}


@pytest.mark.parametrize(("claimed_at", "now", "expected"), DAYS.values(), ids=list(DAYS))
def test_both_days_around_midnight_are_searched(
    claimed_at: datetime, now: datetime, expected: tuple[date, date]
) -> None:
    assert dates_to_search(claimed_at, now) == expected


@given(
    st.integers(0, 3 * 24 * 3600), st.integers(0, 3 * 24 * 3600), st.integers(-60, 60), st.data()
)
def test_no_clock_difference_hides_the_day_a_job_was_queued_on(
    claimed: int, waited: int, upstream_ahead: int, data: st.DataObject
) -> None:
    claimed_at = NINE + seconds(claimed)
    now = claimed_at + seconds(waited)
    queued_at = claimed_at + seconds(data.draw(st.integers(0, waited)) + upstream_ahead)

    first, last = dates_to_search(claimed_at, now)

    assert first <= queued_at.date() <= last


LOST = LostTrigger(claimed_at=NINE, inputs=frozenset({3}), name="nightly 2026-03-02")
JOBS = {
    "one that fits in everything": (make_job(inputs=3, name="nightly 2026-03-02"), True),
    "another name": (make_job(inputs=3, name="weekly"), False),
    "the same name in other letters": (make_job(inputs=3, name="Nightly 2026-03-02"), False),
    "no name told": (make_job(inputs=3, name=None), True),
    "fewer inputs": (make_job(inputs=2), False),
    "no inputs": (make_job(inputs=0), False),
    "no count told": (make_job(inputs=None), True),
    "queued by a clock that is behind": (
        make_job(inputs=3, queued_at=NINE - CLOCK_DIFFERENCE),
        True,
    ),
    "queued before the claim": (
        make_job(inputs=3, queued_at=NINE - CLOCK_DIFFERENCE - TICK),
        False,
    ),
    "queued much later": (make_job(inputs=3, queued_at=NINE + minutes(9)), True),
    "not dated": (make_job(inputs=3, queued_at=None), True),
    "nothing told but its id": (make_job(inputs=None, queued_at=None, status=None), True),
    "ended already": (make_job(inputs=3, status="failed", finished_at=NINE), True),
    "another run's": (make_job(id="j_owned", inputs=3), False),
    "another run's, and fitting in everything": (
        make_job(id="j_owned", inputs=3, name="nightly 2026-03-02"),
        False,
    ),
}


@pytest.mark.parametrize(("job", "fits"), JOBS.values(), ids=list(JOBS))
def test_a_job_fits_by_its_owner_time_inputs_and_name(job: ListedJob, fits: bool) -> None:
    assert candidates(LOST, [job], owned={"j_owned"}) == ([job] if fits else [])


def test_a_trigger_without_a_name_may_have_become_a_job_with_one() -> None:
    lost = LostTrigger(claimed_at=NINE, inputs=frozenset({3}), name=None)
    job = make_job(inputs=3, name="given by the upstream")

    assert candidates(lost, [job], owned=()) == [job]


def test_all_jobs_that_fit_are_told_in_their_order() -> None:
    jobs = [make_job(id=f"j_{number}", inputs=3) for number in (3, 1, 2)]

    assert candidates(LOST, jobs, owned={"j_1"}) == [jobs[0], jobs[2]]


ONE, TWO = {"url": "https://example.org/1"}, {"url": "https://example.org/2", "country": "de"}
ECHOES: dict[str, tuple[list[dict[str, object]], bool]] = {
    "all that was sent": ([{**ONE}, {**TWO}], True),
    "the fields in another order": ([dict(reversed(list(TWO.items())))], True),
    "less than was sent": ([{**ONE}], True),
    "nothing yet": ([], True),
    "something else": ([{"url": "https://example.org/3"}], False),
    "something else, too": ([{**ONE}, {"url": "https://example.org/3"}], False),
    "a field more": ([{**ONE, "country": "de"}], False),
    "another type of value": ([{"url": 1}], False),
}


@pytest.mark.parametrize(("echoed", "ours"), ECHOES.values(), ids=list(ECHOES))
def test_a_dataset_that_echoes_anything_else_is_not_ours(
    echoed: list[dict[str, object]], ours: bool
) -> None:
    inputs = EchoedInputs(keys=frozenset(map(input_key, echoed)), is_whole=True)

    assert may_be_ours([ONE, TWO], inputs) is ours


def test_a_job_may_be_listed_with_each_of_equal_inputs_once() -> None:
    sent: list[dict[str, object]] = [{"url": "a", "n": 1}, {"n": 1, "url": "a"}, {"url": "b"}]

    assert possible_counts(sent) == {3, 2}


@pytest.mark.parametrize(
    ("difference", "moved"),
    [
        (None, seconds(0)),
        (seconds(0), seconds(0)),
        (seconds(90), seconds(0)),
        (-seconds(90), seconds(90)),
        (-minutes(60 * 24 * 365), minutes(60 * 24)),
    ],
    ids=["not told", "equal", "ahead", "behind", "absurd"],
)
def test_a_claim_is_searched_for_by_the_upstreams_clock(
    difference: timedelta | None, moved: timedelta
) -> None:
    assert by_their_clock(NINE, difference) == NINE - moved
