"""
Forgetting what is old: a few rows in each transaction, so that nobody waits for it.

What goes with a run, and what keeps it, follows from the tables: a row that cannot be without its
run goes with it, one that only names it keeps it.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any, Final

from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    Table,
    case,
    delete,
    exists,
    func,
    not_,
    or_,
    select,
)

from scheduler.domain.records import UNRESOLVED_STATES, RunState
from scheduler.domain.retention import (
    KEPT_OF_A_SCHEDULE,
    SAFE_AFTER,
    Needed,
    Newest,
    PastRun,
    Retention,
    may_go,
    without_torn,
)
from scheduler.storage import notices as old_notices
from scheduler.storage import other_jobs as old_jobs
from scheduler.storage import results as old_results
from scheduler.storage import usage as old_usage
from scheduler.storage.dialect import Inserted, insert_or_update, try_lock_pruning
from scheduler.storage.rows import columns_of, records
from scheduler.storage.tables import (
    alerts,
    bodies,
    changes,
    collections,
    deliveries,
    holds,
    in_state,
    metadata,
    notices,
    results,
    runs,
    schedules,
)
from scheduler.storage.upkeep_tables import run_counts, usage

LOOKED_AT: Final = 50
"""So many runs a transaction looks at, and about as many it forgets: 10 ms, not 100."""

_BODY_KEPT: Final = timedelta(days=1)


@dataclass(slots=True)
class Sweep:
    """
    One way through all runs, from the oldest on; *done* once it has come to the end.

    What each schedule needs is looked up once: it only ever moves on.
    """

    after_id: int = 0
    done: bool = False
    newest: dict[str, Newest] = field(default_factory=dict)
    last_sent: dict[tuple[str | None, str], tuple[int, datetime]] = field(default_factory=dict)


def prune_runs(
    conn: Connection, sweep: Sweep, rules: Retention, *, now: datetime, dry_run: bool = False
) -> dict[str, int]:
    """
    Forget what may go of the next runs of *sweep*, and count it for good; return rows by table.

    Of several daemons one does this at a time; the others find nothing.
    """
    if not try_lock_pruning(conn):
        sweep.done = True
        return {}
    page = _page(conn, runs.c.id > sweep.after_id, limit=LOOKED_AT)
    sweep.done = len(page) < LOOKED_AT or _are_young(page, rules, now)
    if not page:
        return {}
    sweep.after_id = page[-1].id
    group = _with_relatives(conn, page)
    needed = _needed(conn, sweep, group.values(), rules, now)
    going = {run.id for run in group.values() if may_go(run, rules, needed)}
    ids = sorted(without_torn(group, going - _named_elsewhere(conn, going)))
    if not ids:
        return {}
    gone = [group[run_id] for run_id in ids]
    if dry_run:  # nothing is gone: the relatives come again, each on its own page
        return _count_with(conn, runs, [run.id for run in page if run.id in ids])
    _count_for_good(conn, gone)
    counts = _delete_with(conn, runs, ids)
    counts[bodies.name] = _delete_bodies(conn, {run.body for run in gone if run.body}, now)
    return counts


def prune_others(
    conn: Connection, rules: Retention, *, now: datetime, limit: int
) -> dict[str, int]:
    """Forget old changes, holds, notices, results, usage, *limit* of each; return how many."""
    counts = {}
    for table, age, list_old in (
        (changes, rules.changes, _old_changes),
        (holds, rules.holds, _old_holds),
    ):
        if age is not None:
            ids = list_old(conn, now - age, limit)
            conn.execute(delete(table).where(table.c.id.in_(ids)))
            counts[table.name] = len(ids)
    old_jobs.prune(conn, now=now)
    if rules.notices is not None:
        old_rows = old_notices.list_old(conn, before=now - rules.notices, limit=limit)
        for table in (notices, deliveries, alerts):
            key = next(iter(table.primary_key.columns))
            conn.execute(delete(table).where(key.in_(old_rows[table.name])))
            counts[table.name] = len(old_rows[table.name])
    if rules.results is not None:
        gone = old_results.list_old(conn, before=now - rules.results, limit=limit)
        conn.execute(delete(results).where(results.c.run_id.in_(gone)))
        counts[results.name] = len(gone)
    if rules.usage is not None:
        counts[usage.name] = old_usage.prune(conn, now=now, age=rules.usage, limit=limit)
    return counts


def _old_changes(conn: Connection, before: datetime, limit: int) -> list[int]:
    # In the order in which they were written: no index has their times.
    first = select(changes.c.id, changes.c.happened_at).order_by(changes.c.id).limit(limit)
    return [row.id for row in conn.execute(first) if row.happened_at < before]


def _old_holds(conn: Connection, before: datetime, limit: int) -> list[int]:
    old = select(holds.c.id).where(holds.c.until < before).order_by(holds.c.until)
    return list(conn.scalars(old.limit(limit)))


def count_others(conn: Connection, rules: Retention, *, now: datetime) -> dict[str, int]:
    """Return how many changes, holds, notices, results and rows of usage may be forgotten."""
    ages = ((changes, rules.changes, changes.c.happened_at), (holds, rules.holds, holds.c.until))
    told: dict[str, list[Any]] = (
        {}
        if rules.notices is None
        else old_notices.list_old(conn, before=now - rules.notices, limit=None)
    )
    if rules.results is not None:
        told[results.name] = old_results.list_old(conn, before=now - rules.results, limit=None)
    used = {} if rules.usage is None else {usage.name: old_usage.count_old(conn, now, rules.usage)}
    counted = {name: len(keys) for name, keys in told.items()} | used
    return counted | {
        table.name: conn.scalar(select(func.count()).select_from(table).where(at < now - age)) or 0
        for table, age, at in ages
        if age is not None
    }


def pruned_until(conn: Connection, schedule: str) -> datetime | None:
    """Return the latest due time among the forgotten runs of *schedule*; None if there are none."""
    last = select(func.max(run_counts.c.last_due_at)).where(run_counts.c.schedule == schedule)
    moment: datetime | None = conn.scalar(last)
    return moment


def _page(conn: Connection, *conditions: Any, limit: int | None = None) -> list[PastRun]:
    query = select(*columns_of(PastRun, runs)).where(*conditions).order_by(runs.c.id)
    return records(PastRun, conn.execute(query.limit(limit)))


def _are_young(page: Sequence[PastRun], rules: Retention, now: datetime) -> bool:
    """Tell whether none of these is old enough: those that were written later are not either."""
    age = SAFE_AFTER if rules.runs_per_schedule else max(rules.runs or SAFE_AFTER, SAFE_AFTER)
    return all(run.ended_at is not None and run.ended_at > now - age for run in page)


def _with_relatives(conn: Connection, page: Sequence[PastRun]) -> dict[int, PastRun]:
    """Return these runs and all that name them, and the other chunks of their occurrences."""
    group: dict[int, PastRun] = {}
    new = {run.id: run for run in page}
    while new:
        group |= new
        ids = list(new)
        found = _page(conn, or_(runs.c.retry_of.in_(ids), runs.c.waits_for.in_(ids)))
        for schedule, due_at in {
            (run.schedule, run.due_at)
            for run in new.values()
            if run.chunks > 1 and run.schedule is not None
        }:
            # What was retried by hand is found by what it is a retry of.
            of_one = (runs.c.schedule == schedule, runs.c.due_at == due_at)
            found += _page(conn, *of_one, runs.c.retry_of.is_(None))
        new = {run.id: run for run in found if run.id not in group}
    return group


def _needed(
    conn: Connection, sweep: Sweep, group: Collection[PastRun], rules: Retention, now: datetime
) -> Needed:
    for name in {run.schedule for run in group if run.schedule is not None} - sweep.newest.keys():
        sweep.newest[name] = _newest(conn, name, rules)
    for run in group:
        key = (run.schedule, run.batch or "")
        if run.batch is not None and run.collection_id is not None and key not in sweep.last_sent:
            sweep.last_sent[key] = _last_sent(conn, run)
    return Needed(
        now=now,
        unresolved_since=_unresolved_since(conn),
        highest=conn.scalar(select(func.max(runs.c.id))) or 0,
        newest=sweep.newest,
        last_sent=sweep.last_sent,
    )


def _unresolved_since(conn: Connection) -> datetime | None:
    """Return when the oldest run was made that may have been sent; each question has its index."""
    oldest = select(func.min(runs.c.created_at))
    states = (UNRESOLVED_STATES, (RunState.NEEDS_ATTENTION,))
    found = (conn.scalar(oldest.where(in_state(runs, *each))) for each in states)
    return min((moment for moment in found if moment is not None), default=None)


def _newest(conn: Connection, schedule: str, rules: Retention) -> Newest:
    of_schedule = runs.c.schedule == schedule
    by_due = (
        select(runs.c.due_at)
        .where(of_schedule, runs.c.retry_of.is_(None), runs.c.chunk == 1)
        .order_by(runs.c.due_at.desc())
    )
    by_id = select(runs.c.id).where(of_schedule).order_by(runs.c.id.desc())
    most = rules.runs_per_schedule
    counted = select(schedules.c.name).where(
        schedules.c.name == schedule, schedules.c.max_runs.is_not(None)
    )
    return Newest(
        due_at=conn.scalar(by_due.offset(KEPT_OF_A_SCHEDULE - 1).limit(1)),
        id=conn.scalar(by_id.offset(KEPT_OF_A_SCHEDULE - 1).limit(1)),
        most_due_at=None if most is None else conn.scalar(by_due.offset(most - 1).limit(1)),
        is_counted=conn.scalar(counted) is not None,
    )


def _last_sent(conn: Connection, run: PastRun) -> tuple[int, datetime]:
    row = conn.execute(
        select(runs.c.id, runs.c.due_at)
        .where(
            runs.c.schedule == run.schedule,
            runs.c.batch == run.batch,
            runs.c.collection_id.is_not(None),
            runs.c.retry_of.is_(None),
        )
        .order_by(runs.c.id.desc())
        .limit(1)
    ).first()
    return (run.id, run.due_at) if row is None else (row.id, row.due_at)


@cache
def _references(table: Table) -> list[Column[Any]]:
    """Return the columns of all tables that name rows of *table*."""
    return [
        key.parent
        for other in metadata.sorted_tables
        for key in other.foreign_keys
        if key.column.table is table
    ]


def _named_elsewhere(conn: Connection, ids: Collection[int]) -> set[int]:
    """Return those of the runs that a row names which can be without them; runs are seen to."""
    return {
        run_id
        for column in _references(runs)
        if column.nullable and column.table is not runs
        for run_id in conn.scalars(select(column).where(column.in_(ids)))
    }


def _count_with(conn: Connection, table: Table, keys: Sequence[Any]) -> dict[str, int]:
    counts = {table.name: len(keys)}
    for column in _references(table):
        if not column.nullable:
            of_them = select(func.count()).select_from(column.table).where(column.in_(keys))
            counts[column.table.name] = conn.scalar(of_them) or 0
    return counts


def _delete_with(conn: Connection, table: Table, keys: Sequence[Any]) -> dict[str, int]:
    """Delete rows, those first that cannot be without them; return how many, by table."""
    counts: dict[str, int] = defaultdict(int)
    for column in _references(table):
        if not column.nullable:
            owned = column.table
            names_itself = any(not one.nullable for one in _references(owned))
            key = next(iter(owned.primary_key.columns))
            if names_itself and len(owned.primary_key.columns) == 1:
                found = list(conn.scalars(select(key).where(column.in_(keys))))
                for name, count in _delete_with(conn, owned, found).items():
                    counts[name] += count
            else:
                counts[owned.name] += conn.execute(delete(owned).where(column.in_(keys))).rowcount
    (key,) = table.primary_key.columns
    counts[table.name] += conn.execute(delete(table).where(key.in_(keys))).rowcount
    return dict(counts)


def _delete_bodies(conn: Connection, fingerprints: Collection[str], now: datetime) -> int:
    is_named = or_(
        *(exists().where(column == bodies.c.fingerprint) for column in _references(bodies))
    )
    unused = delete(bodies).where(
        bodies.c.fingerprint.in_(fingerprints),
        bodies.c.created_at < now - _BODY_KEPT,
        not_(is_named),
    )
    return conn.execute(unused).rowcount


def _count_for_good(conn: Connection, gone: Iterable[PastRun]) -> None:
    gone = list(gone)
    ids = [run.collection_id for run in gone if run.collection_id is not None]
    brought = {
        row.id: row
        for row in conn.execute(
            select(
                collections.c.id,
                collections.c.inputs,
                collections.c.lines,
                collections.c.fails,
                collections.c.pages,
            ).where(collections.c.id.in_(ids))
        )
    }
    rows: dict[tuple[str, str, str, str], dict[str, Any]] = {}
    for run in gone:
        day = f"{run.due_at.astimezone(UTC):%Y-%m-%d}"
        key = (day, run.schedule or "", run.collector, run.state)
        row = rows.setdefault(key, dict.fromkeys(_SUMS, 0) | {"last_due_at": run.due_at})
        found = brought.get(run.collection_id or "")
        row["runs"] += 1
        row["occurrences"] += run.occurrences if run.retry_of is None and run.chunk == 1 else 0
        row["last_due_at"] = max(row["last_due_at"], run.due_at)
        for name in _BROUGHT:
            row[name] += getattr(found, name, None) or 0
    values = [
        dict(zip(("day", "schedule", "collector", "state"), key, strict=True)) | row
        for key, row in rows.items()
    ]
    conn.execute(_ADDED, values)


def _added(new: Inserted) -> dict[str, ColumnElement[Any]]:
    last, before = new["last_due_at"], run_counts.c.last_due_at
    sums = {name: run_counts.c[name] + new[name] for name in _SUMS}
    return sums | {"last_due_at": case((last > before, last), else_=before)}


_BROUGHT: Final = ("inputs", "lines", "fails", "pages")
_SUMS: Final = ("runs", "occurrences", *_BROUGHT)
_ADDED: Final = insert_or_update(run_counts, _added)
