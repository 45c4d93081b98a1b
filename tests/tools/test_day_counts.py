"""Runs to come are counted as listing them would, at a price that does not grow with them."""

from collections import Counter
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scheduler.domain.pauses import Freeze
from scheduler.domain.records import Reason
from scheduler.domain.timetable import Timetable, TimetableSpec, build_timetable, parse_exclusion
from scheduler.tools.calendar.day_counts import count_days, fires_from
from tests.make import NINE, make_schedule

DAY = timedelta(days=1)
HOUR = timedelta(hours=1)


def build(**spec: Any) -> Timetable:
    return build_timetable(TimetableSpec(**spec), name="nightly")


def listed(timetable: Timetable, start: datetime, end: datetime) -> dict[date, int]:
    found = timetable.occurrences(start, end)
    return dict(Counter(moment.astimezone(timetable.zone).date() for moment in found))


specs = st.fixed_dictionaries(
    {
        "cron": st.sampled_from(
            [
                "*/20 * * * *",
                "30 2 * * *",
                "0,30 1-3 * * 1-5",
                "0 12 L * *",
                "H H * * *",
                "0 0 * * *",
            ]
        ),
        "timezone": st.sampled_from(
            ["UTC", "Europe/Berlin", "America/Havana", "Asia/Beirut", "Pacific/Apia"]
        ),
        "dst_fold": st.sampled_from(["first", "both"]),
        "exclusions": st.sampled_from([(), (parse_exclusion("x", ["sat-sun", "01:00-02:30"]),)]),
        "valid_until": st.sampled_from([None, datetime(2026, 3, 30, 7, 10, tzinfo=UTC)]),
    }
)
starts = st.builds(
    lambda day, seconds: day + timedelta(seconds=seconds),
    st.sampled_from(
        [
            datetime(2026, 3, 20, tzinfo=UTC),
            datetime(2026, 10, 20, tzinfo=UTC),
            datetime(2011, 12, 27, tzinfo=UTC),
        ]
    ),
    st.integers(0, 3 * 86_400),
)


@settings(max_examples=120)
@given(specs, starts, st.integers(1, 15))
def test_counting_by_day_is_listing_by_day(
    spec: dict[str, Any], start: datetime, days: int
) -> None:
    timetable = build(**spec)

    counted = count_days(timetable, start=start, end=start + days * DAY)

    assert counted.counts == listed(timetable, start, start + days * DAY)
    assert counted.counted_until == start + days * DAY


@settings(max_examples=60)
@given(st.sampled_from(["7m", "1h", "36h"]), starts, st.sampled_from(["UTC", "Europe/Berlin"]))
def test_an_even_beat_is_divided_as_listing_has_it(every: str, start: datetime, zone: str) -> None:
    timetable = build(every=every, timezone=zone)

    counted = count_days(timetable, start=start, end=start + 9 * DAY)

    assert counted.counts == listed(timetable, start, start + 9 * DAY)


def test_every_second_is_counted_without_listing_it() -> None:
    counted = count_days(build(every="1s"), start=NINE, end=NINE + 30 * DAY, most_listed=0)

    assert sum(counted.counts.values()) == 30 * 86_400
    assert counted.first == NINE + timedelta(seconds=1)


def test_every_minute_by_cron_lists_one_day_only() -> None:
    start = datetime(2026, 3, 2, 0, 0, tzinfo=UTC) - timedelta(seconds=1)

    counted = count_days(
        build(cron="* * * * *"), start=start, end=start + 26 * DAY, most_listed=1440
    )

    assert set(counted.counts.values()) == {1440}
    assert len(counted.counts) == 26


def test_what_cannot_be_counted_is_listed_up_to_a_bound_and_says_how_far() -> None:
    exclusion = parse_exclusion("x", ["12-25"])

    counted = count_days(
        build(every="1s", exclusions=(exclusion,)),
        start=NINE,
        end=NINE + 2 * DAY,
        most_listed=100_000,
    )

    assert counted.counts == {date(2026, 3, 2): 53_999, date(2026, 3, 3): 46_001}
    assert counted.counted_until == NINE + timedelta(seconds=100_000)


def test_no_more_than_the_runs_that_are_left() -> None:
    counted = count_days(build(cron="0 * * * *"), start=NINE, end=NINE + 9 * DAY, most_runs=17)

    assert counted.counts == {date(2026, 3, 2): 14, date(2026, 3, 3): 3}


def freeze(until: datetime | None) -> Freeze:
    return Freeze(scope="all", frozen_at=NINE - HOUR, frozen_by="eve", reason="x", until=until)


PAUSED = {"paused_at": NINE - HOUR, "paused_by": "eve", "paused_reason": "x"}


@pytest.mark.parametrize(
    ("columns", "freezes", "free", "reason"),
    [
        ({}, [], NINE, None),
        (PAUSED, [], None, Reason.PAUSED),
        ({**PAUSED, "paused_until": NINE + HOUR}, [], NINE + HOUR, Reason.PAUSED),
        ({**PAUSED, "paused_until": NINE + HOUR}, [freeze(NINE + 2 * HOUR)], NINE + 2 * HOUR,
         Reason.PAUSED),
        ({**PAUSED, "paused_until": NINE + HOUR}, [freeze(None)], None, Reason.PAUSED),
        ({**PAUSED, "paused_until": NINE - HOUR / 2}, [], NINE, None),
        ({}, [freeze(NINE + HOUR)], NINE + HOUR, Reason.FROZEN),
    ],
)  # fmt: skip
def test_it_fires_from_when_nothing_stops_it_any_more(
    columns: dict[str, Any], freezes: list[Freeze], free: datetime | None, reason: Reason | None
) -> None:
    found, stop = fires_from(make_schedule(**columns), freezes, NINE)

    assert found == free
    assert (stop.reason if stop else None) == reason
