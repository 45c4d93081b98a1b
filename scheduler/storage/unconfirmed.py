"""Runs whose trigger may have been accepted: found, leased for a look, and settled."""

from collections import Counter
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, bindparam, exists, func, or_, select, update

from scheduler.domain.brake import most_on_the_wire
from scheduler.domain.records import Attempt, Outcome, Reason, Run, RunState
from scheduler.storage.accounts import suspect_throttles
from scheduler.storage.rows import record, records
from scheduler.storage.tables import attempts, collections, in_state, runs


def expire_leases(conn: Connection, *, now: datetime, look_at: datetime) -> list[Run]:
    """Turn claims whose lease has ended into unconfirmed runs: their requests may have left."""
    return _lose(conn, runs.c.lease_until < now, look_at=look_at, now=now)


def expire_leases_of_others(
    conn: Connection, owner: str, *, now: datetime, look_at: datetime
) -> list[Run]:
    """Do so for every claim that is not *owner*'s, when nobody else can be alive."""
    conn.execute(
        update(collections)
        .where(collections.c.lease_owner != owner)
        .values(lease_owner=None, lease_until=None)
    )
    conn.execute(
        update(runs)
        .where(in_state(runs, RunState.UNCONFIRMED), runs.c.lease_owner != owner)
        .values(lease_owner=None, lease_until=None)
    )
    return _lose(conn, runs.c.lease_owner != owner, look_at=look_at, now=now)


def _lose(
    conn: Connection, dead: ColumnElement[bool], *, look_at: datetime, now: datetime
) -> list[Run]:
    changed = conn.execute(
        update(runs)
        .where(in_state(runs, RunState.DISPATCHING), dead)
        .values(
            state=RunState.UNCONFIRMED,
            reason=Reason.DAEMON_DIED,
            detail="its daemon stopped between the claim and the answer",
            look_at=look_at,
            looks=0,
            lease_owner=None,
            lease_until=None,
        )
        .returning(runs)
    )
    lost = records(Run, changed)
    if lost:
        conn.execute(_LOST, [{"of_run": run.id, "of_number": run.fence} for run in lost])
    for account, count in Counter(run.account for run in lost).items():
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


def list_accounts_to_look_for(conn: Connection, *, now: datetime) -> list[str]:
    """Return the accounts that have an unconfirmed run due for a look."""
    found = conn.scalars(
        select(runs.c.account)
        .where(in_state(runs, RunState.UNCONFIRMED), runs.c.look_at <= now)
        .distinct()
    )
    return sorted(found)


def claim_looks(
    conn: Connection,
    account: str,
    *,
    now: datetime,
    owner: str,
    lease_until: datetime,
    limit: int,
) -> list[LostRun]:
    """
    Take up to *limit* unconfirmed runs of the account that are due for a look.

    One whose attempt is gone is left to a person: nothing tells when it was sent.
    """
    has_attempt = exists().where(attempts.c.run_id == runs.c.id, attempts.c.number == runs.c.fence)
    due = (
        select(runs.c.id)
        .where(
            in_state(runs, RunState.UNCONFIRMED),
            runs.c.account == account,
            runs.c.look_at <= now,
            or_(runs.c.lease_until.is_(None), runs.c.lease_until < now),
            has_attempt,
        )
        .order_by(runs.c.look_at)
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
    found = records(Run, taken)
    return [LostRun(run=run, attempt=_attempt_of(conn, run)) for run in found]


def _attempt_of(conn: Connection, run: Run) -> Attempt:
    found = conn.execute(
        select(attempts).where(attempts.c.run_id == run.id, attempts.c.number == run.fence)
    )
    return record(Attempt, found.mappings().one())


def put_off_look(conn: Connection, run: Run, *, look_at: datetime, looks: int) -> None:
    """Look for an unconfirmed run again at *look_at*, unless it was settled meanwhile."""
    conn.execute(
        update(runs)
        .where(runs.c.id == run.id, runs.c.fence == run.fence, in_state(runs, RunState.UNCONFIRMED))
        .values(look_at=look_at, looks=looks, lease_owner=None, lease_until=None)
    )


def find_next_look(conn: Connection) -> datetime | None:
    """Return when an unconfirmed run is next due for a look, or a claim's lease ends."""
    look = select(func.min(runs.c.look_at)).where(in_state(runs, RunState.UNCONFIRMED))
    lease = select(func.min(runs.c.lease_until)).where(in_state(runs, RunState.DISPATCHING))
    moments = [moment for moment in (conn.scalar(look), conn.scalar(lease)) if moment is not None]
    return min(moments, default=None)
