"""
Runs that are sent no more: too late, overtaken by a later one, or on a person's word.

Guarded updates: a run that was claimed meanwhile is left alone.
"""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Text,
    TextClause,
    Update,
    bindparam,
    case,
    func,
    literal,
    select,
    tuple_,
    update,
)

from scheduler.domain.records import Reason, Run, RunState
from scheduler.storage.json_rows import JsonValues
from scheduler.storage.rows import records
from scheduler.storage.run_events import SIGNED, signature
from scheduler.storage.runs.candidates import ACCOUNTS, MAY_BE_SENT, NOW, QUEUED
from scheduler.storage.tables import runs


def _ended(
    *conditions: ColumnElement[bool] | TextClause,
    state: RunState | ColumnElement[str] = RunState.SKIPPED,
    reason: Reason | ColumnElement[str],
    detail: str | ColumnElement[str] | None,
) -> Update:
    return (
        update(runs)
        .where(*conditions)
        .values(
            state=state, reason=reason, detail=detail, next_lookup_at=None, ended_at=NOW, **SIGNED
        )
    )


def _at(conn: Connection, now: datetime) -> dict[str, Any]:
    return {"now": now} | signature(conn, now)


_SKIPPED_IF_NEVER_SENT = case((runs.c.attempt_count == 0, RunState.SKIPPED), else_=RunState.FAILED)
_TOO_LATE = (QUEUED, runs.c.send_before.is_not(None), runs.c.send_before <= NOW)
_MISSED = "it could not be sent within its misfire grace"


def list_too_late(conn: Connection, *, now: datetime) -> list[Run]:
    """Return the queued runs whose misfire grace is over."""
    return records(Run, conn.execute(select(runs).where(*_TOO_LATE), {"now": now}))


def skip_too_late(conn: Connection, *, now: datetime, why: Mapping[int, str] = {}) -> None:
    """
    End the queued runs whose misfire grace is over: what was never sent is skipped.

    *why* says of some what has held them up.
    """
    ids_by_words: defaultdict[str, list[int]] = defaultdict(list)
    for run_id, words in why.items():
        ids_by_words[words].append(run_id)
    signed = _at(conn, now)
    for words, run_ids in ids_by_words.items():
        conn.execute(_SKIP_HELD_UP, signed | _HELD_UP.of(run_ids) | {"why": "; " + words})
    conn.execute(_SKIP_TOO_LATE, signed | {"why": ""})


_HELD_UP = JsonValues("held_up", runs.c.id.type)


def _skip(*conditions: ColumnElement[bool]) -> Update:
    why = bindparam("why", type_=Text())
    return _ended(
        *_TOO_LATE,
        *conditions,
        state=_SKIPPED_IF_NEVER_SENT,
        reason=Reason.MISSED,
        detail=literal(_MISSED) + why + func.coalesce("; " + runs.c.detail, ""),
    )


_SKIP_HELD_UP = _skip(_HELD_UP.has(runs.c.id))
_SKIP_TOO_LATE = _skip()


def supersede_older(conn: Connection, among: Collection[str], *, now: datetime) -> None:
    """
    Skip the accounts' waiting runs that a later confirm_cancel of their collector would only kill.

    One that cannot be sent now, being held up or not ready, kills nobody, and is not killed: it
    is sent later, after the other.
    """
    if not among:
        return
    replacing = conn.execute(_REPLACING, {"accounts": list(among), "now": now})
    newest = {(row.account, row.collector_id): row for row in replacing}
    for (account, collector_id), newer in newest.items():
        superseded = _ended(
            QUEUED,
            runs.c.account == account,
            runs.c.collector_id == collector_id,
            tuple_(runs.c.due_at, runs.c.id) < tuple_(newer.due_at, newer.id),
            MAY_BE_SENT,
            reason=Reason.SUPERSEDED,
            detail=f"run {newer.id} with confirm_cancel took its place",
        )
        conn.execute(superseded, _at(conn, now))


_REPLACING = (
    select(runs.c.account, runs.c.collector_id, runs.c.due_at, runs.c.id)
    .where(QUEUED, runs.c.account.in_(ACCOUNTS), runs.c.confirm_cancel, MAY_BE_SENT)
    .order_by(runs.c.due_at, runs.c.id)
)


def coalesce_waiting(
    conn: Connection,
    schedules: Sequence[str],
    *,
    due_before: datetime,
    reason: Reason,
    now: datetime,
) -> None:
    """Skip runs of *schedules* that still wait since before *due_before*: a later one is due."""
    due = {"schedules": list(schedules), "due_before": due_before, "reason": reason}
    conn.execute(_COALESCE, _at(conn, now) | due)


_COALESCE = _ended(
    runs.c.schedule.in_(bindparam("schedules", expanding=True)),
    QUEUED,
    runs.c.due_at < bindparam("due_before", type_=runs.c.due_at.type),
    runs.c.retry_of.is_(None),
    # What a person asked for, such as a backfill, gives way to nothing.
    runs.c.send_before.is_not(None),
    state=_SKIPPED_IF_NEVER_SENT,
    reason=bindparam("reason", type_=runs.c.reason.type),
    detail="it still waited to be sent when the next occurrence was due",
)


def supersede(conn: Connection, run_ids: Sequence[int], *, now: datetime) -> None:
    """Skip runs that wait, because a later occurrence of their schedule takes their place."""
    if run_ids:
        detail = "a later occurrence took its place (overlap = replace)"
        superseded = _ended(runs.c.id.in_(run_ids), QUEUED, reason=Reason.SUPERSEDED, detail=detail)
        conn.execute(superseded, _at(conn, now))


def refuse(
    conn: Connection, run_ids: Sequence[int], *, reason: Reason, detail: str, now: datetime
) -> None:
    """End queued runs that may not be sent: what was never sent is skipped."""
    refused = _ended(
        runs.c.id.in_(run_ids), QUEUED, state=_SKIPPED_IF_NEVER_SENT, reason=reason, detail=detail
    )
    conn.execute(refused, _at(conn, now))


def flush_queue(conn: Connection, queue: str, *, detail: str, now: datetime) -> int:
    """Skip every run that waits in a named queue; return how many."""
    flushed = _ended(runs.c.queue == queue, QUEUED, reason=Reason.FLUSHED, detail=detail)
    return conn.execute(flushed, _at(conn, now)).rowcount


def skip_waiting(conn: Connection, schedules: Sequence[str], *, detail: str, now: datetime) -> None:
    """Skip the runs of *schedules* that wait to be sent."""
    if schedules:
        among = runs.c.schedule.in_(schedules)
        conn.execute(_ended(among, QUEUED, reason=Reason.FLUSHED, detail=detail), _at(conn, now))


def skip_fired_since(conn: Connection, since: datetime, *, detail: str, now: datetime) -> None:
    """Skip waiting runs that a daemon, and no person, has written after *since*."""
    fired = (runs.c.schedule.is_not(None), runs.c.created_by.is_(None), runs.c.created_at > since)
    skipped = _ended(
        QUEUED, *fired, state=_SKIPPED_IF_NEVER_SENT, reason=Reason.FROZEN, detail=detail
    )
    conn.execute(skipped, _at(conn, now))


def end_waiting(
    conn: Connection,
    run_id: int,
    *,
    from_states: Sequence[RunState],
    state: RunState,
    reason: Reason,
    detail: str | None,
    now: datetime,
) -> bool:
    """End a run that is in one of *from_states*, on a person's word; False when it is not."""
    is_there = (runs.c.id == run_id, runs.c.state.in_(from_states))
    ended = _ended(*is_there, state=state, reason=reason, detail=detail)
    return conn.execute(ended, _at(conn, now)).rowcount == 1
