"""Runs whose trigger may have been accepted: found, leased for a lookup, and resolved."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import (
    ColumnElement,
    Connection,
    Table,
    bindparam,
    exists,
    func,
    or_,
    select,
    update,
)

from scheduler.domain.brake import most_on_the_wire
from scheduler.domain.records import Attempt, Outcome, Reason, Run, RunState
from scheduler.storage.accounts import suspect_throttles
from scheduler.storage.collection_tables import job_lists
from scheduler.storage.departures import Departed
from scheduler.storage.rows import record, records
from scheduler.storage.run_events import SIGNED, signature
from scheduler.storage.runs.outcomes import list_claimed_by, release_unsent
from scheduler.storage.tables import ON_THE_WIRE, attempts, collections, in_state, runs


def expire_leases(conn: Connection, *, now: datetime, next_lookup_at: datetime) -> list[Run]:
    """Turn claims whose lease has ended into unconfirmed runs: their requests may have left."""
    asked = _end_questions(conn, lambda table: table.c.lease_until < now)
    return _lose(conn, runs.c.lease_until < now, asked, next_lookup_at=next_lookup_at, now=now)


def expire_leases_of_others(
    conn: Connection,
    owner: str,
    *,
    now: datetime,
    next_lookup_at: datetime,
    departed: Departed | None = None,
) -> list[Run]:
    """
    Do so for every claim that is not *owner*'s, when nobody else can be alive.

    What *departed* proves never to have left is put back into the queue instead.
    """
    if departed is not None:
        claimed = list_claimed_by(conn, departed.owner)
        unsent = [run for run in claimed if (run.id, run.fence) not in departed.claims]
        release_unsent(conn, unsent, now=now, detail="its daemon died before it could leave")
    asked = _end_questions(conn, lambda table: table.c.lease_owner != owner)
    return _lose(conn, runs.c.lease_owner != owner, asked, next_lookup_at=next_lookup_at, now=now)


def _end_questions(
    conn: Connection, is_dead: Callable[[Table], ColumnElement[bool]]
) -> Counter[str]:
    """End the leases of questions that nobody answers any more; return how many, by account."""
    free = {"lease_owner": None, "lease_until": None}
    ended = (
        *(
            # Leased: said so for the index of those, which follows what is asked now.
            update(asked)
            .where(asked.c.lease_until.is_not(None), is_dead(asked))
            .values(free)
            .returning(asked.c.account)
            for asked in (collections, job_lists)
        ),
        update(runs)
        .where(in_state(runs, RunState.UNCONFIRMED), is_dead(runs))
        .values(free)
        .returning(runs.c.account),
    )
    return Counter(account for statement in ended for account in conn.scalars(statement))


def _lose(
    conn: Connection,
    dead: ColumnElement[bool],
    asked: Counter[str],
    *,
    next_lookup_at: datetime,
    now: datetime,
) -> list[Run]:
    changed = conn.execute(
        update(runs)
        .where(ON_THE_WIRE, dead)
        .values(
            state=RunState.UNCONFIRMED,
            reason=Reason.DAEMON_DIED,
            detail="its daemon stopped between the claim and the answer",
            next_lookup_at=next_lookup_at,
            lookups=0,
            lease_owner=None,
            lease_until=None,
            **SIGNED,
        )
        .returning(runs),
        signature(conn, now),
    )
    lost = records(Run, changed)
    if lost:
        conn.execute(_LOST, [{"of_run": run.id, "of_number": run.fence} for run in lost])
    claimed = Counter(run.account for run in lost)
    for account in claimed | asked:
        count = most_on_the_wire([claimed[account]]) + asked[account]
        suspect_throttles(conn, account, most_on_the_wire([count]), now=now)
    return lost


# One by one: SQLite finds no list of pairs by an index.
_LOST = (
    update(attempts)
    .where(
        attempts.c.run_id == bindparam("of_run"),
        attempts.c.number == bindparam("of_number"),
        attempts.c.outcome == Outcome.SENDING,
    )
    .values(outcome=Outcome.LOST, detail=Reason.DAEMON_DIED)
)


@dataclass(frozen=True, slots=True, kw_only=True)
class LostRun:
    """An unconfirmed run with the attempt that is looked for."""

    run: Run
    attempt: Attempt


def list_accounts_to_look_up(conn: Connection, *, now: datetime) -> list[str]:
    """Return the accounts that have an unconfirmed run due for a lookup."""
    rows = conn.scalars(
        select(runs.c.account)
        .where(in_state(runs, RunState.UNCONFIRMED), runs.c.next_lookup_at <= now)
        .distinct()
    )
    return sorted(rows)


def claim_lookups(
    conn: Connection, account: str, *, now: datetime, owner: str, lease_until: datetime, limit: int
) -> list[LostRun]:
    """
    Take up to *limit* unconfirmed runs of the account that are due for a lookup.

    One whose attempt is gone is left to a person: nothing tells when it was sent.
    """
    has_attempt = exists().where(attempts.c.run_id == runs.c.id, attempts.c.number == runs.c.fence)
    due = (
        select(runs.c.id)
        .where(
            in_state(runs, RunState.UNCONFIRMED),
            runs.c.account == account,
            runs.c.next_lookup_at <= now,
            or_(runs.c.lease_until.is_(None), runs.c.lease_until < now),
            has_attempt,
        )
        .order_by(runs.c.next_lookup_at)
        .limit(limit)
        .with_for_update(skip_locked=True)
        .cte("due")
    )
    taken = conn.execute(
        update(runs)
        .where(runs.c.id.in_(select(due.c.id)))
        .values(lease_owner=owner, lease_until=lease_until)
        .returning(runs)
    )
    lost = records(Run, taken)
    return [LostRun(run=run, attempt=_attempt_of(conn, run)) for run in lost]


def _attempt_of(conn: Connection, run: Run) -> Attempt:
    rows = conn.execute(
        select(attempts).where(attempts.c.run_id == run.id, attempts.c.number == run.fence)
    )
    return record(Attempt, rows.mappings().one())


def put_off_lookup(conn: Connection, run: Run, *, next_lookup_at: datetime, lookups: int) -> None:
    """Look for an unconfirmed run again at *next_lookup_at*, unless it was resolved meanwhile."""
    conn.execute(
        update(runs)
        .where(runs.c.id == run.id, runs.c.fence == run.fence, in_state(runs, RunState.UNCONFIRMED))
        .values(next_lookup_at=next_lookup_at, lookups=lookups, lease_owner=None, lease_until=None)
    )


def look_at_once(conn: Connection, *, latest: datetime, now: datetime) -> None:
    """Look now for what is put off until after *latest*, and end such leases: a clock was wrong."""
    conn.execute(
        update(runs)
        .where(in_state(runs, RunState.UNCONFIRMED), runs.c.next_lookup_at > latest)
        .values(next_lookup_at=now, lease_owner=None, lease_until=None)
    )


def find_next_lookup(conn: Connection) -> datetime | None:
    """Return when an unconfirmed run is next due for a lookup, or a claim's lease ends."""
    lookup = select(func.min(runs.c.next_lookup_at)).where(in_state(runs, RunState.UNCONFIRMED))
    lease = select(func.min(runs.c.lease_until)).where(ON_THE_WIRE)
    moments = [moment for moment in (conn.scalar(lookup), conn.scalar(lease)) if moment is not None]
    return min(moments, default=None)
