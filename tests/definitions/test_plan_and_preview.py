"""`plan` and `preview` count the same: what comes after another, and what was invalid."""

import pytest

from scheduler.tools.calendar.preview import Preview, preview_schedules
from tests.definitions.rig import FILE, Desk
from tests.make import NINE

FOLLOWING = f"""{FILE}
[schedules.evening]
collector = "products"
batch = "pages"
after = "nightly"
"""


def preview(desk: Desk) -> Preview:
    with desk.db.reading() as conn:
        return preview_schedules(conn, [], days=30, now=NINE)


def runs_of(desk: Desk, name: str) -> int:
    (counted,) = (each.run_count for each in preview(desk).schedules if each.schedule == name)
    return counted


@pytest.mark.parametrize("stopped", ["", "enabled = false", "max_runs = 3"])
def test_what_comes_after_another_is_counted_alike(desk: Desk, stopped: str) -> None:
    desk.apply()
    before = preview(desk).run_count
    wanted = FOLLOWING.replace('cron = "0 2 * * *"', f'cron = "0 2 * * *"\n{stopped}')

    plan = desk.plan(wanted)
    desk.apply(wanted)

    assert sum(outlook.more_runs for outlook in plan.outlooks) == preview(desk).run_count - before
    assert runs_of(desk, "evening") == runs_of(desk, "nightly")


def test_a_schedule_that_is_invalid_gains_what_it_had_not(desk: Desk) -> None:
    desk.apply()
    desk.sql("UPDATE schedules SET error = 'no batch is called pages' WHERE name = 'nightly'")
    before = preview(desk).run_count

    plan = desk.plan(FILE.replace("https://example.com/1", "https://example.com/2"))

    assert [(outlook.schedule, outlook.more_runs) for outlook in plan.outlooks] == [("nightly", 30)]
    desk.sql("UPDATE schedules SET error = NULL")
    assert preview(desk).run_count - before == 30
