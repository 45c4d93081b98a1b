"""What runs, held against what was promised and is usual: late starts, overruns, lost cadence."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, Select, and_, bindparam, case, func, or_, select

from scheduler.domain.course import (
    LATE_START_AFTER,
    GoodRun,
    UsualTime,
    has_lost_cadence,
    usual_time,
)
from scheduler.domain.durations import format_duration
from scheduler.domain.notices import AlertKind, Observed
from scheduler.domain.records import OnOverrun, Overlap, RunState
from scheduler.domain.timestamps import display_time
from scheduler.storage.expected_rows import OfRun
from scheduler.storage.rows import records
from scheduler.storage.tables import alerts, collections, in_state, runs, schedules

_USUAL: Final = 20
_LOOKED_THROUGH: Final = 100
_MOST: Final = 1000
_LATER: Final = runs.alias("later")


def list_usual_times(conn: Connection, wanted: Iterable[OfRun]) -> dict[OfRun, UsualTime]:
    """Return how long the last such good runs took, where there are enough: a canary is short."""
    usual = {of_run: usual_time(_durations(conn, of_run)) for of_run in wanted}
    return {of_run: one for of_run, one in usual.items() if one is not None}


def _durations(conn: Connection, of_run: OfRun) -> list[Any]:
    schedule, is_first = of_run
    newest = _newest(schedule, RunState.SUCCEEDED, where=((runs.c.chunk == 1) == is_first,))
    rows = conn.execute(
        select(
            func.coalesce(collections.c.started_at, collections.c.accepted_at),
            func.coalesce(collections.c.finished_at, newest.c.ended_at),
        )
        .join(newest, newest.c.collection_id == collections.c.id)
        .order_by(newest.c.id.desc())
        .limit(_USUAL)
    )
    return [max(end, begin) - begin for begin, end in rows]


def _newest(schedule: str | None, *states: RunState, where: Sequence[Any] = ()) -> Any:
    """Select the good runs among as many of the newest as a look through them may cost."""
    newest = (
        select(runs)
        .where(runs.c.schedule == schedule, *where)
        .order_by(runs.c.id.desc())
        .limit(_LOOKED_THROUGH)
        .subquery()
    )
    return select(newest).where(newest.c.state.in_(states)).subquery()


def list_lost_cadence(conn: Connection, names: Collection[str]) -> dict[str, bool | None]:
    """Tell of these schedules whether their runs outlast their interval; None: that is open."""
    timed = conn.scalars(
        select(schedules.c.name).where(schedules.c.name.in_(names), *_KEEPS_TIME)
    ).all()
    return {name: has_lost_cadence(_good_runs(conn, name)) for name in timed}


_KEEPS_TIME: Final = (schedules.c.after.is_(None), schedules.c.overlap != Overlap.ALLOW)
"""What follows another has no interval; what may overlap does not mind."""


def _good_runs(conn: Connection, schedule: str) -> list[GoodRun]:
    newest = _newest(schedule, RunState.SUCCEEDED, RunState.PARTIAL)
    next_due = (
        select(func.min(_LATER.c.due_at))
        .where(
            _LATER.c.schedule == newest.c.schedule,
            _LATER.c.due_at > newest.c.due_at,
            _LATER.c.retry_of.is_(None),
        )
        .scalar_subquery()
    )
    rows = conn.execute(
        select(
            newest.c.due_at, newest.c.triggered_at, newest.c.ended_at, next_due.label("next_due_at")
        )
        .where(
            newest.c.triggered_at.is_not(None),
            newest.c.created_by.is_(None),
            newest.c.retry_of.is_(None),
        )
        .order_by(newest.c.id.desc())
        .limit(3)
    )
    return records(GoodRun, rows)


def list_cancelling(conn: Connection, names: Collection[str]) -> set[str]:
    """Return which of these schedules have what overruns cancelled."""
    query = select(schedules.c.name).where(
        schedules.c.name.in_(names), schedules.c.on_overrun == OnOverrun.CANCEL
    )
    return set(conn.scalars(query)) if names else set()


def list_astray(conn: Connection, *, now: datetime, run_id: int | None = None) -> list[Observed]:
    """Return which runs that collect start late, overrun, or outlast the time to the next one."""
    query = _ASTRAY if run_id is None else _ASTRAY.where(runs.c.id == run_id)
    rows = conn.execute(query, {"now": now, "before": now - LATE_START_AFTER}).all()
    lost = set(conn.scalars(_LOST_CADENCE)) if rows and run_id is None else set()
    return [seen for row in rows for seen in _astray(row, lost, now)]


def _astray(row: Any, lost: Collection[str], now: datetime) -> Iterator[Observed]:
    if row.starts_late:
        since = row.start_eta + LATE_START_AFTER
        detail = f"{row.collection_id} was to start at {display_time(row.start_eta)}, and has not"
        yield _of_run(AlertKind.LATE_START, row, since, detail)
    if row.overruns and row.overdue_at is None and row.started_at is not None:
        lasts = format_duration(now - row.started_at)
        usual = format_duration(row.expected_end_at - row.started_at)
        detail = f"{row.collection_id} has run for {lasts}, {usual} is usual"
        yield _of_run(AlertKind.OVERRUN, row, row.overruns_at, detail)
    if row.next_due_at is not None and row.schedule not in lost:
        end_at = max(row.expected_end_at, now)
        if row.triggered_at < row.next_due_at < end_at:
            detail = (
                f"{row.collection_id} is expected to end at {display_time(end_at)}, and the next is"
                f" due at {display_time(row.next_due_at)}"
            )
            yield _of_run(AlertKind.OUTLASTING, row, now, detail)


def _of_run(kind: AlertKind, row: Any, since: datetime, detail: str) -> Observed:
    return Observed(
        kind=kind,
        subject=f"runs.{row.id}",
        since=since,
        detail=detail,
        schedule=row.schedule,
        collector=row.collector,
        labels=row.labels,
        run_id=row.id,
    )


def _select_astray() -> Select[Any]:
    now, before = (bindparam(name, type_=runs.c.due_at.type) for name in ("now", "before"))
    following = (
        select(func.min(_LATER.c.due_at))
        .where(
            _LATER.c.schedule == runs.c.schedule,
            _LATER.c.due_at > runs.c.due_at,
            _LATER.c.retry_of.is_(None),
        )
        .scalar_subquery()
    )
    next_due = func.coalesce(following, schedules.c.next_fire_at)
    keeps_time = and_(
        collections.c.expected_end_at.is_not(None),
        runs.c.created_by.is_(None),
        runs.c.retry_of.is_(None),
        schedules.c.enabled,
        *_KEEPS_TIME,
    )
    is_past_next = and_(keeps_time, or_(next_due < collections.c.expected_end_at, next_due < now))
    starts_late = and_(collections.c.started_at.is_(None), runs.c.start_eta <= before)
    overruns = and_(collections.c.overruns_at.is_not(None), collections.c.overruns_at <= now)
    return (
        select(
            *(runs.c.id, runs.c.schedule, runs.c.collector, runs.c.labels, runs.c.collection_id),
            *(runs.c.start_eta, runs.c.overdue_at, runs.c.triggered_at, collections.c.started_at),
            *(collections.c.expected_end_at, collections.c.overruns_at),
            starts_late.label("starts_late"),
            overruns.label("overruns"),
            case((is_past_next, next_due)).label("next_due_at"),
        )
        .join(collections, collections.c.id == runs.c.collection_id)
        .join(schedules, schedules.c.name == runs.c.schedule, isouter=True)
        .where(in_state(runs, RunState.COLLECTING), or_(starts_late, overruns, is_past_next))
        .order_by(runs.c.id + 0)  # by the index of what collects, not all runs by id
        .limit(_MOST)
    )


_ASTRAY: Final = _select_astray()
_LOST_CADENCE: Final = select(alerts.c.schedule).where(
    alerts.c.kind == AlertKind.CADENCE, alerts.c.recovered_at.is_(None)
)
