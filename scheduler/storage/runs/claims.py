"""
Claiming runs to send: who is next in each collector, under the account's brake.

The caller holds the account's brake row (accounts.read_brakes), so claims of one
account are one after another whatever the number of daemons.
"""

from collections import Counter, deque
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import (
    ColumnElement,
    Connection,
    Insert,
    and_,
    bindparam,
    case,
    exists,
    func,
    insert,
    literal,
    or_,
    select,
    update,
)
from sqlalchemy.sql.dml import ReturningUpdate

from scheduler.domain.records import UNRESOLVED_STATES, Outcome, RunState, RunToSend
from scheduler.storage.collections_ import CollectorKey
from scheduler.storage.json_rows import JsonRows, JsonValues
from scheduler.storage.rows import columns_of, records
from scheduler.storage.run_events import SIGNED, signature
from scheduler.storage.runs.candidates import NOW, Candidate, list_candidates, where_room_is
from scheduler.storage.tables import attempts, in_state, runs

Admit = Callable[[Sequence[int]], Collection[int]]
"""Which of these runs may be claimed: the others are ended by it."""


class Claimed(NamedTuple):
    """What was claimed, and where there was no room for what is ready."""

    runs: list[RunToSend]
    full: frozenset[CollectorKey]
    """Collectors with as many collections running as may run."""


def claim_runs(
    conn: Connection,
    room: Mapping[str, int],
    *,
    now: datetime,
    owner: str,
    lease_until: datetime,
    upstream_times: Mapping[str, datetime] | None = None,
    admit: Admit = set,
) -> Claimed:
    """
    Take runs to send: of each account up to its *room*, of each order key one.

    The first of an order key blocks those behind it while it waits for a retry or is
    unresolved; of the collectors' candidates the most urgent go first, and then what is next of
    those with room for more. What another client holds locked, or *admit* does not let pass, is
    left out. The attempt of each is written with it, as `sending`: both are on disk before its
    request leaves, with what the upstream's own clock shows of *upstream_times*.
    """
    claimed: list[RunToSend] = []
    full: set[CollectorKey] = set()
    missing = Counter(room)
    has_more = True
    while has_more and any(missing.values()):
        candidates = list_candidates(conn, missing, now=now)
        has_more, times = False, 1
        while few := _next_few(candidates, missing, times):
            ready = where_room_is(conn, few, now=now)
            full |= {candidate.collector for candidate in few} - {
                candidate.collector for candidate in ready
            }
            chosen = _cut(ready, missing)
            admitted = admit([candidate.id for candidate in chosen])
            taken = _take(
                conn,
                [candidate for candidate in chosen if candidate.id in admitted],
                now=now,
                owner=owner,
                lease_until=lease_until,
                upstream_times=upstream_times or {},
            )
            claimed += taken.values()
            missing.subtract(run.account for run in taken.values())
            has_more |= any(candidate.id in taken and candidate.leaves_room for candidate in chosen)
            # Thousands of collectors may be full: those that are not are found in a few steps.
            times *= 2
    return Claimed(claimed, frozenset(full))


def _take(
    conn: Connection,
    candidates: Sequence[Candidate],
    *,
    now: datetime,
    owner: str,
    lease_until: datetime,
    upstream_times: Mapping[str, datetime],
) -> dict[int, RunToSend]:
    """Claim the candidates still there and free, in their order, and write their attempts."""
    if not candidates:
        return {}
    ids = [candidate.id for candidate in candidates]
    lease = {"owner": owner, "until": lease_until} | signature(conn, now)
    taken = {
        run.id: run for run in records(RunToSend, conn.execute(_TAKE, _CHOSEN.of(ids) | lease))
    }
    times = _UPSTREAM_TIMES.of(upstream_times.items())
    conn.execute(_SENDING, _CHOSEN.of(taken) | times | {"now": now})
    return {run_id: taken[run_id] for run_id in ids if run_id in taken}


def claim_as_of(conn: Connection, *, since: datetime, owner: str, now: datetime) -> list[int]:
    """
    Claim what waited in a backup of *since*, as if a daemon had sent it then and died.

    So it is looked for as all lost triggers are. Of each order key the first one, and of those
    that send the same to a collector, unless one is looked for; what has been claimed since is
    left out. Return their ids.
    """
    other = runs.alias("other")
    is_alike = and_(
        other.c.account == runs.c.account,
        other.c.collector_id == runs.c.collector_id,
        other.c.body == runs.c.body,
    )
    of_its_kind = or_(other.c.order_key == runs.c.order_key, is_alike)
    is_free = ~exists().where(in_state(other, *UNRESOLVED_STATES), of_its_kind)
    rows = conn.execute(
        select(runs.c.id, runs.c.order_key, runs.c.account, runs.c.collector_id, runs.c.body)
        .where(*_waited(since), is_free)
        .order_by(runs.c.priority.desc(), runs.c.due_at, runs.c.id)
    )
    ids, taken = [], set[Any]()
    for row in rows:
        kinds = {row.order_key or row.id, (row.account, row.collector_id, row.body)}
        if not kinds & taken:
            ids.append(row.id)
        taken |= kinds
    lease = {"owner": owner, "until": since} | signature(conn, now)
    conn.execute(_TAKE, _CHOSEN.of(ids) | lease)
    conn.execute(_SENDING, _CHOSEN.of(ids) | _UPSTREAM_TIMES.of(()) | {"now": since})
    return ids


def claim_rerun(
    conn: Connection, run_id: int, request: str, *, owner: str, now: datetime
) -> list[RunToSend]:
    """Claim a run that *request* has sent already, another way than by a trigger of its own."""
    lease = {"owner": owner, "until": now} | signature(conn, now)
    taken = records(RunToSend, conn.execute(_TAKE, _CHOSEN.of([run_id]) | lease))
    conn.execute(_SENDING, _CHOSEN.of([run_id]) | _UPSTREAM_TIMES.of(()) | {"now": now})
    conn.execute(update(attempts).where(attempts.c.run_id == run_id).values(request=request))
    return taken


def has_waited(conn: Connection, *, since: datetime) -> bool:
    """Tell whether anything that waited in a backup of *since* was not claimed since."""
    return conn.execute(select(runs.c.id).where(*_waited(since)).limit(1)).first() is not None


def _waited(since: datetime) -> tuple[ColumnElement[bool], ...]:
    claimed = exists().where(attempts.c.run_id == runs.c.id, attempts.c.claimed_at >= since)
    return in_state(runs, RunState.QUEUED), runs.c.created_at <= since, ~claimed


def lengthen_lease(conn: Connection, run_id: int, *, until: datetime) -> None:
    """Let the claim of a run last longer: what it sends is large."""
    conn.execute(update(runs).where(runs.c.id == run_id).values(lease_until=until))


_CHOSEN = JsonValues("chosen", runs.c.id.type)
_UPSTREAM_TIMES = JsonRows(
    "upstream_times", account=runs.c.account.type, at=attempts.c.upstream_at.type
)


def _taking() -> ReturningUpdate[Any]:
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
            attempt_count=runs.c.attempt_count + 1,
            lease_owner=bindparam("owner"),
            lease_until=bindparam("until", type_=runs.c.lease_until.type),
            **SIGNED,
        )
        .returning(*columns_of(RunToSend, runs))
    )


def _sending() -> Insert:
    times = _UPSTREAM_TIMES.c
    upstream_at = select(times["at"]).where(times["account"] == runs.c.account).scalar_subquery()
    last = select(func.max(attempts.c.resolved_at)).where(attempts.c.run_id == runs.c.id)
    resolved_at = last.correlate(runs).scalar_subquery()
    # Who waited for this claim may bring a time from before the last attempt was resolved.
    # Not asked of a first attempt: a plan made while there were none would read all of them.
    is_behind = and_(runs.c.fence > 1, resolved_at > NOW)
    claimed_at = case((is_behind, resolved_at), else_=NOW)
    intents = select(
        runs.c.id,
        runs.c.fence,
        runs.c.lease_owner,
        "POST /dca/trigger?" + runs.c.query,
        literal(Outcome.SENDING),
        claimed_at,
        upstream_at,
    ).where(_CHOSEN.has(runs.c.id))
    columns = ("run_id", "number", "daemon", "request", "outcome", "claimed_at", "upstream_at")
    return insert(attempts).from_select(columns, intents)


# Statements are built once: putting one together costs more than carrying it out.
_TAKE = _taking()
_SENDING = _sending()


def _next_few(
    candidates: Mapping[str, deque[Candidate]], missing: Mapping[str, int], times: int
) -> list[Candidate]:
    """Take out so many *times* the candidates that each account is missing."""
    return [
        waiting.popleft()
        for account, waiting in candidates.items()
        for _ in range(min(times * missing[account], len(waiting)))
    ]


def _cut(ready: Sequence[Candidate], missing: Mapping[str, int]) -> list[Candidate]:
    """Return of each account as many as it is missing; the rest is there in the next pass."""
    left = dict(missing)
    chosen = []
    for candidate in ready:
        if left[candidate.account] > 0:
            left[candidate.account] -= 1
            chosen.append(candidate)
    return chosen
