"""Budgets: what a month may cost is asked before a run is sent, whoever sends it."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from threading import Barrier
from typing import Any

import pytest

from scheduler.domain.records import Reason, RunState
from scheduler.engine.limit_gate import LimitGate
from scheduler.storage.database import Database
from scheduler.storage.runs import claims
from scheduler.tools.costs import CostsBy, read_costs
from scheduler.views.budgets import get_budget
from scheduler.views.metrics import expose, read_metrics
from scheduler.views.status import read_status
from tests.engine.rig import NINE, Room, engine_room
from tests.engine.test_limits_per_day import count, every_minute, reasons, send_all

SENT, SPENT = "accepted", "budget"


def history(room: Room, **columns: Any) -> None:
    """Let 10 inputs have come to 500 page loads yesterday: 50 for each input."""
    row = {
        "day": f"{NINE - timedelta(days=1):%Y-%m-%d}",
        "account": "main",
        "collector": "shop",
        "schedule": "dear",
        "labels": "",
        "runs": 10,
        "inputs": 10,
        "pages": 500,
        "paged_inputs": 10,
    } | columns
    names = ", ".join(row)
    room.execute(f"INSERT INTO usage ({names}) VALUES (:{', :'.join(row)})", **row)


def dear(room: Room, **columns: Any) -> None:
    room.schedule("dear", cron="* * * * *", overlap="allow", catch_up="all", **columns)


async def test_a_hard_budget_counts_what_ended_what_runs_and_what_would(
    database_url: str,
) -> None:
    async with engine_room(database_url) as room:
        history(room)
        dear(room)
        room.define("budgets", "month", page_loads=620, mode="hard")
        await every_minute(room, 2)
        await room.start_anew()  # a daemon that died counts the same
        await count(room)
        await every_minute(room, 2)
        told = room.runs()[-1].detail
        with room.db.reading() as conn:
            status = read_status(conn, now=room.clock())
            shown = get_budget(conn, "month", now=room.clock())
            text, _ = expose(read_metrics(conn, now=room.clock(), max_schedules=10))

        ends = reasons(room)

    assert ends[:2] == [SENT, SENT]
    assert set(ends[2:]) == {SPENT}
    assert told is not None and "budget month of all: 600 page loads" in told
    assert "this would use 50, 620 are allowed" in told
    assert (shown.used_page_loads, shown.expected_page_loads) == (500, 100)
    assert ["97 %" in sentence for sentence in status.worn_budgets] == [True]
    assert b'dca_scheduler_budget_used{budget="month",unit="page_loads"} 600' in text


@pytest.mark.parametrize(
    ("budget", "ends"),
    {
        "soft": ({"page_loads": 1, "mode": "soft"}, [SENT, SENT]),
        "of another": ({"page_loads": 1, "scope": "schedule:cheap"}, [SENT, SENT]),
        "of its label": ({"page_loads": 555, "scope": "label:ads"}, [SENT, SPENT]),
        "of its collector": ({"page_loads": 555, "scope": "collector:shop"}, [SENT, SPENT]),
        "in money": ({"money": 1.11, "scope": "account:main"}, [SENT, SPENT]),
        "last month": ({"page_loads": 555}, [SENT, SPENT]),
    }.values(),
    ids=lambda value: str(value)[:40],
)
async def test_whose_budget_it_is(
    database_url: str, budget: dict[str, Any], ends: list[str]
) -> None:
    async with engine_room(database_url) as room:
        room.change("accounts", "main", price_per_thousand=2.0)
        history(room, labels=",ads,")
        dear(room, labels=",ads,")
        room.define("budgets", "one", **({"mode": "hard"} | budget))
        await every_minute(room, 2)

        found = reasons(room)

    assert found == ends


async def test_a_month_has_its_own(database_url: str) -> None:
    async with engine_room(database_url) as room:
        history(room, day="2026-02-28")
        dear(room)
        room.define("budgets", "one", page_loads=55, mode="hard")
        await every_minute(room, 2)

        ends = reasons(room)

    assert ends == [SENT, SPENT]


async def test_two_daemons_spend_a_budget_of_two_accounts_once(postgresql_url: str) -> None:
    async with engine_room(postgresql_url) as room:
        room.define("accounts", "other", base_url=room.base_url, token="env:T")
        room.define("collectors", "other", account="other", collector_id="c_other")
        room.define("budgets", "one", page_loads=1, mode="hard")
        for collector in ("shop", "other"):
            room.ask(collector)
        both_are_there = Barrier(2)

        def claim(account: str) -> int:
            with Database(postgresql_url) as db, db.writing() as conn:
                gate = LimitGate(conn, room.clock())

                def admit(run_ids: Sequence[int]) -> set[int]:
                    both_are_there.wait(timeout=60)
                    return gate.admit(run_ids)

                until = room.clock() + timedelta(minutes=1)
                taken = claims.claim_runs(
                    conn,
                    {account: 1},
                    now=room.clock(),
                    owner=account,
                    lease_until=until,
                    admit=admit,
                )
                return len(taken.runs)

        claimed = await asyncio.gather(
            *(asyncio.to_thread(claim, account) for account in ("main", "other"))
        )
        ends = sorted(run.reason for run in room.runs())

    assert sum(claimed) == 1
    assert ends == [Reason.BUDGET, Reason.REQUESTED]


async def test_costs_by_label_with_what_is_to_come(database_url: str) -> None:
    async with engine_room(database_url) as room:
        room.change("accounts", "main", price_per_thousand=2.0)
        history(room, labels=",ads,eu,")
        room.schedule("dear", cron="0 0 * * *", labels=",ads,")
        room.define("budgets", "one", page_loads=1000)
        with room.db.reading() as conn:
            costs = read_costs(conn, by=CostsBy.LABEL, now=NINE)
            to_come = read_costs(conn, month="2026-04", now=NINE)

    ads, eu = costs.lines
    (budget,) = costs.budgets
    assert [(line.name, line.run_count, line.page_loads) for line in costs.lines] == [
        ("ads", 10, 500),
        ("eu", 10, 500),
    ]
    assert (eu.money, eu.forecast_money) == (1.0, 1.0)
    assert (ads.forecast_run_count, ads.forecast_page_loads) == (29, 500 + 29 * 50)
    assert costs.total.run_count == 10
    assert budget.forecast_percent == 195.0
    assert budget.spent_at == NINE.replace(day=13, hour=0)
    assert (to_come.total.run_count, to_come.total.forecast_page_loads) == (0, 30 * 50)


@pytest.mark.parametrize(
    ("holder", "name"), [("collectors", "shop"), ("accounts", "main"), ("schedules", "dear")]
)
async def test_what_is_to_come_stays_within_the_limits_of_a_day(
    sqlite_url: str, holder: str, name: str
) -> None:
    async with engine_room(sqlite_url) as room:
        history(room)
        room.schedule("dear", cron="* * * * *")
        room.change(holder, name, max_runs_per_day=10)
        with room.db.reading() as conn:
            april = read_costs(conn, month="2026-04", now=NINE)

    assert april.total.forecast_run_count == 300
    assert april.total.forecast_page_loads == 300 * 50


async def test_a_limit_of_several_schedules_is_shared_and_what_was_sent_today_counts(
    sqlite_url: str,
) -> None:
    async with engine_room(sqlite_url) as room:
        history(room, day=f"{NINE:%Y-%m-%d}", runs=3, inputs=3)
        for name in ("dear", "cheap"):
            room.schedule(name, cron="0 * * * *")
        room.change("collectors", "shop", max_inputs_per_day=4)
        with room.db.reading() as conn:
            march = read_costs(conn, now=NINE)

    assert march.total.forecast_run_count == 1 + 29 * 4


async def test_what_has_ended_counts_with_its_own_page_loads(database_url: str) -> None:
    async with engine_room(database_url) as room:
        run_id = room.ask()
        await send_all(room)
        room.execute("UPDATE collections SET pages = 33")
        room.execute(
            "UPDATE runs SET state = 'succeeded', reason = 'done', ended_at = :now,"
            " moves = moves + 1, moved_at = :now, moved_by = 'd1'",
            now=room.clock(),
        )
        with room.db.reading() as conn:
            before = read_costs(conn, now=room.clock()).total
        await count(room)
        with room.db.reading() as conn:
            after = read_costs(conn, now=room.clock()).total

        state = room.run(run_id).state

    assert state is RunState.SUCCEEDED
    assert (before.run_count, before.page_loads) == (1, 33)
    assert after == before
