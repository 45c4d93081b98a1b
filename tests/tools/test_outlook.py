"""How many occurrences a change of a timetable adds, takes away, and moves."""

from datetime import timedelta

import pytest

from scheduler.domain.timetable import Timetable, TimetableSpec, build_timetable
from scheduler.tools.definitions.outlook import Coming, compare_coming
from tests.make import NINE

MONTH = NINE + timedelta(days=30)


def made(cron: str | None) -> Coming | None:
    return None if cron is None else Coming(timetable=timetable(TimetableSpec(cron=cron)))


def timetable(spec: TimetableSpec) -> Timetable:
    return build_timetable(spec, name="x")


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
    found = compare_coming("x", made(before), made(after), now=NINE, until=MONTH)

    assert (found.more_runs, found.moved, found.is_whole) == (runs, moved, True)


def test_a_schedule_that_fires_each_second_is_counted_as_far_as_it_goes() -> None:
    each = Coming(timetable=timetable(TimetableSpec(every="1s")))

    found = compare_coming("x", None, each, now=NINE, until=MONTH, most=100)

    assert (found.more_runs, found.is_whole) == (100, False)
    assert found.counted_until == NINE + timedelta(seconds=100)


def test_the_next_occurrences_are_told_also_beyond_the_month() -> None:
    found = compare_coming("x", made("0 0 1 12 *"), made("0 0 2 12 *"), now=NINE, until=MONTH)

    assert found.old_next_fire_at is not None and found.old_next_fire_at.day == 1
    assert found.new_next_fire_at is not None and found.new_next_fire_at.day == 2
    assert found.is_the_same


def test_what_is_stopped_or_comes_after_the_last_run_does_not_count() -> None:
    daily = timetable(TimetableSpec(cron="0 12 * * *"))
    week = NINE + timedelta(days=7)
    before = Coming(timetable=daily, left=10)
    after = Coming(timetable=daily, left=10, is_stopped=lambda at: at < week)

    found = compare_coming("x", before, after, now=NINE, until=MONTH)

    assert (found.more_runs, found.moved) == (0, 7)
    assert found.old_next_fire_at == NINE + timedelta(hours=3)
    assert found.new_next_fire_at == week + timedelta(hours=3)


def test_a_schedule_that_made_all_its_runs_has_nothing_to_come() -> None:
    spent = Coming(timetable=timetable(TimetableSpec(cron="0 12 * * *")), left=0)

    found = compare_coming("x", None, spent, now=NINE, until=MONTH)

    assert (found.is_the_same, found.new_next_fire_at) == (True, None)
