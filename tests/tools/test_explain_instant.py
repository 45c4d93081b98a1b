"""What an instant is to a schedule, from its rows, its timetable, and the present."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scheduler.domain.definition import timetable_of
from scheduler.domain.pauses import Freeze
from scheduler.domain.records import Calendar, Reason, RunState, Schedule
from scheduler.tools.calendar.explain_instant import (
    ExplainContext,
    Explained,
    ExplainedVerdict,
    explain_instant,
    read_instants,
)
from scheduler.views.runs import run_view
from tests.make import NINE, make_calendar, make_run, make_schedule

HOUR = timedelta(hours=1)
NOON = NINE + 3 * HOUR
CALENDARS = {"holidays": make_calendar(rules="2026-03-03")}


def explain(schedule: Schedule, instant: datetime, **context: Any) -> Explained:
    usual: dict[str, Any] = {
        "zone": UTC,
        "now": NINE,
        "problem": None,
        "freezes": (),
        "runs": (),
        "before": None,
        "after": None,
        "sent_after": None,
        "made": 0,
    }
    if "timetable" not in context:
        usual["timetable"] = timetable_of(schedule, CALENDARS)
    return explain_instant(ExplainContext(schedule=schedule, **(usual | context)), instant)


FROZEN = Freeze(
    scope="all", frozen_at=NINE, frozen_by="eve", reason="budget", until=NINE + 5 * HOUR
)


@pytest.mark.parametrize(
    ("columns", "context", "instant", "verdict", "reason"),
    [
        ({}, {}, NOON, ExplainedVerdict.WILL_FIRE, Reason.DUE),
        ({}, {}, NOON + timedelta(minutes=1), ExplainedVerdict.NO_OCCURRENCE, None),
        ({}, {}, NOON + timedelta(microseconds=1), ExplainedVerdict.NO_OCCURRENCE, None),
        ({}, {}, NINE - HOUR, ExplainedVerdict.OWED, None),
        ({"fired_until": NINE}, {}, NINE - HOUR, ExplainedVerdict.NO_RECORD, None),
        ({"enabled": False}, {}, NOON, ExplainedVerdict.DISABLED, None),
        ({"error": "collector: none"}, {}, NOON, ExplainedVerdict.INVALID, None),
        ({}, {"timetable": None, "problem": "bad cron"}, NOON, ExplainedVerdict.INVALID, None),
        ({}, {}, NINE - timedelta(days=2), ExplainedVerdict.BEFORE_CREATED, None),
        ({"edited_at": NINE}, {}, NINE - HOUR, ExplainedVerdict.BEFORE_EDITED, None),
        (
            {"edited_at": NINE, "next_fire_at": NINE - HOUR},
            {},
            NINE - HOUR,
            ExplainedVerdict.OWED,
            None,
        ),
        ({"exclude": "holidays"}, {}, NOON + 24 * HOUR, ExplainedVerdict.EXCLUDED, None),
        ({"valid_from": "2026-04-01T00:00:00"}, {}, NOON, ExplainedVerdict.NOT_YET_VALID, None),
        ({"valid_until": "2026-03-02T10:00:00"}, {}, NOON, ExplainedVerdict.NO_LONGER_VALID, None),
        (
            {"paused_at": NINE, "paused_by": "eve", "paused_reason": "x"},
            {},
            NOON,
            ExplainedVerdict.WILL_BE_SKIPPED,
            Reason.PAUSED,
        ),
        ({}, {"freezes": (FROZEN,)}, NOON, ExplainedVerdict.WILL_BE_SKIPPED, Reason.FROZEN),
        ({}, {"freezes": (FROZEN,)}, NINE + 5 * HOUR, ExplainedVerdict.WILL_FIRE, Reason.DUE),
        (
            {"max_runs": 9, "fired_until": NINE},
            {"made": 6},
            NOON,
            ExplainedVerdict.WILL_FIRE,
            Reason.DUE,
        ),
        ({"max_runs": 9, "fired_until": NINE}, {"made": 7}, NOON, ExplainedVerdict.EXHAUSTED, None),
        ({"cron": None, "manual": True}, {}, NOON, ExplainedVerdict.NO_TIMES, None),
        ({"cron": None, "after": "nightly"}, {}, NOON, ExplainedVerdict.NO_TIMES, None),
    ],
)
def test_without_a_run_the_timetable_and_the_row_say_what_it_is(
    columns: Mapping[str, Any],
    context: Mapping[str, Any],
    instant: datetime,
    verdict: ExplainedVerdict,
    reason: Reason | None,
) -> None:
    explained = explain(make_schedule(**columns), instant, **context)

    assert (explained.verdict, explained.reason) == (verdict, reason)
    assert explained.sentence


@pytest.mark.parametrize(
    ("runs", "verdict", "reason", "said"),
    [
        ([{"state": RunState.QUEUED}], ExplainedVerdict.FIRED, Reason.DUE, "waits to be sent"),
        (
            [{"state": RunState.SUCCEEDED, "reason": Reason.DONE, "collection_id": "j_1"}],
            ExplainedVerdict.FIRED,
            Reason.DONE,
            "collection j_1",
        ),
        (
            [{"state": RunState.SKIPPED, "reason": Reason.COALESCED}],
            ExplainedVerdict.SKIPPED,
            Reason.COALESCED,
            "a later occurrence",
        ),
        (
            [
                {"state": RunState.SKIPPED, "reason": Reason.MISSED},
                {"id": 2, "retry_of": 1, "reason": Reason.BACKFILL},
            ],
            ExplainedVerdict.FIRED,
            Reason.BACKFILL,
            "sent afterwards: run 2",
        ),
    ],
)
def test_a_run_knows_best(
    runs: list[dict[str, Any]], verdict: ExplainedVerdict, reason: Reason, said: str
) -> None:
    """Even of a time at which the present timetable is not due."""
    schedule = make_schedule(cron="30 * * * *", edited_at=NINE)

    explained = explain(schedule, NINE, runs=[make_run(**columns) for columns in runs])

    assert (explained.verdict, explained.reason) == (verdict, reason)
    assert said in explained.sentence


def test_neighbours_of_before_an_edit_are_rows_and_those_after_it_are_due() -> None:
    schedule = make_schedule(edited_at=NINE, cron="30 * * * *")
    before = make_run(id=7, due_at=NINE - 2 * HOUR)

    explained = explain(schedule, NINE - HOUR, before=before)

    assert explained.previous is not None
    assert explained.following is not None
    assert (explained.previous.due_at, explained.previous.run) == (
        NINE - 2 * HOUR,
        run_view(before),
    )
    assert (explained.following.due_at, explained.following.run) == (NINE + HOUR / 2, None)


@pytest.mark.parametrize(
    ("moment", "found", "said"),
    [
        ("2026-03-02T09:00:00", ["2026-03-02T08:00:00+00:00"], None),
        ("2026-03-02T09:00:00Z", ["2026-03-02T09:00:00+00:00"], None),
        ("2026-03-29T02:30:00", ["2026-03-29T01:00:00+00:00"], "does not exist"),
        (
            "2026-10-25T02:30:00",
            ["2026-10-25T00:30:00+00:00", "2026-10-25T01:30:00+00:00"],
            "comes twice",
        ),
        ("2026-10-25T02:30:00+01:00", ["2026-10-25T01:30:00+00:00"], None),
    ],
)
def test_a_wall_time_is_one_instant_or_two_or_none(
    moment: str, found: list[str], said: str | None
) -> None:
    instants = read_instants(datetime.fromisoformat(moment), ZoneInfo("Europe/Berlin"))

    assert [one.isoformat() for one in instants.found] == found
    assert instants.note is None if said is None else said in (instants.note or "")


crons = st.sampled_from(
    ["*/7 * * * *", "30 2 * * *", "0,30 1-3 * * *", "0 0 L * *", "5 0 13 * 5", "H H * * *"]
)
zones = st.sampled_from(["UTC", "Europe/Berlin", "Australia/Lord_Howe", "America/Havana"])
rules = st.sampled_from([None, "sat-sun", "01:00-02:30", "03-29\n10-25"])
months = st.sampled_from([datetime(2026, month, 1, tzinfo=UTC) for month in (2, 3, 4, 10, 11)])


@settings(max_examples=60)
@given(crons, zones, rules, months, st.data())
def test_each_instant_of_a_month_is_explained_as_the_timetable_has_it(
    cron: str, zone: str, rule: str | None, month: datetime, data: st.DataObject
) -> None:
    calendars = {} if rule is None else {"off": Calendar(name="off", rules=rule)}
    schedule = make_schedule(
        cron=cron,
        timezone=zone,
        exclude=None if rule is None else "off",
        created_at=month - timedelta(days=1),
    )
    timetable = timetable_of(schedule, calendars)
    due = list(islice(timetable.occurrences(month, month + timedelta(days=31)), 500))
    near = st.sampled_from(due or [month]).flatmap(
        lambda at: st.integers(-90, 90).map(lambda seconds: at + timedelta(seconds=seconds))
    )
    anywhere = st.integers(1, 31 * 86_400).map(lambda seconds: month + timedelta(seconds=seconds))
    instant = data.draw(st.one_of(near, anywhere, st.sampled_from(due or [month])))

    explained = explain(schedule, instant, now=month, timetable=timetable)

    is_due = timetable.next_after(instant - timedelta(seconds=1)) == instant
    assert (explained.verdict in (ExplainedVerdict.WILL_FIRE, ExplainedVerdict.OWED)) is is_due
    assert (explained.following.due_at if explained.following else None) == timetable.next_after(
        instant
    )
    if explained.previous is not None:
        following = timetable.next_after(explained.previous.due_at)
        assert following == (instant if is_due else timetable.next_after(instant))
