"""Schedules whose latest runs failed, found without reading through the history."""

from dataclasses import dataclass
from itertools import takewhile
from typing import Final

from sqlalchemy import ColumnElement, Connection, Select, func, select, union

from scheduler.domain.records import ENDED_STATES, Run, RunState
from scheduler.storage.runs.read import RunFilter, list_runs
from scheduler.storage.tables import in_state, runs, schedules

LOOKED_AT: Final = 1_000
"""So many enabled schedules by name are looked at, and those of so many of the newest runs."""

MOST_FOUND: Final = 20
_LATEST: Final = 20
_IN_A_ROW: Final = 2
_TELLING: Final = tuple(state for state in ENDED_STATES if state is not RunState.SKIPPED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Failing:
    """A schedule of which the last *in_a_row* runs failed; *newest* is the last of them."""

    schedule: str
    in_a_row: int
    newest: Run


def list_failing(conn: Connection) -> list[Failing]:
    """
    Return enabled schedules whose last two runs failed, or more: the first MOST_FOUND by name.

    Neither skipped runs nor those that have not ended count. However many there are, no more
    schedules than LOOKED_AT says are looked at, and the latest 20 runs of each.
    """
    return [_failing(conn, name) for name in conn.scalars(_FAILING)]


def _failing(conn: Connection, schedule: str) -> Failing:
    latest = list_runs(conn, RunFilter(schedule=schedule), limit=_LATEST)
    ended = [run for run in latest if run.state in _TELLING]
    failed = list(takewhile(lambda run: run.state is RunState.FAILED, ended))
    return Failing(schedule=schedule, in_a_row=len(failed), newest=failed[0])


def _statement() -> Select[str]:
    enabled = select(schedules.c.name).where(schedules.c.enabled)
    by_name = enabled.order_by(schedules.c.name).limit(LOOKED_AT).subquery()
    newest = select(runs.c.schedule).order_by(runs.c.id.desc()).limit(LOOKED_AT).subquery()
    looked_at = union(select(by_name.c.name), select(newest.c.schedule)).subquery()
    name = looked_at.c.name
    # A subquery for its value, and no join: that would read through all schedules.
    is_enabled = select(schedules.c.enabled).where(schedules.c.name == name).scalar_subquery()
    # Most are done with once their newest run is seen, and the others are few.
    may = (is_enabled, _newest_may_have_failed(name), _has_failed(name))
    return select(name).where(*may).order_by(name).limit(MOST_FOUND)


def _newest_may_have_failed(schedule: ColumnElement[str]) -> ColumnElement[bool]:
    """Tell whether the newest run did not end otherwise."""
    newest = select(runs.c.state).where(runs.c.schedule == schedule).order_by(runs.c.id.desc())
    otherwise = [state for state in _TELLING if state is not RunState.FAILED]
    return newest.limit(1).correlate_except(runs).scalar_subquery().not_in(otherwise)


def _has_failed(schedule: ColumnElement[str]) -> ColumnElement[bool]:
    latest = (
        select(runs.c.id, runs.c.state)
        .where(runs.c.schedule == schedule)
        .order_by(runs.c.id.desc())
        .limit(_LATEST)
        .correlate_except(runs)
        .subquery()
    )
    last = (
        select(latest.c.state)
        .where(in_state(latest, *_TELLING))
        .order_by(latest.c.id.desc())
        .limit(_IN_A_ROW)
        .subquery()
    )
    failures = select(func.count()).where(in_state(last, RunState.FAILED))
    return failures.scalar_subquery() == _IN_A_ROW


_FAILING: Final = _statement()
