"""Crontab text: what it means, and what is refused in which words."""

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from random import Random

import pytest

from scheduler.domain.errors import InvalidInput
from scheduler.domain.timetable import TimetableSpec, build_timetable
from scheduler.domain.timetable.crontab import parse_crontab
from tests.domain.timetable.make import local_times, make_cron

NEW_YEAR = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("macro", "same_as"),
    [
        ("@hourly", "0 * * * *"),
        ("@daily", "0 0 * * *"),
        ("@midnight", "0 0 * * *"),
        ("@weekly", "0 0 * * 0"),
        ("@monthly", "0 0 1 * *"),
        ("@yearly", "0 0 1 1 *"),
        ("@annually", "0 0 1 1 *"),
        ("@Daily", "0 0 * * *"),
    ],
)
def test_a_macro_is_the_expression_it_stands_for(macro: str, same_as: str) -> None:
    (crontab,) = parse_crontab(macro, name="nightly")

    assert crontab.expression == same_as


@pytest.mark.parametrize(
    ("text", "days"),
    [
        ("0 9 * * 0", ["03-01", "03-08"]),
        ("0 9 * * 7", ["03-01", "03-08"]),
        ("0 9 * * sun", ["03-01", "03-08"]),
        ("0 9 * * 5-7", ["03-01", "03-06", "03-07", "03-08"]),
        ("0 9 13 * FRI", ["03-06", "03-13"]),
        ("0 9 1-13 * */7", ["03-01", "03-08"]),
        ("0 9 */2 * Mon-Tue", ["03-03", "03-09"]),
        ("0 9 * MAR mon#2", ["03-09"]),
        ("0 9 4/5 * *", ["03-04", "03-09"]),
        ("0 9 6-6/3 * *", ["03-06"]),
        ("0 9 02 3 *", ["03-02"]),
        ("0 9 2 * *; 0 9 4 * *\n0 9 2,3 * *", ["03-02", "03-03", "03-04"]),
    ],
)
def test_days_are_those_of_debian_cron(text: str, days: list[str]) -> None:
    found = local_times(make_cron(text), "2026-02-28T12:00", "2026-03-13T12:00")

    assert [time[:5] for time in found if time[:5] <= "03-09" or time[:5] in days] == days


@pytest.mark.parametrize(
    ("text", "days"),
    [
        ("0 0 L * *", ["01-31", "02-28", "03-31"]),
        ("0 0 LW * *", ["01-30", "02-27", "03-31"]),
        ("0 0 * * 5L", ["01-30", "02-27", "03-27"]),
        ("0 0 * * 1#5", ["03-30"]),
        ("0 0 L,15 * *", ["01-15", "01-31", "02-15", "02-28", "03-15", "03-31"]),
    ],
)
def test_last_and_nth_days_are_understood(text: str, days: list[str]) -> None:
    found = local_times(make_cron(text), "2026-01-01T12:00", "2026-03-31T12:00")

    assert [time[:5] for time in found] == days


def test_day_fields_agree_with_a_day_by_day_count_over_four_years() -> None:
    chance = Random("days")  # noqa: S311 - no secret: a failed case must come again
    days = [date(2026, 1, 1) + timedelta(days=number) for number in range(4 * 366)]

    for _ in range(60):
        dom = chance.choice(["*", "*/3", "13", "29-31", "1,15", "10/7"])
        month = chance.choice(["*", "2", "1-12/5", "jan,mar"])
        dow = chance.choice(["*", "*/2", "1-5", "7", "0", "mon,SUN", "5/1"])
        found = make_cron(f"0 0 {dom} {month} {dow}").occurrences(
            NEW_YEAR - timedelta(seconds=1), datetime(2030, 1, 3, 23, tzinfo=UTC)
        )
        expected = [day for day in days if fits(day, dom, month, dow)]
        assert [moment.date() for moment in found] == expected, (dom, month, dow)


def fits(day: date, dom: str, month: str, dow: str) -> bool:
    doms = {"*": set(range(1, 32)), "*/3": set(range(1, 32, 3)), "13": {13}, "29-31": {29, 30, 31}}
    doms |= {"1,15": {1, 15}, "10/7": {10, 17, 24, 31}}
    months = {"*": set(range(1, 13)), "2": {2}, "1-12/5": {1, 6, 11}, "jan,mar": {1, 3}}
    # Sunday is 7 here.
    dows = {"*": set(range(1, 8)), "*/2": {7, 2, 4, 6}, "1-5": set(range(1, 6)), "7": {7}, "0": {7}}
    dows |= {"mon,SUN": {1, 7}, "5/1": {5, 6, 7}}
    by_month, by_week = day.day in doms[dom], day.isoweekday() in dows[dow]
    either = not dom.startswith("*") and not dow.startswith("*")
    return day.month in months[month] and (by_month or by_week if either else by_month and by_week)


REFUSALS = {
    "empty": ("  ", "the cron text is empty: write five fields"),
    "too-few": ("0 2 * *", "has 4 fields: write five fields: minute hour"),
    "one-word": ("daily", "has 1 field: "),
    "seconds": ("0 0 2 * * *", 'has 6 fields: write five fields.*for seconds use every = "10s"'),
    "minute": ("60 2 * * *", "minute '60': allowed are 0-59"),
    "hour": ("0 24 * * *", "hour '24': allowed are 0-23"),
    "day": ("0 2 0 * *", "day of month '0': allowed are 1-31.*L"),
    "month": ("0 2 1 13 *", "month '13': allowed are 1-12 or JAN-DEC"),
    "weekday": ("0 2 * * 8", "day of week '8': allowed are 0-7 or SUN-SAT"),
    "name-in-the-wrong-field": ("0 MON * * *", "hour 'MON'"),
    "long-name": ("0 2 * * friday", "day of week 'FRIDAY'"),
    "backwards": ("0 22-6 * * *", "hour '22-6': the range runs backwards"),
    "past-midnight": ("*/5 22-0 * * *", r"hour '22-0': the range runs backwards; .*: 22-23,0-0$"),
    "night": ("0 22-6 * * *", "past the end of the field it is two: 22-23,0-6"),
    "winter": ("0 0 1 nov-feb *", "it is two: NOV-DEC,JAN-FEB"),
    "zone": (
        "CRON_TZ=America/New_York 0 6 * * *",
        "cron = '0 6 .*', timezone = 'America/New_York'",
    ),
    "tz": ("TZ=UTC @daily", "cron = '@daily', timezone = 'UTC'"),
    "to-sunday": ("0 2 * * fri-sun", "the range runs backwards; write Sunday as 7"),
    "no-step": ("*/0 * * * *", r"minute '\*/0': a step is 1 or more"),
    "trash": ("5x * * * *", "minute '5X'"),
    "trash-behind-a-range": ("1-5-9 * * * *", "minute '1-5-9'"),
    "quartz": ("0 2 ? * *", "day of month '?'"),
    "empty-item": ("1,,2 * * * *", "minute ''"),
    "sixth-friday": ("0 2 * * 5#6", "day of week '5#6'"),
    "second-of-the-three": ("@daily; 0 99 * * *; 1 1 * * *", r"cron '0 99 \* \* \*': hour '99'"),
    "reboot": ("@reboot", "a daemon that restarts must not fire again"),
    "unknown-macro": ("@often", "'@often' is not a macro; there are @hourly"),
    "hashed-wrongly": ("H(9-3) * * * *", "the range runs backwards"),
    "hashed-out-of-bounds": ("H(0-70) * * * *", r"minute 'H\(0-70\)'"),
    "hash-step-too-long": ("H/61 * * * *", "minute 'H/61': a step is 1 to 60 here"),
    "31-february": ("0 0 31 2 *", r"cron '0 0 31 2 \*' can never be true"),
    "31-of-short-months": ("0 0 31 4,6,9,11 *", "can never be true"),
    "stars-that-exclude-each-other": ("0 0 */29 2 1#4", "can never be true"),
    "other-digits": ("٣ * * * *", "minute '٣'"),
}


@pytest.mark.parametrize(("text", "message"), REFUSALS.values(), ids=REFUSALS)
def test_a_wrong_expression_is_refused_with_its_place(text: str, message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        make_cron(text)


def test_a_rare_date_is_not_an_impossible_one() -> None:
    fifth_monday = make_cron("0 0 * 2 1#5")

    assert fifth_monday.next_after(NEW_YEAR) == datetime(2044, 2, 29, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "index", "allowed"),
    [
        ("H * * * *", 0, set(range(60))),
        ("H(10-20) * * * *", 0, set(range(10, 21))),
        ("0 H * * *", 1, set(range(24))),
        ("0 0 H * *", 2, set(range(1, 29))),
        ("0 0 1 H *", 3, set(range(1, 13))),
        ("0 0 * * H", 4, set(range(7))),
    ],
)
def test_a_hash_stays_within_its_field_and_spreads_schedules(
    text: str, index: int, allowed: set[int]
) -> None:
    chosen = {
        int(parse_crontab(text, name=f"schedule-{number}")[0].fields[index])
        for number in range(900)
    }

    assert chosen == allowed


def test_a_hash_with_a_step_starts_somewhere_and_keeps_the_step() -> None:
    (crontab,) = parse_crontab("H/15 H(0-10)/5 * * *", name="nightly")

    minutes = [int(minute) for minute in crontab.fields[0].split(",")]
    hours = [int(hour) for hour in crontab.fields[1].split(",")]
    assert minutes == [minutes[0] + step for step in (0, 15, 30, 45)]
    assert set(hours) < set(range(11))
    assert {later - earlier for earlier, later in pairwise(hours)} == {5}


def test_a_hash_is_the_same_for_ever() -> None:
    """Changing these numbers would move every user's schedules."""
    (crontab,) = parse_crontab("H H H H H", name="nightly")

    assert crontab.expression == "43 4 27 4 3"


def test_every_expression_of_a_schedule_fires_and_none_twice() -> None:
    timetable = build_timetable(TimetableSpec(cron="0 2 * * *; 0 2,14 * * *"), name="twice")

    found = list(timetable.occurrences(NEW_YEAR, NEW_YEAR + timedelta(days=1)))

    assert found == [NEW_YEAR + timedelta(hours=2), NEW_YEAR + timedelta(hours=14)]
