"""What is seen first: what needs a person, what runs and waits, what ended, what fires next."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from scheduler.domain.records import OPEN_STATES, Run, RunState
from scheduler.storage import runs, schedules
from scheduler.storage.budgets import any_budgets
from scheduler.storage.database import Connection
from scheduler.storage.runs import RunFilter
from scheduler.storage.runs.lately import count_lately
from scheduler.storage.schedules import NextFire
from scheduler.views.alerts import AlertView, list_alerts
from scheduler.views.attention import Need, list_needs
from scheduler.views.budgets import BudgetView, list_budgets
from scheduler.views.runs import RunView, run_view
from scheduler.views.status import LOST_WITHIN, StatusView, read_status
from scheduler.views.waiting import why_waits

_SHOWN: Final = 8
_MOST_ALERTS: Final = 200
_UNDER_WAY: Final = tuple(state for state in OPEN_STATES if state is not RunState.QUEUED)


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitingRun:
    """A run that waits to be sent, and what must change first."""

    run: RunView
    why_waiting: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class OverviewView:
    """
    How everything is doing.

    *under_way* and *waiting* are the newest of those runs. *ended* counts what ended since
    `status.lost_since` among the newest runs; *is_all_that_ended* tells whether those were all.
    *alerts* are the newest that are open, *budgets* those of this month.
    """

    needs: tuple[Need, ...]
    alerts: tuple[AlertView, ...]
    budgets: tuple[BudgetView, ...]
    under_way: tuple[RunView, ...]
    waiting: tuple[WaitingRun, ...]
    ended: Mapping[RunState, int]
    is_all_that_ended: bool
    next_fires: tuple[NextFire, ...]
    status: StatusView


def read_overview(conn: Connection, *, now: datetime) -> OverviewView:
    """Read it all as of one moment."""
    status = read_status(conn, now=now)
    ended = count_lately(conn, ended_since=now - LOST_WITHIN)
    return OverviewView(
        needs=tuple(list_needs(status)),
        alerts=tuple(list_alerts(conn, now=now, limit=_MOST_ALERTS).items),
        budgets=list_budgets(conn, now=now) if any_budgets(conn) else (),
        under_way=tuple(map(run_view, _newest(conn, *_UNDER_WAY))),
        waiting=tuple(
            WaitingRun(run=run_view(run), why_waiting=why_waits(conn, run, now=now))
            for run in _newest(conn, RunState.QUEUED)
        ),
        ended=ended.states,
        is_all_that_ended=ended.is_all,
        next_fires=tuple(schedules.list_next_fires(conn, limit=_SHOWN)),
        status=status,
    )


def _newest(conn: Connection, *states: RunState) -> list[Run]:
    return runs.list_runs(conn, RunFilter(states=states), limit=_SHOWN)
