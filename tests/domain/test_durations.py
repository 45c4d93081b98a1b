"""Durations: as people write them, as the database keeps them, as the upstream reads them."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduler.domain.durations import format_duration, parse_duration, upstream_duration
from scheduler.domain.errors import InvalidInput

LONGEST = 2**31 - 1


@pytest.mark.parametrize(
    ("text", "duration"),
    [
        ("1s", timedelta(seconds=1)),
        ("90m", timedelta(minutes=90)),
        ("1h30m", timedelta(minutes=90)),
        ("1h 30m", timedelta(minutes=90)),
        ("  2 d ", timedelta(days=2)),
        ("1W2D3H4M5S", timedelta(days=9, hours=3, minutes=4, seconds=5)),
        ("100s", timedelta(seconds=100)),
        ("0h5m", timedelta(minutes=5)),
        ("007m", timedelta(minutes=7)),
        (f"{LONGEST}s", timedelta(seconds=LONGEST)),
    ],
)
def test_a_duration_is_read_as_written(text: str, duration: timedelta) -> None:
    assert parse_duration(text) == duration


@pytest.mark.parametrize(
    "text",
    [
        *("", " ", "m", "90", "1.5h", "-5m", "+5m", "5 minutes", "1ms", "1y", "PT5M"),
        *("30m1h", "1h1h", "1h2h", "1h30", "1h,30m", "1h\n30m", "1e3s"),
        *("1 0m", "٣m", "１m", "1h 3 0m", "9" * 5000 + "s"),
    ],
)
def test_what_is_no_duration_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(InvalidInput, match=r"is not a duration: write it like 90m, 1h30m or 2d$"):
        parse_duration(text)


@pytest.mark.parametrize("text", ["0s", "0h0m", f"{LONGEST + 1}s", "9999999999w", "99999999999h"])
def test_a_duration_out_of_bounds_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput, match=r"is too short or too long: 1s to 2147483647s$"):
        parse_duration(text)


@pytest.mark.parametrize(
    ("duration", "text"),
    [
        (timedelta(seconds=1), "1s"),
        (timedelta(minutes=90), "1h30m"),
        (timedelta(days=9, seconds=5), "9d5s"),
        (timedelta(seconds=61.9), "1m1s"),
        (timedelta(0), "0s"),
        (timedelta(seconds=-5), "0s"),
    ],
)
def test_a_duration_is_written_in_its_units(duration: timedelta, text: str) -> None:
    assert format_duration(duration) == text


@pytest.mark.parametrize(
    ("duration", "text"),
    [
        (timedelta(hours=1), "1h"),
        (timedelta(minutes=90), "90m"),
        (timedelta(seconds=90), "90s"),
        (timedelta(days=2), "48h"),
        (timedelta(hours=1, seconds=1), "3601s"),
    ],
)
def test_the_upstream_gets_one_unit(duration: timedelta, text: str) -> None:
    assert upstream_duration(duration) == text


@given(st.integers(1, LONGEST).map(lambda seconds: timedelta(seconds=seconds)))
def test_whatever_is_written_means_the_same_duration(duration: timedelta) -> None:
    assert parse_duration(format_duration(duration)) == duration
    assert parse_duration(upstream_duration(duration)) == duration
