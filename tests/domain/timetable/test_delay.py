"""Delays that spread."""

from datetime import UTC, datetime, timedelta

from scheduler.domain.timetable import TimetableSpec, delay
from tests.domain.timetable.make import make_timetable

NINE = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)


def test_a_spread_keeps_a_schedules_rhythm_and_parts_it_from_others() -> None:
    delays = {
        (name, slot): delay(
            f"s{name}", NINE + slot * HOUR, NINE + (slot + 1) * HOUR, None, HOUR / 2
        )
        for name in range(50)
        for slot in range(3)
    }

    assert all(delays[name, 0] == delays[name, 1] == delays[name, 2] for name in range(50))
    assert len({delays[name, 0] for name in range(50)}) == 50
    assert max(delays.values()) < HOUR / 2


def test_a_jitter_differs_from_slot_to_slot() -> None:
    delays = {
        delay("nightly", NINE + slot * HOUR, NINE + (slot + 1) * HOUR, HOUR / 4, None)
        for slot in range(50)
    }

    assert len(delays) == 50
    assert max(delays) < HOUR / 4


def test_a_timetable_delays_up_to_its_own_next_slot() -> None:
    crowded = make_timetable(TimetableSpec(every="10s", jitter="1h", spread="1h"))
    exact = make_timetable(TimetableSpec(every="10s"))
    last = make_timetable(TimetableSpec(at=NINE, jitter="1h"))

    assert timedelta(0) < crowded.delay(NINE) < timedelta(seconds=10)
    assert exact.delay(NINE) == timedelta(0)
    assert timedelta(0) < last.delay(NINE) < HOUR
