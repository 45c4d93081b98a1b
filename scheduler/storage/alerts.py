"""What is wrong, since when, and who knows: one open row for each kind and subject."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, and_, exists, func, null, or_, select, update

from scheduler.domain.notices import NOT_SENT, Alert, AlertKind, EndedRun, Observed
from scheduler.domain.records import Reason, RunState
from scheduler.storage.course import list_lost_cadence
from scheduler.storage.json_rows import JsonValues
from scheduler.storage.rows import records, values_of
from scheduler.storage.run_events import Stretch
from scheduler.storage.tables import alerts, collectors, run_events, runs, schedules

_IS_OPEN: Final = alerts.c.recovered_at.is_(None)


def list_open(conn: Connection) -> list[Alert]:
    """Return what is wrong now, the oldest first."""
    rows = conn.execute(select(alerts).where(_IS_OPEN).order_by(alerts.c.since, alerts.c.id))
    return records(Alert, rows)


def list_page(
    conn: Connection, *, with_recovered: bool, limit: int, before_id: int | None = None
) -> list[Alert]:
    """Return alerts, the newest first: the open ones, or those that are over as well."""
    query = select(alerts).order_by(alerts.c.id.desc()).limit(limit)
    if not with_recovered:
        query = query.where(_IS_OPEN)
    if before_id is not None:
        query = query.where(alerts.c.id < before_id)
    return records(Alert, conn.execute(query))


def count_page(conn: Connection, *, with_recovered: bool, most: int) -> int:
    """Return how many alerts `list_page` has; they are counted up to *most*."""
    chosen = select(alerts.c.id).limit(most)
    if not with_recovered:
        chosen = chosen.where(_IS_OPEN)
    return conn.scalar(select(func.count()).select_from(chosen.subquery())) or 0


def count_open(conn: Connection) -> dict[AlertKind, int]:
    """Return how many alerts of each kind are open."""
    rows = conn.execute(select(alerts.c.kind, func.count()).where(_IS_OPEN).group_by(alerts.c.kind))
    return {AlertKind(kind): count for kind, count in rows}


def insert_alert(conn: Connection, seen: Observed) -> Alert:
    """Write down that something is wrong since then."""
    values = values_of(seen)
    key = conn.execute(alerts.insert().values(**values, last_at=seen.since)).inserted_primary_key
    assert key is not None  # noqa: S101 - an INSERT of one row has a key
    return Alert(
        id=key[0],
        **values,
        last_at=seen.since,
        count=1,
        recovered_at=None,
        acked_at=None,
        acked_by=None,
        acked_reason=None,
        acked_until=None,
    )


def update_alert(conn: Connection, alert: Alert) -> None:
    """Write what became of an alert: how often, when and how last, and its end."""
    conn.execute(
        update(alerts)
        .where(alerts.c.id == alert.id)
        .values(
            last_at=alert.last_at,
            count=alert.count,
            detail=alert.detail,
            run_id=alert.run_id,
            recovered_at=alert.recovered_at,
        )
    )


def happened_again(alert: Alert, seen: Observed) -> Alert:
    """Return *alert* with what was seen of it last."""
    return replace(
        alert,
        last_at=max(alert.last_at, seen.since),
        count=alert.count + 1,
        detail=seen.detail,
        run_id=seen.run_id,
    )


def acknowledge(
    conn: Connection,
    ids: Collection[int],
    *,
    by: str,
    reason: str | None,
    until: datetime | None,
    now: datetime,
) -> None:
    """Note that somebody knows: nobody is reminded any more."""
    conn.execute(
        update(alerts)
        .where(alerts.c.id.in_(ids), _IS_OPEN)
        .values(acked_at=now, acked_by=by, acked_reason=reason, acked_until=until)
    )


def list_ended_runs(
    conn: Connection, stretch: Stretch, subjects: Iterable[str], *, with_good: bool
) -> list[EndedRun]:
    """
    Return those ends of runs that somebody may have to hear of, in order.

    What failed or was missed, or ended after the next was due; any end of *subjects*, whose
    alerts are open, and of schedules with `on_end`; with *with_good* also what succeeded.
    """
    named = list(subjects)
    of_schedules = _names(named, "schedules.")
    of_collectors = _names(named, "collectors.")
    matters = or_(
        run_events.c.to_state.in_((RunState.FAILED, RunState.PARTIAL)),
        and_(run_events.c.to_state == RunState.SKIPPED, run_events.c.reason.in_(NOT_SENT)),
        and_(run_events.c.to_state == RunState.CANCELLED, run_events.c.reason == Reason.OVERRUN),
        and_(run_events.c.to_state == RunState.SUCCEEDED, _IS_FOLLOWED),
        schedules.c.on_end.is_not(None),
        _SCHEDULES.has(runs.c.schedule),
        and_(runs.c.schedule.is_(None), _COLLECTORS.has(runs.c.collector)),
        *([run_events.c.to_state == RunState.SUCCEEDED] if with_good else []),
    )
    rows = conn.execute(
        select(
            run_events.c.run_id,
            run_events.c.happened_at,
            run_events.c.to_state,
            run_events.c.reason,
            run_events.c.detail,
            runs.c.schedule,
            runs.c.collector,
            runs.c.labels,
            schedules.c.on_end,
            null().label("has_lost_cadence"),
        )
        .join(runs, runs.c.id == run_events.c.run_id)
        .join(schedules, schedules.c.name == runs.c.schedule, isouter=True)
        .where(stretch.condition, matters)
        .order_by(run_events.c.id),
        _SCHEDULES.of(of_schedules) | _COLLECTORS.of(of_collectors),
    )
    return _with_cadence(conn, records(EndedRun, rows))


_LATER: Final = runs.alias("later")
_IS_FOLLOWED: Final = exists(
    select(_LATER.c.id).where(
        _LATER.c.schedule == runs.c.schedule,
        _LATER.c.due_at > runs.c.due_at,
        _LATER.c.due_at <= run_events.c.happened_at,
        _LATER.c.retry_of.is_(None),
    )
)
"""The condition that the next of its schedule was due before it has ended."""


def _with_cadence(conn: Connection, ended: list[EndedRun]) -> list[EndedRun]:
    good = (RunState.SUCCEEDED, RunState.PARTIAL)
    names = {run.schedule for run in ended if run.schedule is not None and run.to_state in good}
    if not names:
        return ended
    lost = list_lost_cadence(conn, names)
    return [
        replace(run, has_lost_cadence=lost.get(run.schedule or "")) if run.to_state in good else run
        for run in ended
    ]


def find_on_end(conn: Connection, run_id: int) -> str | None:
    """Return the channel that hears of the run's end; None for none."""
    channel: str | None = conn.scalar(
        select(schedules.c.on_end)
        .join(runs, runs.c.schedule == schedules.c.name)
        .where(runs.c.id == run_id)
    )
    return channel


def _names(subjects: Sequence[str], table: str) -> list[str]:
    return [one.removeprefix(table) for one in subjects if one.startswith(table)]


_SCHEDULES: Final = JsonValues("of_schedules", runs.c.schedule.type)
_COLLECTORS: Final = JsonValues("of_collectors", runs.c.collector.type)


def list_gone(conn: Connection, open_alerts: Iterable[Alert]) -> list[Alert]:
    """Return the alerts whose schedule is not enabled, or whose subject is no more."""
    found = list(open_alerts)
    enabled = set(_existing(conn, schedules, [a.schedule for a in found if a.schedule]))
    there = set(_existing(conn, collectors, [a.collector for a in found if a.collector]))
    return [
        alert
        for alert in found
        if (alert.schedule is not None and alert.schedule not in enabled)
        or (alert.schedule is None and alert.collector is not None and alert.collector not in there)
    ]


def _existing(conn: Connection, table: Any, names: list[str]) -> list[str]:
    if not names:
        return []
    query = select(table.c.name).where(_NAMES.has(table.c.name))
    if table is schedules:
        query = query.where(schedules.c.enabled)
    return list(conn.scalars(query, _NAMES.of(names)))


_NAMES: Final = JsonValues("names", schedules.c.name.type)
