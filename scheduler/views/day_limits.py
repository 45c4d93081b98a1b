"""What a schedule may send in a day and a month, by every limit and budget that it falls under."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from scheduler.domain.limits import DailyLimits, Scope, ScopeKind, day_of
from scheduler.storage import budgets, limits, usage
from scheduler.storage.budget_desk import BudgetDesk, covers
from scheduler.storage.database import Connection
from scheduler.views.budgets import BudgetView, budget_view


class Sender(NamedTuple):
    """Whose limits are asked for; *labels* with a comma at both ends, as rows have them."""

    account: str
    collector: str
    schedule: str
    labels: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class DayLimitView:
    """A limit of *scope* (`schedule nightly`), and what was sent of it on *day*, in UTC."""

    scope: str
    day: str
    max_runs_per_day: int | None
    used_runs: int
    max_inputs_per_day: int | None
    used_inputs: int
    min_interval: str | None
    last_meant_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class AllowedView:
    """What limits a schedule, the narrowest first; nothing where nobody has."""

    limits: tuple[DayLimitView, ...]
    budgets: tuple[BudgetView, ...]


def read_allowed(conn: Connection, sender: Sender, *, now: datetime) -> AllowedView:
    """Return the limits and budgets of a schedule, and what is used of them."""
    scopes = (
        Scope(ScopeKind.SCHEDULE, sender.schedule),
        Scope(ScopeKind.COLLECTOR, sender.collector),
        Scope(ScopeKind.ACCOUNT, sender.account),
    )
    found = limits.list_limits(conn, scopes) if limits.any_limits(conn) else ()
    return AllowedView(
        limits=tuple(_limit(conn, row, now) for row in found),
        budgets=tuple(_budgets(conn, sender, now)),
    )


def _limit(conn: Connection, row: DailyLimits, now: datetime) -> DayLimitView:
    used = usage.read_used(conn, row.scope, now=now, since=now)
    return DayLimitView(
        scope=str(row.scope),
        day=day_of(now),
        max_runs_per_day=row.max_runs_per_day,
        used_runs=used.runs,
        max_inputs_per_day=row.max_inputs_per_day,
        used_inputs=used.inputs,
        min_interval=row.min_interval,
        last_meant_at=used.last_meant_at,
    )


def _budgets(conn: Connection, sender: Sender, now: datetime) -> Iterator[BudgetView]:
    if budgets.any_budgets(conn):
        desk = BudgetDesk(conn, now)
        for budget in desk.budgets:
            if covers(budget.covers, sender):
                yield budget_view(budget, desk.spent(budget), desk.month)
