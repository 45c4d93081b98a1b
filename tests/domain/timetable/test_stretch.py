"""Many occurrences counted at once are as many as each looked at."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduler.domain.timetable import TimetableSpec, build_timetable, parse_exclusion

START = datetime(2011, 1, 1, tzinfo=UTC)
ZONES = ("Europe/Berlin", "Australia/Lord_Howe", "Pacific/Apia", "Africa/Casablanca", "UTC")
CRONS = ("*/47 * * * *", "30 2 * * *", "*/15 1-3 * * 0", "0 */3 1 * *", "0 0 * * 0")


@given(
    st.sampled_from(ZONES), st.sampled_from(CRONS), st.sampled_from(["shift", "skip"]),
    st.sampled_from(["first", "both"]), st.integers(0, 365 * 86400), st.integers(0, 90 * 86400),
)  # fmt: skip
def test_a_stretch_counts_what_is_due_in_it(
    zone: str, cron: str, gap: str, fold: str, offset: int, length: int
) -> None:
    spec = TimetableSpec(cron=cron, timezone=zone, dst_gap=gap, dst_fold=fold)
    timetable = build_timetable(spec, name="a")
    start = START + timedelta(seconds=offset)
    end = start + timedelta(seconds=length)

    each = list(timetable.occurrences(start, end))
    stretch = timetable.stretch(start, end, most=1)

    if stretch is None:
        assert each == []
    else:
        assert (stretch.first, stretch.last, stretch.count) == (each[0], each[-1], len(each))


@given(
    st.sampled_from(ZONES), st.sampled_from((*CRONS, "every 7m", "every 90m")),
    st.sampled_from(["shift", "skip"]), st.sampled_from(["first", "both"]),
    st.integers(0, 365 * 24), st.integers(0, 200),
)  # fmt: skip
def test_each_hour_counts_what_is_due_in_it(
    zone: str, kind: str, gap: str, fold: str, offset: int, hours: int
) -> None:
    _, is_interval, text = kind.partition("every ")
    when: dict[str, Any] = {"every": text} if is_interval else {"cron": kind}
    spec = TimetableSpec(**when, timezone=zone, dst_gap=gap, dst_fold=fold)
    timetable = build_timetable(spec, name="a")
    start = START + timedelta(hours=offset)
    second, hour = timedelta(seconds=1), timedelta(hours=1)

    counts = timetable.count_hours(start, start + hours * hour)

    each = timetable.occurrences(start - second, start + hours * hour - second)
    looked_at = Counter((moment - start) // hour for moment in each)
    assert counts == [looked_at[number] for number in range(hours)]


def test_decades_of_every_minute_and_of_every_second_are_counted() -> None:
    end = START + timedelta(days=9500)
    specs = (TimetableSpec(cron="* * * * *"), TimetableSpec(every="1s"))
    counts = [build_timetable(spec, name="a").stretch(START, end, most=1) for spec in specs]

    assert [one and one.count for one in counts] == [9500 * 24 * 60, 9500 * 24 * 60 * 60]


@pytest.mark.parametrize("cron", ["*/5 * * * *; 2 * * * *", "*/5 * * * *"])
def test_what_must_be_looked_at_one_by_one_is_cut_off(cron: str) -> None:
    night = (parse_exclusion("night", ["Mon-Sun 00:00-06:00"]),)
    timetable = build_timetable(TimetableSpec(cron=cron, exclusions=night), name="a")
    each = timetable.occurrences(START, START + timedelta(days=9))
    first = [next(each) for _ in range(150)]

    stretch = timetable.stretch(START, START + timedelta(days=9), most=150)

    assert stretch is not None
    assert (stretch.first, stretch.last, stretch.count) == (first[0], first[-1], 150)
