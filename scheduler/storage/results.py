"""Results that are saved to files: what is to be, under whose lease, and what became of it."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    Select,
    and_,
    func,
    literal_column,
    or_,
    select,
    update,
)

from scheduler.domain.durations import parse_duration
from scheduler.domain.errors import InvalidInput, NotFound
from scheduler.domain.records import RunState
from scheduler.domain.results import (
    EXPIRING_BEFORE,
    ResultOf,
    ResultPath,
    ResultReason,
    ResultState,
    render_result_path,
)
from scheduler.domain.timetable import find_zone
from scheduler.domain.verdict import KEPT_FOR
from scheduler.storage import bounds
from scheduler.storage.dialect import insert_new
from scheduler.storage.rows import records
from scheduler.storage.tables import collections, collectors, in_state, results, runs, schedules


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """
    What is, or is to be, saved of a run.

    *path* is below the folder of [results] on *host*. *next_attempt_at* is when it is tried next;
    while somebody tries, when they must have shown that they live. *expires_at* is when the
    upstream forgets it, *remove_at* when the file is removed.
    """

    run_id: int
    collection_id: str
    account: str
    schedule: str | None
    collector: str
    labels: str | None
    due_at: datetime
    path: str | None
    keep_saved: str | None
    state: ResultState
    reason: str | None
    detail: str | None
    created_at: datetime
    expires_at: datetime
    attempt_count: int
    next_attempt_at: datetime | None
    lease_owner: str | None
    host: str | None
    row_count: int | None
    byte_count: int | None
    sha256: str | None
    settled_at: datetime | None
    remove_at: datetime | None


def expect(conn: Connection, run_ids: Collection[int], *, now: datetime) -> None:
    """Write down what is to be saved of runs that have ended well, in the transaction of that."""
    if run_ids:
        rows = [_new(row, now) for row in _with_paths(conn, runs.c.id.in_(run_ids))]
        if rows:
            conn.execute(insert_new(results), rows)


_SAVED_STATES: Final = (RunState.SUCCEEDED, RunState.PARTIAL)
_SAVE_TO: Final = func.coalesce(schedules.c.save_to, collectors.c.save_to)
_OF_RUN: Final = ("collection_id", "account", "schedule", "collector", "labels", "due_at")


def _with_paths(conn: Connection, condition: ColumnElement[bool]) -> list[Row[Any]]:
    query = (
        select(
            runs.c.id.label("run_id"),
            *(runs.c[name] for name in _OF_RUN),
            runs.c.retry_of,
            runs.c.chunks,
            collections.c.finished_at,
            schedules.c.timezone,
            _SAVE_TO.label("save_to"),
            func.coalesce(schedules.c.keep_saved, collectors.c.keep_saved).label("keep_saved"),
        )
        .join(collections, collections.c.id == runs.c.collection_id)
        .join(schedules, schedules.c.name == runs.c.schedule, isouter=True)
        .join(collectors, collectors.c.name == runs.c.collector, isouter=True)
        .where(condition, in_state(runs, *_SAVED_STATES), _SAVE_TO.is_not(None))
    )
    return list(conn.execute(query))


def _new(row: Row[Any], now: datetime) -> dict[str, Any]:
    return {
        "run_id": row.run_id,
        **{name: getattr(row, name) for name in _OF_RUN},
        "created_at": now,
        "expires_at": (row.finished_at or now) + KEPT_FOR,
        **_planned(row, now),
    }


def _planned(row: Row[Any], now: datetime) -> dict[str, Any]:
    """Return the columns of a result that is tried from now on, or that has no path."""
    fresh = {"keep_saved": row.keep_saved, "reason": None, "detail": None, "attempt_count": 0}
    try:
        path = _path(row)
    except InvalidInput as error:
        failed = {"state": ResultState.FAILED, "settled_at": now, "next_attempt_at": None}
        why = {"reason": ResultReason.BAD_PATH, "detail": str(error)}
        return {**fresh, "path": None, **failed, **why}
    waits = {"state": ResultState.WAITING, "settled_at": None, "next_attempt_at": now}
    return {**fresh, "path": str(path), **waits}


def _path(row: Row[Any]) -> ResultPath:
    of = ResultOf(
        run_id=row.run_id,
        collection_id=row.collection_id,
        schedule=row.schedule,
        collector=row.collector,
        due_at=row.due_at,
        is_one_of_several=row.retry_of is not None or row.chunks > 1,
    )
    return render_result_path(row.save_to, of, zone=find_zone(row.timezone or "UTC"))


STORE: Final = "(object store)"
"""In place of a host, of what any daemon may remove."""


class Place(StrEnum):
    """Where results stand that a daemon can save."""

    FILES = "files"
    OBJECTS = "objects"
    UNTOLD = "untold"  # objects that were not tried yet
    ALL = "all"


_IS_OBJECT: Final = results.c.path.like("%://%")
_OF: Final[Mapping[Place, ColumnElement[bool]]] = {
    Place.FILES: ~_IS_OBJECT,
    Place.OBJECTS: _IS_OBJECT,
    Place.UNTOLD: and_(_IS_OBJECT, results.c.reason.is_(None)),
    Place.ALL: results.c.path.is_not(None),
}


def find_next(conn: Connection, *, of: Place = Place.ALL) -> datetime | None:
    """Return when a result of such a place is next to be tried; None for never."""
    due: datetime | None = conn.scalar(_NEXT.where(_OF[of]))
    return due


def tell_no_store(conn: Connection, *, detail: str, now: datetime) -> None:
    """Say why objects wait that are due, and that this daemon cannot save."""
    untold = update(results).where(results.c.next_attempt_at <= now, _OF[Place.UNTOLD])
    conn.execute(untold.values(reason=ResultReason.NO_STORE, detail=detail))


_NEXT: Final[Select[Any]] = select(func.min(results.c.next_attempt_at)).where(
    results.c.next_attempt_at.is_not(None)
)


def list_accounts(conn: Connection, *, of: Place = Place.ALL, now: datetime) -> list[str]:
    """Return the accounts of results of such a place that are to be tried now."""
    due = select(results.c.account).where(results.c.next_attempt_at <= now, _OF[of])
    return list(conn.scalars(due.distinct().order_by(results.c.account)))


def claim(
    conn: Connection,
    account: str,
    *,
    of: Place = Place.ALL,
    now: datetime,
    owner: str,
    until: datetime,
    limit: int,
) -> list[Result]:
    """Take the next results of *account* that are due; nobody else does before *until*."""
    due = (
        select(results.c.run_id)
        .where(results.c.account == account, results.c.next_attempt_at <= now, _OF[of])
        .order_by(results.c.next_attempt_at, results.c.run_id)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    ids = list(conn.scalars(due))
    conn.execute(
        update(results)
        .where(results.c.run_id.in_(ids))
        .values(next_attempt_at=until, lease_owner=owner, attempt_count=results.c.attempt_count + 1)
    )
    return records(Result, conn.execute(select(results).where(results.c.run_id.in_(ids))))


def _is_mine(result: Result) -> ColumnElement[bool]:
    """Tell a claim from each later one: of the same row, by its number."""
    return and_(
        results.c.run_id == result.run_id,
        results.c.state == ResultState.WAITING,
        results.c.lease_owner == result.lease_owner,
        results.c.attempt_count == result.attempt_count,
    )


def renew(conn: Connection, result: Result, *, until: datetime, now: datetime) -> bool:
    """Keep a claim until then; False where it is another's by now, or over."""
    kept = conn.execute(
        update(results)
        .where(_is_mine(result), results.c.next_attempt_at > now)
        .values(next_attempt_at=until)
    )
    return kept.rowcount == 1


def announce_file(
    conn: Connection, result: Result, file: Mapping[str, Any], *, until: datetime, now: datetime
) -> bool:
    """Write down what the *file* holds that gets its name next; False where that is not ours."""
    done = conn.execute(
        update(results)
        .where(_is_mine(result), results.c.next_attempt_at > now)
        .values(next_attempt_at=until, **file)
    )
    return done.rowcount == 1


def record_saved(conn: Connection, result: Result, *, host: str | None, now: datetime) -> bool:
    """Note that the file stands there, whole; False where somebody else has noted it."""
    try:
        keep = parse_duration(result.keep_saved) if result.keep_saved is not None else None
    except InvalidInput:  # a text that is no duration keeps the file
        keep = None
    return _settle(
        conn,
        _is_mine(result),
        state=ResultState.SAVED,
        reason=None,
        detail=None,
        host=host,
        settled_at=now,
        remove_at=None if keep is None else now + keep,
    )


def record_failure(
    conn: Connection,
    result: Result,
    *,
    reason: ResultReason,
    detail: str,
    again: datetime | None,
    now: datetime,
) -> bool:
    """Note why it was not saved; *again* is when it is tried next, None: never by itself."""
    told = {"reason": reason, "detail": detail[:_LONGEST_DETAIL]}
    if again is not None:
        return _settle(conn, _is_mine(result), next_attempt_at=again, **told)
    return _settle(conn, _is_mine(result), state=ResultState.FAILED, settled_at=now, **told)


_LONGEST_DETAIL: Final = 1000


def _settle(conn: Connection, condition: ColumnElement[bool], **values: Any) -> bool:
    values = {"next_attempt_at": None, "lease_owner": None, **values}
    return conn.execute(update(results).where(condition).values(values)).rowcount == 1


def list_removable(conn: Connection, *, host: str, now: datetime, limit: int) -> list[Result]:
    """Return what is saved on *host*, or in an object store, and its time is over."""
    rows = conn.execute(
        select(results)
        .where(results.c.host.in_((host, STORE)), results.c.remove_at <= now)
        .order_by(results.c.remove_at)
        .limit(limit)
    )
    return records(Result, rows)


def record_removed(conn: Connection, run_id: int, *, why_kept: str | None) -> None:
    """Note that a file is removed; or *why* it was left where it is."""
    state = {} if why_kept is not None else {"state": ResultState.REMOVED}
    conn.execute(
        update(results)
        .where(results.c.run_id == run_id, results.c.state == ResultState.SAVED)
        .values(remove_at=None, detail=why_kept, **state)
    )


def put_off_removal(conn: Connection, run_id: int, *, until: datetime) -> None:
    """Try to remove a file again then."""
    is_saved = and_(results.c.run_id == run_id, results.c.state == ResultState.SAVED)
    conn.execute(update(results).where(is_saved).values(remove_at=until))


def find_result(conn: Connection, run_id: int) -> Result | None:
    """Return what is saved of a run; None where nothing is to be."""
    found = records(Result, conn.execute(select(results).where(results.c.run_id == run_id)))
    return found[0] if found else None


def get_result(conn: Connection, run_id: int) -> Result:
    """Return what is saved of a run; raises NotFound."""
    result = find_result(conn, run_id)
    if result is None:
        raise NotFound(f"nothing is saved of run {run_id}, nor to be: it has no save_to")
    return result


def list_expected(conn: Connection, run_ids: Collection[int]) -> set[int]:
    """Return those of the runs of which something is saved, or to be."""
    if not run_ids:
        return set()
    return set(conn.scalars(select(results.c.run_id).where(results.c.run_id.in_(run_ids))))


def list_page(
    conn: Connection,
    *,
    schedule: str | None,
    states: Collection[ResultState],
    limit: int,
    before: int | None = None,
    from_run: int | None = None,
) -> list[Result]:
    """Return results, those of the newest runs first; none below *from_run* is looked at."""
    narrowed = _conditions(schedule, states, from_run)
    query = select(results).where(*narrowed).order_by(results.c.run_id.desc()).limit(limit)
    if before is not None:
        query = query.where(results.c.run_id < before)
    return records(Result, conn.execute(query))


def count_page(
    conn: Connection,
    *,
    schedule: str | None,
    states: Collection[ResultState],
    most: int,
    from_run: int | None = None,
) -> int:
    """Return how many results `list_page` has; they are counted up to *most*."""
    chosen = select(results.c.run_id).where(*_conditions(schedule, states, from_run)).limit(most)
    return conn.scalar(select(func.count()).select_from(chosen.subquery())) or 0


def find_bound(
    conn: Connection,
    *,
    schedule: str | None,
    states: Collection[ResultState],
    most: int,
    before: int | None,
) -> int | None:
    """Return from which run on results may be looked through; None where an index finds them."""
    is_any = schedule is None and not states
    if is_any or _are_unsaved(states):
        return None
    return bounds.find_bound(conn, results.c.run_id, most=most, before=before)


def _conditions(
    schedule: str | None, states: Collection[ResultState], from_run: int | None
) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    if schedule is not None:
        conditions.append(results.c.schedule == schedule)
    if states:
        conditions.append(results.c.state.in_(states))
    if _are_unsaved(states):
        # Says nothing new, but lets the index of what is unsaved be used.
        conditions.append(IS_UNSAVED)
    if from_run is not None:
        conditions.append(results.c.run_id >= from_run)
    return conditions


def _are_unsaved(states: Collection[ResultState]) -> bool:
    return bool(states) and set(states) <= set(_UNSAVED)


def try_again(conn: Connection, run_id: int, *, now: datetime) -> Result:
    """Begin anew with a result that was not saved, by the path that holds now."""
    rows = _with_paths(conn, runs.c.id == run_id)
    values = _planned(rows[0], now) if rows else {"state": ResultState.WAITING, "attempt_count": 0}
    values |= {"host": None, "row_count": None, "byte_count": None, "sha256": None}
    values |= {"lease_owner": None}
    if not rows:  # its run is forgotten, or says nothing any more
        values |= {"settled_at": None, "next_attempt_at": now, "reason": None, "detail": None}
    conn.execute(update(results).where(results.c.run_id == run_id).values(values))
    return get_result(conn, run_id)


def dismiss(conn: Connection, run_id: int, *, detail: str | None, now: datetime) -> Result:
    """Give a result up that is not saved: nobody tries, and nobody is told any more."""
    _settle(
        conn,
        and_(results.c.run_id == run_id, results.c.state.in_(_UNSAVED)),
        state=ResultState.DISMISSED,
        settled_at=now,
        detail=detail,
    )
    return get_result(conn, run_id)


_UNSAVED: Final = (ResultState.WAITING, ResultState.FAILED)
# In the SQL itself, for the partial index.
IS_UNSAVED: Final = results.c.state.in_([literal_column(f"'{state}'") for state in _UNSAVED])


def list_unsaved(conn: Connection, *, limit: int) -> list[Result]:
    """Return what is not saved, or was given up by the daemons, the oldest first."""
    rows = conn.execute(select(results).where(IS_UNSAVED).order_by(results.c.run_id).limit(limit))
    return records(Result, rows)


def count_unsaved(conn: Connection, *, now: datetime) -> dict[str, int]:
    """Return how many results wait, have failed, and are soon forgotten by the upstream."""
    waiting = results.c.state == ResultState.WAITING
    is_expiring = and_(waiting, results.c.expires_at <= now + EXPIRING_BEFORE)
    row = conn.execute(
        select(
            func.count().filter(waiting).label("waiting"),
            func.count().filter(results.c.state == ResultState.FAILED).label("failed"),
            func.count().filter(is_expiring).label("expiring"),
        ).where(IS_UNSAVED)
    ).one()
    return dict(row._mapping)


def list_old(conn: Connection, *, before: datetime, limit: int | None) -> list[int]:
    """Return the runs of results that may be forgotten: settled before then, nothing to remove."""
    return list(
        conn.scalars(
            select(results.c.run_id)
            .where(
                results.c.settled_at < before,
                or_(results.c.remove_at.is_(None), results.c.host.is_(None)),
            )
            .order_by(results.c.settled_at)
            .limit(limit)
        )
    )
