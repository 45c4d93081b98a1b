"""Budgets, and what is used of them: `usage` for what ended, the open runs for what has not."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Select, case, exists, func, select, union_all

from scheduler.domain.budgets import Budget, LoadsPerInput
from scheduler.domain.limits import day_of
from scheduler.domain.records import UNRESOLVED_STATES, RunState
from scheduler.storage.budget_tables import budgets
from scheduler.storage.rows import records
from scheduler.storage.tables import accounts, bodies, collections, in_state, runs
from scheduler.storage.upkeep_tables import usage
from scheduler.storage.usage import Group, page_loads, whole

_LATE: Final = timedelta(days=30)
"""Page loads for each input are those of so long."""

_KEY: Final = ("account", "collector", "schedule", "labels")

_ANY: Final = select(exists(select(budgets.c.name)))
"""Built once."""


def any_budgets(conn: Connection) -> bool:
    """Tell whether there is any."""
    return bool(conn.scalar(_ANY))


def list_budgets(conn: Connection, *, hold: bool = False) -> list[Budget]:
    """Return every budget, by name; *hold* them: who spends from them does so one by one."""
    columns = [budgets.c[name] for name in Budget.__dataclass_fields__]
    query = select(*columns).order_by(budgets.c.name)
    return records(Budget, conn.execute(query.with_for_update() if hold else query))


def list_prices(conn: Connection) -> dict[str, float]:
    """Return what a thousand page loads cost, of the accounts that have a price."""
    priced = accounts.c.price_per_thousand
    rows = conn.execute(select(accounts.c.name, priced).where(priced.is_not(None)))
    return {row.name: row.price_per_thousand for row in rows}


@dataclass(frozen=True, slots=True)
class Lately:
    """What the last thirty days tell of a run: its page loads for an input, and its inputs."""

    loads: LoadsPerInput
    inputs_per_run: Mapping[str, float]


def read_lately(conn: Connection, *, now: datetime) -> Lately:
    """Read both, in one look through these days."""
    is_paged = usage.c.paged_inputs > 0
    rows = conn.execute(
        select(
            *(usage.c[name] for name in ("schedule", "collector", "account")),
            func.sum(case((is_paged, usage.c.pages), else_=0)).label("pages"),
            func.sum(usage.c.paged_inputs).label("paged_inputs"),
            func.sum(case((usage.c.runs > 0, usage.c.inputs), else_=0)).label("inputs"),
            func.sum(usage.c.runs).label("runs"),
        )
        .where(usage.c.day >= day_of(now - _LATE))
        # What tells most rows apart goes first: so they are sorted by one comparison each.
        .group_by(usage.c.schedule, usage.c.collector, usage.c.account)
    ).all()
    by = {
        key: _shares((getattr(row, key), row.pages, row.paged_inputs) for row in rows)
        for key in ("schedule", "collector", "account")
    }
    return Lately(
        loads=LoadsPerInput(by["schedule"], by["collector"], by["account"]),
        inputs_per_run=_shares((row.schedule, row.inputs, row.runs) for row in rows),
    )


def _shares(counts: Iterable[tuple[str, Any, Any]]) -> dict[str, float]:
    """Return for each name what there is for one, of so many; nobody has no name."""
    sums: dict[str, tuple[int, int]] = {}
    for name, what, of in counts:
        so_far = sums.get(name, (0, 0))
        sums[name] = (so_far[0] + int(what), so_far[1] + int(of))
    return {name: what / of for name, (what, of) in sums.items() if name and of > 0}


def list_on_the_way(conn: Connection) -> list[Group]:
    """Return what may have been sent and has not ended, with the page loads as far as known."""
    # Each by an index of its own, which follows what is open.
    states = (UNRESOLVED_STATES, (RunState.NEEDS_ATTENTION,), (RunState.COLLECTING,))
    rows = union_all(*(_open_runs(*some) for some in states))
    return [whole(group) for group in records(Group, conn.execute(rows))]


def _open_runs(*states: RunState) -> Select[Any]:
    key: list[ColumnElement[Any]] = [runs.c[name] for name in _KEY]
    sums: list[ColumnElement[Any]] = [
        func.count().label("runs"),
        func.coalesce(func.sum(bodies.c.row_count), 0).label("inputs"),
        func.coalesce(func.sum(page_loads()), 0).label("pages"),
    ]
    return (
        select(*key, *sums)
        .outerjoin(bodies, bodies.c.fingerprint == runs.c.body)
        .outerjoin(collections, collections.c.id == runs.c.collection_id)
        .where(in_state(runs, *states))
        .group_by(*key)
    )
