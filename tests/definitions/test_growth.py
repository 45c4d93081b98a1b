"""`plan` tells what a month costs more, and `apply` refuses what no budget allows."""

from datetime import timedelta

from scheduler.domain.records import Reason, RunState
from scheduler.storage.runs import insert_runs
from tests.definitions.rig import FILE, Desk
from tests.make import NINE, make_new_run

BUDGET = "[budgets.all]\npage_loads = 800\n"
EVERY_MINUTE = FILE.replace('cron = "0 2 * * *"', 'cron = "* * * * *"')


def test_a_typed_every_minute_is_seen_in_page_loads_and_in_its_budget(desk: Desk) -> None:
    desk.apply(FILE + BUDGET)

    growth = desk.plan(EVERY_MINUTE + BUDGET).growth

    assert growth is not None
    [budget] = growth.beyond
    assert growth.more_page_loads == 30 * 1440 - 30
    assert (budget.old_percent, budget.new_percent) == (93.8, 5490.0)
    assert budget.spent_at is not None
    assert NINE < budget.spent_at < NINE + timedelta(days=1)


def test_what_a_limit_of_the_day_skips_is_not_forecast(desk: Desk) -> None:
    limit = 'cron = "* * * * *"\nmax_runs_per_day = 2'
    desk.apply(FILE + BUDGET)

    growth = desk.plan(EVERY_MINUTE.replace('cron = "* * * * *"', limit) + BUDGET).growth

    assert growth is not None
    assert growth.more_page_loads <= 2 * 31


def test_a_batch_ten_times_its_size_is_seen_before_it_is_sent(desk: Desk) -> None:
    ten = ", ".join(['{ url = "https://example.com/1" }'] * 10)
    desk.apply(FILE + BUDGET)

    growth = desk.plan(FILE.replace('{ url = "https://example.com/1" }', ten) + BUDGET).growth

    assert growth is not None
    assert growth.more_page_loads == 9 * (30 + 720)
    assert len(growth.beyond) == 1


def test_what_was_beyond_before_is_not_refused_for_something_else(desk: Desk) -> None:
    tight = FILE + BUDGET.replace("800", "8")
    desk.apply(tight)

    growth = desk.plan(tight.replace('deadline = "2h"', 'deadline = "3h"')).growth

    assert growth is not None
    assert (growth.more_page_loads, growth.beyond) == (0, ())


def test_what_did_not_change_lately_is_not_forecast_to_be_sent(desk: Desk) -> None:
    cautious = FILE.replace('every = "1h"', 'every = "1h"\nonly_if_changed = true')
    desk.apply(cautious + BUDGET)
    with desk.db.writing() as conn:
        for hour in range(4):
            reason = Reason.UNCHANGED if hour else Reason.COALESCED
            skipped = make_new_run(
                due_at=NINE - timedelta(hours=hour + 1),
                collector="products",
                batch="pages",
                body=None,
                state=RunState.SKIPPED,
                reason=reason,
                ended_at=NINE,
            )
            insert_runs(conn, [skipped])

    growth = desk.plan(cautious.replace('every = "1h"', 'every = "30m"') + BUDGET).growth

    assert growth is not None
    assert growth.more_page_loads == (1440 - 720) // 4
