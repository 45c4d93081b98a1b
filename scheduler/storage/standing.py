"""What is wrong at a moment, whoever looks: one query for each kind of alert."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Select, and_, literal, or_, select, text

from scheduler.domain.budgets import budget_sentence, percent_used
from scheduler.domain.durations import parse_duration
from scheduler.domain.errors import InvalidInput
from scheduler.domain.notices import AlertKind, Observed
from scheduler.domain.parking import parked_sentence
from scheduler.domain.records import RunState
from scheduler.domain.results import EXPIRING_BEFORE, ResultState
from scheduler.domain.timestamps import display_time
from scheduler.storage import account_questions, readiness, results
from scheduler.storage.budget_desk import BudgetDesk
from scheduler.storage.budgets import any_budgets
from scheduler.storage.course import list_astray
from scheduler.storage.parked_inputs import count_parked
from scheduler.storage.results import Result
from scheduler.storage.runs.troubles import list_backlogs
from scheduler.storage.tables import brakes, daemons, in_state, last_ends, runs, schedules

SILENT_AFTER: Final = timedelta(minutes=2)
"""A daemon that was not seen for so long, and has not stopped, is silent."""
LATE_AFTER: Final = timedelta(minutes=1)
"""What was due for so long and is not decided is late."""
UNSAVED_AFTER: Final = timedelta(minutes=30)
"""A result that is not saved so long after its run has ended is told: most heals before."""
_FORGOTTEN_AFTER: Final = timedelta(days=1)
_MOST: Final = 1000


def list_standing(conn: Connection, *, now: datetime) -> list[Observed]:
    """Return what is wrong at *now* besides how runs have ended; _MOST of a kind."""
    return [
        *_invalid(conn, now),
        *_late(conn, now),
        *list_stale(conn, now=now),
        *_of_runs(conn, AlertKind.OVERDUE, _IS_OVERDUE, "overdue_at", "{} has not ended"),
        *list_astray(conn, now=now),
        *_of_runs(conn, AlertKind.NEEDS_ATTENTION, _NEEDS_A_PERSON, "moved_at", None),
        *_of_runs(conn, AlertKind.UNCONFIRMED, _IS_LOST, "moved_at", None),
        *_behind(conn, now),
        *_accounts(conn, now),
        *_daemons(conn, now),
        *_budgets(conn, now),
        *_balances(conn),
        *readiness.list_unready(conn, now=now),
        *_unsaved(conn, now),
        *_parked(conn),
    ]


def _parked(conn: Connection) -> Iterator[Observed]:
    for parked in count_parked(conn):
        yield Observed(
            kind=AlertKind.PARKED,
            subject=f"schedules.{parked.schedule}",
            since=parked.since,
            detail=parked_sentence(parked.count),
            schedule=parked.schedule,
            collector=parked.collector,
            labels=parked.labels,
        )


def _unsaved(conn: Connection, now: datetime) -> Iterator[Observed]:
    for result in results.list_unsaved(conn, limit=_MOST):
        failed = result.state is ResultState.FAILED
        why = f"{result.reason}: {result.detail}" if result.reason else "nobody has tried"
        if failed or result.created_at <= now - UNSAVED_AFTER:
            yield _of_result(AlertKind.UNSAVED, result, result.settled_at or now, why)
        left = result.expires_at - now
        if not failed and left <= EXPIRING_BEFORE:
            until = f"{display_time(result.expires_at)}, in {max(0, left.days)} days"
            detail = f"the upstream forgets {result.collection_id} at {until}; {why}"
            since = result.expires_at - EXPIRING_BEFORE
            yield _of_result(AlertKind.EXPIRING, result, since, detail)


def _of_result(kind: AlertKind, result: Result, since: datetime, detail: str) -> Observed:
    return Observed(
        kind=kind,
        subject=f"runs.{result.run_id}",
        since=since,
        detail=detail,
        schedule=result.schedule,
        collector=result.collector,
        labels=result.labels,
        run_id=result.run_id,
    )


def _budgets(conn: Connection, now: datetime) -> Iterator[Observed]:
    if not any_budgets(conn):
        return
    desk = BudgetDesk(conn, now)
    for budget, spent in desk.list_worn():
        is_spent = percent_used(budget, spent.whole) >= 100
        yield Observed(
            kind=AlertKind.BUDGET_SPENT if is_spent else AlertKind.BUDGET,
            subject=f"budgets.{budget.name}",
            since=now,
            detail=budget_sentence(budget, spent, month=desk.month),
        )


def _balances(conn: Connection) -> Iterator[Observed]:
    for account, asked, balance in account_questions.list_low(conn):
        yield Observed(
            kind=AlertKind.BALANCE,
            subject=f"accounts.{account.name}",
            since=asked,
            detail=f"the balance is {balance:,.2f}, below {account.balance_below:,.2f}",
        )


def list_stale(conn: Connection, *, now: datetime) -> list[Observed]:
    """Return the enabled schedules whose last good result is older than they say, by name."""
    rows = conn.execute(_fresh_schedules()).all()
    return [seen for row in rows for seen in _stale(row, now)][:_MOST]


def _fresh_schedules() -> Select[Any]:
    return (
        select(
            *_OF_SCHEDULE,
            schedules.c.fresh_within,
            schedules.c.created_at,
            last_ends.c.succeeded_at,
        )
        .join(last_ends, last_ends.c.schedule == schedules.c.name, isouter=True)
        .where(_HAS_FRESHNESS, schedules.c.enabled)
        .order_by(schedules.c.name)
    )


_HAS_FRESHNESS: Final = text("schedules.fresh_within IS NOT NULL")
_OF_SCHEDULE: Final = (schedules.c.name, schedules.c.collector, schedules.c.labels)


def _stale(row: Any, now: datetime) -> Iterator[Observed]:
    try:
        within = parse_duration(row.fresh_within)
    except InvalidInput:  # the schedule is invalid, and told as such
        return
    since = (row.succeeded_at or row.created_at) + within
    if since <= now:
        last = display_time(row.succeeded_at) if row.succeeded_at else "never"
        detail = f"last good result: {last}, and fresh_within = {row.fresh_within}"
        yield _of_schedule(AlertKind.STALE, row, since, detail)


def _invalid(conn: Connection, now: datetime) -> Iterator[Observed]:
    query = select(*_OF_SCHEDULE, schedules.c.error).where(
        schedules.c.enabled, schedules.c.error.is_not(None)
    )
    for row in conn.execute(query.order_by(schedules.c.name).limit(_MOST)):
        yield _of_schedule(AlertKind.INVALID, row, now, row.error)


def _late(conn: Connection, now: datetime) -> Iterator[Observed]:
    query = (
        select(*_OF_SCHEDULE, schedules.c.next_fire_at)
        .where(
            schedules.c.enabled,
            schedules.c.error.is_(None),
            schedules.c.next_fire_at < now - LATE_AFTER,
        )
        .order_by(schedules.c.next_fire_at)
        .limit(_MOST)
    )
    for row in conn.execute(query):
        detail = f"due at {display_time(row.next_fire_at)}, and no daemon has fired"
        yield _of_schedule(AlertKind.LATE, row, row.next_fire_at, detail)


def _behind(conn: Connection, now: datetime) -> Iterator[Observed]:
    backlogs = {row.schedule: row for row in list_backlogs(conn, now=now)}
    query = select(*_OF_SCHEDULE).where(schedules.c.name.in_(list(backlogs)))
    for row in conn.execute(query) if backlogs else ():
        backlog = backlogs[row.name]
        detail = (
            f"{backlog.waiting_count} of its runs have not begun, the first due"
            f" {display_time(backlog.due_at)}"
        )
        yield _of_schedule(AlertKind.BEHIND, row, now, detail)


def _of_schedule(kind: AlertKind, row: Any, since: datetime, detail: str) -> Observed:
    return Observed(
        kind=kind,
        subject=f"schedules.{row.name}",
        since=since,
        detail=detail,
        schedule=row.name,
        collector=row.collector,
        labels=row.labels,
    )


_IS_OVERDUE: Final = and_(in_state(runs, RunState.COLLECTING), runs.c.overdue_at.is_not(None))
_NEEDS_A_PERSON: Final = in_state(runs, RunState.NEEDS_ATTENTION)
_IS_LOST: Final = in_state(runs, RunState.UNCONFIRMED)


def _of_runs(
    conn: Connection,
    kind: AlertKind,
    condition: ColumnElement[bool],
    since: str,
    detail: str | None,
) -> Iterator[Observed]:
    query = select(
        runs.c.id,
        runs.c.schedule,
        runs.c.collector,
        runs.c.labels,
        runs.c.reason,
        runs.c.detail,
        runs.c.collection_id,
        runs.c.created_at,
        runs.c[since].label("since"),
    )
    for row in conn.execute(query.where(condition).order_by(runs.c.id + 0).limit(_MOST)):
        why = ": ".join(filter(None, (row.reason.replace("_", " "), row.detail)))
        yield Observed(
            kind=kind,
            subject=f"runs.{row.id}",
            since=row.since or row.created_at,
            detail=why if detail is None else detail.format(row.collection_id),
            schedule=row.schedule,
            collector=row.collector,
            labels=row.labels,
            run_id=row.id,
        )


def _accounts(conn: Connection, now: datetime) -> Iterator[Observed]:
    is_refused = and_(
        brakes.c.paused_at.is_not(None),
        brakes.c.paused_by.is_(None),
        or_(brakes.c.paused_until.is_(None), brakes.c.paused_until > now),
    )
    for row in conn.execute(select(brakes).where(is_refused)):
        yield Observed(
            kind=AlertKind.ACCOUNT_REFUSED,
            subject=f"accounts.{row.account}",
            since=row.paused_at,
            detail=row.paused_reason,
        )
    is_closed = and_(
        brakes.c.paused_at.is_(None), or_(brakes.c.open_until > now, brakes.c.trips > literal(0))
    )
    for row in conn.execute(select(brakes).where(is_closed)):
        yield Observed(
            kind=AlertKind.BRAKE,
            subject=f"accounts.{row.account}",
            since=now,
            detail=f"sends one request at a time, after {row.trips} pauses without a good answer",
        )


def _daemons(conn: Connection, now: datetime) -> Iterator[Observed]:
    known = conn.execute(
        select(daemons).where(daemons.c.seen_at >= now - _FORGOTTEN_AFTER)
    ).mappings()
    rows = list(known)
    for row in rows:
        if row["stopped_at"] is not None:
            continue
        who = f"pid {row['pid']} on {row['host']}"
        if row["seen_at"] < now - SILENT_AFTER:
            if not _is_replaced(row, rows):
                detail = f"{who} was last seen at {display_time(row['seen_at'])}"
                yield _of_daemon(AlertKind.DAEMON_SILENT, row, row["seen_at"], detail)
        elif row["config_refused_at"] is not None:
            detail = f"{who}: {row['last_error'] or 'see its log'}"
            yield _of_daemon(AlertKind.RELOAD_REFUSED, row, row["config_refused_at"], detail)


def _is_replaced(row: Mapping[Any, Any], rows: Sequence[Mapping[Any, Any]]) -> bool:
    """Tell whether another one was started when this one fell silent, or since."""
    return any(other["started_at"] >= row["seen_at"] for other in rows)


def _of_daemon(kind: AlertKind, row: Mapping[Any, Any], since: datetime, detail: str) -> Observed:
    return Observed(kind=kind, subject=f"daemons.{row['id']}", since=since, detail=detail)
