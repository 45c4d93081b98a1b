"""Which of the upstream's jobs can be the lost one."""

from datetime import date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduler.domain.answers import EchoedInputs, ListedJob, input_key
from scheduler.domain.matching import (
    CLOCK_DIFFERENCE,
    Candidate,
    Fit,
    ListHabits,
    LostTrigger,
    SentJob,
    candidates,
    conclude,
    date_trigger,
    dates_to_search,
    is_ours,
    learn_habits,
    may_be_ours,
    possible_counts,
)
from scheduler.domain.transition import Absent, Found, Several
from tests.make import NINE, make_job, minutes, seconds

TICK = timedelta(microseconds=1)
FIRST, THIRD = date(2026, 3, 1), date(2026, 3, 3)
IN_LINE = ListHabits(dated_early=timedelta())


def test_the_day_before_and_after_are_searched_for_no_zone_is_further_off() -> None:
    assert dates_to_search(NINE, NINE + minutes(5)) == (FIRST, THIRD)


@given(
    st.integers(0, 3 * 24 * 3600),
    st.integers(0, 3 * 24 * 3600),
    st.integers(-14 * 3600, 14 * 3600),
    st.data(),
)
def test_no_zone_hides_the_day_a_job_was_queued_on(
    claimed: int, waited: int, upstream_ahead: int, data: st.DataObject
) -> None:
    claimed_at = NINE + seconds(claimed)
    now = claimed_at + seconds(waited)
    queued_at = claimed_at + seconds(data.draw(st.integers(0, waited)) + upstream_ahead)

    first, last = dates_to_search(claimed_at, now)

    assert first <= queued_at.date() <= last


LOST = LostTrigger(sent_at=NINE, not_before=NINE, inputs=frozenset({3}), name="nightly 2026-03-02")
NAME = LOST.name
ENDED = {"status": "done", "finished_at": NINE + minutes(1)}
JOBS = {
    "one that fits in everything": (make_job(inputs=3, name=NAME), Fit.NAMED),
    "its name, and another count": (make_job(inputs=2, name=NAME, **ENDED), Fit.NAMED),
    "another name": (make_job(inputs=3, name="weekly"), Fit.DOUBTFUL),
    "the same name in other letters": (make_job(inputs=3, name=str(NAME).upper()), Fit.DOUBTFUL),
    "no name told": (make_job(inputs=3, name=None), Fit.PLAIN),
    "more inputs": (make_job(inputs=4), Fit.DOUBTFUL),
    "fewer inputs, not all counted yet": (make_job(inputs=2), Fit.UNCOUNTED),
    "fewer inputs at its end": (make_job(inputs=2, **ENDED), Fit.DOUBTFUL),
    "no inputs": (make_job(inputs=0), Fit.UNCOUNTED),
    "no inputs at its end": (make_job(inputs=0, **ENDED), Fit.UNCOUNTED),
    "no count told": (make_job(inputs=None), Fit.PLAIN),
    "queued by a clock that is behind": (
        make_job(inputs=3, queued_at=NINE - CLOCK_DIFFERENCE),
        Fit.PLAIN,
    ),
    "queued before the claim": (make_job(inputs=3, queued_at=NINE - CLOCK_DIFFERENCE - TICK), None),
    "queued much later": (make_job(inputs=3, queued_at=NINE + minutes(9)), Fit.PLAIN),
    "not dated": (make_job(inputs=3, queued_at=None), Fit.PLAIN),
    "nothing told but its id": (make_job(inputs=None, queued_at=None, status=None), Fit.PLAIN),
    "ended already": (make_job(inputs=3, status="failed", finished_at=NINE), Fit.PLAIN),
    "another run's": (make_job(id="j_owned", inputs=3), None),
    "another run's, and fitting in everything": (make_job(id="j_owned", inputs=3, name=NAME), None),
}


@pytest.mark.parametrize(("job", "fit"), JOBS.values(), ids=list(JOBS))
def test_a_job_fits_by_its_owner_and_time_and_a_name_or_count_only_supports(
    job: ListedJob, fit: Fit | None
) -> None:
    assert fits([job]) == ([] if fit is None else [fit])


def fits(jobs: list[ListedJob], habits: ListHabits | None = None) -> list[Fit]:
    return [
        candidate.fit
        for candidate in candidates(LOST, jobs, owned={"j_owned"}, habits=habits or IN_LINE)
    ]


def test_a_whole_count_rules_out_where_the_list_is_seen_to_count_as_we_do() -> None:
    counts = ListHabits(shows_counts=True)

    assert fits([make_job(inputs=4)], counts) == []
    assert fits([make_job(inputs=2, **ENDED)], counts) == []
    assert fits([make_job(inputs=2)], counts) == [Fit.UNCOUNTED]
    assert fits([make_job(inputs=0, **ENDED)], counts) == [Fit.UNCOUNTED]
    assert fits([make_job(inputs=4)], ListHabits(shows_counts=False)) == [Fit.DOUBTFUL]


def test_a_name_rules_nothing_out_and_is_not_read_where_it_is_seen_to_be_another() -> None:
    other = make_job(inputs=3, name="the scraper's own")

    assert fits([other], ListHabits(shows_names=True)) == [Fit.DOUBTFUL]
    assert fits([other], ListHabits(shows_names=False)) == [Fit.PLAIN]


def test_a_job_that_bears_the_name_goes_before_all_others() -> None:
    jobs = [make_job(id="j_1", inputs=3), make_job(id="j_2", inputs=3, name=NAME)]

    assert [one.job.id for one in candidates(LOST, jobs, owned=(), habits=ListHabits())] == ["j_2"]


@pytest.mark.parametrize(
    ("own", "habits"),
    [
        ([], ListHabits()),
        (
            [(make_job(inputs=3, name="a"), SentJob("a", 3, NINE))],
            ListHabits(shows_names=True, shows_counts=True, dated_early=timedelta()),
        ),
        ([(make_job(inputs=0), SentJob("a", 3))], ListHabits()),
        (
            [(make_job(inputs=2, name="x"), SentJob("a", 3))],
            ListHabits(shows_names=False, shows_counts=False),
        ),
        (
            [
                (make_job(inputs=3, name="a"), SentJob("a", 3)),
                (make_job(inputs=1, name="b"), SentJob("a", 3)),
            ],
            ListHabits(shows_names=False, shows_counts=False),
        ),
    ],
    ids=["none", "as sent", "not counted", "otherwise", "now so, now so"],
)
def test_what_a_list_shows_is_learned_from_our_own_jobs(
    own: list[tuple[ListedJob, SentJob]], habits: ListHabits
) -> None:
    assert learn_habits(own) == habits


@pytest.mark.parametrize(
    ("early", "expected"),
    [
        ([-300, 59, -2], 0),
        ([90, 60], 90),
        ([5 * 3600, 5 * 3600 - 7], 5 * 3600),
        ([90, -300], None),
        ([], None),
    ],
    ids=["in line", "behind", "of another zone", "by turns", "none of ours"],
)
def test_how_early_a_list_dates_our_jobs_is_learned_where_it_is_steady(
    early: list[int], expected: int | None
) -> None:
    own = [(make_job(queued_at=NINE - seconds(s)), SentJob(None, 3, NINE)) for s in early]

    dated_early = learn_habits(own).dated_early

    assert dated_early == (None if expected is None else seconds(expected))


def test_a_job_that_is_dated_before_its_trigger_is_never_taken_for_absent() -> None:
    ours = make_job(inputs=3, queued_at=NINE - minutes(300))
    older = make_job(id="older", inputs=3, queued_at=NINE - minutes(302))

    assert fits([ours], ListHabits()) == [Fit.TOO_OLD]
    assert fits([ours, older], ListHabits(dated_early=minutes(300))) == [Fit.PLAIN]


CONCLUSIONS = {
    "none": ([], False, Absent),
    "one that fits": ([Fit.PLAIN], False, Found),
    "one by its name": ([Fit.NAMED], False, Found),
    "one that is not counted yet": ([Fit.UNCOUNTED], False, Several),
    "one that is never counted": ([Fit.UNCOUNTED], True, Found),
    "one that is doubtful": ([Fit.DOUBTFUL], True, Several),
    "two": ([Fit.PLAIN, Fit.PLAIN], True, Several),
    "one that fits, and a doubtful one": ([Fit.PLAIN, Fit.DOUBTFUL], True, Several),
}


@pytest.mark.parametrize(("kinds", "last", "finding"), CONCLUSIONS.values(), ids=list(CONCLUSIONS))
def test_what_is_left_open_is_asked_again_and_never_proves_absence(
    kinds: list[Fit], last: bool, finding: type
) -> None:
    fitting = [Candidate(make_job(id=f"j_{at}"), fit) for at, fit in enumerate(kinds)]

    assert isinstance(conclude(fitting, is_last_look=last), finding)


@given(
    name=st.none() | st.sampled_from([NAME, "the scraper's own", ""]),
    count=st.none() | st.integers(0, 3),
    finished=st.booleans(),
    others=st.lists(st.tuples(st.integers(0, 5), st.sampled_from([None, NAME, "x"])), max_size=4),
    names=st.none() | st.booleans(),
    counts=st.none() | st.booleans(),
    is_last=st.booleans(),
)
def test_no_listing_of_our_job_proves_it_absent(
    *,
    name: str | None,
    count: int | None,
    finished: bool,
    others: list[tuple[int, str | None]],
    names: bool | None,
    counts: bool | None,
    is_last: bool,
) -> None:
    """Whatever name it bears, and however late it is counted: at its end it has all, or none."""
    if finished and count:
        count = 3
    ours = make_job(id="j_ours", name=name, inputs=count, finished_at=NINE if finished else None)
    theirs = [make_job(id=f"j_{at}", inputs=n, name=of) for at, (n, of) in enumerate(others)]
    habits = ListHabits(shows_names=names, shows_counts=counts)

    fitting = candidates(LOST, [*theirs, ours], owned=(), habits=habits)

    assert not isinstance(conclude(fitting, is_last_look=is_last), Absent)


def test_a_trigger_without_a_name_may_have_become_a_job_with_one() -> None:
    lost = LostTrigger(sent_at=NINE, not_before=NINE, inputs=frozenset({3}), name=None)
    job = make_job(inputs=3, name="given by the upstream")

    assert candidates(lost, [job], owned=(), habits=ListHabits()) == [Candidate(job, Fit.PLAIN)]


def test_all_jobs_that_fit_are_told_in_their_order() -> None:
    jobs = [make_job(id=f"j_{number}", inputs=3) for number in (3, 1, 2)]
    fitting = candidates(LOST, jobs, owned={"j_1"}, habits=ListHabits())

    assert [candidate.job for candidate in fitting] == [jobs[0], jobs[2]]


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

    assert may_be_ours(inputs, [ONE, TWO]) is ours


def test_a_dataset_that_echoes_all_and_nothing_else_is_ours() -> None:
    keys = frozenset(map(input_key, [ONE, TWO]))

    assert is_ours(EchoedInputs(keys=keys, is_whole=True), [TWO, ONE, ONE])
    assert not is_ours(EchoedInputs(keys=keys, is_whole=True), [ONE])
    assert not is_ours(EchoedInputs(keys=keys, is_whole=False), [ONE, TWO])
    assert not is_ours(EchoedInputs(keys=frozenset(), is_whole=True), [ONE, TWO])


def test_a_job_may_be_listed_with_each_of_equal_inputs_once() -> None:
    sent: list[dict[str, object]] = [{"url": "a", "n": 1}, {"n": 1, "url": "a"}, {"url": "b"}]

    assert possible_counts(3, sent) == {3, 2}


DAY = timedelta(days=1)
DATED = {
    "their clock was known": (NINE, NINE - seconds(1), (-seconds(1), -seconds(1))),
    "ours was ahead": (NINE, NINE - minutes(90), (-minutes(90), -minutes(90))),
    "ours was behind": (NINE, NINE + minutes(90), (minutes(90), timedelta())),
    "ours was years behind": (NINE, NINE + 900 * DAY, (900 * DAY, 898 * DAY)),
    "theirs was not known": (NINE, None, (timedelta(), -2 * DAY)),
}


@pytest.mark.parametrize(("claimed_at", "upstream_at", "moved"), DATED.values(), ids=list(DATED))
def test_a_trigger_is_dated_by_the_upstreams_clock(
    claimed_at: datetime, upstream_at: datetime | None, moved: tuple[timedelta, timedelta]
) -> None:
    dated = date_trigger(claimed_at, upstream_at, NINE + minutes(5))

    assert dated == (NINE + moved[0], NINE + moved[1])


def test_a_claim_of_the_future_may_have_been_made_at_any_time_since_a_day_or_two() -> None:
    assert date_trigger(NINE + 400 * DAY, None, NINE) == (NINE + 400 * DAY, NINE - 2 * DAY)


def test_a_job_that_only_a_wrong_clock_makes_too_old_is_in_doubt() -> None:
    lost = LostTrigger(
        sent_at=NINE, not_before=NINE - minutes(90), inputs=frozenset({3}), name=None
    )
    old, older = (
        make_job(id="old", inputs=3, queued_at=NINE - minutes(90)),
        make_job(id="older", inputs=3, queued_at=NINE - minutes(92)),
    )

    found = candidates(lost, [old, older], owned=(), habits=IN_LINE)

    assert found == [Candidate(old, Fit.TOO_OLD)]
