"""Only what is odd about a year is told, and all of it."""

from collections import Counter
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scheduler.domain.timetable import (
    DstMark,
    TimetableSpec,
    build_timetable,
    parse_exclusion,
)
from scheduler.tools.calendar.lint_findings import list_findings


def odd(year: int = 2027, **spec: Any) -> list[tuple[str, str]]:
    timetable = build_timetable(TimetableSpec(**spec), name="nightly")
    return [(one.kind.value, one.sentence) for one in list_findings(timetable, year)]


BERLIN = {"timezone": "Europe/Berlin"}


@pytest.mark.parametrize(
    ("spec", "found"),
    [
        ({"cron": "0 12 * * *", **BERLIN}, []),
        ({"cron": "*/10 * * * *", **BERLIN}, []),
        ({"cron": "30 2 * * *"}, []),
        ({"every": "1s", **BERLIN}, []),
        ({"manual": True}, []),
        ({"at": None, "cron": "0 0 1 1 *"}, []),
        (
            {"cron": "30 2 * * *", **BERLIN},
            [("shifted", "2027-03-28 02:30 does not exist: it fires at 03:00 +0200")],
        ),
        (
            {
                "cron": "30 2 * * *",
                "exclusions": (parse_exclusion("off", ["sun 03:00-06:00"]),),
                **BERLIN,
            },
            [
                (
                    "skipped",
                    "2027-03-28 02:30 does not exist, and 03:00 +0200, when it would fire,"
                    " is excluded by off: sun 03:00-06:00",
                ),
                ("excluded", "1 excluded by off: sun 03:00-06:00: 2027-03-28"),
            ],
        ),
        (
            {"cron": "30 2 * * *", "dst_gap": "skip", **BERLIN},
            [("skipped", "2027-03-28 02:30 does not exist: it does not fire")],
        ),
        (
            {"cron": "30 2 * * *", "dst_fold": "both", **BERLIN},
            [
                ("shifted", "2027-03-28 02:30 does not exist: it fires at 03:00 +0200"),
                ("doubled", "2027-10-31 02:30 comes twice: it fires both times"),
            ],
        ),
        (
            {"cron": "*/30 2 * * *", **BERLIN},
            [
                ("skipped", "2027-03-28 02:00, 02:30 does not exist: it does not fire"),
                ("doubled", "2027-10-31 02:00, 02:30 comes twice: it fires both times"),
            ],
        ),
        (
            {"calendar_interval": "day at 02:15", **BERLIN},
            [("shifted", "2027-03-28 02:15 does not exist: it fires at 03:00 +0200")],
        ),
        ({"cron": "30 2 * * *", "valid_from": None, "timezone": "Asia/Tokyo"}, []),
        (
            {"cron": "0 0 31 * *"},
            [("month_without", "no occurrence in Feb, Apr, Jun, Sep, Nov 2027")],
        ),
        (
            {"cron": "0 0 31 * *", "exclusions": (parse_exclusion("off", ["12-31"]),)},
            [
                ("month_without", "no occurrence in Feb, Apr, Jun, Sep, Nov 2027"),
                ("excluded", "1 excluded by off: 12-31: 2027-12-31"),
            ],
        ),
        ({"cron": "0 0 31 1,3,5,7,8,10,12 *"}, []),
        ({"cron": "0 0 1 */3 *"}, []),
        ({"calendar_interval": "month on 31"}, []),
        (
            {"cron": "0 0 29 2 *"},
            [
                ("year_without", "no occurrence in 2027; next 2028-02-29"),
                ("leap_day", "29 February does not exist in 2027; next 2028-02-29"),
            ],
        ),
        (
            {
                "cron": "0 6 * * *",
                "exclusions": (parse_exclusion("holidays", ["2027-12-24..2027-12-26"]),),
            },
            [
                (
                    "excluded",
                    "3 excluded by holidays: 2027-12-24..2027-12-26:"
                    " 2027-12-24, 2027-12-25, 2027-12-26",
                )
            ],
        ),
    ],
)
def test_what_is_odd_about_2027(spec: dict[str, Any], found: list[tuple[str, str]]) -> None:
    assert odd(**spec) == found


def test_the_leap_day_of_a_leap_year_is_named() -> None:
    assert ("leap_day", "its only occurrences in February 2028 are on the 29th") in odd(
        2028, cron="0 0 29 * *"
    )


def test_a_lost_day_is_skipped() -> None:
    found = odd(2011, cron="0 12 * * *", timezone="Pacific/Apia")

    assert ("skipped", "2011-12-30 12:00 does not exist: it does not fire") in found


specs = st.fixed_dictionaries(
    {
        "cron": st.sampled_from(
            ["30 2 * * *", "0,30 1-3 * * *", "0 */2 * * *", "0 0 * * *", "15 3 * * 0", "H H * * *"]
        ),
        "timezone": st.sampled_from(
            ["UTC", "Europe/Berlin", "Australia/Lord_Howe", "America/Havana", "Africa/Casablanca"]
        ),
        "dst_gap": st.sampled_from(["shift", "skip"]),
        "dst_fold": st.sampled_from(["first", "both"]),
    }
)


@settings(max_examples=60)
@given(specs, st.sampled_from([2026, 2027]))
def test_each_shift_and_each_repeat_of_a_year_is_told_and_nothing_else(
    spec: dict[str, Any], year: int
) -> None:
    timetable = build_timetable(TimetableSpec(**spec), name="nightly")
    year_in_zone = datetime(year, 1, 1, tzinfo=timetable.zone).astimezone(UTC)
    following = datetime(year + 1, 1, 1, tzinfo=timetable.zone).astimezone(UTC)

    told = Counter(one.kind.value for one in list_findings(timetable, year))

    due = list(timetable.occurrences(year_in_zone, following))
    shifted = sum(timetable.dst_mark(moment) is DstMark.SHIFTED for moment in due)
    walls = Counter(moment.astimezone(timetable.zone).replace(tzinfo=None) for moment in due)
    repeated = {wall.date() for wall, count in walls.items() if count > 1}
    assert (told["shifted"], told["doubled"]) == (shifted, len(repeated))
