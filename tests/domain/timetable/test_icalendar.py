"""iCalendar files as they are found: what they exclude, and what is refused by name."""

from datetime import UTC, datetime, timedelta

import pytest

from scheduler.domain.errors import InvalidInput
from scheduler.domain.timetable import Exclusion, TimetableSpec, parse_calendar
from scheduler.domain.timetable.icalendar import parse_icalendar
from tests.domain.timetable.make import hours_left, local_times, make_timetable

BERLIN = "Europe/Berlin"


def ics(*lines: str) -> str:
    event = ["BEGIN:VEVENT", "SUMMARY:Feast", *lines, "END:VEVENT"]
    return "\r\n".join(["BEGIN:VCALENDAR", "VERSION:2.0", *event, "END:VCALENDAR", ""])


def days_taken(exclusion: Exclusion) -> list[int]:
    """Of noon in Berlin on each day from Monday 2 to Sunday 8 March 2026."""
    left = hours_left(exclusion, "2026-03-02T00:00", "2026-03-09T00:00", cron="0 12 * * *")
    return [day for day in range(2, 9) if f"03-{day:02} 12:00" not in left]


@pytest.mark.parametrize(
    ("lines", "days"),
    [
        (["DTSTART;VALUE=DATE:20260302", "DTEND;VALUE=DATE:20260304"], [2, 3]),
        (["DTSTART;VALUE=DATE:20260302"], [2]),
        (["DTSTART;TZID=America/New_York;VALUE=DATE:20260302"], [2]),
        (["DTSTART;VALUE=DATE;TZID=Asia/Tokyo:20260302"], [2]),
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
        (["BEGIN:VALARM", "DTSTART:20260304", "END:VALARM", "DTSTART;VALUE=DATE:20260302"], [2]),
        (["DTSTART;VALUE=DATE:20260302", "DTEND;VALUE=DATE:20260302"], [2]),
        (["DTSTART;VALUE=DATE:20260302", "DTEND;VALUE=DATE:20260302", "RRULE:"], [2]),
        (["DTSTART;VALUE=DATE:20230303", "RRULE:FREQ=YEARLY;COUNT=4"], [3]),
        (["DTSTART;VALUE=DATE:20230303", "RRULE:FREQ=YEARLY;COUNT=3"], []),
        (["DTSTART;VALUE=DATE:20250304", "RRULE:FREQ=YEARLY;BYMONTH=3;BYDAY=1WE"], [4]),
        (["DTSTART;VALUE=DATE:20250303", "RRULE:FREQ=YEARLY;BYMONTH=3;BYMONTHDAY=3"], [3]),
        (["DTSTART;VALUE=DATE:20260107", "RRULE:FREQ=MONTHLY;BYDAY=1WE"], [4]),
        (["DTSTART;VALUE=DATE:20260228", "RRULE:FREQ=DAILY;INTERVAL=3"], [3, 6]),
        (
            [
                "DTSTART;VALUE=DATE:20260301",
                "RRULE:FREQ=DAILY",
                "EXDATE;VALUE=DATE:20260303,20260305",
            ],
            [2, 4, 6, 7, 8],
        ),
        (["DTSTART;VALUE=DATE:20260302", "RDATE;VALUE=DATE:20260304,20260306"], [2, 4, 6]),
        (["DTSTART;VALUE=DATE:20260302", "DESCRIPTION:one\u2028Status: cancelled"], [2]),
        (["DTSTART;VALUE=DATE:20260302", "DESCRIPTION:one\x0bSTATUS:CANCELLED"], [2]),
        (['DTSTART;X-A="a:b;c":20260302'], [2]),
        (["DTSTART;TZID=W. Europe Standard Time:20260302T113000", "DURATION:PT1H"], [2]),
        (
            ["DTSTART;TZID=/mozilla.org/20050126_1/Europe/Berlin:20260302T113000", "DURATION:PT1H"],
            [2],
        ),
        (["DTSTART:20260302T110000Z"], [2]),
    ],
)
def test_an_icalendar_event_takes_its_days_away(lines: list[str], days: list[int]) -> None:
    assert days_taken(parse_icalendar("feasts", ics(*lines), timezone=BERLIN)) == days


ZONE = (
    "BEGIN:VTIMEZONE",
    "TZID:{name}",
    "BEGIN:STANDARD",
    "DTSTART:19700101T000000",
    "TZOFFSETFROM:{offset}",
    "TZOFFSETTO:{offset}",
    "END:STANDARD",
    "END:VTIMEZONE",
)


def in_zone(written: str, name: str, offset: str, *, zone_last: bool = False) -> str:
    event = ics(f"DTSTART;TZID={written}:20260302T110000", "DURATION:PT2H")
    zone = "".join(line.format(name=name, offset=offset) + "\r\n" for line in ZONE)
    before = "END:VCALENDAR" if zone_last else "BEGIN:VEVENT"
    return event.replace(before, zone + before)


def test_a_zone_may_stand_behind_the_events_that_name_it() -> None:
    text = in_zone("Ours", "Ours", "-0300", zone_last=True)

    taken = stretches(text, "UTC", "2026-03-02T00:00", "2026-03-03T00:00")

    assert taken[0] == "03-02 14:00 +0000"


def stretches(text: str, timezone: str, start: str, end: str) -> list[str]:
    """The quarters of an hour that are taken away."""
    spec = TimetableSpec(every="15m", timezone=timezone)
    exclusion = parse_icalendar("x", text, timezone=timezone)
    every = local_times(make_timetable(spec), start, end)
    left = local_times(
        make_timetable(TimetableSpec(every="15m", timezone=timezone, exclusions=(exclusion,))),
        start,
        end,
    )
    return [moment for moment in every if moment not in left]


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ('"(UTC+01:00) Amsterdam, Berlin"', "(UTC+01:00) Amsterdam, Berlin"),
        ("(UTC+01:00) Amsterdam, Berlin", "(UTC+01:00) Amsterdam, Berlin"),
        ("GMT+05:30", "GMT+05:30"),
        ("/mozilla.org/20050126_1/Europe/Berlin", "/mozilla.org/20050126_1/Europe/Berlin"),
        ("W. Europe Standard Time", "W. Europe Standard Time"),
    ],
)
@pytest.mark.parametrize(("offset", "hour"), [("+0530", "05:30"), ("-0300", "14:00")])
def test_a_zone_of_its_own_is_the_one_that_the_file_describes(
    written: str, name: str, offset: str, hour: str
) -> None:
    """Also where another file describes another zone by the same name."""
    text = in_zone(written, name, offset)

    taken = stretches(text, "UTC", "2026-03-02T00:00", "2026-03-03T00:00")

    assert taken[0] == f"03-02 {hour} +0000"
    assert len(taken) == 8


@pytest.mark.parametrize(
    ("duration", "last"),
    [
        ("PT6H", "03-14 04:45 -0400"),
        ("PT24H", "03-14 22:45 -0400"),
        ("P1D", "03-14 21:45 -0400"),
        ("P1DT6H", "03-15 03:45 -0400"),
    ],
)
def test_hours_of_a_duration_are_real_and_days_go_by_the_calendar(duration: str, last: str) -> None:
    """New York's clocks go forward at 02:00 on 14 March 2027."""
    text = ics("DTSTART;TZID=America/New_York:20270313T220000", f"DURATION:{duration}")

    taken = stretches(text, "America/New_York", "2027-03-13T00:00", "2027-03-16T00:00")

    assert taken[-1] == last


@pytest.mark.parametrize(
    ("zone", "start", "until", "days"),
    [
        ("Asia/Tokyo", "20261201T080000", "20261214T230000Z;BYDAY=TU", ["01", "08", "15"]),
        (
            "America/Los_Angeles",
            "20261130T200000",
            "20261204T040000Z;BYDAY=MO,TU,WE,TH,FR",
            ["30", "01", "02", "03"],
        ),
        (
            "America/Los_Angeles",
            "20261130T080000",
            "20261204T075959Z;BYDAY=MO,TU,WE,TH,FR",
            ["30", "01", "02", "03"],
        ),
    ],
)
def test_a_series_ends_at_the_moment_of_until_not_on_its_date(
    zone: str, start: str, until: str, days: list[str]
) -> None:
    text = ics(f"DTSTART;TZID={zone}:{start}", "DURATION:PT1H", f"RRULE:FREQ=WEEKLY;UNTIL={until}")

    taken = stretches(text, zone, "2026-11-30T00:00", "2026-12-20T00:00")

    assert list(dict.fromkeys(moment[3:5] for moment in taken)) == days


def test_a_weekly_event_of_another_zone_moves_with_that_zone_s_clock() -> None:
    text = ics("DTSTART;TZID=Europe/Berlin:20260301T080000", "DURATION:PT1H", "RRULE:FREQ=WEEKLY")

    taken = stretches(text, "Asia/Tokyo", "2026-03-22T00:00", "2026-03-30T00:00")

    assert taken[::4] == ["03-22 16:00 +0900", "03-29 15:00 +0900"]


def test_a_time_of_a_series_that_was_moved_or_cancelled_is_not_where_it_was() -> None:
    series = ("UID:1", "DTSTART;VALUE=DATE:20260302", "RRULE:FREQ=DAILY;COUNT=4")
    moved = ("UID:1", "RECURRENCE-ID;VALUE=DATE:20260303", "DTSTART;VALUE=DATE:20260307")
    cancelled = ("UID:1", "RECURRENCE-ID;VALUE=DATE:20260304", "DTSTART;VALUE=DATE:20260304")
    more = ("END:VEVENT", "BEGIN:VEVENT")
    text = ics(*series, *more, *moved, *more, *cancelled, "STATUS:CANCELLED")

    assert days_taken(parse_icalendar("feasts", text, timezone=BERLIN)) == [2, 5, 7]


def test_events_that_bear_one_uid_by_mistake_all_count() -> None:
    first = ("UID:1", "DTSTART;VALUE=DATE:20260302", "END:VEVENT", "BEGIN:VEVENT")
    text = ics(*first, "UID:1", "DTSTART;VALUE=DATE:20260304")

    assert days_taken(parse_icalendar("feasts", text, timezone=BERLIN)) == [2, 4]


def test_several_calendars_in_one_file_all_count() -> None:
    text = ics("DTSTART;VALUE=DATE:20260302") + ics("DTSTART;VALUE=DATE:20260304")

    assert days_taken(parse_icalendar("feasts", text, timezone=BERLIN)) == [2, 4]


WHOLE = ics("DTSTART;VALUE=DATE:20260302")


@pytest.mark.parametrize(
    "text",
    [
        WHOLE[:-40],
        WHOLE.replace("END:VCALENDAR", ""),
        WHOLE.replace("END:VEVENT\r\n", ""),
        WHOLE + WHOLE[:-20],
        WHOLE.replace("END:VEVENT", "BEGIN:VEVENT\r\nDTSTART:20260303\r\nEND:VEVENT"),
    ],
)
def test_a_file_that_is_cut_off_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput, match="calendar 'feasts', it is cut off"):
        parse_icalendar("feasts", text, timezone=BERLIN)


DAY = "DTSTART;VALUE=DATE:20260302"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("hello", "is not iCalendar text"),
        (ics(), "'Feast': it has no DTSTART"),
        (ics("DTSTART:soon"), "calendar 'feasts', 'Feast': DTSTART cannot be read"),
        (ics("DTSTART:00010101T000000"), "no DTSTART in the years 1600 to 2600"),
        (ics(DAY, "DTSTART;VALUE=DATE:20260303"), "more than one DTSTART"),
        (ics(DAY, "DTEND:20260303T000000"), "DTSTART is a day, DTEND is a time without a zone"),
        (ics(DAY, "DTEND;VALUE=DATE:20260301"), "it ends before it starts"),
        (ics(DAY, "DURATION:-P1D"), "it ends before it starts"),
        (ics(DAY, "RRULE:FREQ=YEARLY;BYDAY=XX"), "RRULE cannot be read"),
        (ics(DAY, "RRULE FREQ=YEARLY"), "'Feast': a line cannot be read: .*RRULE FREQ"),
        (ics(DAY, "EXDATE:soon"), "EXDATE cannot be read"),
        (ics(DAY, "RRULE:FREQ=DAILY", "EXRULE:FREQ=WEEKLY"), "EXRULE is not supported"),
        (ics(DAY, "RRULE:FREQ=DAILY;INTERVAL=0"), "RRULE FREQ=DAILY;INTERVAL=0 does not go on"),
        (ics(DAY, "RRULE:FREQ=YEARLY;INTERVAL=0;COUNT=2"), "write an INTERVAL of 1 or more"),
        (ics(DAY, "RRULE:FREQ=HOURLY"), "RRULE FREQ=HOURLY is not supported: write windows"),
        (ics(DAY, "RRULE:FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30"), "it never takes place"),
        (ics("DTSTART;TZID=Nowhere:20260302T100000"), "'Feast': unknown time zone 'Nowhere'"),
        (
            ics("DTSTART:20260302T100000", "RDATE;TZID=Nowhere:20260303T100000"),
            "unknown time zone 'Nowhere'",
        ),
        (WHOLE.replace("VERSION:2.0", "X-WR-TIMEZONE:Nowhere"), "unknown time zone 'Nowhere'"),
        (WHOLE.replace("VERSION:2.0", "CALSCALE:JULIAN"), "Only Gregorian calendars"),
    ],
)
def test_an_event_that_cannot_be_followed_is_refused_by_name(text: str, message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        parse_icalendar("feasts", text, timezone=BERLIN)


@pytest.mark.parametrize(
    "text",
    [
        ics(DAY, "RRULE:FREQ=DAILY;BYHOUR=0,1,2,3;BYMINUTE=" + ",".join(map(str, range(60)))),
        "\r\n".join(["BEGIN:VCALENDAR", *100 * [DAY], "END:VCALENDAR"]).replace(
            DAY, f"BEGIN:VEVENT\r\n{DAY}\r\nRRULE:FREQ=DAILY\r\nEND:VEVENT"
        ),
        WHOLE + 1_000_000 * " ",
    ],
)
def test_a_file_that_would_take_minutes_is_refused_before(text: str) -> None:
    with pytest.raises(InvalidInput, match=r"too often|longer than"):
        parse_icalendar("feasts", text, timezone=BERLIN)


def test_an_excluded_moment_names_the_event() -> None:
    text = ics("DTSTART;VALUE=DATE:20200303", "RRULE:FREQ=YEARLY")
    exclusion = parse_icalendar("feasts", text, timezone="UTC")
    timetable = make_timetable(TimetableSpec(every="1h", exclusions=(exclusion,)))

    explanation = timetable.explain(datetime(2026, 3, 3, 5, tzinfo=UTC))

    assert explanation.excluded_by == "feasts: Feast 2026-03-03"
    assert explanation.following == datetime(2026, 3, 4, tzinfo=UTC)
    assert explanation.previous == datetime(2026, 3, 3, tzinfo=UTC) - timedelta(hours=1)


@pytest.mark.parametrize(
    ("lines", "is_over"),
    [
        (["DTSTART;VALUE=DATE:20251225"], True),
        (["DTSTART;VALUE=DATE:20251225", "RRULE:FREQ=YEARLY"], False),
        (["DTSTART;VALUE=DATE:20231225", "RRULE:FREQ=YEARLY;COUNT=3"], True),
        (["DTSTART;VALUE=DATE:20231225", "RRULE:FREQ=YEARLY;UNTIL=20260101"], True),
        (["DTSTART;VALUE=DATE:20260101", "STATUS:CANCELLED"], True),
        (["DTSTART;VALUE=DATE:20260701"], False),
    ],
)
def test_a_file_is_over_when_its_last_event_has_passed(lines: list[str], is_over: bool) -> None:
    exclusion = parse_icalendar("feasts", ics(*lines), timezone=BERLIN)

    assert exclusion.is_over(datetime.fromisoformat("2026-03-01T00:00")) is is_over


def test_a_row_may_have_rules_before_its_icalendar_text_in_any_case() -> None:
    text = "saturday\n" + WHOLE.replace("BEGIN:VCALENDAR", "begin:vcalendar")

    assert days_taken(parse_calendar("feasts", text, timezone=BERLIN)) == [2, 7]
