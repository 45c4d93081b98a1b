"""
What was sent on each day of UTC, for whoever asks what may still be sent, and what it cost.

Rows of `usage` are counted from the history of runs, in the transaction that moves the cursor of
who counts; deleting runs takes nothing back. What that has not come to yet is read from the
events themselves, so that an answer is exact at any moment.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Final

from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    and_,
    case,
    delete,
    func,
    or_,
    select,
    tuple_,
    union_all,
)

from scheduler.domain.durations import parse_duration
from scheduler.domain.errors import InvalidInput
from scheduler.domain.limits import Scope, ScopeKind, Used, day_of
from scheduler.domain.records import ENDED_STATES, UNRESOLVED_STATES, RunState
from scheduler.domain.retention import USAGE_KEPT
from scheduler.storage import limits
from scheduler.storage.dialect import Inserted, insert_or_update
from scheduler.storage.dialect import day_of as day_column
from scheduler.storage.rows import records
from scheduler.storage.run_events import Stretch
from scheduler.storage.tables import bodies, collections, event_cursors, in_state, run_events, runs
from scheduler.storage.upkeep_tables import usage

COUNTER: Final = "metrics"
"""The consumer of events that writes the rows."""

_KEY: Final = ("day", "account", "collector", "schedule", "labels")
_SUMS: Final = ("runs", "inputs", "pages", "paged_inputs")


def record(conn: Connection, stretch: Stretch) -> None:
    """Count what a stretch of the history tells."""
    told = _told(conn, stretch.condition).subquery()
    keys = [told.c[name] for name in _KEY]
    sums = [func.sum(told.c[name]).label(name) for name in _SUMS]
    last = func.max(told.c.last_meant_at).label("last_meant_at")
    # In one order: two that add to the same rows never wait for each other in a circle.
    rows = select(*keys, *sums, last).group_by(*keys).having(sums[0] >= 0).order_by(*keys)
    columns = (*_KEY, *_SUMS, "last_meant_at")
    conn.execute(insert_or_update(usage, _added).from_select(columns, rows))


def _added(row: Inserted) -> Mapping[str, Any]:
    last, new = usage.c.last_meant_at, row.last_meant_at
    return {name: usage.c[name] + row[name] for name in _SUMS} | {
        "last_meant_at": case((or_(last.is_(None), new > last), new), else_=last)
    }


def _told(conn: Connection, condition: ColumnElement[bool]) -> Select[Any]:
    """Return what events come to, a row each: an acceptance, or the end of a collection."""
    is_accepted = run_events.c.to_state == RunState.COLLECTING
    pages = case((is_accepted, 0), else_=func.coalesce(page_loads(), 0))
    has_pages = and_(~is_accepted, page_loads().is_not(None))
    columns: list[ColumnElement[Any]] = [
        day_column(conn, run_events.c.happened_at).label("day"),
        *_of_run(),
        case((is_accepted, _counts_as_run()), else_=0).label("runs"),
        case((is_accepted, _inputs()), else_=0).label("inputs"),
        pages.label("pages"),
        case((has_pages, _inputs()), else_=0).label("paged_inputs"),
        case((is_accepted, _meant_at())).label("last_meant_at"),
    ]
    return (
        select(*columns)
        .join(runs, runs.c.id == run_events.c.run_id)
        .outerjoin(bodies, bodies.c.fingerprint == runs.c.body)
        .outerjoin(collections, collections.c.id == runs.c.collection_id)
        .where(
            condition,
            or_(
                is_accepted,
                and_(
                    run_events.c.from_state == RunState.COLLECTING,
                    run_events.c.to_state.in_(ENDED_STATES),
                ),
            ),
        )
    )


def page_loads() -> ColumnElement[int]:
    """Return what a collection is billed for: as the jobs list tells it, else as its log does."""
    return func.coalesce(collections.c.page_loads, collections.c.pages)


def _of_run() -> list[ColumnElement[str]]:
    return [
        runs.c.account,
        runs.c.collector,
        func.coalesce(runs.c.schedule, "").label("schedule"),
        func.coalesce(runs.c.labels, "").label("labels"),
    ]


def _counts_as_run() -> ColumnElement[int]:
    """Return 1 but for the later chunks of an occurrence, which is one run."""
    return case((or_(runs.c.chunk == 1, runs.c.retry_of.is_not(None)), 1), else_=0)


def _inputs() -> ColumnElement[int]:
    return func.coalesce(bodies.c.row_count, 0)


def _meant_at() -> ColumnElement[datetime]:
    is_of_timetable = and_(runs.c.created_by.is_(None), runs.c.retry_of.is_(None))
    return case((is_of_timetable, runs.c.due_at), else_=runs.c.created_at)


def read_used(conn: Connection, scope: Scope, *, now: datetime, since: datetime) -> Used:
    """
    Return what was accepted of *scope* on the day of *now*, and what may have been and is looked
    for; the newest run is one of the days from that of *since* on.
    """
    return list_used(conn, scope.kind, [scope.name], now=now, since=since)[scope.name]


def list_used(
    conn: Connection, kind: ScopeKind, names: Sequence[str], *, now: datetime, since: datetime
) -> dict[str, Used]:
    """Return the same of each of *names*, all of them schedules, collectors or accounts."""
    # What is on the way first: a run that moves in between counts twice rather than not at all.
    # Each by an index of its own, which follows what is open.
    states = (UNRESOLVED_STATES, (RunState.NEEDS_ATTENTION,))
    on_the_way = union_all(*(_on_the_way(kind, names, *some) for some in states)).subquery().c
    way = conn.execute(
        select(
            on_the_way.name,
            func.sum(on_the_way.runs).label("runs"),
            func.sum(on_the_way.inputs).label("inputs"),
            func.max(on_the_way.last_meant_at).label("last_meant_at"),
        ).group_by(on_the_way.name)
    )
    named = partial(_named, kind, names)
    counted = _counted(conn, named, since=day_of(since)).subquery()
    is_today = counted.c.day == day_of(now)
    done = conn.execute(
        select(
            counted.c[kind.value].label("name"),
            func.sum(case((is_today, counted.c.runs), else_=0)).label("runs"),
            func.sum(case((is_today, counted.c.inputs), else_=0)).label("inputs"),
            func.max(counted.c.last_meant_at).label("last_meant_at"),
        ).group_by(counted.c[kind.value])
    )
    used = dict.fromkeys(names, Used())
    for row in (*way, *done):
        if row.name in used:
            used[row.name] = _and(used[row.name], row)
    return used


def _and(used: Used, row: Any) -> Used:
    met = [at for at in (used.last_meant_at, row.last_meant_at) if at is not None]
    return Used(
        runs=used.runs + int(row.runs or 0),
        inputs=used.inputs + int(row.inputs or 0),
        last_meant_at=max(met, default=None),
    )


_Within = Callable[[Any], Iterable[ColumnElement[bool]]]
"""What narrows the rows of `runs`, or of `usage`."""


def _named(kind: ScopeKind, names: Sequence[str], table: Any) -> Iterable[ColumnElement[bool]]:
    # Several are picked out of the answer: by their names all runs that they ever had are read.
    return (table.c[kind.value] == names[0],) if len(names) == 1 else ()


def _on_the_way(kind: ScopeKind, names: Sequence[str], *states: RunState) -> Select[Any]:
    columns: list[ColumnElement[Any]] = [
        runs.c[kind.value].label("name"),
        _counts_as_run().label("runs"),
        _inputs().label("inputs"),
        _meant_at().label("last_meant_at"),
    ]
    return (
        select(*columns)
        .outerjoin(bodies, bodies.c.fingerprint == runs.c.body)
        .where(in_state(runs, *states), *_named(kind, names, runs))
    )


def _counted(conn: Connection, within: _Within, *, since: str) -> Select[Any]:
    """Return the rows *within* of the days from *since* on, and what nobody has counted yet."""
    both = union_all(*_halves(conn, within, since=since)).subquery()
    return select(*both.c).where(both.c.day >= since)


def _halves(conn: Connection, within: _Within, *, since: str) -> tuple[Select[Any], Select[Any]]:
    columns = (*_KEY, *_SUMS, "last_meant_at")
    rows = select(*(usage.c[name] for name in columns)).where(usage.c.day >= since, *within(usage))
    place = tuple_(run_events.c.transaction_id, run_events.c.id)
    cursor = tuple_(
        *(
            func.coalesce(
                select(event_cursors.c[name])
                .where(event_cursors.c.consumer == COUNTER)
                .scalar_subquery(),
                0,
            )
            for name in ("transaction_id", "event_id")
        )
    )
    return rows, _told(conn, cursor < place).where(*within(runs))


@dataclass(frozen=True, kw_only=True)
class Group:
    """What belongs together in costs: the runs of a schedule, or those asked for by hand."""

    account: str
    collector: str
    schedule: str | None
    labels: str | None
    runs: int
    inputs: int
    pages: int


def list_groups(conn: Connection, *, since: str, until: str = "9999") -> list[Group]:
    """Return what was accepted, and what ended, on the days from *since* to before *until*."""
    # Each half is added up by itself first: a month has tens of thousands of rows.
    halves = (half.subquery() for half in _halves(conn, lambda _: (), since=since))
    of_days = (_added_up(half).where(half.c.day >= since, half.c.day < until) for half in halves)
    both = union_all(*of_days).subquery()
    return [whole(group) for group in records(Group, conn.execute(_added_up(both)))]


def _added_up(rows: Any) -> Select[Any]:
    # What tells most rows apart goes first: so they are sorted by fewer comparisons.
    key = [rows.c[name] for name in reversed(_KEY[1:])]
    sums = [func.sum(rows.c[name]).label(name) for name in ("runs", "inputs", "pages")]
    return select(*key, *sums).group_by(*key)


def whole(group: Group) -> Group:
    """Return the same with whole numbers, where PostgreSQL gives decimals; and None for nobody."""
    return Group(
        account=group.account,
        collector=group.collector,
        schedule=group.schedule or None,
        labels=group.labels or None,
        runs=int(group.runs),
        inputs=int(group.inputs),
        pages=int(group.pages),
    )


@dataclass(frozen=True, kw_only=True)
class Sending:
    """A run that is about to be sent, as much of it as limits ask for."""

    id: int
    account: str
    collector: str
    schedule: str | None
    labels: str | None
    due_at: datetime
    meant_at: datetime
    chunks: int
    is_first: bool
    past_limits: bool
    inputs: int


def list_sending(conn: Connection, run_ids: Sequence[int]) -> list[Sending]:
    """Hold and return those of these runs that still wait, in that order; not what others hold."""
    rows = conn.execute(
        select(
            *(runs.c[name] for name in ("id", "account", "collector", "schedule", "labels")),
            runs.c.due_at,
            _meant_at().label("meant_at"),
            runs.c.chunks,
            (_counts_as_run() == 1).label("is_first"),
            runs.c.past_limits,
            _inputs().label("inputs"),
        )
        .outerjoin(bodies, bodies.c.fingerprint == runs.c.body)
        .where(runs.c.id.in_(run_ids), in_state(runs, RunState.QUEUED))
        .with_for_update(skip_locked=True, of=runs)
    )
    found = {run.id: run for run in records(Sending, rows)}
    return [found[run_id] for run_id in run_ids if run_id in found]


def list_queued_chunks(conn: Connection, of: Sending) -> dict[int, int]:
    """Return the inputs of the queued chunks of an occurrence, that one's own among them."""
    if of.chunks == 1:
        return {of.id: of.inputs}
    rows = conn.execute(
        select(runs.c.id, _inputs().label("inputs"))
        .outerjoin(bodies, bodies.c.fingerprint == runs.c.body)
        .where(
            runs.c.schedule.is_(None) if of.schedule is None else runs.c.schedule == of.schedule,
            runs.c.due_at == of.due_at,
            runs.c.retry_of.is_(None),
            runs.c.collector == of.collector,
            runs.c.chunks == of.chunks,
            in_state(runs, RunState.QUEUED),
        )
    )
    return {row.id: row.inputs for row in rows} | {of.id: of.inputs}


def count_inputs(conn: Connection, fingerprints: Collection[str]) -> dict[str, int]:
    """Return how many inputs the stored bodies of these fingerprints have."""
    named = bodies.c.fingerprint.in_(fingerprints)
    rows = conn.execute(select(bodies.c.fingerprint, bodies.c.row_count).where(named))
    return {row.fingerprint: row.row_count for row in rows}


def prune(conn: Connection, *, now: datetime, age: timedelta, limit: int) -> int:
    """Forget *limit* rows of days that are older than *age*; return how many there were."""
    key = [usage.c[name] for name in _KEY]
    old = select(*key).where(usage.c.day < _kept_since(conn, now, age)).order_by(*key).limit(limit)
    return conn.execute(delete(usage).where(tuple_(*key).in_(old))).rowcount


def count_old(conn: Connection, now: datetime, age: timedelta) -> int:
    """Return how many rows `prune` would forget."""
    is_old = usage.c.day < _kept_since(conn, now, age)
    return conn.scalar(select(func.count()).select_from(usage).where(is_old)) or 0


def _kept_since(conn: Connection, now: datetime, age: timedelta) -> str:
    """Return the first day that is kept: two months at least, and as long as a `min_interval`."""
    texts = (row.min_interval for row in limits.list_limits(conn))
    intervals = [_duration(text) for text in texts if text is not None]
    return day_of(now - max(age, USAGE_KEPT, *intervals))


def _duration(text: str) -> timedelta:
    try:
        return parse_duration(text)
    except InvalidInput:  # its row is invalid, and told as such
        return timedelta()
