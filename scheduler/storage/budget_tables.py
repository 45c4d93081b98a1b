"""The table of what a month may cost."""

from sqlalchemy import CheckConstraint, Column, Float, Integer, Table, Text

from scheduler.domain.budgets import BudgetMode
from scheduler.domain.records import Origin
from scheduler.storage.key_columns import LARGEST, one_of
from scheduler.storage.metadata import metadata

budgets = Table(
    "budgets",
    metadata,
    Column("name", Text, primary_key=True),
    Column("scope", Text, nullable=False, server_default="all"),
    Column("page_loads", Integer),
    Column("money", Float),
    Column("mode", Text, nullable=False, server_default=BudgetMode.SOFT),
    Column("origin", Text, nullable=False, server_default=Origin.DATABASE),
    Column("edits", Integer, nullable=False, server_default="0"),
    CheckConstraint(
        "scope = 'all' OR scope LIKE 'account:_%' OR scope LIKE 'collector:_%'"
        " OR scope LIKE 'schedule:_%' OR scope LIKE 'label:_%'",
        name="scope",
    ),
    CheckConstraint(f"page_loads BETWEEN 1 AND {LARGEST}", name="page_loads"),
    CheckConstraint("money > 0 AND money <= 1000000000", name="money"),
    CheckConstraint("page_loads IS NOT NULL OR money IS NOT NULL", name="limits_something"),
    one_of("mode", BudgetMode),
    one_of("origin", Origin),
)


def price_column(name: str) -> Column[float]:
    """Return a column of an account that is an amount of money."""
    return Column(name, Float, CheckConstraint(f"{name} > 0 AND {name} <= 1000000000", name=name))
