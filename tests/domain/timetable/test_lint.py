"""What is allowed in a timetable but seldom meant, in sentences."""

import pytest

from scheduler.domain.timetable import TimetableSpec, lint, lint_together


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
