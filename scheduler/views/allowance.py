"""What limits and budgets still allow to be sent: asked by whoever sends."""

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from typing import NamedTuple

from scheduler.domain.definition import duration_of
from scheduler.domain.errors import InvalidInput
from scheduler.domain.limits import DailyLimits, Scope, ScopeKind, Used, Wanted, what_is_over
from scheduler.domain.records import Reason
from scheduler.storage import limits, usage
from scheduler.storage.budget_desk import Belonging, BudgetDesk
from scheduler.storage.database import Connection


class Over(NamedTuple):
    """Why a run may not be sent."""

    reason: Reason
    detail: str


class Allowance:
    """
    What may be sent, as the rows have it in one transaction, less what `take` has been told.

    Where no row has a limit, and there is no budget, all answers together cost one statement.
    """

    def __init__(self, conn: Connection, now: datetime, *, spends: bool = False) -> None:
        self._spends = spends
        self._conn = conn
        self._now = now
        self._has_limits: bool | None = None
        self._desk: BudgetDesk | None = None
        self._limits: dict[Scope, DailyLimits | None] = {}
        self._used: dict[Scope, Used] = {}

    @property
    def is_limited(self) -> bool:
        """Tell whether anything is limited at all."""
        if self._has_limits is None:
            self._has_limits, has_budgets = limits.what_is_limited(self._conn)
            if has_budgets:
                self._desk = BudgetDesk(self._conn, self._now, spends=self._spends)
        return self._has_limits or self._desk is not None

    def read_ahead(self, many: Iterable[Belonging]) -> None:
        """Read what `what_is_over` will need of many, all of it at once."""
        if not self.is_limited or not self._has_limits:
            return
        scopes = {scope for run in many for scope in _scopes(run)}
        found = {row.scope: row for row in limits.list_limits(self._conn, scopes)}
        self._limits |= {scope: found.get(scope) for scope in scopes}
        for kind in {scope.kind for scope in found}:
            rows = [row for scope, row in found.items() if scope.kind is kind]
            since = self._now - max(map(_interval_of, rows))
            names = [row.scope.name for row in rows]
            used = usage.list_used(self._conn, kind, names, now=self._now, since=since)
            self._used |= {row.scope: used[row.scope.name] for row in rows}

    def what_is_over(self, run: Belonging, wanted: Wanted) -> Over | None:
        """Say beyond which limit or budget *wanted* would be; None if it may be sent."""
        for row in self._limiting(run):
            over = what_is_over(row, self._used_of(row), wanted, now=self._now)
            if over is not None:
                return Over(Reason.OVER_LIMIT, over)
        if self._desk is None:
            return None
        spent = self._desk.what_is_spent(run, wanted.inputs + wanted.inputs_ahead)
        return None if spent is None else Over(Reason.BUDGET, spent)

    def take(self, run: Belonging, wanted: Wanted) -> None:
        """Count *wanted* as sent."""
        for row in self._limiting(run):
            self._used[row.scope] = self._used_of(row).plus(wanted)
        if self._desk is not None:
            self._desk.take(run, wanted.inputs)

    def _limiting(self, run: Belonging) -> list[DailyLimits]:
        if not self.is_limited or not self._has_limits:
            return []
        scopes = list(_scopes(run))
        if unknown := [scope for scope in scopes if scope not in self._limits]:
            found = {row.scope: row for row in limits.list_limits(self._conn, unknown)}
            self._limits |= {scope: found.get(scope) for scope in unknown}
        return [row for scope in scopes if (row := self._limits[scope]) is not None]

    def _used_of(self, row: DailyLimits) -> Used:
        if row.scope not in self._used:
            since = self._now - _interval_of(row)
            self._used[row.scope] = usage.read_used(
                self._conn, row.scope, now=self._now, since=since
            )
        return self._used[row.scope]


def _scopes(run: Belonging) -> Iterator[Scope]:
    if run.schedule is not None:
        yield Scope(ScopeKind.SCHEDULE, run.schedule)
    yield Scope(ScopeKind.COLLECTOR, run.collector)
    yield Scope(ScopeKind.ACCOUNT, run.account)


def _interval_of(row: DailyLimits) -> timedelta:
    """Return how far back a run may be that counts for `min_interval`."""
    try:
        return duration_of("min_interval", row.min_interval) or timedelta()
    except InvalidInput:
        return timedelta()
