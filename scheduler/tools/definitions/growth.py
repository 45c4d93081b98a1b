"""What applying a file changes in page loads and money, and what becomes of the budgets then."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from scheduler.domain.budgets import NO_LOADS, Budget, BudgetMode, Loads, percent_used
from scheduler.domain.records import Calendar
from scheduler.storage.budget_desk import BudgetDesk, covers
from scheduler.storage.database import Connection
from scheduler.tools.costs import Coming, Planned, forecast_budgets, list_coming

DAYS: Final = 30
"""So many days are a month."""
MOST_PLANNED: Final = 1_000
"""With more schedules nothing is forecast: it would take too long."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetGrowth:
    """
    What a month comes to of a budget, in percent of it, as things stand and afterwards.

    *spent_at* is when this month's will be used up then; None if it will not, or is already.
    """

    budget: str
    mode: BudgetMode
    old_percent: float
    new_percent: float
    spent_at: datetime | None

    @property
    def goes_beyond(self) -> bool:
        """Tell whether it is this change that makes a month cost more than it may."""
        return self.new_percent > max(100.0, self.old_percent)


@dataclass(frozen=True, slots=True, kw_only=True)
class Growth:
    """How many page loads a month more, negative where fewer, and what they cost."""

    more_page_loads: int
    more_money: float
    budgets: tuple[BudgetGrowth, ...]

    @property
    def beyond(self) -> tuple[BudgetGrowth, ...]:
        """Return the budgets that this change goes beyond."""
        return tuple(each for each in self.budgets if each.goes_beyond)


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """The schedules before, or after, with how many inputs the batches have that say so."""

    planned: Sequence[Planned]
    calendars: Mapping[str, Calendar]
    sizes: Mapping[str, int]


def compare_growth(
    conn: Connection, before: Side, after: Side, budgets: Sequence[Budget], *, now: datetime
) -> Growth | None:
    """Return what a month costs more after than before; None where it is too much to forecast."""
    if max(len(before.planned), len(after.planned)) > MOST_PLANNED:
        return None
    until = now + timedelta(days=DAYS)
    old, new = (_coming(conn, side, now, until) for side in (before, after))
    desk = BudgetDesk(conn, now, among=budgets)
    month_end = _next_month(now) - timedelta.resolution
    ends = {
        each.budget.name: each.spent_at
        for each in forecast_budgets(desk, _coming(conn, after, now, month_end))
    }
    more = Loads(pages=_sum(new).pages - _sum(old).pages, money=_sum(new).money - _sum(old).money)
    return Growth(
        more_page_loads=round(more.pages),
        more_money=round(more.money, 2),
        budgets=tuple(
            BudgetGrowth(
                budget=budget.name,
                mode=budget.mode,
                old_percent=_percent(budget, old),
                new_percent=_percent(budget, new),
                spent_at=ends[budget.name],
            )
            for budget in desk.budgets
        ),
    )


def _coming(conn: Connection, side: Side, now: datetime, until: datetime) -> list[Coming]:
    return list_coming(
        conn,
        side.planned,
        since=now,
        until=until,
        now=now,
        calendars=side.calendars,
        sizes=side.sizes,
    )


def _percent(budget: Budget, coming: Sequence[Coming]) -> float:
    covered = [each for each in coming if covers(budget.covers, each)]
    return round(percent_used(budget, _sum(covered)), 1)


def _sum(coming: Sequence[Coming]) -> Loads:
    return sum((each.all_loads for each in coming), NO_LOADS)


def _next_month(moment: datetime) -> datetime:
    first = moment.astimezone(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    return (first + timedelta(days=32)).replace(day=1)
