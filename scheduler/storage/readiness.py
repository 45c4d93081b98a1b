"""Whether what is due is ready by the time that its schedule's `ready_by` promises."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from statistics import median
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Row, Select, and_, func, or_, select, text

from scheduler.domain.errors import InvalidInput
from scheduler.domain.notices import AlertKind, Observed
from scheduler.domain.records import OPEN_STATES, Reason, RunState
from scheduler.domain.results import ResultState, ready_until
from scheduler.domain.timestamps import display_time
from scheduler.domain.timetable import find_zone
from scheduler.storage.tables import in_state, results, runs, schedules

_HAS_PROMISE: Final = text("schedules.ready_by IS NOT NULL")
_SETTLED: Final = (ResultState.SAVED, ResultState.REMOVED, ResultState.DISMISSED)
_GOOD: Final = (RunState.SUCCEEDED, RunState.PARTIAL)
_BY_CHOICE: Final = (
    *(Reason.PAUSED, Reason.FROZEN, Reason.COALESCED, Reason.OVERLAPPED),
    Reason.UNCHANGED,
)
"""Of what a person stopped, or another occurrence stands for, nothing is promised."""

_LOOKED_AT: Final = 10
_LEAST_KNOWN: Final = 3
_MOST_AUDITED: Final = 2000
_A_DAY: Final = timedelta(days=1)

_IS_READY: Final = and_(
    in_state(runs, *_GOOD), or_(results.c.run_id.is_(None), results.c.state.in_(_SETTLED))
)
_READY_AT: Final = func.coalesce(results.c.settled_at, runs.c.ended_at)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Promise:
    """A schedule's promise, and the last and the next time that it is for."""

    row: Any
    zone: tzinfo
    last: datetime
    next: datetime


def list_unready(conn: Connection, *, now: datetime) -> list[Observed]:
    """Return the schedules whose promise did not hold, or will not, as far as can be told."""
    return [seen for promise in _promises(conn, now) for seen in _observed(conn, promise, now)]


def _promises(conn: Connection, now: datetime) -> Iterator[_Promise]:
    query = (
        select(
            schedules.c.name,
            schedules.c.collector,
            schedules.c.labels,
            schedules.c.ready_by,
            schedules.c.timezone,
            schedules.c.next_fire_at,
            schedules.c.paused_at,
        )
        .where(_HAS_PROMISE, schedules.c.enabled)
        .order_by(schedules.c.name)
    )
    for row in conn.execute(query).all():
        try:
            zone = find_zone(row.timezone)
            following = ready_until(row.ready_by, now, zone)
        except InvalidInput:  # the schedule is invalid, and told as such
            continue
        last = _before(row.ready_by, following, zone)
        yield _Promise(row=row, zone=zone, last=last, next=following)


def _before(ready_by: str, moment: datetime, zone: tzinfo) -> datetime:
    """Return the time before *moment*, which is one: a day is 23 hours long, or 25."""
    found = ready_until(ready_by, moment - _A_DAY - timedelta(hours=2), zone)
    return found if found < moment else ready_until(ready_by, moment - 2 * _A_DAY, zone)


def _observed(conn: Connection, promise: _Promise, now: datetime) -> Iterator[Observed]:
    name = promise.row.name
    earlier = _before(promise.row.ready_by, promise.last, promise.zone)
    for run in _unready(conn, name, since=earlier, before=promise.last):
        detail = f"{_promised(promise, promise.last)} {_stands(run)}"
        yield _seen(AlertKind.NOT_READY, promise, run, promise.last, detail)
        break
    if _comes_again(promise):
        return
    for run in _unready(conn, name, since=promise.last, before=now):
        why = _at_risk(conn, promise, run, now)
        if why is not None:
            detail = f"{_promised(promise, promise.next)} {_stands(run)}{why}"
            yield _seen(AlertKind.AT_RISK, promise, run, now, detail)
            break


def _comes_again(promise: _Promise) -> bool:
    """Tell whether a newer occurrence is still to come that the promise will be for."""
    row = promise.row
    return (
        row.paused_at is None and row.next_fire_at is not None and row.next_fire_at < promise.next
    )


def _promised(promise: _Promise, moment: datetime) -> str:
    return f"ready_by = {promise.row.ready_by}, {display_time(moment)}:"


def _stands(run: Row[Any]) -> str:
    state = str(run.state)
    if run.result_state is not None and state in _GOOD:
        why = f" ({run.result_reason})" if run.result_reason else ""
        state = f"{state}, its result {run.result_state}{why}"
    return f"run {run.id}, due {display_time(run.due_at)}, is {state}"


def _seen(
    kind: AlertKind, promise: _Promise, run: Row[Any], since: datetime, detail: str
) -> Observed:
    return Observed(
        kind=kind,
        subject=f"schedules.{promise.row.name}",
        since=since,
        detail=detail,
        schedule=promise.row.name,
        collector=promise.row.collector,
        labels=promise.row.labels,
        run_id=run.id,
    )


def _runs_of(schedule: str) -> Select[Any]:
    return (
        select(
            runs.c.id,
            runs.c.due_at,
            runs.c.state,
            runs.c.not_before,
            runs.c.triggered_at,
            results.c.state.label("result_state"),
            results.c.reason.label("result_reason"),
        )
        .join(results, results.c.run_id == runs.c.id, isouter=True)
        .where(runs.c.schedule == schedule)
    )


_IS_PROMISED: Final = and_(
    runs.c.retry_of.is_(None),
    or_(runs.c.state != RunState.SKIPPED, runs.c.reason.not_in(_BY_CHOICE)),
)


def _unready(
    conn: Connection, schedule: str, *, since: datetime, before: datetime
) -> list[Row[Any]]:
    """Return the runs, of the newest occurrence in that time, that are not ready."""
    of_schedule = (runs.c.schedule == schedule, _IS_PROMISED)
    newest = conn.scalar(
        select(func.max(runs.c.due_at)).where(
            *of_schedule, runs.c.due_at >= since, runs.c.due_at < before
        )
    )
    if newest is None:
        return []
    found = conn.execute(
        _runs_of(schedule)
        .where(_IS_PROMISED, runs.c.due_at == newest, ~_IS_READY)
        .order_by(runs.c.id)
    )
    return [run for run in found.all() if not _is_retried_well(conn, run.id)]


def _is_retried_well(conn: Connection, run_id: int) -> bool:
    query = (
        select(runs.c.id)
        .join(results, results.c.run_id == runs.c.id, isouter=True)
        .where(runs.c.retry_of == run_id, runs.c.retry_of.is_not(None), _IS_READY)
    )
    return conn.scalar(query.limit(1)) is not None


def _at_risk(conn: Connection, promise: _Promise, run: Row[Any], now: datetime) -> str | None:
    """Say why a promise will not hold; None where it may."""
    is_open = run.state in OPEN_STATES or run.result_state == ResultState.WAITING
    if not is_open:
        return ", and nobody tries again"
    usual = _usual_time(conn, promise.row.name)
    if usual is None:
        return None
    begins = run.triggered_at or max(now, run.not_before)
    expected = max(now, begins + usual)
    if expected <= promise.next:
        return None
    return f"; with the usual {usual.total_seconds() / 60:.0f} min until {display_time(expected)}"


def _usual_time(conn: Connection, schedule: str) -> timedelta | None:
    """Return how long its last good runs took until they were ready; None for too few."""
    rows = conn.execute(
        select(runs.c.triggered_at, _READY_AT.label("ready_at"))
        .join(results, results.c.run_id == runs.c.id, isouter=True)
        .where(runs.c.schedule == schedule, _IS_READY, runs.c.triggered_at.is_not(None))
        .order_by(runs.c.id.desc())
        .limit(_LOOKED_AT)
    ).all()
    if len(rows) < _LEAST_KNOWN:
        return None
    seconds = (max(0.0, (row.ready_at - row.triggered_at).total_seconds()) for row in rows)
    return timedelta(seconds=median(seconds))


def count_broken(
    conn: Connection, *, since: datetime, until: datetime, now: datetime
) -> dict[str, int]:
    """Return of how many occurrences each schedule's promise did not hold, those that did aside."""
    counts = {}
    for promise in _promises(conn, now):
        window = (runs.c.due_at >= since, runs.c.due_at < until)
        broken = sum(_broken(promise, _ready_times(conn, promise.row.name, window), until))
        if broken:
            counts[promise.row.name] = broken
    return counts


def _ready_times(
    conn: Connection, schedule: str, window: Sequence[ColumnElement[bool]]
) -> Iterable[Row[Any]]:
    """Return of each occurrence when the last of its chunks was ready; NULL where one is not."""
    whole = func.count().filter(~_IS_READY) == 0
    query = (
        select(runs.c.due_at, func.max(_READY_AT).label("ready_at"), whole.label("is_ready"))
        .join(results, results.c.run_id == runs.c.id, isouter=True)
        .where(runs.c.schedule == schedule, _IS_PROMISED, *window)
        .group_by(runs.c.due_at)
        .order_by(runs.c.due_at.desc())
        .limit(_MOST_AUDITED)
    )
    return conn.execute(query).all()


def _broken(promise: _Promise, rows: Iterable[Row[Any]], until: datetime) -> Iterator[bool]:
    for row in rows:
        promised = ready_until(promise.row.ready_by, row.due_at, promise.zone)
        yield promised <= until and (not row.is_ready or row.ready_at > promised)
