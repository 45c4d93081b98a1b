"""`plan`: what would be due otherwise, and whether anything fires at once."""

import pytest

from tests.definitions.rig import FILE, HOURLY, Desk
from tests.make import NINE

MONTH = 30


@pytest.mark.parametrize(
    ("old", "new", "due"),
    [
        ('"0 2 * * *"', '"0 3 * * *"', {"nightly": (0, MONTH)}),
        ('"0 2 * * *"', '"0 2,14 * * *"', {"nightly": (MONTH, 0)}),
        (HOURLY, "", {"hourly": (-MONTH * 24, 0)}),
        ('every = "1h"', 'every = "1h"\nenabled = false', {"hourly": (-MONTH * 24, 0)}),
        ('every = "1h"', 'every = "1h"\npriority = 3', {}),
        ('every = "1h"', 'every = "1h"\nexclude = ["holidays"]', {}),
        ('every = "1h"', "manual = true", {"hourly": (-MONTH * 24, 0)}),
    ],
)
def test_what_is_due_otherwise_is_counted(
    desk: Desk, old: str, new: str, due: dict[str, tuple[int, int]]
) -> None:
    desk.apply()

    found = desk.plan(FILE.replace(old, new), prune=True)

    assert {one.schedule: (one.more_runs, one.moved) for one in found.outlooks} == due
    assert found.fires_at_once == []


def test_a_calendar_changes_the_schedules_that_exclude_it(desk: Desk) -> None:
    excluding = FILE.replace('every = "1h"', 'every = "1h"\nexclude = ["holidays"]')
    desk.apply(excluding)

    found = desk.plan(excluding.replace('"12-25"', '"2026-03-10"'))

    assert [(one.schedule, one.more_runs) for one in found.outlooks] == [("hourly", -24)]


def test_a_schedule_that_fires_each_second_is_counted_up_to_a_bound(desk: Desk) -> None:
    desk.apply()

    [found] = desk.plan(FILE.replace('every = "1h"', 'every = "1s"')).outlooks

    assert found.more_runs > 1_000
    assert not found.is_whole


def test_many_changed_schedules_are_counted_less_far(desk: Desk) -> None:
    more = "".join(
        f"[schedules.n{number}]\ncollector = 'products'\nbatch = 'pages'\nevery = '1m'\n"
        for number in range(1_200)
    )

    found = desk.plan(FILE + more)

    assert (len(found.outlooks), found.uncounted) == (1_000, 202)
    assert not any(one.is_whole for one in found.outlooks if one.schedule.startswith("n1"))


def test_a_mended_schedule_that_owes_a_run_is_named(desk: Desk) -> None:
    desk.apply()
    desk.sql("UPDATE schedules SET exclude = 'nowhere' WHERE name = 'hourly'")
    desk.sql(
        "UPDATE schedules SET error = 'exclude: no calendar is called nowhere',"
        " planned_at = '2026-03-02 08:00:00+00:00', fired_until = '2026-03-02 08:00:00+00:00'"
        " WHERE name = 'hourly'"
    )
    calendar = "\n[calendars.nowhere]\ndays = ['12-24']\n"
    excluding = FILE.replace('every = "1h"', 'every = "1h"\nexclude = ["nowhere"]')

    found = desk.plan(excluding + calendar)

    assert found.fires_at_once == ["hourly"]


def test_a_new_schedule_counts_from_now_on(desk: Desk) -> None:
    [hourly] = [one for one in desk.plan().outlooks if one.schedule == "hourly"]

    assert (hourly.old_next_fire_at, hourly.more_runs) == (None, MONTH * 24)
    assert hourly.new_next_fire_at is not None and hourly.new_next_fire_at > NINE


def test_a_plan_counts_no_more_than_max_runs_and_nothing_that_is_paused(desk: Desk) -> None:
    limited = FILE.replace('every = "1h"', 'every = "1h"\nmax_runs = 5')
    desk.apply(limited)

    [more] = desk.plan(limited.replace("max_runs = 5", "max_runs = 8")).outlooks
    desk.sql(
        "UPDATE schedules SET paused_at = '2026-03-01 00:00:00+00:00', paused_reason = 'x',"
        " paused_by = 'me' WHERE name = 'hourly'"
    )
    paused = desk.plan(limited.replace("max_runs = 5", "max_runs = 8"))

    assert (more.more_runs, more.moved) == (3, 0)
    assert paused.outlooks == []
    assert not paused.is_empty


def test_what_comes_after_a_schedule_changes_with_it(desk: Desk) -> None:
    following = FILE + (
        "[schedules.report]\ncollector = 'products'\nbatch = 'pages'\nafter = 'hourly'\n"
    )
    desk.apply(following)

    found = desk.plan(following.replace('every = "1h"', 'every = "2h"'))

    assert {one.schedule: one.more_runs for one in found.outlooks} == {
        "hourly": -MONTH * 12,
        "report": -MONTH * 12,
    }


def test_a_schedule_whose_only_time_has_passed_is_named(desk: Desk) -> None:
    desk.apply()

    found = desk.plan(FILE.replace('every = "1h"', "at = 2020-01-01T02:00:00"))

    assert found.never_due == ["hourly"]
