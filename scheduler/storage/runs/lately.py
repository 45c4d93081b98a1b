"""The newest runs, counted by state: so many and no more are looked at, whatever is stored."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import Connection, func, select

from scheduler.domain.records import ENDED_STATES, RunState
from scheduler.storage.runs.read import RunFilter, conditions
from scheduler.storage.tables import in_state, runs

LOOKED_AT: Final = 20_000
"""So many of the newest runs are looked at."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lately:
    """
    How many of the newest runs are in each state.

    *is_all* tells whether there were no more than LOOKED_AT to look at.
    """

    states: dict[RunState, int]
    is_all: bool


def count_lately(
    conn: Connection, wanted: RunFilter | None = None, *, ended_since: datetime | None = None
) -> Lately:
    """Count the newest runs that *wanted* chooses, or of them those that have ended since then."""
    newest = conn.scalar(select(func.max(runs.c.id))) or 0
    chosen = [runs.c.id > newest - LOOKED_AT, *conditions(wanted or RunFilter())]
    if ended_since is not None:
        chosen += [in_state(runs, *ENDED_STATES), runs.c.ended_at >= ended_since]
    counted = select(runs.c.state, func.count()).where(*chosen).group_by(runs.c.state)
    states = {RunState(state): count for state, count in conn.execute(counted)}
    oldest = conn.scalar(select(func.min(runs.c.id))) or 0
    return Lately(states=states, is_all=oldest > newest - LOOKED_AT)
