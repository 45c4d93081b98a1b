"""
Claiming runs to send: who is next in each collector, under the account's brake.

The caller holds the account's brake row (accounts.read_brake), so claims of one
account are one after another whatever the number of daemons.
"""

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import (
    CTE,
    BindParameter,
    ColumnElement,
    Connection,
    CursorResult,
    ScalarSelect,
    Select,
    and_,
    bindparam,
    exists,
    func,
    insert,
    literal,
    or_,
    select,
    tuple_,
    update,
)
from sqlalchemy.sql.dml import ReturningUpdate

from scheduler.domain.records import (
    IN_LINE_STATES,
    OPEN_STATES,
    UNSETTLED_STATES,
    Outcome,
    Reason,
    Run,
    RunState,
)
from scheduler.storage.collections_ import hasten_looks
from scheduler.storage.rows import records, values_of
from scheduler.storage.tables import (
    accounts,
    attempts,
    collectors,
    freezes,
    in_state,
    queues,
    runs,
    schedules,
)

_queued = in_state(runs, RunState.QUEUED)
_ACCOUNTS: BindParameter[Sequence[str]] = bindparam("accounts", expanding=True)


def claim_runs(
    conn: Connection,
    room: Mapping[str, int],
    *,
    now: datetime,
    owner: str,
    lease_until: datetime,
) -> list[Run]:
    """
    Take runs to send: of each account up to its *room*, at most one of each collector and lane.

    The head of a lane blocks those behind it while it waits for a retry or is
    unsettled; of the collectors' heads the most urgent go first.
    """
    chosen = _choose(conn, room, now=now)
    if not chosen:
        return []
    lease = {"owner": owner, "until": lease_until}
    found = records(Run, conn.execute(_TAKE, {"chosen": chosen, **lease}))
    return sorted(found, key=lambda run: (-run.priority, run.due_at, run.id))


def _take() -> ReturningUpdate[Any]:
    claimed = (
        select(runs.c.id)
        .where(runs.c.id.in_(bindparam("chosen", expanding=True)), _queued)
        .with_for_update(skip_locked=True)
        # A plain subquery may be run more than once, and lock more than it should.
        .cte("claimed")
    )
    return (
        update(runs)
        .where(runs.c.id.in_(select(claimed.c.id)))
        .values(
            state=RunState.DISPATCHING,
            fence=runs.c.fence + 1,
            attempts=runs.c.attempts + 1,
            lease_owner=bindparam("owner"),
            lease_until=bindparam("until", type_=runs.c.lease_until.type),
        )
        .returning(runs)
    )


# Statements are built once: putting one together costs more than carrying it out.
_TAKE = _take()

_Collector = tuple[str, str]
"""An account's name and the upstream's id of a collector."""


def _choose(conn: Connection, room: Mapping[str, int], *, now: datetime) -> list[int]:
    """Return the runs that may be sent, each account's most urgent, where collectors have room."""
    accounts = list(room)
    unsettled = _counted(conn.execute(_UNSETTLED, {"accounts": accounts}))
    limits = _limits_by_collector(conn, accounts)

    def may_send(head: Any) -> bool:
        most_unsettled, _ = limits.get((head.account, head.collector_id), _DEFAULT_LIMITS)
        return unsettled.get((head.account, head.collector_id), 0) < most_unsettled

    def has_room(head: Any, running: Mapping[_Collector, int]) -> bool:
        collector = (head.account, head.collector_id)
        _, most_running = limits.get(collector, _DEFAULT_LIMITS)
        return unsettled.get(collector, 0) + running.get(collector, 0) < most_running

    heads: dict[str, deque[Any]] = {account: deque() for account in accounts}
    for head in filter(may_send, conn.execute(_HEADS, {"accounts": accounts, "now": now})):
        heads[head.account].append(head)
    chosen: list[int] = []
    missing = dict(room)
    while next_few := [
        waiting.popleft()
        for account, waiting in heads.items()
        for _ in range(min(missing[account], len(waiting)))
    ]:
        # Running jobs are many: they are counted only where they decide.
        running = _count_running(conn, next_few)
        for head in next_few:
            if has_room(head, running):
                chosen.append(head.id)
                missing[head.account] -= 1
            else:
                hasten_looks(conn, head.account, [head.collector_id], now=now)
    return chosen


_DEFAULT_LIMITS = (1, 100)


def _count(*conditions: ColumnElement[bool]) -> Select[Any]:
    return (
        select(runs.c.account, runs.c.collector_id, func.count().label("number"))
        .where(runs.c.account.in_(_ACCOUNTS), *conditions)
        .group_by(runs.c.account, runs.c.collector_id)
    )


_UNSETTLED = _count(in_state(runs, *UNSETTLED_STATES))
_RUNNING = _count(
    in_state(runs, RunState.COLLECTING),
    runs.c.collector_id.in_(bindparam("collectors", expanding=True)),
)


def _count_running(conn: Connection, heads: Sequence[Any]) -> dict[_Collector, int]:
    accounts = {head.account for head in heads}
    among = {head.collector_id for head in heads}
    wanted = {"accounts": list(accounts), "collectors": list(among)}
    return _counted(conn.execute(_RUNNING, wanted))


def _counted(found: CursorResult[Any]) -> dict[_Collector, int]:
    return {(row.account, row.collector_id): row.number for row in found}


def _limits_by_collector(
    conn: Connection, accounts: Sequence[str]
) -> dict[_Collector, tuple[int, int]]:
    """Return (max_unsettled, max_running), the strictest where several rows name a collector."""
    found = conn.execute(_LIMITS, {"accounts": accounts})
    return {(row[0], row[1]): (row[2], row[3]) for row in found}


_LIMITS = (
    select(
        collectors.c.account,
        collectors.c.collector_id,
        func.min(collectors.c.max_unsettled),
        func.min(collectors.c.max_running),
    )
    .where(collectors.c.account.in_(_ACCOUNTS))
    .group_by(collectors.c.account, collectors.c.collector_id)
)


_NOW = bindparam("now", type_=runs.c.not_before.type)


def _heads() -> Select[Any]:
    """Select, of each collector with work, the run that is next in it; the most urgent first."""
    waiting = _collectors_with_work()
    heads = (
        select(_next_of(waiting).label("id"))
        .where(waiting.c.collector_id.is_not(None))
        .cte("heads")
        # Otherwise PostgreSQL puts it into the join below, and looks for each head twice.
        .prefix_with("MATERIALIZED")
    )
    return (
        select(runs.c.id, runs.c.account, runs.c.collector_id)
        # They wait: said again, it keeps PostgreSQL from reading all of history to join them.
        .where(runs.c.id.in_(select(heads.c.id)), _queued)
        .order_by(runs.c.priority.desc(), runs.c.due_at, runs.c.id)
    )


def _collectors_with_work() -> CTE:
    """Skip from one collector to the next in the index: the cost does not grow with the queue."""
    of_account = select(func.min(runs.c.collector_id)).where(
        _queued, runs.c.account == accounts.c.name
    )
    first = select(
        accounts.c.name.label("account"), of_account.scalar_subquery().label("collector_id")
    ).where(accounts.c.name.in_(_ACCOUNTS))
    waiting = first.cte("waiting", recursive=True)
    following = (
        select(func.min(runs.c.collector_id))
        .where(
            _queued,
            runs.c.account == waiting.c.account,
            runs.c.collector_id > waiting.c.collector_id,
        )
        .scalar_subquery()
    )
    return waiting.union_all(
        select(waiting.c.account, following).where(waiting.c.collector_id.is_not(None))
    )


def _next_of(waiting: CTE) -> ScalarSelect[int]:
    return (
        select(runs.c.id)
        .where(
            _queued,
            runs.c.account == waiting.c.account,
            runs.c.collector_id == waiting.c.collector_id,
            runs.c.not_before <= _NOW,
            ~_queue_is_paused(),
            ~_schedule_is_paused(),
            ~_is_frozen(),
            ~_waits_for_another(),
            ~_lane_is_blocked(),
        )
        .order_by(runs.c.priority.desc(), runs.c.due_at, runs.c.id)
        .limit(1)
        .correlate(waiting)
        .scalar_subquery()
    )


def _queue_is_paused() -> ColumnElement[bool]:
    return exists().where(queues.c.name == runs.c.queue, queues.c.paused_at.is_not(None))


def _schedule_is_paused() -> ColumnElement[bool]:
    return exists().where(
        schedules.c.name == runs.c.schedule,
        schedules.c.paused_at.is_not(None),
        or_(schedules.c.paused_until.is_(None), schedules.c.paused_until > _NOW),
    )


def _is_frozen() -> ColumnElement[bool]:
    kind = func.substr(freezes.c.scope, 1, len("label:"))
    label = literal(",") + func.substr(freezes.c.scope, len("label:") + 1) + literal(",")
    return exists().where(
        or_(freezes.c.until.is_(None), freezes.c.until > _NOW),
        or_(
            freezes.c.scope == "all",
            freezes.c.scope == "collector:" + runs.c.collector,
            # Not LIKE, which has signs of its own and, on SQLite, no cases.
            and_(kind == "label:", func.replace(runs.c.labels, label, "") != runs.c.labels),
        ),
    )


def _waits_for_another() -> ColumnElement[bool]:
    earlier = runs.alias("earlier")
    return exists().where(earlier.c.id == runs.c.waits_for, in_state(earlier, *OPEN_STATES))


def _lane_is_blocked() -> ColumnElement[bool]:
    """Somebody of the lane is on the wire or unsettled, or stands before this run."""
    ahead = runs.alias("ahead")
    stands_before = or_(
        ahead.c.priority > runs.c.priority,
        and_(
            ahead.c.priority == runs.c.priority,
            or_(
                ahead.c.due_at < runs.c.due_at,
                and_(ahead.c.due_at == runs.c.due_at, ahead.c.id < runs.c.id),
            ),
        ),
    )
    return exists().where(
        ahead.c.lane == runs.c.lane,
        ahead.c.id != runs.c.id,
        # Says nothing new, but lets the index of what is in line be used.
        in_state(ahead, *IN_LINE_STATES),
        or_(
            in_state(ahead, *UNSETTLED_STATES),
            and_(in_state(ahead, RunState.QUEUED), stands_before),
            # In a named queue order is a promise: nobody passes what a person must settle.
            and_(in_state(ahead, RunState.NEEDS_ATTENTION), runs.c.queue.is_not(None)),
        ),
    )


_HEADS = _heads()


@dataclass(frozen=True, slots=True, kw_only=True)
class NewAttempt:
    """An attempt about to be made; its row is on disk before its request leaves."""

    run_id: int
    number: int
    daemon: str
    request: str
    claimed_at: datetime


def insert_attempts(conn: Connection, made: Sequence[NewAttempt]) -> None:
    """Write the intents of claimed runs: `sending`."""
    if made:
        conn.execute(
            _SENDING, [values_of(attempt) | {"outcome": Outcome.SENDING} for attempt in made]
        )


_SENDING = insert(attempts)


def skip_too_late(conn: Connection, *, now: datetime) -> list[Run]:
    """End the queued runs whose misfire grace is over: what was never sent is skipped."""
    if conn.execute(_ANY_TOO_LATE, {"now": now}).first() is None:
        return []
    late = (_queued, runs.c.send_before.is_not(None), runs.c.send_before < now)
    return [
        *_end_waiting(conn, *late, runs.c.attempts == 0, state=RunState.SKIPPED, now=now),
        *_end_waiting(conn, *late, runs.c.attempts > 0, state=RunState.FAILED, now=now),
    ]


_ANY_TOO_LATE = (
    select(runs.c.id)
    .where(_queued, runs.c.send_before.is_not(None), runs.c.send_before < _NOW)
    .limit(1)
)


def _end_waiting(
    conn: Connection, *conditions: ColumnElement[bool], state: RunState, now: datetime
) -> list[Run]:
    changed = conn.execute(
        update(runs)
        .where(*conditions)
        .values(
            state=state,
            reason=Reason.MISSED,
            detail=func.coalesce(
                "it could not be sent within its misfire grace; " + runs.c.detail,
                "it could not be sent within its misfire grace",
            ),
            ended_at=now,
        )
        .returning(runs)
    )
    return records(Run, changed)


def supersede_older(conn: Connection, accounts: Sequence[str], *, now: datetime) -> list[Run]:
    """
    Skip waiting runs that a later confirm_cancel of their collector would only kill.

    One that cannot be sent itself, being paused or frozen or waiting for another, kills nobody.
    """
    replacing = conn.execute(_REPLACING, {"accounts": accounts, "now": now})
    newest = {(row.account, row.collector_id): row for row in replacing}
    superseded = []
    for (account, collector_id), newer in newest.items():
        changed = conn.execute(
            update(runs)
            .where(
                _queued,
                runs.c.account == account,
                runs.c.collector_id == collector_id,
                tuple_(runs.c.due_at, runs.c.id) < tuple_(newer.due_at, newer.id),
            )
            .values(
                state=RunState.SKIPPED,
                reason=Reason.SUPERSEDED,
                detail=f"run {newer.id} with confirm_cancel took its place",
                ended_at=now,
            )
            .returning(runs)
        )
        superseded += records(Run, changed)
    return superseded


_REPLACING = (
    select(runs.c.account, runs.c.collector_id, runs.c.due_at, runs.c.id)
    .where(
        _queued,
        runs.c.account.in_(_ACCOUNTS),
        runs.c.confirm_cancel,
        runs.c.not_before <= _NOW,
        ~_schedule_is_paused(),
        ~_is_frozen(),
        ~_waits_for_another(),
    )
    .order_by(runs.c.due_at, runs.c.id)
)


def find_next_ready(conn: Connection, *, now: datetime) -> datetime | None:
    """Return the earliest time after *now* at which a waiting run may be sent; None if never."""
    ready_at: datetime | None = conn.scalar(_NEXT_READY, {"now": now})
    return ready_at


_NEXT_READY = select(func.min(runs.c.not_before)).where(_queued, runs.c.not_before > _NOW)


def list_accounts_with_work(conn: Connection, *, now: datetime) -> list[str]:
    """Return the accounts that have a queued run whose time has come."""
    return list(conn.scalars(_WITH_WORK, {"now": now}))


_WITH_WORK = (
    select(accounts.c.name)
    .where(exists().where(_queued, runs.c.account == accounts.c.name, runs.c.not_before <= _NOW))
    .order_by(accounts.c.name)
)
