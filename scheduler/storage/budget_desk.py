"""What is used of each budget, and what a run would add: counted as one transaction sees it."""

from collections import Counter
from collections.abc import Iterable
from datetime import datetime
from typing import Protocol

from sqlalchemy import Connection

from scheduler.domain.budgets import (
    MOST_OF_IT,
    NO_LOADS,
    Budget,
    BudgetMode,
    Loads,
    Spent,
    loads_of,
    month_of,
    percent_used,
    what_is_spent,
)
from scheduler.domain.errors import InvalidInput
from scheduler.domain.limits import Scope, ScopeKind
from scheduler.storage import budgets, usage


class Belonging(Protocol):
    """As much of a run as tells whose limits and budgets it falls under."""

    @property
    def account(self) -> str:
        """Whose token sends it."""

    @property
    def collector(self) -> str:
        """What it runs, by our name."""

    @property
    def schedule(self) -> str | None:
        """What it is of."""

    @property
    def labels(self) -> str | None:
        """Its labels, with a comma at both ends."""


class BudgetDesk:
    """
    The budgets of the month of *now*, less what `take` has been told.

    Who *spends* holds them until the end: they may be of several accounts, each of which another
    daemon may send for. *among* are others than those that the database has. *ended* and
    *on_the_way* are what the month has had so far, *lately* what is usual.
    """

    def __init__(
        self,
        conn: Connection,
        now: datetime,
        *,
        spends: bool = False,
        among: Iterable[Budget] | None = None,
    ) -> None:
        self.month = month_of(now)
        found = budgets.list_budgets(conn, hold=spends) if among is None else among
        self.budgets = [one for one in found if _can_be_read(one)]
        self.prices = budgets.list_prices(conn)
        self.lately = budgets.read_lately(conn, now=now)
        # What is on the way first: what ends in between counts twice rather than not at all.
        self.on_the_way = budgets.list_on_the_way(conn)
        self.ended = usage.list_groups(conn, since=f"{self.month}-01")
        self._spent = {one.name: self._spent_of(one) for one in self.budgets}

    def spent(self, budget: Budget) -> Spent:
        """Return what is used of a budget, and expected."""
        return self._spent[budget.name]

    def list_worn(self) -> list[tuple[Budget, Spent]]:
        """Return the budgets of which MOST_OF_IT is used."""
        spent = [(budget, self.spent(budget)) for budget in self.budgets]
        return [pair for pair in spent if percent_used(pair[0], pair[1].whole) >= MOST_OF_IT]

    def expected(self, run: Belonging, inputs: int) -> Loads:
        """Return what so many inputs of *run* will come to."""
        loads = self.lately.loads
        each = loads.of(schedule=run.schedule, collector=run.collector, account=run.account)
        return loads_of(inputs * each, self.prices.get(run.account))

    def what_is_spent(self, run: Belonging, inputs: int) -> str | None:
        """Say which hard budget does not allow so many inputs of *run*; None if all do."""
        more = self.expected(run, inputs)
        for budget in self.budgets:
            if budget.mode is BudgetMode.HARD and covers(budget.covers, run):
                spent = what_is_spent(budget, self.spent(budget), more, month=self.month)
                if spent is not None:
                    return spent
        return None

    def take(self, run: Belonging, inputs: int) -> None:
        """Count so many inputs of *run* as sent."""
        more = self.expected(run, inputs)
        for budget in self.budgets:
            if covers(budget.covers, run):
                self._spent[budget.name] = self.spent(budget).plus(more)

    def _spent_of(self, budget: Budget) -> Spent:
        pages: Counter[str] = Counter()
        for group in self.ended:
            if covers(budget.covers, group):
                pages[group.account] += group.pages
        loads = (loads_of(sent, self.prices.get(account)) for account, sent in pages.items())
        spent = Spent(ended=sum(loads, NO_LOADS))
        for group in self.on_the_way:
            if covers(budget.covers, group):
                known = loads_of(group.pages, self.prices.get(group.account))
                spent = spent.plus(max(known, self.expected(group, group.inputs), key=_pages))
        return spent


def _pages(loads: Loads) -> float:
    return loads.pages


def _can_be_read(budget: Budget) -> bool:
    """Tell whether a row's scope names somebody: the database checks its form alone."""
    try:
        return bool(budget.covers)
    except InvalidInput:
        return False


def covers(scope: Scope, run: Belonging) -> bool:
    """Tell whether *run* is one of those that *scope* counts."""
    match scope.kind:
        case ScopeKind.ALL:
            return True
        case ScopeKind.ACCOUNT:
            return run.account == scope.name
        case ScopeKind.COLLECTOR:
            return run.collector == scope.name
        case ScopeKind.SCHEDULE:
            return run.schedule == scope.name
        case ScopeKind.LABEL:
            return f",{scope.name}," in (run.labels or "")
