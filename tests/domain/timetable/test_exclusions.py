"""Calendars, blackout windows and iCalendar files: what they take away, and what is refused."""

from datetime import UTC, datetime, timedelta

import pytest

from scheduler.domain.errors import InvalidInput
from scheduler.domain.timetable import Exclusion, TimetableSpec, parse_exclusion, parse_icalendar
from tests.domain.timetable.make import local_times, make_timetable

BERLIN = "Europe/Berlin"


def hours_left(exclusion: Exclusion, start: str, end: str, cron: str = "0 */6 * * *") -> list[str]:
    spec = TimetableSpec(cron=cron, timezone=BERLIN, exclusions=(exclusion,))
    return [time[:11] for time in local_times(make_timetable(spec), start, end)]


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


def ics(*lines: str) -> str:
    event = ["BEGIN:VEVENT", "SUMMARY:Feast", *lines, "END:VEVENT"]
    return "\r\n".join(["BEGIN:VCALENDAR", "VERSION:2.0", *event, "END:VCALENDAR", ""])


@pytest.mark.parametrize(
    ("lines", "days"),
    [
        (["DTSTART;VALUE=DATE:20260302", "DTEND;VALUE=DATE:20260304"], [2, 3]),
        (["DTSTART;VALUE=DATE:20260302"], [2]),
        (["DTSTART;VALUE=DATE:20260302", "DURATION:P1W"], [2, 3, 4, 5, 6, 7, 8]),
        (["DTSTART:20260302T080000Z", "DTEND:20260302T090000Z"], []),
        (["DTSTART:20260302T110000Z", "DTEND:20260302T113000Z"], [2]),
        (["DTSTART;TZID=America/New_York:20260302T053000", "DURATION:PT1H"], [2]),
        (["DTSTART:20260302T110000", "DTEND:20260304T130000"], [2, 3, 4]),
        (["DTSTART;VALUE=DATE:20200303", "RRULE:FREQ=YEARLY"], [3]),
        (["DTSTART;VALUE=DATE:20230303", "RRULE:FREQ=YEARLY;INTERVAL=2"], []),
        (["DTSTART;VALUE=DATE:20200303", "RRULE:FREQ=YEARLY;UNTIL=20250101T000000Z"], []),
        (["DTSTART;VALUE=DATE:20260105", "RRULE:FREQ=WEEKLY;BYDAY=MO,WE"], [2, 4]),
        (["DTSTART;VALUE=DATE:20260105", "RRULE:FREQ=WEEKLY;INTERVAL=2"], [2]),
        (["DTSTART;VALUE=DATE:20260112", "RRULE:FREQ=WEEKLY;INTERVAL=2"], []),
        (["DTSTART;VALUE=DATE:20260302", "STATUS:CANCELLED"], []),
        (["DTSTART;VALUE=DATE", " :20260302", "DESCRIPTION:BEGIN: end"], [2]),
        (["BEGIN:VALARM", "DTSTART:x", "END:VALARM", "DTSTART;VALUE=DATE:20260302"], [2]),
    ],
)
def test_an_icalendar_event_takes_its_days_away(lines: list[str], days: list[int]) -> None:
    """Out of noon in Berlin on each day from Monday 2 to Sunday 8 March 2026."""
    exclusion = parse_icalendar("feasts", ics(*lines), timezone=BERLIN)

    found = hours_left(exclusion, "2026-03-02T00:00", "2026-03-09T00:00", cron="0 12 * * *")

    taken = {f"03-{day:02} 12:00" for day in range(2, 9)} - set(found)
    assert taken == {f"03-{day:02} 12:00" for day in days}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("hello", "is not iCalendar text"),
        (ics(), "'Feast': it has no DTSTART"),
        (ics("DTSTART:soon"), "calendar 'feasts', 'Feast': "),
        (ics("DTSTART;VALUE=DATE:20260302", "RRULE:FREQ=MONTHLY"), "RRULE FREQ=MONTHLY is not"),
        (ics("DTSTART;VALUE=DATE:20260302", "RRULE:FREQ=YEARLY;BYDAY=1MO"), "is not supported"),
        (ics("DTSTART;VALUE=DATE:20260302", "RRULE:FREQ=WEEKLY;COUNT=3"), "is not supported"),
        (ics("DTSTART;VALUE=DATE:20260302", "EXDATE:20260302"), "EXDATE is not supported"),
        (
            ics("DTSTART:20260302T100000Z", "RRULE:FREQ=WEEKLY", "DURATION:PT1H"),
            "a clock other than",
        ),
        (ics("DTSTART:20260302T100000Z"), "has no length"),
        (ics("DTSTART;TZID=W. Europe:20260302T100000", "DURATION:PT1H"), "unknown time zone"),
    ],
)
def test_an_event_that_cannot_be_followed_is_refused_by_name(text: str, message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        parse_icalendar("feasts", text, timezone=BERLIN)


def test_an_excluded_moment_names_the_event() -> None:
    text = ics("DTSTART;VALUE=DATE:20200303", "RRULE:FREQ=YEARLY")
    exclusion = parse_icalendar("feasts", text, timezone="UTC")
    timetable = make_timetable(TimetableSpec(every="1h", exclusions=(exclusion,)))

    explanation = timetable.explain(datetime(2026, 3, 3, 5, tzinfo=UTC))

    assert explanation.excluded_by == "feasts: Feast 2020-03-03 (each year)"
    assert explanation.following == datetime(2026, 3, 4, tzinfo=UTC)
    assert explanation.previous == datetime(2026, 3, 3, tzinfo=UTC) - timedelta(hours=1)
