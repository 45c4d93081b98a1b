"""A timetable in a sentence."""

import pytest

from scheduler.domain.errors import InvalidInput
from scheduler.domain.timetable.words import cron_words, timetable_words
from tests.make import make_schedule


@pytest.mark.parametrize(
    ("cron", "sentence"),
    [
        ("* * * * *", "every minute"),
        ("*/15 * * * *", "every 15 minutes"),
        ("5 * * * *", "at minute 5 of every hour"),
        ("5,35 * * * *", "at minute 5 and 35 of every hour"),
        ("@daily", "at 00:00"),
        ("0 6 * * 1-5", "at 06:00 on Monday to Friday"),
        ("0 6 * * MON,WED", "at 06:00 on Monday and Wednesday"),
        ("30 2 1 * *", "at 02:30 on day 1 of the month"),
        ("0 6,18 * * *", "at 06:00 and 18:00"),
        ("0 */2 * * *", "on the hour of every second hour"),
        ("15 1-23/2 * * *", "at minute 15 of every second hour from 01:00"),
        ("*/10 8-17 * * *", "every 10 minutes from 08:00 to 17:59"),
        ("20 7-19/2 * * *", "every 2 hours from 07:20 to 19:20"),
        ("0 9 L * *", "at 09:00 on the last day of the month"),
        ("0 9 1,LW * *", "at 09:00 on day 1 of the month and the last weekday of the month"),
        ("0 9 * * 5#2", "at 09:00 on the second Friday of the month"),
        ("0 9 * * 5L", "at 09:00 on the last Friday of the month"),
        ("0 9 1-7 * 1", "at 09:00 on day 1 to 7 of the month or on Monday"),
        (
            "0 9 */2 * 1",
            "at 09:00 on day 1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29 and"
            " 31 of the month and only on Monday",
        ),
        ("0 0 1 JAN-MAR,12 *", "at 00:00 on day 1 of the month in January to March and December"),
        ("0 6 * * 0,7", "at 06:00 on Sunday"),
        ("0 6 * * *; 0 12 * * 6", "at 06:00; and at 12:00 on Saturday"),
    ],
)
def test_crontab_text_is_told_in_words(cron: str, sentence: str) -> None:
    assert cron_words(cron, name="nightly") == sentence


def test_a_hash_is_told_as_the_time_that_it_is() -> None:
    assert cron_words("H 3 * * *", name="nightly").startswith("at 03:")


def test_text_that_is_no_crontab_is_refused() -> None:
    with pytest.raises(InvalidInput, match="minute"):
        cron_words("61 * * * *", name="nightly")


def test_other_timetables_are_told_by_their_keys() -> None:
    assert timetable_words(make_schedule(cron=None, every="5m")) == "every 5m"
    assert timetable_words(make_schedule(cron=None, after="first")) == "after each run of first"
    assert timetable_words(make_schedule(cron=None, manual=True)) == "by hand only"
