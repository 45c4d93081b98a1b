"""Moments in words."""

from datetime import timedelta
from zoneinfo import ZoneInfo

import pytest

from scheduler.web.pages.times import Times
from tests.surfaces.rig import NINE


@pytest.mark.parametrize(
    ("ahead", "words"),
    [
        ({"seconds": 89}, "in 89 s"),
        ({"seconds": 90}, "in 2 min"),
        ({"minutes": 84}, "in 84 min"),
        ({"minutes": 115}, "in 2 h"),
        ({"hours": 47}, "in 2 d"),
        ({"seconds": -100}, "due 2 min ago"),
    ],
)
def test_what_is_further_away_is_told_as_more(ahead: dict[str, int], words: str) -> None:
    times = Times(NINE, ZoneInfo("UTC"))

    assert times.ago(NINE + timedelta(**ahead), "due ") == words
