"""
Claiming runs to send: who is next in each collector, under the account's brake.

The caller holds the account's brake row (accounts.read_brakes), so claims of one
account are one after another whatever the number of daemons.
"""

from collections import Counter, deque
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import (
    ColumnElement,
    Connection,
    Insert,
    Select,
    bindparam,
    func,
    insert,
    literal,
    or_,
    select,
    update,
)
from sqlalchemy.sql.dml import ReturningUpdate

from scheduler.domain.records import (
    Account,
    Outcome,
    RunState,
    RunToSend,
)
from scheduler.storage.collections_ import REPLACING, CollectorKey
from scheduler.storage.given import GivenValues
from scheduler.storage.heads import (
    ACCOUNTS,
    HEADS,
    NOW,
    QUEUED,
)
from scheduler.storage.rows import columns_of, reader, records
from scheduler.storage.tables import (
    accounts,
    attempts,
    in_state,
    runs,
)


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
) -> Claimed:
    """
    Take runs to send: of each account up to its *room*, of each lane one.

    The head of a lane blocks those behind it while it waits for a retry or is unsettled; of the
    collectors' heads the most urgent go first, and then what is next of those with room for more.
    What another client holds locked is left out. The attempt of each is written with it, as
    `sending`: both are on disk before its request leaves.
    """
    claimed: list[RunToSend] = []
    full: set[CollectorKey] = set()
    missing = Counter(room)
    has_more = True
    while has_more and any(missing.values()):
        heads = _list_heads(conn, missing, now=now)
        has_more, times = False, 1
        while few := _next_few(heads, missing, times):
            ready = _where_room_is(conn, few)
            full |= {head.collector for head in few} - {head.collector for head in ready}
            chosen = _cut(ready, missing)
            taken = _take(conn, chosen, now=now, owner=owner, lease_until=lease_until)
            claimed += taken.values()
            missing.subtract(run.account for run in taken.values())
            has_more |= any(head.id in taken and head.leaves_room for head in chosen)
            # Thousands of collectors may be full: those that are not are found in a few steps.
            times *= 2
    return Claimed(claimed, frozenset(full))


def _take(
    conn: Connection,
    heads: Sequence["_Head"],
    *,
    now: datetime,
    owner: str,
    lease_until: datetime,
) -> dict[int, RunToSend]:
    """Claim the heads that are still there and free, in their order, and write their attempts."""
    if not heads:
        return {}
    ids = [head.id for head in heads]
    lease = {"owner": owner, "until": lease_until}
    found = {
        run.id: run for run in records(RunToSend, conn.execute(_TAKE, _CHOSEN.of(ids) | lease))
    }
    conn.execute(_SENDING, _CHOSEN.of(found) | {"now": now})
    return {run_id: found[run_id] for run_id in ids if run_id in found}


_CHOSEN = GivenValues("chosen", runs.c.id.type)


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
_TAKE = _taking()
_SENDING = _sending()


class _Head(NamedTuple):
    """The run that is next in its collector."""

    id: int
    account: str
    collector_id: str
    unsettled: int
    max_unsettled: int
    max_running: int

    @property
    def collector(self) -> CollectorKey:
        """Return whose run it is."""
        return self.account, self.collector_id

    @property
    def leaves_room(self) -> bool:
        """Tell whether the collector may have another trigger beside it."""
        return self.unsettled + 1 < self.max_unsettled


def _list_heads(
    conn: Connection, missing: Mapping[str, int], *, now: datetime
) -> dict[str, deque[_Head]]:
    """Return the heads of each account of which some are missing, the most urgent first."""
    heads: dict[str, deque[_Head]] = {name: deque() for name, count in missing.items() if count}
    for row in conn.execute(HEADS, {"accounts": list(heads), "now": now}).all():
        head = _Head(*row)
        heads[head.account].append(head)
    return heads


def _next_few(
    heads: Mapping[str, deque[_Head]], missing: Mapping[str, int], times: int
) -> list[_Head]:
    """Take out so many *times* the heads that each account is missing."""
    return [
        waiting.popleft()
        for account, waiting in heads.items()
        for _ in range(min(times * missing[account], len(waiting)))
    ]


def _cut(ready: Sequence[_Head], missing: Mapping[str, int]) -> list[_Head]:
    """Return of each account as many as it is missing; the rest is there in the next pass."""
    left = dict(missing)
    chosen = []
    for head in ready:
        if left[head.account] > 0:
            left[head.account] -= 1
            chosen.append(head)
    return chosen


def _where_room_is(conn: Connection, heads: Sequence[_Head]) -> list[_Head]:
    """Return those whose collectors may run another: running jobs are counted only for these."""
    among = _AMONG.of({head.collector_id for head in heads})
    of_accounts = {"accounts": list({head.account for head in heads})}
    running = {
        (account, collector_id): number
        for account, collector_id, number in conn.execute(_RUNNING, among | of_accounts).all()
    }
    return [
        head for head in heads if head.unsettled + running.get(head.collector, 0) < head.max_running
    ]


_AMONG = GivenValues("collectors", runs.c.collector_id.type)
_RUNNING = (
    select(runs.c.account, runs.c.collector_id, func.count())
    .where(
        runs.c.account.in_(ACCOUNTS),
        in_state(runs, RunState.COLLECTING),
        _AMONG.has(runs.c.collector_id),
    )
    .group_by(runs.c.account, runs.c.collector_id)
)


class Outlook(NamedTuple):
    """What there is to do with the queued runs."""

    is_ready: bool
    """The time of one has come."""
    is_late: bool
    """The misfire grace of one is over."""
    next_ready_at: datetime | None
    """When the time of the next one comes; None if all are ready."""
    replaces: bool
    """One waits for the end of a run that it is to replace."""


def read_outlook(conn: Connection, *, now: datetime) -> Outlook:
    """Look over the queued runs of every account."""
    is_ready, is_late, next_ready_at, replacing = conn.execute(_OUTLOOK, {"now": now}).one()
    return Outlook(bool(is_ready), bool(is_late), next_ready_at, replacing is not None)


def _first(column: ColumnElement[datetime], *conditions: ColumnElement[bool]) -> Any:
    return select(func.min(column)).where(QUEUED, *conditions).scalar_subquery()


_OUTLOOK = select(
    _first(runs.c.not_before) <= NOW,
    _first(runs.c.send_before, runs.c.send_before.is_not(None)) < NOW,
    _first(runs.c.not_before, runs.c.not_before > NOW),
    select(runs.c.waits_for).where(REPLACING).limit(1).scalar_subquery(),
)


class AtWork(NamedTuple):
    """An account that is concerned or has work."""

    account: Account
    is_ready: bool
    """The time of a queued run has come."""
    replaces: bool
    """A queued run is to be sent with confirm_cancel."""


def list_at_work(conn: Connection, concerned: Collection[str], *, now: datetime) -> list[AtWork]:
    """
    Return the accounts that are *concerned*, or have a run whose time has come, by name.

    One that was renamed meanwhile is left out.
    """
    found = conn.execute(_AT_WORK, {"accounts": list(concerned), "now": now})
    read = reader(Account, tuple(found.keys()))
    return [AtWork(read(row), row.is_ready, row.replaces) for row in found.all()]


def _at_work() -> Select[Any]:
    def has_queued(*conditions: ColumnElement[bool]) -> ColumnElement[bool]:
        # Not EXISTS, for which PostgreSQL would read all that is queued.
        found = select(runs.c.id).where(QUEUED, runs.c.account == accounts.c.name, *conditions)
        return found.limit(1).scalar_subquery().is_not(None)

    is_ready = has_queued(runs.c.not_before <= NOW)
    replaces = has_queued(runs.c.confirm_cancel)
    return (
        select(accounts, is_ready.label("is_ready"), replaces.label("replaces"))
        .where(or_(accounts.c.name.in_(ACCOUNTS), is_ready))
        .order_by(accounts.c.name)
    )


_AT_WORK = _at_work()
