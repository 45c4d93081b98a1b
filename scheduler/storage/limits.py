"""What schedules, collectors and accounts may send in a day, as their rows have it."""

from collections.abc import Collection, Sequence
from typing import Any, Final

from sqlalchemy import Connection, Select, Table, exists, literal, or_, select, union_all

from scheduler.config.limit_keys import LimitKeys
from scheduler.domain.limits import DailyLimits, Scope, ScopeKind
from scheduler.storage.budget_tables import budgets
from scheduler.storage.tables import accounts, collectors, schedules

_TABLES: Final = {
    ScopeKind.SCHEDULE: schedules,
    ScopeKind.COLLECTOR: collectors,
    ScopeKind.ACCOUNT: accounts,
}


def any_limits(conn: Connection) -> bool:
    """Tell whether any row limits what is sent."""
    return bool(conn.scalar(_ANY))


def what_is_limited(conn: Connection) -> tuple[bool, bool]:
    """Tell whether any row limits what is sent, and whether there is any budget."""
    has_limits, has_budgets = conn.execute(_WHAT).one()
    return bool(has_limits), bool(has_budgets)


def list_limits(conn: Connection, scopes: Collection[Scope] | None = None) -> Sequence[DailyLimits]:
    """Return the limits that there are, of these *scopes* only if they are given."""
    found: list[DailyLimits] = []
    for kind, table in _TABLES.items():
        query = _of(kind, table)
        if scopes is not None:
            names = [scope.name for scope in scopes if scope.kind is kind]
            query = query.where(table.c.name.in_(names))
        found += (
            DailyLimits(scope=Scope(ScopeKind(row.kind), row.name), **_limits_of(row))
            for row in conn.execute(query.order_by(table.c.name))
        )
    return found


def _limits_of(row: Any) -> dict[str, Any]:
    return {name: getattr(row, name) for name in LimitKeys.model_fields}


def _of(kind: ScopeKind, table: Table) -> Select[Any]:
    columns = [table.c[name] for name in LimitKeys.model_fields]
    is_limited = or_(*(column.is_not(None) for column in columns))
    return select(literal(kind.value).label("kind"), table.c.name, *columns).where(is_limited)


_HAS_LIMITS = exists(
    union_all(*(_of(kind, table).with_only_columns(literal(1)) for kind, table in _TABLES.items()))
)
_ANY: Final = select(_HAS_LIMITS)
_WHAT: Final = select(_HAS_LIMITS, exists(select(budgets.c.name)))
"""Asked by each pass that claims, and built once."""
