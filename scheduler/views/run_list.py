"""A page of runs, and how many of those that fit are in each state."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from scheduler.domain.records import RunState
from scheduler.storage import runs
from scheduler.storage.database import Connection
from scheduler.storage.runs.lately import LOOKED_AT, count_lately
from scheduler.views.page import LOOKED_THROUGH, Page
from scheduler.views.runs import RunFilter, RunView, list_runs

NEWEST: Final = LOOKED_AT
"""So many of the newest runs are counted by state."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunList:
    """
    Runs, the newest first, and *states*: how many fit in each, whatever state was chosen.

    Open runs are counted whole where nothing else narrows, ended ones among the newest;
    *is_all_counted* tells whether those were all.
    """

    page: Page[RunView]
    states: Mapping[RunState, int]
    is_all_counted: bool


def read_run_list(
    conn: Connection, wanted: RunFilter, *, limit: int, before: int | None = None
) -> RunList:
    """Read both as of one moment; NotFound for a name that nothing bears, and no run."""
    of_any_state = replace(wanted, states=())
    counted = count_lately(conn, of_any_state)
    is_narrowed = of_any_state != RunFilter()
    open_runs = {} if is_narrowed else runs.count_open(conn)
    return RunList(
        page=list_runs(conn, wanted, limit=limit, before=before, look_through=LOOKED_THROUGH),
        states=counted.states | open_runs,
        is_all_counted=counted.is_all,
    )
