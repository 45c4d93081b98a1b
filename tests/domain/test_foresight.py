"""What is decided ahead is what would be decided when it is due, or it is decided then."""

from dataclasses import replace
from datetime import timedelta
from typing import Any, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scheduler.domain.batch import Asked, Chunk, Reading, Readings
from scheduler.domain.definition import timetable_of
from scheduler.domain.errors import InputsError
from scheduler.domain.foresight import Foreseen, foresee, is_foreseeable
from scheduler.domain.overlap import Unfinished
from scheduler.domain.pauses import Freeze
from scheduler.domain.plan_schedule import Context, Decision, plan_schedule
from scheduler.domain.records import Batch, CatchUp, Overlap, RunState, Schedule
from tests.make import NINE, make_batch, make_body, make_collector, make_fallbacks, make_schedule

CHUNKS: Final = tuple(
    Chunk(body.fingerprint, body.row_count, body)
    for body in (make_body(fingerprint="a"), make_body(fingerprint="b"))
)
FREEZE: Final = Freeze(
    scope="all", frozen_at=NINE - timedelta(days=9), frozen_by="bob", reason="trial", until=None
)


def planned(**columns: Any) -> Schedule:
    """Return a schedule that was planned half an hour before nine, and is due next."""
    mark = NINE - timedelta(minutes=30)
    schedule = make_schedule(planned_at=mark, fired_until=mark, **columns)
    return replace(schedule, next_fire_at=timetable_of(schedule, {}).next_after(mark))


def context(readings: Readings, /, **parts: Any) -> Context:
    """Return what is there when it is due; *parts* are what is not as usual."""
    usual: dict[str, Any] = {
        "accounts": {"main"},
        "readings": readings,
        "defaults": make_fallbacks(),
        "limit": 500,
    }
    return Context(**(usual | parts))


def foreseen(schedule: Schedule, batch: Batch, readings: Readings) -> Foreseen | None:
    """Decide *schedule* ahead, if that can be."""
    if not is_foreseeable(schedule, batch):
        return None
    return foresee(
        schedule,
        make_collector(),
        batch,
        accounts={"main"},
        readings=readings,
        defaults=make_fallbacks(),
    )


durations = st.sampled_from(["1s", "3s", "5s", "15s", "1h"])
times = st.sampled_from([NINE + timedelta(seconds=at) for at in (-3600, -1, 0, 1, 3600)])
schedules = st.fixed_dictionaries(
    {},
    optional={
        "misfire_grace": durations,
        "catch_up": st.sampled_from(CatchUp),
        "catch_up_window": durations,
        "catch_up_max": st.integers(1, 3),
        "catch_up_pace": durations,
        "jitter": durations,
        "spread": durations,
        "overlap": st.sampled_from([Overlap.QUEUE, Overlap.ALLOW]),
        "paused_at": times,
        "paused_until": times,
        "edited_at": times,
        "finish_before": st.just("11:00"),
        "timezone": st.sampled_from(["UTC", "Europe/Berlin"]),
    },
)
timetables = st.sampled_from([{}, {"cron": None, "every": "4s"}, {"cron": None, "every": "7s"}])
batches = st.fixed_dictionaries({}, optional={"canary": st.just("1")})
reading = st.sampled_from([CHUNKS, CHUNKS, CHUNKS[:1], (), InputsError("it is gone")])


@settings(max_examples=400, deadline=None)
@given(
    columns=schedules,
    timetable=timetables,
    rules=batches,
    before=reading,
    then=reading,
    late=st.integers(-2, 20),
    freezes=st.sampled_from([(), (FREEZE,)]),
    runs=st.lists(st.sampled_from([RunState.QUEUED, RunState.COLLECTING]), max_size=2),
)
def test_it_is_what_would_be_decided_then(
    columns: dict[str, Any],
    timetable: dict[str, Any],
    rules: dict[str, Any],
    before: Reading,
    then: Reading,
    late: int,
    freezes: tuple[Freeze, ...],
    runs: list[RunState],
) -> None:
    schedule, batch = planned(**columns, **timetable), make_batch(**rules)
    ahead = foreseen(schedule, batch, {Asked(batch.name): before})
    due_at = schedule.next_fire_at
    if ahead is None or due_at is None:
        return
    at = context(
        {Asked(batch.name): then},
        now=due_at + timedelta(seconds=late),
        freezes=freezes,
        unfinished={schedule.name: [Unfinished(1, state, None) for state in runs]},
        others={("main", "c_shop"): ["j_other"]},
        made={schedule.name: 1},
    )
    decided = ahead.at(at)

    assert decided in (None, plan_schedule(schedule, make_collector(), batch, at))


def test_an_ordinary_one_is_decided_ahead_with_every_chunk_of_its_batch() -> None:
    schedule, batch = planned(), make_batch()
    readings = {Asked(batch.name): CHUNKS}
    ahead = foreseen(schedule, batch, readings)
    assert ahead is not None
    now = NINE + timedelta(seconds=3)
    decided = ahead.at(context(readings, now=now))

    assert isinstance(decided, Decision)
    assert [(run.due_at, run.created_at, run.body) for run in decided.runs] == [
        (NINE, now, "a"),
        (NINE, now, "b"),
    ]


@pytest.mark.parametrize(
    "columns",
    [
        {"after": "other"},
        {"exclude": "holidays"},
        {"queue": "q"},
        {"max_runs": 1},
        {"park_after": 1},
        {"batch_max_age": "1h"},
        {"only_if_changed": True},
        {"planned_at": None},
        {"error": "it is wrong"},
        {"next_fire_at": None},
        *({"overlap": overlap} for overlap in (Overlap.SKIP, Overlap.QUEUE_ONE, Overlap.REPLACE)),
    ],
)
def test_what_rests_on_more_than_its_rows_is_decided_then(columns: dict[str, Any]) -> None:
    assert is_foreseeable(planned(), make_batch())
    assert not is_foreseeable(replace(planned(), **columns), make_batch())


@pytest.mark.parametrize("rules", [{"max_change_percent": 1}, {"file": "/a.csv", "inputs": None}])
def test_so_is_what_its_batch_rests_on(rules: dict[str, Any]) -> None:
    assert not is_foreseeable(planned(), make_batch(**rules))


@pytest.mark.parametrize(
    ("late", "parts"),
    [
        (-1, {}),
        (10, {}),  # it is late: what is caught up with is asked then
        (0, {"freezes": (FREEZE,)}),
        (0, {"defaults": make_fallbacks(max_attempts=9)}),
        (0, {"readings": {Asked("bestsellers"): CHUNKS[:1]}}),
        (0, {"readings": {}}),
    ],
)
def test_it_is_decided_then_where_something_else_is_so(late: int, parts: dict[str, Any]) -> None:
    readings = {Asked("bestsellers"): CHUNKS}
    ahead = foreseen(planned(), make_batch(), readings)
    at = context(readings, **{"now": NINE + timedelta(seconds=late), **parts})

    assert ahead is not None
    assert ahead.at(at) is None
