"""Schedules: what is due, and how far each has been fired."""

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from typing import Any, TypeVar

from sqlalchemy import (
    LABEL_STYLE_TABLENAME_PLUS_COL,
    BindParameter,
    ColumnElement,
    Connection,
    Integer,
    Select,
    and_,
    bindparam,
    exists,
    func,
    or_,
    select,
    text,
    update,
)

from scheduler.domain.errors import NotFound
from scheduler.domain.follow_up import EndedRun
from scheduler.domain.records import Batch, Collector, Origin, RunState, Schedule, ScheduleTimes
from scheduler.domain.suggestions import MOST_NAMES, did_you_mean
from scheduler.storage.definition_tables import signed_edit
from scheduler.storage.gathered import gather
from scheduler.storage.json_rows import JsonRows, JsonValues
from scheduler.storage.row_text import RowText
from scheduler.storage.rows import columns_of, reader, records
from scheduler.storage.runs.chunks import is_last_of_chunks, state_of_all_chunks
from scheduler.storage.tables import accounts, batches, collectors, runs, schedules

Record = TypeVar("Record")


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleWithRefs:
    """
    A schedule with the collector and the batch that it names.

    Either is None where the row names nothing: a client without foreign keys, as the
    sqlite3 shell is by default, can write that. So is the *account* of its collector. While their
    rows are *as_text* says they are what they were.
    """

    schedule: Schedule
    collector: Collector | None
    batch: Batch | None
    account: str | None
    as_text: str


def joined(*columns: Any) -> Select[Any]:
    """Return what selects *columns* of schedules and of all that they name."""
    return (
        select(*columns)
        .join_from(schedules, collectors, collectors.c.name == schedules.c.collector, isouter=True)
        .join(accounts, accounts.c.name == collectors.c.account, isouter=True)
        .join(batches, batches.c.name == schedules.c.batch, isouter=True)
        .set_label_style(LABEL_STYLE_TABLENAME_PLUS_COL)
    )


# Inputs may be long, and are told by the schedule: an edit of its batch empties `planned_at`.
AS_TEXT = RowText(
    *schedules.c,
    *collectors.c,
    *(column for column in batches.c if column is not batches.c.inputs),
    accounts.c.name,
).label("as_text")

# Statements are built once: putting one of these together costs more than carrying it out.
_JOINED = joined(schedules, collectors, batches, accounts.c.name, AS_TEXT)
_NOW = bindparam("now", type_=schedules.c.next_fire_at.type)
_LIMIT: BindParameter[int] = bindparam("limit", type_=Integer())


def list_labels(conn: Connection) -> list[str]:
    """Return the labels that rows have, each combination once, as they are stored."""
    return list(
        conn.scalars(select(schedules.c.labels).where(schedules.c.labels.is_not(None)).distinct())
    )


def list_schedules(conn: Connection) -> list[Schedule]:
    """Return every schedule, by name."""
    rows = conn.execute(select(schedules).order_by(schedules.c.name))
    return records(Schedule, rows)


def list_zones(conn: Connection, *, batch: str) -> list[str]:
    """Return the zones of the schedules that send *batch*, each once."""
    its = select(schedules.c.timezone).where(schedules.c.batch == batch)
    return list(conn.scalars(its.distinct()))


def list_line(conn: Connection, name: str) -> list[Schedule]:
    """Return the schedule of that name, the one that it comes after, and so on; raises NotFound."""
    line = [get_schedule(conn, name).schedule]
    known = {name}
    while (after := line[-1].after) is not None and after not in known:
        known.add(after)
        line += list_page(conn, ScheduleFilter(names=[after]), limit=1)
    return line


def list_times(conn: Connection) -> Sequence[ScheduleTimes]:
    """Return when every schedule is due, by name: half of its columns take half of the time."""
    rows = conn.execute(select(*columns_of(ScheduleTimes, schedules)).order_by(schedules.c.name))
    return records(ScheduleTimes, rows)


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleFilter:
    """Which schedules to list; what is None, or empty, does not narrow."""

    names: Sequence[str] = ()
    collector: str | None = None
    batch: str | None = None
    queue: str | None = None
    label: str | None = None
    enabled: bool | None = None
    paused: bool | None = None
    invalid: bool | None = None


def list_page(
    conn: Connection, wanted: ScheduleFilter, *, limit: int, after: str | None = None
) -> list[Schedule]:
    """Return schedules by name, those *after* a name."""
    query = select(schedules).where(*_conditions(wanted)).order_by(schedules.c.name).limit(limit)
    if after is not None:
        query = query.where(schedules.c.name > after)
    return records(Schedule, conn.execute(query))


def count_schedules(conn: Connection, wanted: ScheduleFilter, *, most: int) -> int:
    """Return how many schedules *wanted* chooses; they are counted up to *most*."""
    chosen = select(schedules.c.name).where(*_conditions(wanted)).limit(most)
    return conn.scalar(select(func.count()).select_from(chosen.subquery())) or 0


def _conditions(wanted: ScheduleFilter) -> list[ColumnElement[bool]]:
    columns = schedules.c
    conditions = [
        column == value
        for column, value in (
            (columns.collector, wanted.collector),
            (columns.batch, wanted.batch),
            (columns.queue, wanted.queue),
            (columns.enabled, wanted.enabled),
        )
        if value is not None
    ]
    if wanted.names:
        conditions.append(columns.name.in_(wanted.names))
    if wanted.label is not None:
        conditions.append(columns.labels.contains(f",{wanted.label},", autoescape=True))
    for column, is_set in ((columns.paused_at, wanted.paused), (columns.error, wanted.invalid)):
        if is_set is not None:
            conditions.append(column.is_not(None) if is_set else column.is_(None))
    return conditions


def get_schedule(conn: Connection, name: str) -> ScheduleWithRefs:
    """Return the schedule of that name with all it needs, or raise NotFound."""
    wholes = _whole(conn, _OF_NAME, name=name)
    if not wholes:
        names = conn.scalars(select(schedules.c.name).limit(MOST_NAMES + 1))
        raise NotFound(f"no schedule is called {name!r}{did_you_mean(name, names)}")
    return wholes[0]


def check_names(conn: Connection, names: Collection[str]) -> None:
    """Raise NotFound, as `get_schedule` does, for the first of *names* that no schedule bears."""
    there = select(schedules.c.name).where(_CHOSEN.has(schedules.c.name))
    found = set(conn.scalars(there, _CHOSEN.of(names)))
    for name in names:
        if name not in found:
            get_schedule(conn, name)


_OF_NAME = _JOINED.where(schedules.c.name == bindparam("name"))

_runnable = and_(schedules.c.enabled, schedules.c.error.is_(None))
_unplanned = and_(schedules.c.enabled, schedules.c.planned_at.is_(None))
_invalid = and_(schedules.c.enabled, schedules.c.error.is_not(None))


def list_due(conn: Connection, *, now: datetime, limit: int) -> list[ScheduleWithRefs]:
    """Return up to *limit* enabled schedules that are due, the longest due first."""
    return _whole(conn, _DUE, now=now, limit=limit)


_DUE = (
    _JOINED.where(_runnable, schedules.c.next_fire_at <= _NOW)
    .order_by(schedules.c.next_fire_at)
    .limit(_LIMIT)
)


def list_unplanned(conn: Connection, *, limit: int) -> list[ScheduleWithRefs]:
    """Return up to *limit* enabled schedules that are new, or were edited since last planned."""
    return _whole(conn, _UNPLANNED, limit=limit)


_UNPLANNED = _JOINED.where(_unplanned).limit(_LIMIT)


def list_invalid(conn: Connection, *, after: str, limit: int) -> list[ScheduleWithRefs]:
    """Return up to *limit* invalid enabled schedules, by name, *after* that one."""
    return _whole(conn, _INVALID, after=after, limit=limit)


_INVALID = (
    _JOINED.where(_invalid, schedules.c.name > bindparam("after"))
    .order_by(schedules.c.name)
    .limit(_LIMIT)
)


def list_followers(conn: Connection, *, limit: int) -> list[ScheduleWithRefs]:
    """Return schedules with `after` for which a run of the one before has ended since."""
    return _whole(conn, _FOLLOWERS, limit=limit)


_one_before_ended = exists().where(
    runs.c.schedule == schedules.c.after,
    runs.c.collection_id.is_not(None),
    is_last_of_chunks(),
    runs.c.ended_at > func.coalesce(schedules.c.fired_until, schedules.c.created_at),
)
_FOLLOWERS = _JOINED.where(_runnable, schedules.c.after.is_not(None), _one_before_ended).limit(
    _LIMIT
)


def list_ends(conn: Connection, followers: Sequence[Schedule]) -> dict[str, list[EndedRun]]:
    """Return, for each follower, the ends since its mark of the schedule that it comes after."""
    ends = {}
    for follower in followers:
        since = follower.fired_until or follower.created_at
        ended = conn.execute(
            select(runs.c.id, state_of_all_chunks().label("state"), runs.c.ended_at)
            .where(
                runs.c.schedule == follower.after,
                runs.c.collection_id.is_not(None),
                is_last_of_chunks(),
                runs.c.ended_at > since,
            )
            .order_by(runs.c.ended_at)
            .limit(_MOST_ENDS)
        )
        ends[follower.name] = [
            EndedRun(run_id=row.id, state=RunState(row.state), ended_at=row.ended_at)
            for row in ended
        ]
    return ends


_MOST_ENDS = 1000


def list_before(conn: Connection, names: Collection[str]) -> dict[str, str | None]:
    """Return those of *names* that are there, each with the one that it comes after, and so on."""
    before: dict[str, str | None] = {}
    wanted = set(names)
    while wanted:
        rows = conn.execute(_BEFORE, {"names": list(wanted)}).all()
        before |= {row.name: row.after for row in rows}
        wanted = {row.after for row in rows if row.after is not None} - before.keys()
    return before


_BEFORE = select(schedules.c.name, schedules.c.after).where(
    schedules.c.name.in_(bindparam("names", expanding=True))
)


def list_lapsed_pauses(conn: Connection, *, now: datetime) -> list[str]:
    """Return the schedules whose pause has come to its end."""
    return list(conn.scalars(_LAPSED, {"now": now}))


_LAPSED = select(schedules.c.name).where(schedules.c.paused_until <= _NOW)


def list_failure_limits(conn: Connection, names: Sequence[str]) -> list[tuple[str, int]]:
    """Return those of *names* that are to be paused after so many failures, and are not yet."""
    if not names:
        return []
    rows = conn.execute(
        select(schedules.c.name, schedules.c.pause_after_failures).where(
            schedules.c.name.in_(names),
            schedules.c.pause_after_failures.is_not(None),
            schedules.c.paused_at.is_(None),
        )
    )
    return [(row.name, row.pause_after_failures) for row in rows]


def set_paused(
    conn: Connection,
    names: Sequence[str],
    *,
    by: str,
    reason: str,
    now: datetime,
    until: datetime | None,
) -> None:
    """Pause schedules from *now* on, until then or until somebody resumes them."""
    if not names:
        return
    conn.execute(
        update(schedules)
        .where(_CHOSEN.has(schedules.c.name))
        .values(
            paused_at=now,
            paused_by=by,
            paused_reason=reason,
            paused_until=until,
            **signed_edit(schedules),
        ),
        _CHOSEN.of(names),
    )


def set_resumed(conn: Connection, names: Sequence[str]) -> None:
    """Lift the pauses of schedules."""
    if not names:
        return
    conn.execute(
        update(schedules)
        .where(_CHOSEN.has(schedules.c.name))
        .values(
            paused_at=None,
            paused_by=None,
            paused_reason=None,
            paused_until=None,
            **signed_edit(schedules),
        ),
        _CHOSEN.of(names),
    )


def set_defined_in(conn: Connection, names: Iterable[str], file_id: str | None) -> None:
    """Note which file has those of these schedules that come from one; None where none does."""
    moved = and_(
        _CHOSEN.has(schedules.c.name),
        schedules.c.origin == Origin.FILE,
        schedules.c.defined_in.is_distinct_from(file_id),
    )
    conn.execute(update(schedules).where(moved).values(defined_in=file_id), _CHOSEN.of(names))


def list_named(conn: Connection, names: Sequence[str]) -> list[ScheduleWithRefs]:
    """Return those of *names* that are enabled, in that order."""
    wholes = _whole(conn, _CHOSEN_ONES, **_CHOSEN.of(names)) if names else []
    whole_of = {whole.schedule.name: whole for whole in wholes}
    return [whole_of[name] for name in names if name in whole_of]


_CHOSEN = JsonValues("chosen", schedules.c.name.type)
_CHOSEN_ONES = _JOINED.where(_CHOSEN.has(schedules.c.name), schedules.c.enabled)


def find_next_fires(
    conn: Connection, *, after: datetime | None = None, many: int, many_after: datetime
) -> tuple[datetime | None, datetime | None]:
    """
    Return when the next schedule is due, *after* that moment, and when *many* more will have been.

    Those are counted from *many_after* on. None when it never is.
    """
    moments = {"after": after or _EVER, "many": many, "many_after": many_after}
    row = conn.execute(_NEXT_FIRES, moments).one()
    return row[0], row[1]


def list_due_names(conn: Connection, *, after: datetime, until: datetime, limit: int) -> list[str]:
    """Return the schedules that are due after one moment, up to another, the first due first."""
    moments = {"after": after, "until": until, "limit": limit}
    return [row[0] for row in gather(conn, _DUE_NAMES, moments)]


def list_next_due(conn: Connection, *, limit: int) -> list[Schedule]:
    """Return the *limit* schedules that are due next, whatever stops them, the first due first."""
    rows = conn.execute(
        select(schedules)
        .where(_runnable, schedules.c.next_fire_at.is_not(None))
        .order_by(schedules.c.next_fire_at)
        .limit(limit)
    )
    return records(Schedule, rows)


_EVER = datetime.min.replace(tzinfo=UTC)
_AFTER = bindparam("after", type_=schedules.c.next_fire_at.type)
_MANY_AFTER = bindparam("many_after", type_=schedules.c.next_fire_at.type)
_NEXT_FIRE = (
    select(schedules.c.next_fire_at)
    .where(_runnable, schedules.c.next_fire_at.is_not(None))
    .order_by(schedules.c.next_fire_at)
    .limit(1)
)
_NEXT_FIRES = select(
    _NEXT_FIRE.where(schedules.c.next_fire_at > _AFTER).scalar_subquery(),
    _NEXT_FIRE.where(schedules.c.next_fire_at > _MANY_AFTER)
    .offset(bindparam("many", type_=Integer()))
    .scalar_subquery(),
)
_DUE_NAMES = (
    _NEXT_FIRE.with_only_columns(schedules.c.name)
    .where(schedules.c.next_fire_at > _AFTER)
    .where(schedules.c.next_fire_at <= bindparam("until", type_=schedules.c.next_fire_at.type))
    .limit(_LIMIT)
)


@dataclass(frozen=True, slots=True, kw_only=True)
class NextFire:
    """When a schedule is due next."""

    name: str
    next_fire_at: datetime


def list_next_fires(conn: Connection, *, limit: int) -> list[NextFire]:
    """Return the schedules that are due first, those that are held included."""
    soon = _NEXT_FIRE.with_only_columns(schedules.c.name, schedules.c.next_fire_at)
    return records(NextFire, conn.execute(soon.limit(limit)))


@dataclass(frozen=True, slots=True, kw_only=True)
class InvalidSchedule:
    """A schedule that does not fire because of an error in it or in what it names."""

    name: str
    error: str


def list_errors(conn: Connection) -> list[InvalidSchedule]:
    """Return the enabled schedules that are invalid, by name."""
    rows = conn.execute(
        select(schedules.c.name, schedules.c.error).where(_invalid).order_by(schedules.c.name)
    )
    return records(InvalidSchedule, rows)


@dataclass(frozen=True, slots=True, kw_only=True)
class PausedSchedule:
    """A schedule that somebody paused, and why."""

    name: str
    paused_at: datetime
    paused_by: str | None
    paused_reason: str | None
    paused_until: datetime | None


def list_paused(conn: Connection, *, now: datetime) -> list[PausedSchedule]:
    """Return the schedules that are paused at *now*, by name."""
    columns = [schedules.c[field.name] for field in fields(PausedSchedule)]
    rows = conn.execute(
        select(*columns)
        .where(
            schedules.c.paused_at.is_not(None),
            or_(schedules.c.paused_until.is_(None), schedules.c.paused_until > now),
        )
        .order_by(schedules.c.name)
    )
    return records(PausedSchedule, rows)


def list_unowned(conn: Connection, *, now: datetime, limit: int) -> list[str]:
    """Return schedules that fire, came from a file, and are in none that was applied since."""
    free = or_(schedules.c.paused_at.is_(None), schedules.c.paused_until <= now)
    in_no_file = and_(_of_files, schedules.c.defined_in.is_(None), schedules.c.enabled, free)
    query = select(schedules.c.name).where(in_no_file).order_by(schedules.c.name).limit(limit)
    return list(conn.scalars(query))


# Literally: no partial index is used for a value that is learned only at execution.
_of_files = text("origin = 'file'")


def count_enabled(conn: Connection) -> int:
    """Return how many schedules are enabled."""
    return conn.scalar(select(func.count()).select_from(schedules).where(schedules.c.enabled)) or 0


def set_enabled(conn: Connection, name: str, *, enabled: bool) -> bool:
    """Switch a schedule on or off; False when none has that name."""
    changed = conn.execute(
        update(schedules)
        .where(schedules.c.name == name)
        .values(enabled=enabled, **signed_edit(schedules))
    )
    return changed.rowcount == 1


@dataclass(frozen=True, slots=True, kw_only=True)
class HighWaterMark:
    """How far a schedule is decided now, or the error for which it is invalid."""

    schedule: str
    fired_until: datetime | None
    next_fire_at: datetime | None
    error: str | None = None


def record_marks(conn: Connection, marks: Sequence[HighWaterMark], *, now: datetime) -> None:
    """Move each schedule's marks, never back; the caller holds the rows since `claim`."""
    if not marks:
        return
    moved = (
        (mark.schedule, mark.fired_until, mark.next_fire_at, mark.error, now) for mark in marks
    )
    conn.execute(_MOVED, _MARKS.of(moved))


_MARKS = JsonRows(
    "marks",
    schedule=schedules.c.name.type,
    fired_until=schedules.c.fired_until.type,
    next_fire_at=schedules.c.next_fire_at.type,
    error=schedules.c.error.type,
    planned_at=schedules.c.planned_at.type,
)
_MOVED = (
    update(schedules)
    .where(
        schedules.c.name == _MARKS.c["schedule"],
        or_(
            schedules.c.fired_until.is_(None),
            schedules.c.fired_until <= _MARKS.c["fired_until"],
            _MARKS.c["fired_until"].is_(None),
        ),
    )
    .values(
        fired_until=func.coalesce(_MARKS.c["fired_until"], schedules.c.fired_until),
        next_fire_at=_MARKS.c["next_fire_at"],
        error=_MARKS.c["error"],
        planned_at=_MARKS.c["planned_at"],
    )
)


def _whole(conn: Connection, query: Select[Any], **values: Any) -> list[ScheduleWithRefs]:
    rows = conn.execute(query, values)
    columns = tuple(rows.keys())
    schedule = reader(Schedule, columns, "schedules_")
    collector = _named(reader(Collector, columns, "collectors_"), columns, "collectors_name")
    batch = _named(reader(Batch, columns, "batches_"), columns, "batches_name")
    account, as_text = (columns.index(name) for name in ("accounts_name", "as_text"))
    return [
        ScheduleWithRefs(
            schedule=schedule(row),
            collector=collector(row),
            batch=batch(row),
            account=row[account],
            as_text=row[as_text],
        )
        for row in rows.all()
    ]


def _named(
    read: Callable[[Sequence[Any]], Record], columns: Sequence[str], name: str
) -> Callable[[Sequence[Any]], Record | None]:
    """Return what reads a joined row, each name's once; None where nothing was joined."""
    index = columns.index(name)
    record_of: dict[str, Record] = {}

    def find(row: Sequence[Any]) -> Record | None:
        key = row[index]
        if key is not None and key not in record_of:
            record_of[key] = read(row)
        return None if key is None else record_of[key]

    return find
