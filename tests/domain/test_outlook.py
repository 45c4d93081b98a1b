"""How many occurrences a change of a timetable adds, takes away, and moves."""

from datetime import timedelta

import pytest

from scheduler.domain.outlook import compare_timetables
from scheduler.domain.timetable import Timetable, TimetableSpec, build_timetable
from tests.make import NINE

MONTH = NINE + timedelta(days=30)


def made(cron: str | None) -> Timetable | None:
    return None if cron is None else build_timetable(TimetableSpec(cron=cron), name="x")


@pytest.mark.parametrize(
    ("before", "after", "runs", "moved"),
    [
        ("0 2 * * *", "0 2 * * *", 0, 0),
        ("0 2 * * *", "0 3 * * *", 0, 30),
        ("0 2 * * *", "0 2,14 * * *", 30, 0),
        ("0 2,14 * * *", "0 2 * * *", -30, 0),
        ("0 2 * * *", "0 3,4 * * *", 30, 30),
        (None, "0 2 * * *", 30, 0),
        ("0 2 * * *", None, -30, 0),
        (None, None, 0, 0),
    ],
)
def test_what_comes_and_what_goes_is_counted(
    before: str | None, after: str | None, runs: int, moved: int
) -> None:
    found = compare_timetables("x", made(before), made(after), now=NINE, until=MONTH)

    assert (found.runs, found.moved, found.is_whole) == (runs, moved, True)


def test_a_schedule_that_fires_each_second_is_counted_as_far_as_it_goes() -> None:
    each = build_timetable(TimetableSpec(every="1s"), name="x")

    found = compare_timetables("x", None, each, now=NINE, until=MONTH, most=100)

    assert (found.runs, found.is_whole) == (100, False)
    assert found.until == NINE + timedelta(seconds=100)


def test_the_next_occurrences_are_told_also_beyond_the_month() -> None:
    found = compare_timetables("x", made("0 0 1 12 *"), made("0 0 2 12 *"), now=NINE, until=MONTH)

    assert found.next_before is not None and found.next_before.day == 1
    assert found.next_after is not None and found.next_after.day == 2
    assert found.is_the_same
