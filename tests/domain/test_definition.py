"""What the row of a schedule means, and what is said of a row that means nothing."""

import json
from datetime import timedelta
from typing import Any

import pytest

from scheduler.domain.definition import (
    check_definition,
    check_named,
    excluded_calendars,
    misfire_grace_of,
    params_of,
    timetable_of,
)
from scheduler.domain.errors import InvalidInput
from scheduler.domain.records import Collector, Schedule
from tests.make import NINE, make_batch, make_calendar, make_collector, make_schedule

EMAIL, WEBHOOK = '{"type":"email"}', '{"type":"webhook","endpoint":"https://example.org"}'


def sent(schedule: Schedule, collector: Collector) -> dict[str, str]:
    return dict(params_of(schedule, collector, due_at=NINE))


def test_placeholders_in_deliver_are_filled_and_other_braces_are_the_vendors() -> None:
    deliver = (
        '{"type":"s3","key":"${secret:K}","path":["{schedule}/{due_at:%Y}","{[job]} {{schedule}}"]}'
    )

    params = sent(make_schedule(deliver=deliver), make_collector())

    assert json.loads(params["deliver"]) == {
        "type": "s3",
        "key": "${secret:K}",
        "path": ["hourly/2026", "{[job]} {{schedule}}"],
    }


def test_a_wrong_time_format_in_deliver_is_the_schedules_error() -> None:
    schedule = make_schedule(deliver='{"type":"email","subject":"{due_at:%Q}"}')

    with pytest.raises(InvalidInput, match="%Q"):
        check_definition(schedule, make_collector(), make_batch())


def test_a_plain_schedule_asks_for_nothing_but_the_default_behaviour() -> None:
    params = params_of(make_schedule(), make_collector(), due_at=NINE)

    assert params == (("collector", "c_shop"), ("queue_next", "1"))


# The column, what the collector has, what the schedule has, and how each is sent.
OPTIONS: list[tuple[str, str, Any, Any, str | None, str | None]] = [
    ("deadline", "deadline", "2h", "90m", "2h", "90m"),
    ("trigger_name", "name", "{schedule}", "at {due_at:%H:%M}", "hourly", "at 09:00"),
    ("notify", "notify", EMAIL, WEBHOOK, EMAIL, WEBHOOK),
    ("deliver", "deliver", WEBHOOK, EMAIL, WEBHOOK, EMAIL),
    ("no_downloads", "no_downloads", True, False, "1", None),
    ("no_downloads", "no_downloads", False, True, None, "1"),
]


@pytest.mark.parametrize(("column", "param", "default", "own", "as_default", "as_own"), OPTIONS)
def test_a_schedule_s_own_option_goes_before_its_collector_s(
    column: str, param: str, default: Any, own: Any, as_default: str | None, as_own: str | None
) -> None:
    collector = make_collector(**{column: default})

    assert sent(make_schedule(), collector).get(param) == as_default
    assert sent(make_schedule(**{column: own}), collector).get(param) == as_own
    assert sent(make_schedule(**{column: own}), make_collector()).get(param) == as_own


@pytest.mark.parametrize(
    ("schedule", "collector"), [({"version": "dev"}, {}), ({}, {"version": "dev"})]
)
def test_the_development_version_is_asked_for_by_either(
    schedule: dict[str, Any], collector: dict[str, Any]
) -> None:
    params = sent(make_schedule(**schedule), make_collector(**collector))

    assert params == {"collector": "c_shop", "version": "dev", "queue_next": "1"}


def test_a_name_tells_the_due_time_in_the_schedule_s_zone() -> None:
    schedule = make_schedule(
        timezone="Pacific/Auckland", trigger_name="{schedule} {due_at:%Y-%m-%d %H:%M}"
    )

    assert sent(schedule, make_collector())["name"] == "hourly 2026-03-02 22:00"


BEHAVIOURS = [
    ({}, ("queue_next", "1")),
    ({"queue": "news"}, ("queue", "news")),
    ({"confirm_cancel": True}, ("confirm_cancel", "1")),
]


@pytest.mark.parametrize(("columns", "expected"), BEHAVIOURS)
def test_exactly_one_behaviour_is_sent(columns: dict[str, Any], expected: tuple[str, str]) -> None:
    params = params_of(make_schedule(**columns), make_collector(), due_at=NINE)

    assert params == (("collector", "c_shop"), expected)


def check(schedule: dict[str, Any], collector: dict[str, Any] | None = None) -> None:
    check_definition(make_schedule(**schedule), make_collector(**(collector or {})), make_batch())


def test_a_sound_definition_names_its_collector_and_batch() -> None:
    collector, batch = make_collector(), make_batch()

    assert check_definition(make_schedule(), collector, batch) == (collector, batch)


def test_a_schedule_that_names_nothing_is_told_so() -> None:
    with pytest.raises(InvalidInput, match=r"^collector: no collector is called 'shop': name one"):
        check_definition(make_schedule(), None, make_batch())
    with pytest.raises(InvalidInput, match=r"^batch: no batch is called 'bestsellers': name one"):
        check_definition(make_schedule(), make_collector(), None)


EITHERS = {
    "deadline": ("soon", "deadline: 'soon' is not a duration"),
    "backoff_initial": ("5", "backoff_initial: '5' is not a duration"),
    "backoff_max": ("0s", "backoff_max: '0s' is too short"),
    "trigger_name": ("{who}", "trigger_name: '{who}': {who} is unknown"),
    "version": ("live", "version 'live' is unknown"),
    "notify": ("[]", "notify must be a JSON object"),
    "deliver": ('{"type": "s3", "secret": "x"}', "deliver.secret holds a credential"),
}


@pytest.mark.parametrize("where", ["schedule", "collector"])
@pytest.mark.parametrize("column", list(EITHERS))
def test_an_error_names_the_column_it_is_in(column: str, where: str) -> None:
    text, problem = EITHERS[column]
    wrong = {column: text}

    with pytest.raises(InvalidInput) as raised:
        check(wrong if where == "schedule" else {}, wrong if where == "collector" else {})

    place = "" if where == "schedule" else "collectors.shop: "
    assert str(raised.value).startswith(f"{place}{problem}")


SCHEDULES_ONLY: dict[str, tuple[dict[str, Any], str]] = {
    "misfire_grace": ({"misfire_grace": "ever"}, "misfire_grace: 'ever' is not a duration"),
    "no misfire_grace": ({"misfire_grace": ""}, "misfire_grace: '' is not a duration"),
    "catch_up_window": ({"catch_up_window": "x"}, "catch_up_window: 'x' is not a duration"),
    "catch_up_pace": ({"catch_up_pace": "5"}, "catch_up_pace: '5' is not a duration"),
    "queue": ({"queue": "a\nb"}, "queue 'a\\nb' must be one line"),
    "two behaviours": (
        {"queue": "news", "confirm_cancel": True},
        "queue and confirm_cancel exclude each other",
    ),
    "a name in no zone": (
        {"timezone": "Europe/Berlim", "trigger_name": "{due_at}"},
        "unknown time zone 'Europe/Berlim': did you mean Europe/Berlin",
    ),
}


@pytest.mark.parametrize(("columns", "problem"), SCHEDULES_ONLY.values(), ids=list(SCHEDULES_ONLY))
def test_a_schedule_that_can_send_nothing_is_told_why(
    columns: dict[str, Any], problem: str
) -> None:
    with pytest.raises(InvalidInput) as raised:
        check(columns)

    assert str(raised.value).startswith(problem)


def test_a_collector_s_id_that_is_none_is_refused() -> None:
    with pytest.raises(
        InvalidInput, match=r"^collectors\.shop: 'shop' is not a collector's id: it starts with c_"
    ):
        check({}, {"collector_id": "shop"})


def test_what_the_schedule_says_itself_is_not_blamed_on_its_collector() -> None:
    with pytest.raises(InvalidInput, match=r"^notify must be a JSON object"):
        check({"notify": "[]"}, {"notify": EMAIL})


AFTER: dict[str, tuple[dict[str, str | None], str | None]] = {
    "one that is there": ({"first": None}, None),
    "one that comes after another": ({"first": "zeroth", "zeroth": None}, None),
    "none that is there": ({}, "after: no schedule is called 'first': name one that there is"),
    "itself": (
        {"first": "hourly", "hourly": "first"},
        "after: comes after itself (hourly after first after hourly): none of these would",
    ),
    "one that comes after none that is there": ({"first": "gone"}, None),
    "a ring of others": ({"first": "second", "second": "first"}, None),
}


@pytest.mark.parametrize(("before", "problem"), AFTER.values(), ids=AFTER)
def test_what_a_schedule_comes_after_is_there_and_not_itself(
    before: dict[str, str | None], problem: str | None
) -> None:
    schedule = make_schedule(cron=None, after="first")

    assert (problem or "None") in str(_problem(schedule, accounts={"main"}, after=before))


def test_the_account_of_a_collector_is_there() -> None:
    problem = _problem(make_schedule(), accounts={"other"}, after={})

    assert problem is not None
    assert problem.startswith("collectors.shop: account: no account is called 'main': name one")


def _problem(schedule: Schedule, **known: Any) -> str | None:
    try:
        check_named(schedule, make_collector(), **known)
    except InvalidInput as error:
        return str(error)
    return None


def test_a_misfire_grace_is_read() -> None:
    assert misfire_grace_of(make_schedule(misfire_grace="1h30m")) == timedelta(minutes=90)


NO_TIMETABLES: dict[str, tuple[dict[str, Any], str]] = {
    "cron": ({"cron": "61 * * * *"}, "cron"),
    "every": ({"cron": None, "every": "often"}, "every: 'often' is not a duration"),
    "at": ({"cron": None, "at": "noon"}, "at 'noon' is not a time"),
    "anchor": ({"cron": None, "every": "1h", "anchor": "x"}, "anchor 'x' is not a time"),
    "valid_from": ({"valid_from": "2026"}, "valid_from '2026' is not a time"),
    "valid_until": ({"valid_until": "?"}, "valid_until '?' is not a time"),
    "timezone": ({"timezone": "Mars"}, "unknown time zone 'Mars'"),
    "a time before all clocks": (
        {"valid_from": "0001-01-01", "timezone": "Asia/Tokyo"},
        "at, anchor, valid_from or valid_until is outside the years 1 to 9999",
    ),
    "jitter": ({"jitter": "x"}, "jitter: 'x' is not a duration"),
    "spread": ({"spread": "x"}, "spread: 'x' is not a duration"),
    "exclude": ({"exclude": "nope"}, "exclude: no calendar is called 'nope'"),
    "no time at all": ({"cron": None}, "a timetable is exactly one of cron, every"),
}


class TestTimetable:
    def test_it_is_the_one_of_the_row_in_its_zone(self) -> None:
        schedule = make_schedule(cron="30 2 * * *", timezone="Europe/Berlin")

        found = timetable_of(schedule, {}).next_after(NINE)

        assert found is not None
        assert found.isoformat() == "2026-03-03T01:30:00+00:00"

    def test_an_edit_makes_another_one(self) -> None:
        """What a row means is kept, by what is in the row and not by its name."""
        before = timetable_of(make_schedule(cron="0 * * * *"), {}).next_after(NINE)
        after = timetable_of(make_schedule(cron="30 * * * *"), {}).next_after(NINE)

        assert (before, after) == (NINE + timedelta(hours=1), NINE + timedelta(minutes=30))

    def test_an_edited_calendar_counts_at_once(self) -> None:
        schedule = make_schedule(cron="0 12 * * *", exclude="holidays")

        def next_with(rules: str) -> str:
            calendar = make_calendar(rules=rules)
            return str(timetable_of(schedule, {"holidays": calendar}).next_after(NINE))

        assert next_with("2026-03-03") == "2026-03-02 12:00:00+00:00"
        assert next_with("2026-03-02") == "2026-03-03 12:00:00+00:00"

    def test_calendars_are_excluded_together(self) -> None:
        schedule = make_schedule(cron="0 12 * * *", exclude=" holidays, , fair ")
        calendars = {
            "holidays": make_calendar(rules="2026-03-02"),
            "fair": make_calendar(name="fair", rules="2026-03-03\n\n2026-03-04"),
        }

        found = timetable_of(schedule, calendars).next_after(NINE)

        assert excluded_calendars(schedule) == ("holidays", "fair")
        assert str(found) == "2026-03-05 12:00:00+00:00"

    def test_an_icalendar_text_follows_the_lines(self) -> None:
        event = (
            "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nBEGIN:VEVENT\r\nUID:1\r\n"
            "DTSTART;VALUE=DATE:20260303\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n"
        )
        calendars = {"holidays": make_calendar(rules=f"2026-03-02\n{event}")}
        schedule = make_schedule(cron="0 12 * * *", exclude="holidays")

        found = timetable_of(schedule, calendars).next_after(NINE)

        assert str(found) == "2026-03-04 12:00:00+00:00"

    @pytest.mark.parametrize(
        ("columns", "problem"), NO_TIMETABLES.values(), ids=list(NO_TIMETABLES)
    )
    def test_a_row_without_a_timetable_is_told_why(
        self, columns: dict[str, Any], problem: str
    ) -> None:
        with pytest.raises(InvalidInput) as raised:
            timetable_of(make_schedule(**columns), {})

        assert str(raised.value).startswith(problem)
