"""How long runs usually take, and when one takes too long, or all do."""

from datetime import timedelta

from scheduler.domain.course import (
    GoodRun,
    expect,
    has_lost_cadence,
    late_start,
    usual_time,
)
from tests.make import NINE, minutes


def test_five_good_runs_make_a_usual_time() -> None:
    usual = usual_time([minutes(count) for count in (30, 10, 20, 50, 40)])

    assert usual_time([minutes(30)] * 4) is None
    assert usual is not None
    assert (usual.median, usual.longest) == (minutes(30), minutes(50))


def test_of_twenty_the_longest_is_left_out() -> None:
    usual = usual_time([minutes(count) for count in range(1, 21)])

    assert usual is not None
    assert usual.longest == minutes(19)


def test_it_overruns_by_far_and_only_once_it_has_begun() -> None:
    long, short = usual_time([minutes(30)] * 5), usual_time([timedelta(seconds=5)] * 5)
    assert long is not None
    assert short is not None

    begun = expect(long, begins_at=NINE, has_begun=True)

    assert (begun.end_at, begun.overruns_at) == (NINE + minutes(30), NINE + minutes(60))
    assert expect(long, begins_at=NINE, has_begun=False).overruns_at is None
    assert expect(short, begins_at=NINE, has_begun=True).overruns_at == (
        NINE + timedelta(minutes=10, seconds=5)
    )


def test_a_start_is_late_from_ten_minutes_on() -> None:
    assert late_start(NINE, NINE + minutes(9)) is None
    assert late_start(NINE, NINE + minutes(10)) == minutes(10)
    assert late_start(None, NINE) is None


def good(took: float, *, to_next: float | None = 60) -> GoodRun:
    following = None if to_next is None else NINE + minutes(to_next)
    return GoodRun(
        due_at=NINE,
        triggered_at=NINE + minutes(90),
        ended_at=NINE + minutes(90 + took),
        next_due_at=following,
    )


def test_cadence_is_lost_after_three_and_back_with_one() -> None:
    over, under, newest = good(61), good(59), good(600, to_next=None)

    assert has_lost_cadence([over, over, over]) is True
    assert has_lost_cadence([over, over]) is None
    assert has_lost_cadence([over, over, under]) is None
    assert has_lost_cadence([under, over, over]) is False
    assert has_lost_cadence([newest]) is False
    assert has_lost_cadence([]) is None
