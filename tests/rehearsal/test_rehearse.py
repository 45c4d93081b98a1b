"""A rehearsal is what the daemon would do: in made-up time, and with nothing sent or kept."""

import asyncio
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from scheduler.config import load_config
from scheduler.domain.budgets import LoadsPerInput
from scheduler.domain.errors import InvalidInput
from scheduler.domain.records import Reason, RunState
from scheduler.domain.weekly import WeeklyStretch
from scheduler.rehearsal.rehearse import RehearsalPlan, rehearse
from scheduler.rehearsal.report import Rehearsal
from scheduler.rehearsal.virtual_loop import NothingIsDue, VirtualLoop, pause, run_virtually
from scheduler.storage.rehearsed import PastCollection
from scheduler.views.rehearsing import Past

NINE = datetime(2026, 3, 2, 9, tzinfo=UTC)  # a Monday
UTC_ZONE = ZoneInfo("UTC")
HEAD = """
[accounts.main]
token = { env = "TOKEN" }
[collectors.shop]
id = "c_shop"
[batches.two]
inputs = [{ url = "https://example.org/1" }, { url = "https://example.org/2" }]
"""
HOURLY = HEAD + '[schedules.hourly]\ncollector = "shop"\nbatch = "two"\ncron = "30 * * * *"\n'
PLAN = RehearsalPlan(start=NINE, days=1, length=timedelta(minutes=20))


def rehearsed(
    folder: Path, config: str, plan: RehearsalPlan = PLAN, past: Past | None = None
) -> Rehearsal:
    """Rehearse a file of that text."""
    file = folder / "config.toml"
    file.write_text(config)
    return rehearse(load_config(file, {}).config, {}, plan, past or Past())


def outcomes(rehearsal: Rehearsal) -> dict[tuple[RunState, Reason], int]:
    return {(each.state, each.reason): each.count for each in rehearsal.outcomes}


def test_a_day_of_one_schedule_is_sent_when_it_is_due(tmp_path: Path) -> None:
    rehearsal = rehearsed(tmp_path, HOURLY)

    assert (rehearsal.due, rehearsal.sent, rehearsal.inputs) == (24, 24, 48)
    assert outcomes(rehearsal) == {(RunState.SUCCEEDED, Reason.DONE): 24}
    (schedule,) = rehearsal.schedules
    assert schedule.most_late_seconds is not None
    assert schedule.most_late_seconds < 5
    assert [(day.day.isoformat(), day.due) for day in rehearsal.days] == [
        ("2026-03-02", 15),
        ("2026-03-03", 9),
    ]
    assert not (tmp_path / "scheduler.db").exists()


def test_while_no_daemon_runs_nothing_is_sent_and_the_newest_is_caught_up_with(
    tmp_path: Path,
) -> None:
    outage = WeeklyStretch.parse("mon 11:00..mon 17:00", UTC_ZONE)

    rehearsal = rehearsed(tmp_path, HOURLY, replace(PLAN, outages=[outage]))

    skipped = outcomes(rehearsal)[RunState.SKIPPED, Reason.MISSED]
    assert rehearsal.sent == 24 - skipped
    assert skipped == 5
    sent = [run.triggered_at for run in rehearsal.runs if run.triggered_at is not None]
    assert not [at for at in sent if outage.holds(at)]
    late = [run for run in rehearsal.runs if run.due_at.hour == 16 and run.due_at.day == 2]
    assert late[0].triggered_at is not None
    assert late[0].triggered_at.hour == 17


def test_what_takes_longer_than_its_interval_overlaps(tmp_path: Path) -> None:
    plan = replace(PLAN, days=0.5, length=timedelta(minutes=90))

    skipping = rehearsed(tmp_path, HOURLY + 'overlap = "skip"\n', plan)
    waiting = rehearsed(tmp_path, HOURLY, plan)

    assert outcomes(skipping)[RunState.SKIPPED, Reason.OVERLAPPED] == 6
    (line,) = waiting.lines
    assert line.most_running > 3  # each hour one more, of which the upstream runs one at a time


def test_a_schedule_after_another_is_sent_when_that_has_ended(tmp_path: Path) -> None:
    after = HOURLY + '[schedules.next]\ncollector = "shop"\nbatch = "two"\nafter = "hourly"\n'

    rehearsal = rehearsed(tmp_path, after)

    followers = [run for run in rehearsal.runs if run.schedule == "next"]
    assert len(followers) == 24
    minutes = {run.triggered_at.minute for run in followers if run.triggered_at is not None}
    assert minutes <= {50, 51, 52, 53}  # due at :30, twenty minutes long, seen at the next look


def test_an_upstream_that_is_away_makes_late(tmp_path: Path) -> None:
    away = WeeklyStretch.parse("mon 10:00..mon 10:50", UTC_ZONE)

    rehearsal = rehearsed(tmp_path, HOURLY, replace(PLAN, upstream_outages=[away]))

    (schedule,) = rehearsal.schedules
    assert rehearsal.sent == 24
    assert schedule.most_late_seconds is not None
    assert 20 * 60 <= schedule.most_late_seconds < 25 * 60


def test_chance_is_drawn_from_the_seed(tmp_path: Path) -> None:
    plan = replace(PLAN, days=0.5, fail=0.3, lose=0.2)

    first = rehearsed(tmp_path, HOURLY, plan)
    second = rehearsed(tmp_path, HOURLY, plan)
    other = rehearsed(tmp_path, HOURLY, replace(plan, seed=1))

    assert first == second
    assert first.runs != other.runs
    assert 0 < first.failed < first.sent


def test_durations_are_those_of_past_collections_with_as_many_inputs(tmp_path: Path) -> None:
    past = Past(
        collections={
            "c_shop": [
                *(PastCollection(collector_id="c_shop", inputs=2, seconds=600) for _ in range(10)),
                *(PastCollection(collector_id="c_shop", inputs=900, seconds=9e4) for _ in range(9)),
            ]
        }
    )

    rehearsal = rehearsed(tmp_path, HOURLY, replace(PLAN, length=None), past)

    lasted = [run.ended_at - run.triggered_at for run in rehearsal.runs
              if run.ended_at and run.triggered_at]  # fmt: skip
    assert min(lasted) >= timedelta(minutes=10)
    assert max(lasted) < timedelta(minutes=13)
    assert rehearsal.notes == ()


def test_it_tells_page_loads_and_money_by_what_inputs_came_to(tmp_path: Path) -> None:
    priced = HOURLY.replace('"TOKEN" }', '"TOKEN" }\nprice_per_thousand = 50.0')
    past = Past(loads_per_input=LoadsPerInput({"hourly": 2.5}, {}, {}))

    known = rehearsed(tmp_path, priced, past=past)
    unknown = rehearsed(tmp_path, HOURLY)

    assert (known.inputs, known.page_loads, known.money) == (48, 120, 6.0)
    assert sum(day.page_loads for day in known.days) == 120
    assert (unknown.page_loads, unknown.money) == (48, None)


BUDGET = '[budgets.month]\nscope = "all"\npage_loads = 100\nmode = "hard"\n'


def used(day: str, pages: int) -> dict[str, object]:
    """Return what was used on a day, as its row, with 2.5 page loads for each input."""
    of = {"account": "main", "collector": "shop", "schedule": "hourly", "labels": ""}
    inputs = pages * 2 // 5
    return {"day": day, **of, "runs": 1, "inputs": inputs, "pages": pages, "paged_inputs": inputs}


def test_what_the_month_has_used_counts_against_its_budget(tmp_path: Path) -> None:
    past = Past(
        usage=[used("2026-02-27", 500), used("2026-03-01", 60)],
        loads_per_input=LoadsPerInput({}, {"shop": 2.5}, {}),
    )

    rehearsal = rehearsed(tmp_path, HOURLY + BUDGET, past=past)
    fresh = rehearsed(tmp_path, HOURLY + BUDGET)

    # Five page loads a run: eight go into what is left of the hundred.
    assert rehearsal.sent == 8
    assert outcomes(rehearsal)[RunState.SKIPPED, Reason.BUDGET] == 16
    assert fresh.sent == 24


def test_it_tells_how_far_it_is(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_text(HOURLY)
    heard: list[timedelta] = []

    rehearse(load_config(file, {}).config, {}, PLAN, Past(), heard.append)

    assert [done // timedelta(hours=1) for done in heard] == [*range(1, 25)]


def test_an_upstream_that_throttles_is_heeded_and_everything_is_sent(tmp_path: Path) -> None:
    calm = rehearsed(tmp_path, HOURLY)
    throttled = rehearsed(tmp_path, HOURLY, replace(PLAN, throttle=0.5))

    assert throttled.sent == calm.sent == 24
    (late,), (punctual,) = throttled.schedules, calm.schedules
    assert late.most_late_seconds is not None
    assert punctual.most_late_seconds is not None
    assert late.most_late_seconds > punctual.most_late_seconds + 5


def test_what_is_paused_or_not_in_the_file_is_told(tmp_path: Path) -> None:
    past = Past(schedules=["hourly", "other"], paused=["hourly"], open_runs=3)

    rehearsal = rehearsed(tmp_path, HOURLY, replace(PLAN, length=None), past)

    assert rehearsal.sent == 0
    assert [note.split(":")[0].split(",")[0] for note in rehearsal.notes] == [
        "in the database and not in this file",
        "paused",
        "3 runs are open now",
    ]


def test_a_batch_of_a_file_is_read(tmp_path: Path) -> None:
    (tmp_path / "inputs.json").write_text(json.dumps([{"url": f"https://a/{n}"} for n in range(7)]))
    config = HOURLY.replace('batch = "two"', 'batch = "file"')
    config += '[batches.file]\nfile = "inputs.json"\n'

    rehearsal = rehearsed(tmp_path, config)

    assert rehearsal.inputs == 7 * 24


def test_looking_less_often_than_a_daemon_does_comes_to_the_same(tmp_path: Path) -> None:
    config = HOURLY + '[schedules.next]\ncollector = "shop"\nbatch = "two"\nafter = "hourly"\n'
    plan = replace(PLAN, days=0.2, length=timedelta(minutes=70))
    daemons = replace(plan, max_idle=timedelta(seconds=10), polls_every=timedelta())

    as_daemons_do = rehearsed(tmp_path, config, daemons)
    less_often = rehearsed(tmp_path, config, plan)

    assert outcomes(as_daemons_do) == outcomes(less_often)
    assert as_daemons_do.days == less_often.days


@pytest.mark.parametrize("text", ["fri", "fri 25:00..sat 10:00", "foo 10:00..sat 10:00", ""])
def test_a_stretch_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput, match="no part of a week"):
        WeeklyStretch.parse(text, UTC_ZONE)


def test_a_stretch_goes_across_the_end_of_the_week() -> None:
    stretch = WeeklyStretch.parse("Sun 22:00 .. Mon 10:00", UTC_ZONE)

    assert stretch.holds(NINE)
    assert stretch.next_edge(NINE) == NINE + timedelta(hours=1)
    assert not stretch.holds(NINE + timedelta(hours=1))
    assert stretch.next_edge(NINE + timedelta(hours=1)) == NINE + timedelta(days=6, hours=13)


def test_virtual_time_jumps_to_what_is_due() -> None:
    async def main(loop: VirtualLoop) -> list[datetime]:
        moments = []
        for seconds in (3600, 0.5, 86_400 * 3):
            await pause(seconds)
            moments.append(loop.now())
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(60):
                await asyncio.Event().wait()
        return moments

    first, second, third = run_virtually(main, start=NINE)

    assert first - NINE == timedelta(hours=1)
    assert second - first == timedelta(seconds=0.5)
    assert third - second == timedelta(days=3)


def test_waiting_for_nothing_ends() -> None:
    async def main(_: VirtualLoop) -> None:
        await asyncio.Event().wait()

    with pytest.raises(NothingIsDue):
        run_virtually(main, start=NINE)
