"""`/api/v1/costs` and `/api/v1/budgets`: what a month costs, and what it may."""

from typing import Annotated

from fastapi import Query
from starlette.responses import Response

from scheduler.tools.costs import CostsBy, CostsView, read_costs
from scheduler.views.budgets import BudgetView, list_budgets
from scheduler.views.page import Page
from scheduler.web.access import Reader
from scheduler.web.api.definitions import definition_reply
from scheduler.web.api.paging import Pages
from scheduler.web.api.words import Name
from scheduler.web.models import answers, reply
from scheduler.web.routing import Router

router = Router(tags=["budgets"])

Month = Annotated[
    str | None,
    Query(pattern=r"^\d{4}-\d{2}$", description="Which month, in UTC: `2026-11`."),
]
By = Annotated[CostsBy, Query(description="What is added up.")]


@router.get("/costs", **answers(CostsView))
async def costs(caller: Reader, month: Month = None, by: By = CostsBy.SCHEDULE) -> Response:
    """Say what a month has cost and will cost, and what is left of this month's budgets."""
    return reply(await caller.ask(read_costs, month=month, by=by))


@router.get("/budgets", **answers(Page[BudgetView]))
async def budgets(caller: Reader, pages: Pages) -> Response:
    """List the budgets, and what is used of them this month."""
    return pages.cut(await caller.ask(list_budgets))


@router.get("/budgets/{name}", **answers(BudgetView, 404))
async def budget(caller: Reader, name: Name) -> Response:
    """Show one budget."""
    return await definition_reply(caller, "budgets", name)
