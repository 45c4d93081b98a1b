"""Delays that spread, and warnings in sentences."""

from datetime import UTC, datetime, timedelta

import pytest

from scheduler.domain.timetable import TimetableSpec, delay, lint, lint_together
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


@pytest.mark.parametrize(
    ("cron", "sentence"),
    [
        ("0 0 13 * FRI", "both day fields are set: days that fit either count"),
        ("0 0 */2 * MON", "both day fields are set and one starts with *"),
        ("*/7 * * * *", "minute */7 starts anew with each round of the field"),
        ("0 */5 * * *", "hour */5 starts anew"),
        ("0 0 */2 * *", "day of month */2 starts anew"),
        ("0 0 * * */2", "day of week */2 starts anew"),
        ("*/90 * * * *", "minute */90 steps past the end of the field"),
        (
            "5/10 * * * *",
            "minute 5/10 is read as 5-59/10; Debian cron refuses it: write that",
        ),
        ("0 0 31 * *", 'write calendar_interval = "month on 31"'),
        ("0 0-23 * * *", "hour 0-23 lists each hour"),
    ],
)
def test_what_is_seldom_meant_is_warned_about(cron: str, sentence: str) -> None:
    warnings = lint(TimetableSpec(cron=cron))

    assert any(sentence in warning for warning in warnings)
    assert all(warning.startswith(f"cron {cron!r}: ") for warning in warnings)


@pytest.mark.parametrize(
    "cron", ["*/5 */2 * * *", "H 2 * * *", "0 2 1 * *", "0 0 * * 1-5", "@weekly", "30 * * */3 *"]
)
def test_a_plain_expression_is_not_warned_about(cron: str) -> None:
    assert lint(TimetableSpec(cron=cron)) == []


def test_a_jitter_longer_than_its_interval_is_warned_about() -> None:
    assert lint(TimetableSpec(every="5m", jitter="10m")) == [
        "jitter 10m reaches past every 5m: it is cut at the next slot"
    ]
    assert lint(TimetableSpec(every="5m", jitter="1m")) == []


def test_many_schedules_at_the_top_of_the_hour_are_warned_about_together() -> None:
    hourly = {name: TimetableSpec(cron=f"0 {hour} * * *") for hour, name in enumerate("abcd")}
    others = {name: TimetableSpec(cron="H 2 * * *") for name in "efg"}

    (warning,) = lint_together(hourly | others)

    assert warning.startswith("4 of 7 schedules fire at minute 0 (a, b, c, …): write H")
    assert lint_together({"a": hourly["a"], **others}) == []
