"""From values to places, and which values have a tick."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from scheduler.web.pictures.human import count_words, duration_words, short_count
from scheduler.web.pictures.scale import (
    Scale,
    TimeScale,
    clock_changes,
    count_ticks,
    duration_ticks,
    log_ticks,
    time_ticks,
)

BERLIN = ZoneInfo("Europe/Berlin")
MIDNIGHT = datetime(2026, 3, 28, 23, tzinfo=UTC)
"""In Berlin the day that the clock is set forward begins."""
OCTOBER = datetime(2026, 10, 24, 22, tzinfo=UTC)
"""And the one that has 25 hours."""


def test_what_is_beyond_an_end_is_at_it() -> None:
    scale = Scale(0, 10, 100, 200)

    assert [scale.place(value) for value in (-5, 0, 5, 10, 1e30)] == [100, 100, 150, 200, 200]


def test_equal_ends_are_the_middle() -> None:
    assert Scale(7, 7, 0, 10).place(7) == 5
    moment = datetime(2026, 1, 1, tzinfo=UTC)
    assert TimeScale(moment, moment, 0, 10).place(moment) == 5


def test_each_tenfold_takes_the_same_room() -> None:
    scale = Scale(0.01, 100, 0, 40, is_log=True)

    assert [scale.place(value) for value in (0, 0.01, 0.1, 1, 100)] == [0, 0, 10, 20, 40]


@pytest.mark.parametrize("high", [0, 0.3, 1, 3, 7, 49, 50, 51, 999, 12_345, 10**15])
def test_ticks_of_a_count_are_few_whole_and_reach_beyond(high: float) -> None:
    ticks = count_ticks(high)

    assert ticks[0] == 0
    assert ticks[-1] >= high
    assert 2 <= len(ticks) <= 6
    assert all(tick == int(tick) for tick in ticks)


@pytest.mark.parametrize("high", [0, 0.004, 1, 59, 61, 3600, 86_400, 10**8])
def test_ticks_of_a_duration_are_few_and_reach_beyond(high: float) -> None:
    ticks = duration_ticks(high)

    assert ticks[-1] >= high
    assert 2 <= len(ticks) <= 7


def test_ticks_of_a_log_scale_are_within() -> None:
    assert log_ticks(0.01, 61) == [0.01, 0.1, 1, 10, 60]


def test_a_day_of_23_hours_has_no_tick_at_the_hour_that_is_not() -> None:
    labels = [
        text for _, text in time_ticks(MIDNIGHT, MIDNIGHT + timedelta(hours=23), BERLIN, most=24)
    ]

    assert labels[0] == "Sun 29 Mar"
    assert "02:00" not in labels
    assert labels[1:3] == ["01:00", "03:00"]
    assert labels[-1] == "Mon 30 Mar"


def test_a_day_of_25_hours_has_a_tick_twice() -> None:
    ticks = time_ticks(OCTOBER, OCTOBER + timedelta(hours=25), BERLIN, most=26)

    labels = [text for _, text in ticks]
    assert labels.count("02:00") == 2
    assert (labels[0], labels[-1]) == ("Sun 25 Oct", "Mon 26 Oct")
    assert len(ticks) == 26


def test_ticks_every_three_hours_stay_at_round_hours_across_a_change() -> None:
    ticks = time_ticks(MIDNIGHT, MIDNIGHT + timedelta(hours=30), BERLIN, most=12)

    assert [text for _, text in ticks[:4]] == ["Sun 29 Mar", "03:00", "06:00", "09:00"]


def test_days_begin_at_midnight_of_the_zone() -> None:
    ticks = time_ticks(MIDNIGHT, MIDNIGHT + timedelta(days=5), BERLIN, most=6)

    assert [text for _, text in ticks] == ["29 Mar", "30 Mar", "31 Mar", "1 Apr", "2 Apr", "3 Apr"]
    assert {moment.astimezone(BERLIN).hour for moment, _ in ticks} == {0}


@pytest.mark.parametrize("seconds", [0, 0.5, 1, 59, 3_600, 86_400, 31 * 86_400, 20 * 365 * 86_400])
def test_ticks_of_time_are_never_too_many(seconds: float) -> None:
    ticks = time_ticks(MIDNIGHT, MIDNIGHT + timedelta(seconds=seconds), BERLIN)

    assert len(ticks) <= 14
    assert all(MIDNIGHT <= moment <= MIDNIGHT + timedelta(seconds=seconds) for moment, _ in ticks)


@pytest.mark.parametrize("zone", ["Asia/Kathmandu", "Australia/Lord_Howe", "America/St_Johns"])
def test_zones_beside_the_hour_have_ticks_at_their_own_hours(zone: str) -> None:
    ticks = time_ticks(MIDNIGHT, MIDNIGHT + timedelta(hours=24), ZoneInfo(zone))

    assert len(ticks) >= 10
    assert {moment.astimezone(ZoneInfo(zone)).minute for moment, _ in ticks} == {0}


def test_a_change_of_the_clock_is_found_and_a_new_year_is_none() -> None:
    (change,) = clock_changes(MIDNIGHT, MIDNIGHT + timedelta(days=3), BERLIN)

    assert change.at == datetime(2026, 3, 29, 1, tzinfo=UTC)
    assert change.size == timedelta(hours=1)
    new_year = datetime(2026, 12, 31, tzinfo=UTC)
    assert clock_changes(new_year, new_year + timedelta(days=3), BERLIN) == []


def test_quantities_are_as_a_person_reads_them() -> None:
    durations = [0, 0.043, 0.9996, 1.25, 12, 95, 4_800, 90_000, 40 * 86_400, -3]
    assert [duration_words(seconds) for seconds in durations] == [
        *("0 s", "43 ms", "1 s", "1.2 s", "12 s", "1 min 35 s", "1 h 20 min"),
        *("1 d 1 h", "40 d", "−3 s"),
    ]
    assert [short_count(count) for count in (0, 999, 5_000, 12_300, 3_400_000, -20_000)] == [
        *("0", "999", "5k", "12.3k", "3.4M", "−20k")
    ]
    assert [count_words(count) for count in (0.25, 3, 12_345, -7)] == ["0.2", "3", "12,345", "−7"]
