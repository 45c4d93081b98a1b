"""A time of day becomes a deadline."""

from datetime import UTC, datetime, timedelta

import pytest

from scheduler.domain.finish import (
    finish_by,
    too_late_to_finish,
    with_deadline,
)
from tests.make import NINE, minutes


@pytest.mark.parametrize(
    ("due_at", "ends"),
    [
        (datetime(2026, 3, 2, 1, tzinfo=UTC), datetime(2026, 3, 2, 5, tzinfo=UTC)),
        (datetime(2026, 3, 2, 5, tzinfo=UTC), datetime(2026, 3, 3, 5, tzinfo=UTC)),
        (datetime(2026, 3, 1, 23, 30, tzinfo=UTC), datetime(2026, 3, 2, 5, tzinfo=UTC)),
        # The clocks go forward in that night, and back in the other.
        (datetime(2026, 3, 28, 23, tzinfo=UTC), datetime(2026, 3, 29, 4, tzinfo=UTC)),
        (datetime(2026, 10, 24, 22, tzinfo=UTC), datetime(2026, 10, 25, 5, tzinfo=UTC)),
    ],
)
def test_it_is_the_next_such_time_on_the_schedules_clock(due_at: datetime, ends: datetime) -> None:
    assert finish_by("06:00", timezone="Europe/Berlin", due_at=due_at) == ends


def test_a_time_that_the_clock_jumps_over_is_the_end_of_the_gap() -> None:
    due_at = datetime(2026, 3, 29, 0, tzinfo=UTC)

    ends = finish_by("02:30", timezone="Europe/Berlin", due_at=due_at)

    assert ends == datetime(2026, 3, 29, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("query", "sent"),
    [
        ("collector=c_a&queue_next=1", "collector=c_a&queue_next=1&deadline=90m"),
        ("collector=c_a&deadline=2h&name=a%20b", "collector=c_a&deadline=90m&name=a%20b"),
        ("collector=c_a&deadline=1h", "collector=c_a&deadline=1h"),
    ],
)
def test_the_smaller_of_both_is_the_deadline(query: str, sent: str) -> None:
    assert with_deadline(query, minutes(90)) == sent


def test_with_less_than_five_minutes_it_is_not_sent() -> None:
    assert too_late_to_finish(NINE + minutes(5), NINE) is None
    assert "4m59s were left" in str(
        too_late_to_finish(NINE + minutes(5) - timedelta(seconds=1), NINE)
    )
    assert "that was over" in str(too_late_to_finish(NINE - minutes(5), NINE))
