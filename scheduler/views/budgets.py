"""Budgets as they are stored, and what is used of them this month."""

from dataclasses import dataclass
from datetime import datetime

from scheduler.domain.budgets import Budget, Spent, budget_sentence, percent_used
from scheduler.domain.errors import NotFound
from scheduler.domain.suggestions import did_you_mean
from scheduler.storage.budget_desk import BudgetDesk
from scheduler.storage.budgets import any_budgets
from scheduler.storage.database import Connection
from scheduler.views.decoding import view


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetView(Budget):
    """
    A budget, and what is used of it in *month*, in UTC.

    *used* is of collections that ended, *expected* of those that have not; *percent_used* is of
    both, of page loads or money what is more.
    """

    month: str
    used_page_loads: int
    used_money: float
    expected_page_loads: int
    expected_money: float
    percent_used: float


def list_budgets(conn: Connection, *, now: datetime) -> tuple[BudgetView, ...]:
    """Return every budget, by name."""
    desk = BudgetDesk(conn, now)
    return tuple(budget_view(budget, desk.spent(budget), desk.month) for budget in desk.budgets)


def list_worn(conn: Connection, *, now: datetime) -> tuple[str, ...]:
    """Return a sentence for each budget of which most is used."""
    if not any_budgets(conn):
        return ()
    desk = BudgetDesk(conn, now)
    return tuple(budget_sentence(one, spent, month=desk.month) for one, spent in desk.list_worn())


def get_budget(conn: Connection, name: str, *, now: datetime) -> BudgetView:
    """Return the budget of that name; raises NotFound."""
    views = {each.name: each for each in list_budgets(conn, now=now)}
    if name not in views:
        raise NotFound(f"no budget is called {name!r}{did_you_mean(name, views)}")
    return views[name]


def budget_view(budget: Budget, spent: Spent, month: str) -> BudgetView:
    """Return what is shown of a budget."""
    return view(
        BudgetView,
        budget,
        month=month,
        used_page_loads=round(spent.ended.pages),
        used_money=round(spent.ended.money, 2),
        expected_page_loads=round(spent.expected.pages),
        expected_money=round(spent.expected.money, 2),
        percent_used=round(percent_used(budget, spent.whole), 1),
    )
