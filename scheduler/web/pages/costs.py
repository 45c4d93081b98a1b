"""`/costs`: what a month costs and will cost, by whom, and how much of its budgets is used."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Annotated, Final

from fastapi import Query
from starlette.requests import Request

from scheduler.domain.budgets import month_of
from scheduler.tools.costs import BudgetForecast, CostLine, CostsBy, CostsView, read_costs
from scheduler.web.access import Reader
from scheduler.web.pages.page import Pages, Shown
from scheduler.web.pictures.human import count_words
from scheduler.web.pictures.shares import Share, draw_shares

router = Pages()

Month = Annotated[str, Query(pattern=r"^(\d{4}-\d{2})?$")]

_MOST_SHOWN: Final = 100
_DRAWN: Final = 20


@router.show("/costs")
async def costs(
    caller: Reader, request: Request, month: Month = "", by: CostsBy = CostsBy.SCHEDULE
) -> Shown:
    """Show a month, this one by default."""
    found: CostsView = await caller.ask_lately(read_costs, month=month or None, by=by)
    lines = sorted(found.lines, key=lambda line: (-line.forecast_page_loads, line.name))
    this_month = month_of(caller.site.clock())
    start = datetime.strptime(found.month, "%Y-%m").replace(tzinfo=UTC)
    asked = f"?month={found.month}&by={by}"
    return Shown(
        template="costs.html",
        title="Costs",
        data=found,
        terminal=f"dca-scheduler costs --month {found.month} --by {by}",
        http=f"/api/v1/costs{asked}",
        values={
            "lines": lines[:_MOST_SHOWN],
            "hidden": len(lines) - _MOST_SHOWN,
            "choices": tuple(CostsBy),
            "before": month_of(start - timedelta(days=1)),
            "after": month_of(start + timedelta(days=31)),
            "this_month": this_month,
            "has_money": found.total.money is not None,
            "picture": _draw(lines, by),
            "budgets": _draw_budgets(found.budgets),
        },
    )


def _draw(lines: list[CostLine], by: CostsBy) -> object:
    return draw_shares(
        [
            Share(name=line.name, used=line.page_loads, whole=line.forecast_page_loads)
            for line in _most(lines)
        ],
        what="page loads",
        column=by.value,
        say=count_words,
    )


def _most(lines: list[CostLine]) -> Iterator[CostLine]:
    return (line for line in lines[:_DRAWN] if line.forecast_page_loads)


def _draw_budgets(budgets: tuple[BudgetForecast, ...]) -> object:
    shares = [
        Share(name=each.budget.name, used=each.budget.percent_used, whole=each.forecast_percent)
        for each in budgets
    ]
    return draw_shares(shares, what="percent", column="budget", say=_percent, limit=100.0)


def _percent(value: float) -> str:
    return f"{value:,.0f} %"
