"""Calendars, blackout windows and iCalendar files: what they take away, and what is refused."""

from datetime import UTC, datetime

import pytest

from scheduler.domain.errors import InvalidInput
from scheduler.domain.timetable import TimetableSpec, parse_exclusion
from tests.domain.timetable.make import hours_left, local_times, make_timetable

BERLIN = "Europe/Berlin"


@pytest.mark.parametrize(
    ("line", "left"),
    [
        ("2026-03-06", ["07 00", "07 06", "07 12"]),
        ("2026-03-05..2026-03-06", ["07 00", "07 06", "07 12"]),
        ("03-07", ["06 12", "06 18"]),
        ("saturday", ["06 12", "06 18"]),
        ("sat-sun, fri", []),
        ("Mon-Fri 09:00-18:00", ["06 18", "07 00", "07 06", "07 12"]),
        ("Mon - Fri 09:00 - 19:00", ["07 00", "07 06", "07 12"]),
        ("fri 18:00-06:00", ["06 12", "07 06", "07 12"]),
        ("12:00-24:00", ["07 00", "07 06"]),
        ("fri 18:00-18:00", ["06 12"]),
    ],
)
def test_a_rule_takes_its_times_away(line: str, left: list[str]) -> None:
    """Out of each sixth hour from Friday 6 March 2026, seven o'clock, to Saturday noon."""
    found = hours_left(parse_exclusion("x", [line]), "2026-03-06T07:00", "2026-03-07T12:00")

    assert [time[3:8] for time in found] == left


@pytest.mark.parametrize(
    "line",
    ["", "someday", "2026-13-01", "2026-02-02..2026-02-01", "02-30", "mon-fry", "25:00-26:00"],
)
def test_a_rule_that_cannot_be_read_is_refused_with_its_calendar(line: str) -> None:
    with pytest.raises(InvalidInput, match=f"calendar 'holidays': '{line}' is not a date"):
        parse_exclusion("holidays", ["2026-12-25", line])


@pytest.mark.parametrize("every", ["1s", "15m", "1d"])
@pytest.mark.parametrize("lines", [["mon-sun"], ["00:00-12:00", "12:00-24:00"]])
def test_an_exclusion_of_everything_ends_with_none(every: str, lines: list[str]) -> None:
    exclusion = parse_exclusion("for ever", lines)
    timetable = make_timetable(TimetableSpec(every=every, exclusions=(exclusion,)))

    assert timetable.next_after(datetime(2026, 3, 1, tzinfo=UTC)) is None


def test_a_fine_interval_skips_a_long_holiday_at_once() -> None:
    exclusion = parse_exclusion("sabbatical", ["2026-01-01..2030-12-31"])
    timetable = make_timetable(TimetableSpec(every="1s", exclusions=(exclusion,)))

    assert timetable.next_after(datetime(2026, 3, 1, tzinfo=UTC)) == datetime(
        2031, 1, 1, tzinfo=UTC
    )


def test_a_window_in_the_repeated_hour_covers_both_passes() -> None:
    exclusion = parse_exclusion("backup", ["02:00-02:30"])
    spec = TimetableSpec(every="15m", timezone=BERLIN, exclusions=(exclusion,))

    found = local_times(make_timetable(spec), "2026-10-25T01:44", "2026-10-25T03:00")

    assert found == [
        "10-25 01:45 +0200",
        "10-25 02:30 +0200",
        "10-25 02:45 +0200",
        "10-25 02:30 +0100",
        "10-25 02:45 +0100",
        "10-25 03:00 +0100",
    ]


@pytest.mark.parametrize(
    ("line", "days"),
    [
        ("12-24..12-26", [24, 25, 26]),
        ("12-30..01-06", [30, 31]),
        ("12-20 .. 01-01", list(range(23, 32))),
    ],
)
def test_days_of_each_year_may_be_a_range_also_past_the_new_year(
    line: str, days: list[int]
) -> None:
    exclusion = parse_exclusion("x", [line])

    left = hours_left(exclusion, "2026-12-23T00:00", "2026-12-31T23:00", cron="0 12 * * *")

    assert {int(moment[3:5]) for moment in left} == set(range(23, 32)) - set(days)


def test_a_range_past_the_new_year_covers_january_and_ends_with_its_last_day() -> None:
    exclusion = parse_exclusion("x", ["12-30..01-02"])

    left = hours_left(exclusion, "2026-01-01T00:00", "2026-01-04T00:00", cron="0 12 * * *")

    assert left == ["01-03 12:00"]


def test_sixty_thousand_spaces_in_a_rule_are_refused_at_once() -> None:
    with pytest.raises(InvalidInput, match="calendar 'x': 'a b' is not a date"):
        parse_exclusion("x", ["a" + 60_000 * " " + "b"])


def test_a_calendar_has_a_thousand_lines_at_most() -> None:
    with pytest.raises(InvalidInput, match="calendar 'x' has more than 1,000 lines: join days"):
        parse_exclusion("x", 1_001 * ["2026-12-25"])


def test_a_calendar_is_over_when_its_last_day_has_passed() -> None:
    noon = datetime.fromisoformat("2026-12-25T12:00")

    assert not parse_exclusion("x", ["2026-12-24", "2026-12-25"]).is_over(noon)
    assert parse_exclusion("x", ["2026-12-24", "2025-12-25"]).is_over(noon)
    assert not parse_exclusion("x", ["2026-12-24", "12-24"]).is_over(noon)
