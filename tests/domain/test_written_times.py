"""A time is written in the same ways everywhere, and means the same."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from scheduler.domain.errors import InvalidInput
from scheduler.domain.written_times import WrittenTime

BERLIN = ZoneInfo("Europe/Berlin")
NOW = datetime(2026, 3, 1, 23, 30, tzinfo=UTC)  # 00:30 on March 2nd in Berlin


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-03-02T09:00:00Z", "2026-03-02 09:00"),
        ("2026-03-02 09:00:00+02:00", "2026-03-02 07:00"),
        ("2026-03-02 09:00", "2026-03-02 08:00"),
        ("2026-03-02", "2026-03-01 23:00"),
        ("now", "2026-03-01 23:30"),
        ("06:00", "2026-03-02 05:00"),
        ("6:00", "2026-03-02 05:00"),
        ("today", "2026-03-01 23:00"),
        ("yesterday", "2026-02-28 23:00"),
        ("Yesterday 06:00", "2026-03-01 05:00"),
        ("tomorrow 06:00", "2026-03-03 05:00"),
        ("-12h", "2026-03-01 11:30"),
        ("12h ago", "2026-03-01 11:30"),
        ("-1h30m", "2026-03-01 22:00"),
        ("+2h", "2026-03-02 01:30"),
        ("in 2h", "2026-03-02 01:30"),
    ],
)
def test_a_time_without_an_offset_is_on_the_wall_of_its_zone(text: str, expected: str) -> None:
    assert f"{WrittenTime.checked(text).at(NOW, BERLIN):%Y-%m-%d %H:%M}" == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-03-02", "2026-03-02 22:59:59"),
        ("yesterday", "2026-03-01 22:59:59"),
        ("2026-03-28", "2026-03-28 22:59:59"),
        ("2026-03-29", "2026-03-29 21:59:59"),
        ("2026-03-02 09:00", "2026-03-02 08:00:00"),
        ("yesterday 09:00", "2026-03-01 08:00:00"),
        ("-12h", "2026-03-01 11:30:00"),
    ],
)
def test_a_day_that_ends_a_stretch_is_in_it(text: str, expected: str) -> None:
    assert f"{WrittenTime.checked(text).end(NOW, BERLIN):%Y-%m-%d %H:%M:%S}" == expected


@pytest.mark.parametrize(
    "text", ["", "soon", "25:00", "yesterday at six", "-", "-soon", "12 ago", "-0h", "2026-02-30"]
)
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput):
        WrittenTime.checked(text)
