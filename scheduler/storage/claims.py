"""
Claiming runs to send: who is next in each collector, under the account's brake.

The caller holds the account's brake row (accounts.read_brake), so claims of one
account are one after another whatever the number of daemons.
"""

from collections import deque
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import (
    ColumnElement,
    Connection,
    CursorResult,
    Insert,
    Select,
    bindparam,
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
    UNSETTLED_STATES,
    Outcome,
    Reason,
    Run,
    RunState,
    RunToSend,
)
from scheduler.storage.collections_ import hasten_looks
from scheduler.storage.given import GivenValues
from scheduler.storage.heads import (
    ACCOUNTS,
    HEADS,
    NOW,
    QUEUED,
    is_frozen,
    schedule_is_paused,
    waits_for_another,
)
from scheduler.storage.rows import columns_of, records
from scheduler.storage.tables import (
    accounts,
    attempts,
    collectors,
    in_state,
    runs,
)


def claim_runs(
    conn: Connection,
    room: Mapping[str, int],
    *,
    now: datetime,
    owner: str,
    lease_until: datetime,
) -> list[RunToSend]:
    """
    Take runs to send: of each account up to its *room*, at most one of each collector and lane.

    The head of a lane blocks those behind it while it waits for a retry or is
    unsettled; of the collectors' heads the most urgent go first. The attempt of each is written
    with it, as `sending`: both are on disk before its request leaves.
    """
    chosen = _choose(conn, room, now=now)
    if not chosen:
        return []
    lease = {"owner": owner, "until": lease_until}
    found = records(RunToSend, conn.execute(_TAKE, _CHOSEN.of(chosen) | lease))
    taken = {run.id: run for run in found}
    conn.execute(_SENDING, _CHOSEN.of(taken) | {"now": now})
    return [taken[run_id] for run_id in chosen if run_id in taken]


_CHOSEN = GivenValues("chosen", runs.c.id.type)


def _take() -> ReturningUpdate[Any]:
    claimed = (
        select(runs.c.id)
        # As an expression: by an index of what is queued PostgreSQL would read all of that.
        .where(_CHOSEN.has(runs.c.id), runs.c.state + "" == RunState.QUEUED)
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
        .returning(*columns_of(RunToSend, runs))
    )


def _sending() -> Insert:
    intents = select(
        runs.c.id,
        runs.c.fence,
        runs.c.lease_owner,
        "POST /dca/trigger?" + runs.c.query,
        literal(Outcome.SENDING),
        NOW,
    ).where(_CHOSEN.has(runs.c.id))
    columns = ("run_id", "number", "daemon", "request", "outcome", "claimed_at")
    return insert(attempts).from_select(columns, intents)


# Statements are built once: putting one together costs more than carrying it out.
_TAKE = _take()
_SENDING = _sending()

_Collector = tuple[str, str]
"""An account's name and the upstream's id of a collector."""


class _Head(NamedTuple):
    """The run that is next in its collector."""

    id: int
    collector: _Collector


def _choose(conn: Connection, room: Mapping[str, int], *, now: datetime) -> list[int]:
    """Return the runs that may be sent, each account's most urgent, where collectors have room."""
    accounts = list(room)
    unsettled = _counted(conn.execute(_UNSETTLED, {"accounts": accounts}))
    limits = _limits_by_collector(conn, accounts)

    def may_send(head: _Head) -> bool:
        most_unsettled, _ = limits.get(head.collector, _USUAL_LIMITS)
        return unsettled.get(head.collector, 0) < most_unsettled

    def has_room(head: _Head, running: Mapping[_Collector, int]) -> bool:
        _, most_running = limits.get(head.collector, _USUAL_LIMITS)
        return unsettled.get(head.collector, 0) + running.get(head.collector, 0) < most_running

    heads: dict[str, deque[_Head]] = {account: deque() for account in accounts}
    found = conn.execute(HEADS, {"accounts": accounts, "now": now}).all()
    for head in filter(may_send, (_Head(row[0], (row[1], row[2])) for row in found)):
        heads[head.collector[0]].append(head)
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
                missing[head.collector[0]] -= 1
            else:
                account, collector_id = head.collector
                hasten_looks(conn, account, [collector_id], now=now)
    return chosen


def _count(*conditions: ColumnElement[bool]) -> Select[Any]:
    return (
        select(runs.c.account, runs.c.collector_id, func.count().label("number"))
        .where(runs.c.account.in_(ACCOUNTS), *conditions)
        .group_by(runs.c.account, runs.c.collector_id)
    )


_UNSETTLED = _count(in_state(runs, *UNSETTLED_STATES))
_AMONG = GivenValues("collectors", runs.c.collector_id.type)
_RUNNING = _count(in_state(runs, RunState.COLLECTING), _AMONG.has(runs.c.collector_id))


def _count_running(conn: Connection, heads: Sequence[_Head]) -> dict[_Collector, int]:
    accounts = {head.collector[0] for head in heads}
    among = {head.collector[1] for head in heads}
    return _counted(conn.execute(_RUNNING, {**_AMONG.of(among), "accounts": list(accounts)}))


def _counted(found: CursorResult[Any]) -> dict[_Collector, int]:
    return {(row.account, row.collector_id): row.number for row in found.all()}


def _limits_by_collector(
    conn: Connection, accounts: Sequence[str]
) -> dict[_Collector, tuple[int, int]]:
    """
    Return (max_unsettled, max_running) of the collectors that have others than the usual ones.

    Where several rows name a collector the strictest hold.
    """
    found = conn.execute(_LIMITS, {"accounts": accounts})
    return {(row[0], row[1]): (row[2], row[3]) for row in found.all()}


_USUAL_LIMITS = (1, 100)
_STRICTEST = (func.min(collectors.c.max_unsettled), func.min(collectors.c.max_running))
_LIMITS = (
    select(collectors.c.account, collectors.c.collector_id, *_STRICTEST)
    .where(collectors.c.account.in_(ACCOUNTS))
    .group_by(collectors.c.account, collectors.c.collector_id)
    .having(or_(*(least != usual for least, usual in zip(_STRICTEST, _USUAL_LIMITS, strict=True))))
)


def skip_too_late(conn: Connection, *, now: datetime) -> list[Run]:
    """End the queued runs whose misfire grace is over: what was never sent is skipped."""
    if conn.execute(_ANY_TOO_LATE, {"now": now}).first() is None:
        return []
    late = (QUEUED, runs.c.send_before.is_not(None), runs.c.send_before < now)
    return [
        *_end_waiting(conn, *late, runs.c.attempts == 0, state=RunState.SKIPPED, now=now),
        *_end_waiting(conn, *late, runs.c.attempts > 0, state=RunState.FAILED, now=now),
    ]


_ANY_TOO_LATE = (
    select(runs.c.id)
    .where(QUEUED, runs.c.send_before.is_not(None), runs.c.send_before < NOW)
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
                QUEUED,
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
        QUEUED,
        runs.c.account.in_(ACCOUNTS),
        runs.c.confirm_cancel,
        runs.c.not_before <= NOW,
        ~schedule_is_paused(),
        ~is_frozen(),
        ~waits_for_another(),
    )
    .order_by(runs.c.due_at, runs.c.id)
)


def find_next_ready(conn: Connection, *, now: datetime) -> datetime | None:
    """Return the earliest time after *now* at which a waiting run may be sent; None if never."""
    ready_at: datetime | None = conn.scalar(_NEXT_READY, {"now": now})
    return ready_at


_NEXT_READY = select(func.min(runs.c.not_before)).where(QUEUED, runs.c.not_before > NOW)


def list_accounts_with_work(conn: Connection, *, now: datetime) -> list[str]:
    """Return the accounts that have a queued run whose time has come."""
    return list(conn.scalars(_WITH_WORK, {"now": now}))


_READY = (
    select(runs.c.id)
    .where(QUEUED, runs.c.account == accounts.c.name, runs.c.not_before <= NOW)
    .limit(1)
    .scalar_subquery()
)
# Not EXISTS, for which PostgreSQL would read all that is queued.
_WITH_WORK = select(accounts.c.name).where(_READY.is_not(None)).order_by(accounts.c.name)
