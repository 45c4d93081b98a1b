"""Intervals, calendar intervals, one moment, validity, clock-change options and explanations."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from scheduler.domain.errors import InvalidInput
from scheduler.domain.timetable import (
    DstMark,
    Explanation,
    MomentKind,
    TimetableSpec,
    build_timetable,
    parse_exclusion,
)
from tests.domain.timetable.make import local_times, make_cron, make_timetable

BERLIN = "Europe/Berlin"
MARCH = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


@pytest.mark.parametrize(
    ("every", "anchor", "moment", "following"),
    [
        ("1s", None, MARCH + timedelta(microseconds=1), MARCH + timedelta(seconds=1)),
        ("1s", None, MARCH, MARCH + timedelta(seconds=1)),
        ("15m", None, MARCH, MARCH + 15 * MINUTE),
        ("15m", None, MARCH - timedelta(microseconds=1), MARCH),
        ("15m", MARCH + 4 * MINUTE, MARCH, MARCH + 4 * MINUTE),
        ("15m", MARCH + 4 * MINUTE, MARCH + 4 * MINUTE, MARCH + 19 * MINUTE),
        ("15m", MARCH + 3650 * DAY + 4 * MINUTE, MARCH, MARCH + 4 * MINUTE),
        ("7d", datetime(2026, 3, 2), MARCH, datetime(2026, 3, 8, 23, tzinfo=UTC)),  # noqa: DTZ001 - the zone's own wall clock
        ("1d", None, MARCH.replace(year=2400), datetime(2400, 3, 3, tzinfo=UTC)),
    ],
)
def test_an_interval_beats_evenly_from_its_anchor(
    every: str, anchor: datetime | None, moment: datetime, following: datetime
) -> None:
    # The week's anchor is midnight in Berlin on a winter day, and the clock changes on 29 March.
    timetable = make_timetable(TimetableSpec(every=every, anchor=anchor, timezone=BERLIN))

    assert timetable.next_after(moment) == following


def test_an_interval_keeps_real_time_over_a_clock_change() -> None:
    timetable = make_timetable(TimetableSpec(every="12h", timezone=BERLIN))

    found = local_times(timetable, "2026-03-28T12:00", "2026-03-30T03:00")

    assert found == [
        "03-28 13:00 +0100",
        "03-29 01:00 +0100",
        "03-29 14:00 +0200",
        "03-30 02:00 +0200",
    ]


@pytest.mark.parametrize(
    ("text", "anchor", "days"),
    [
        ("month on 31 at 02:00", None, ["01-31", "02-28", "03-31", "04-30", "05-31"]),
        ("every month on last", None, ["01-31", "02-28", "03-31", "04-30", "05-31"]),
        ("1 month", None, ["02-01", "03-01", "04-01", "05-01"]),
        ("3 months on 15", None, ["01-15", "04-15"]),
        ("2 months", datetime(2026, 2, 20, tzinfo=UTC), ["02-01", "04-01"]),
        ("4 weeks on friday at 06:30", None, ["01-16", "02-13", "03-13", "04-10", "05-08"]),
        ("8 weeks on fri", datetime(2026, 1, 9, tzinfo=UTC), ["01-09", "03-06", "05-01"]),
        ("year on 02-29", None, ["02-28"]),
        ("40 days", datetime(2026, 1, 1, tzinfo=UTC), ["02-10", "03-22", "05-01"]),
    ],
)
def test_a_calendar_interval_counts_whole_units(
    text: str, anchor: datetime | None, days: list[str]
) -> None:
    timetable = make_timetable(TimetableSpec(calendar_interval=text, anchor=anchor))

    found = local_times(timetable, "2026-01-01T12:00", "2026-05-31T12:00")

    assert [time[:5] for time in found] == days


def test_a_calendar_interval_keeps_the_wall_clock_and_shifts_out_of_a_gap() -> None:
    timetable = make_timetable(TimetableSpec(calendar_interval="day at 02:30", timezone=BERLIN))

    found = local_times(timetable, "2026-03-28T00:00", "2026-03-30T12:00")

    assert found == ["03-28 02:30 +0100", "03-29 03:00 +0200", "03-30 02:30 +0200"]


@pytest.mark.parametrize(
    ("gap", "fold", "spring", "autumn"),
    [
        ("shift", "first", ["03-29 03:00 +0200"], ["10-25 02:30 +0200"]),
        ("skip", "first", [], ["10-25 02:30 +0200"]),
        ("shift", "both", ["03-29 03:00 +0200"], ["10-25 02:30 +0200", "10-25 02:30 +0100"]),
        ("skip", "both", [], ["10-25 02:30 +0200", "10-25 02:30 +0100"]),
    ],
)
def test_a_wall_clock_time_follows_the_clock_change_options(
    gap: str, fold: str, spring: list[str], autumn: list[str]
) -> None:
    spec = TimetableSpec(cron="30 2 * * *", timezone=BERLIN, dst_gap=gap, dst_fold=fold)
    timetable = make_timetable(spec)

    assert local_times(timetable, "2026-03-29T00:00", "2026-03-30T00:00") == spring
    assert local_times(timetable, "2026-10-25T00:00", "2026-10-26T00:00") == autumn


@pytest.mark.parametrize(("gap", "fold"), [("skip", "first"), ("shift", "both")])
def test_an_expression_of_an_hour_or_finer_keeps_real_time_whatever_the_options(
    gap: str, fold: str
) -> None:
    spec = TimetableSpec(cron="30 * * * *", timezone=BERLIN, dst_gap=gap, dst_fold=fold)
    timetable = make_timetable(spec)

    for start in (datetime(2026, 3, 28, 22, tzinfo=UTC), datetime(2026, 10, 24, 22, tzinfo=UTC)):
        found = list(timetable.occurrences(start, start + 6 * HOUR))
        assert found == [start + 30 * MINUTE + number * HOUR for number in range(6)]


@pytest.mark.parametrize(
    ("cron", "occurrence", "mark"),
    [
        ("30 2 * * *", "2026-03-29T03:00+02:00", DstMark.SHIFTED),
        ("30 2,3 * * *", "2026-03-29T03:30+02:00", None),
        ("0 2,3 * * *", "2026-03-29T03:00+02:00", None),
        ("* * * * *", "2026-03-29T03:00+02:00", None),
        ("30 2 * * *", "2026-10-25T02:30+02:00", DstMark.FIRST_PASS),
        ("*/30 * * * *", "2026-10-25T02:30+01:00", DstMark.SECOND_PASS),
        ("30 2 * * *", "2026-10-26T02:30+01:00", None),
        ("0 0 * * *", "2027-01-01T00:00+01:00", None),
    ],
)
def test_an_occurrence_tells_what_a_clock_change_did_to_it(
    cron: str, occurrence: str, mark: DstMark | None
) -> None:
    timetable = make_cron(cron, BERLIN)
    moment = datetime.fromisoformat(occurrence)

    assert timetable.explain(moment).kind is MomentKind.OCCURRENCE
    assert timetable.dst_mark(moment) is mark


@pytest.mark.parametrize(
    ("at", "fires"),
    [
        (datetime(2026, 12, 1, 2, 0), "2026-12-01T01:00Z"),  # noqa: DTZ001 - the zone's own wall clock
        (datetime(2026, 3, 29, 2, 30), "2026-03-29T01:00Z"),  # noqa: DTZ001 - in the gap
        (datetime(2026, 10, 25, 2, 30), "2026-10-25T00:30Z"),  # noqa: DTZ001 - twice
        (datetime(2026, 12, 1, 2, tzinfo=timezone(-5 * HOUR)), "2026-12-01T07:00Z"),
    ],
)
def test_a_one_shot_fires_once(at: datetime, fires: str) -> None:
    moment = datetime.fromisoformat(fires)
    timetable = make_timetable(TimetableSpec(at=at, timezone=BERLIN))

    assert timetable.next_after(MARCH) == moment
    assert timetable.next_after(moment) is None


@pytest.mark.parametrize("spec", [TimetableSpec(manual=True), TimetableSpec(after="nightly")])
def test_a_schedule_without_times_of_its_own_never_fires(spec: TimetableSpec) -> None:
    timetable = make_timetable(spec)

    assert timetable.next_after(MARCH) is None
    assert timetable.explain(MARCH) == Explanation(kind=MomentKind.NO_OCCURRENCE)


def test_validity_includes_both_its_ends() -> None:
    spec = TimetableSpec(cron="0 9 * * *", valid_from=MARCH, valid_until=MARCH + 2 * DAY)
    timetable = make_timetable(spec)

    found = list(timetable.occurrences(MARCH - 9 * DAY, MARCH + 9 * DAY))

    assert found == [MARCH, MARCH + DAY, MARCH + 2 * DAY]
    assert timetable.explain(MARCH - DAY).kind is MomentKind.NOT_YET_VALID
    assert timetable.explain(MARCH + 3 * DAY).kind is MomentKind.NO_LONGER_VALID


def test_an_explanation_names_what_excludes_and_the_occurrences_around() -> None:
    exclusion = parse_exclusion("holidays", ["2026-03-02..2026-03-04"])
    timetable = make_timetable(TimetableSpec(cron="0 9 * * *", exclusions=(exclusion,)))

    explanation = timetable.explain(MARCH + DAY)

    assert explanation == Explanation(
        kind=MomentKind.EXCLUDED,
        excluded_by="holidays: 2026-03-02..2026-03-04",
        previous=MARCH - DAY,
        following=MARCH + 3 * DAY,
    )


@pytest.mark.parametrize(
    ("cron", "moment", "previous"),
    [
        ("0 9 * * *", MARCH, MARCH - DAY),
        ("0 9 * * *", MARCH + timedelta(microseconds=1), MARCH),
        ("0 9 * * *", MARCH + timedelta(seconds=1), MARCH),
        ("* * * * *", MARCH + timedelta(seconds=59), MARCH),
        ("0 0 29 2 *", MARCH, datetime(2024, 2, 29, tzinfo=UTC)),
        ("* 2 * * 1", MARCH + DAY, datetime(2026, 3, 2, 2, 59, tzinfo=UTC)),
    ],
)
def test_the_occurrence_before_a_moment_is_found(
    cron: str, moment: datetime, previous: datetime
) -> None:
    assert make_cron(cron).previous_before(moment) == previous


def test_far_ends_of_time_are_answered_and_not_crashed_into() -> None:
    timetable = make_cron("0 9 * * *", "Asia/Tokyo")

    assert timetable.next_after(datetime.max.replace(tzinfo=UTC)) is None
    assert timetable.next_after(datetime.min.replace(tzinfo=UTC)) is not None
    assert timetable.explain(datetime.min.replace(tzinfo=UTC)).kind is MomentKind.NO_OCCURRENCE


REFUSALS = {
    "nothing": (TimetableSpec(), "exactly one of cron, every.*this one has none of them"),
    "two-kinds": (TimetableSpec(cron="@daily", every="1h"), "this one has cron and every"),
    "manual-and-timed": (TimetableSpec(manual=True, every="1h"), "this one has every and manual"),
    "zone": (TimetableSpec(every="1h", timezone="Europe/Berln"), "did you mean Europe/Berlin"),
    "zone-case": (TimetableSpec(every="1h", timezone="utc"), "did you mean UTC"),
    "empty-zone": (TimetableSpec(every="1h", timezone=""), "write an IANA name"),
    "zone-folder": (TimetableSpec(every="1h", timezone="Europe"), "unknown time zone 'Europe'"),
    "zone-path": (TimetableSpec(every="1h", timezone="../UTC"), "unknown time zone"),
    "machine-zone": (TimetableSpec(every="1h", timezone="localtime"), "the machine's zone"),
    "no-zone": (TimetableSpec(every="1h", timezone="Factory"), "the machine's zone; write an IANA"),
    "local": (TimetableSpec(every="1h", timezone="Local"), "the machine's zone"),
    "leap-seconds": (TimetableSpec(every="1h", timezone="right/Europe/Berlin"), "leave out right/"),
    "posix": (TimetableSpec(every="1h", timezone="posix/UTC"), "leave out posix/"),
    "city-case": (TimetableSpec(every="1h", timezone="europe/berlin"), "mean Europe/Berlin\\?"),
    "windows": (TimetableSpec(every="1h", timezone="W. Europe Standard Time"), "Europe/Berlin"),
    "offset": (TimetableSpec(every="1h", timezone="UTC+2"), "or Etc/GMT-2, the same all year"),
    "half-hour": (TimetableSpec(every="1h", timezone="GMT+05:30"), "such as Europe/Berlin$"),
    "every": (TimetableSpec(every="often"), "every: 'often' is not a duration"),
    "jitter": (TimetableSpec(every="1h", jitter="x"), "jitter: 'x' is not a duration"),
    "spread": (TimetableSpec(every="1h", spread="0s"), "spread: '0s' is "),
    "gap": (TimetableSpec(cron="@daily", dst_gap="maybe"), "dst_gap 'maybe': write shift or skip"),
    "fold": (TimetableSpec(cron="@daily", dst_fold="x"), "dst_fold 'x': write first or both"),
    "anchor": (TimetableSpec(cron="@daily", anchor=MARCH), "anchor goes with every or calendar_"),
    "fine-anchor": (
        TimetableSpec(every="1h", anchor=MARCH.replace(microsecond=1)),
        "is not on a whole second",
    ),
    "fine-moment": (TimetableSpec(at=MARCH.replace(microsecond=1)), "is not on a whole second"),
    "moment-in-a-gap": (
        TimetableSpec(at=datetime(2026, 3, 29, 2, 30), timezone=BERLIN, dst_gap="skip"),  # noqa: DTZ001
        "does not exist in Europe/Berlin",
    ),
    "validity": (
        TimetableSpec(every="1h", valid_from=MARCH, valid_until=MARCH - DAY),
        "is before valid_from",
    ),
    "no-unit": (TimetableSpec(calendar_interval="fortnight"), 'write it like "month on 31'),
    "no-count": (TimetableSpec(calendar_interval="0 months"), "the number must be 1 or more"),
    "no-such-day": (TimetableSpec(calendar_interval="month on 32"), "1 to 31 or last"),
    "no-weekday": (TimetableSpec(calendar_interval="week on 3"), "monday … sunday"),
    "no-date": (TimetableSpec(calendar_interval="year on 13-01"), "MM-DD, such as 12-31"),
    "day-on": (TimetableSpec(calendar_interval="day on 1"), "days take no `on`"),
    "no-time": (TimetableSpec(calendar_interval="day at 24:00"), "is not a time of day"),
}


@pytest.mark.parametrize(("spec", "message"), REFUSALS.values(), ids=REFUSALS)
def test_what_cannot_be_a_timetable_is_refused_in_a_sentence(
    spec: TimetableSpec, message: str
) -> None:
    with pytest.raises(InvalidInput, match=message):
        build_timetable(spec, name="nightly")
