"""Accounts, and the brake each of them shares between all daemons."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import (
    BindParameter,
    ColumnElement,
    Connection,
    ScalarSelect,
    Select,
    bindparam,
    delete,
    func,
    insert,
    literal,
    null,
    or_,
    select,
    union_all,
    update,
)

from scheduler.domain.brake import WINDOW, Brake, after_crash, most_on_the_wire
from scheduler.domain.errors import NotFound
from scheduler.domain.records import Account, RunState
from scheduler.storage import holds
from scheduler.storage.collection_tables import job_lists
from scheduler.storage.collections_ import first_poll
from scheduler.storage.json_rows import insert_rows
from scheduler.storage.rows import record, records, values_of
from scheduler.storage.tables import (
    ON_THE_WIRE,
    accounts,
    brakes,
    collections,
    in_state,
    runs,
    throttles,
)


def list_accounts(conn: Connection) -> list[Account]:
    """Return every account, by name."""
    rows = conn.execute(select(accounts).order_by(accounts.c.name))
    return records(Account, rows)


def get_account(conn: Connection, name: str) -> Account:
    """Return the account of that name, or raise NotFound."""
    account = find_account(conn, name)
    if account is None:
        raise NotFound(f"no account is called {name!r}")
    return account


def find_account(conn: Connection, name: str) -> Account | None:
    """Return the account of that name; None if there is none, or no longer."""
    rows = conn.execute(select(accounts).where(accounts.c.name == name))
    row = rows.mappings().first()
    return None if row is None else record(Account, row)


def list_named(conn: Connection, names: Collection[str]) -> list[Account]:
    """Return the accounts of these *names* by name; one that was renamed is left out."""
    return records(Account, conn.execute(_NAMED, {"accounts": list(names)}))


@dataclass(frozen=True, slots=True, kw_only=True)
class BrakeReading:
    """
    Everything that the brake's decision rests on, read under its lock.

    *claimed* counts, for each daemon, the runs that it has claimed and not resolved; *asked* the
    questions under way. *poll_due_at* is since when a collection waits to be polled.
    """

    brake: Brake
    claimed: Mapping[str, int]
    asked: int
    throttled_at: Sequence[datetime]
    poll_due_at: datetime | None


_NAMES: BindParameter[Sequence[str]] = bindparam("accounts", expanding=True)
_NOW = bindparam("now", type_=collections.c.next_poll_at.type)
_NAMED = select(accounts).where(accounts.c.name.in_(_NAMES)).order_by(accounts.c.name)


def read_brake(conn: Connection, account: str, *, now: datetime) -> BrakeReading:
    """Read one account's brake, and hold it, as `read_brakes` does."""
    return read_brakes(conn, [account], now=now)[account]


def read_brakes(
    conn: Connection, names: Sequence[str], *, now: datetime
) -> dict[str, BrakeReading]:
    """Read the accounts' brakes and hold them until the transaction ends: one spender at a time."""
    brake_of = _hold_brakes(conn, names, now)
    missing = [{"account": name} for name in names if name not in brake_of]
    if missing:
        insert_rows(conn, brakes, missing)
        brake_of = _hold_brakes(conn, names, now)
    under_way = _count_under_way(conn, names, now=now)
    throttled = _list_throttled(conn, names, now=now)
    return {
        name: BrakeReading(
            brake=brake,
            claimed=under_way.get(name, _NOTHING).claimed,
            asked=under_way.get(name, _NOTHING).asked,
            throttled_at=throttled.get(name, ()),
            poll_due_at=poll_due_at,
        )
        for name, (brake, poll_due_at) in brake_of.items()
    }


def _hold_brakes(
    conn: Connection, names: Sequence[str], now: datetime
) -> dict[str, tuple[Brake, datetime | None]]:
    rows = conn.execute(_HELD, {"accounts": names, "now": now})
    return {row["account"]: (record(Brake, row), row["poll_due_at"]) for row in rows.mappings()}


def find_poll_due(conn: Connection, account: str, *, now: datetime) -> datetime | None:
    """Return since when a collection of the account waits to be polled; None if none does."""
    return conn.scalar(select(_first_poll_waiting(literal(account))), {"now": now})


def _first_poll_waiting(account: ColumnElement[str]) -> ScalarSelect[datetime]:
    is_free = or_(collections.c.lease_until.is_(None), collections.c.lease_until < _NOW)
    return first_poll(account, collections.c.next_poll_at <= _NOW, is_free)


def _held() -> Select[Any]:
    return (
        select(brakes, _first_poll_waiting(brakes.c.account).label("poll_due_at"))
        .where(brakes.c.account.in_(_NAMES))
        # In order of name: two daemons that hold several never wait for each other in a circle.
        .order_by(brakes.c.account)
        .with_for_update(of=brakes)
    )


_HELD = _held()


def list_throttled(conn: Connection, account: str, *, now: datetime) -> Sequence[datetime]:
    """
    Return when 429 was answered in the five minutes before *now*, in order.

    Those of other accounts at the same upstream as well: it counts by address (DCA, 1). Suspected
    ones are included if one was seen for certain.
    """
    return _list_throttled(conn, [account], now=now).get(account, [])


def _list_throttled(
    conn: Connection, names: Sequence[str], *, now: datetime
) -> dict[str, list[datetime]]:
    moments: dict[str, list[datetime]] = {}
    certain = set()
    for row in conn.execute(_THROTTLED, {"accounts": names, "since": now - WINDOW}):
        moments.setdefault(row.account, []).append(row.happened_at)
        if not row.suspected:
            certain.add(row.account)
    return {name: at for name, at in moments.items() if name in certain}


_MINE = accounts.alias("mine")
_THROTTLED = (
    select(_MINE.c.name.label("account"), throttles.c.happened_at, throttles.c.suspected)
    .join(accounts, accounts.c.base_url == _MINE.c.base_url)
    .join(throttles, throttles.c.account == accounts.c.name)
    .where(
        _MINE.c.name.in_(_NAMES),
        throttles.c.happened_at > bindparam("since", type_=throttles.c.happened_at.type),
    )
    .order_by(throttles.c.happened_at)
)


def find_brake(conn: Connection, account: str) -> Brake | None:
    """Return the account's brake as it stands, for showing; None before its first request."""
    row = conn.execute(select(brakes).where(brakes.c.account == account)).mappings().first()
    return record(Brake, row) if row is not None else None


def count_in_flight(conn: Connection, account: str, *, now: datetime) -> int:
    """Count requests that may be on the wire: triggers, and questions under a lease."""
    count = _count_under_way(conn, [account], now=now).get(account, _NOTHING)
    return most_on_the_wire(count.claimed.values()) + count.asked


@dataclass(slots=True)
class _UnderWay:
    claimed: dict[str, int] = field(default_factory=dict)
    asked: int = 0


_NOTHING = _UnderWay()


def _count_under_way(
    conn: Connection, names: Sequence[str], *, now: datetime
) -> dict[str, _UnderWay]:
    counts: dict[str, _UnderWay] = {}
    for account, owner, number in conn.execute(_UNDER_WAY, {"accounts": names, "now": now}):
        of_account = counts.setdefault(account, _UnderWay())
        if owner is None:
            of_account.asked += number
        else:
            of_account.claimed[owner] = number
    return counts


def _under_way() -> Select[Any]:
    now = bindparam("now", type_=runs.c.lease_until.type)
    nobody = null().label("lease_owner")
    triggers = select(runs.c.account, runs.c.lease_owner).where(
        runs.c.account.in_(_NAMES), ON_THE_WIRE
    )
    lookups = select(runs.c.account, nobody).where(
        runs.c.account.in_(_NAMES), in_state(runs, RunState.UNCONFIRMED), runs.c.lease_until > now
    )
    polls = select(collections.c.account, nobody).where(
        collections.c.account.in_(_NAMES),
        collections.c.next_poll_at.is_not(None),
        collections.c.lease_until > now,
    )
    lists = select(job_lists.c.account, nobody).where(
        job_lists.c.account.in_(_NAMES), job_lists.c.lease_until > now
    )
    query = union_all(triggers, lookups, polls, lists).subquery()
    return select(query.c.account, query.c.lease_owner, func.count()).group_by(
        query.c.account, query.c.lease_owner
    )


_UNDER_WAY = _under_way()


def record_brake(conn: Connection, account: str, brake: Brake) -> None:
    """Store what the brake has become; the caller holds its lock since read_brake."""
    record_brakes(conn, {account: brake})


def record_brakes(conn: Connection, changed: Mapping[str, Brake]) -> None:
    """Store what the brakes have become; the caller holds their locks since read_brakes."""
    if changed:
        rows = [{"of": name} | values_of(brake) for name, brake in changed.items()]
        conn.execute(_BECOMES, rows)


_BECOMES = update(brakes).where(brakes.c.account == bindparam("of"))


def insert_throttles(
    conn: Connection, account: str, at: Sequence[datetime], *, suspected: bool = False
) -> None:
    """Note answers of 429, and forget those that no window can hold any more."""
    if not at:
        return
    conn.execute(
        insert(throttles),
        [{"account": account, "happened_at": moment, "suspected": suspected} for moment in at],
    )
    old = throttles.c.happened_at < min(at) - 2 * WINDOW
    conn.execute(delete(throttles).where(throttles.c.account == account, old))


def suspect_throttles(conn: Connection, account: str, count: int, *, now: datetime) -> None:
    """
    Note that nobody saw *count* answers: the account begins again with one probe at a time.

    Each of them may have been 429, and the first to be seen makes them count as such.
    """
    insert_throttles(conn, account, [now] * count, suspected=True)
    holds.begin_braking(conn, account, "a daemon died: one probe goes first", now=now)
    record_brake(conn, account, after_crash(read_brake(conn, account, now=now).brake))


def list_paused(conn: Connection) -> dict[str, Brake]:
    """Return the brakes of the accounts whose sending is paused, by account."""
    rows = conn.execute(select(brakes).where(brakes.c.paused_at.is_not(None)))
    return {row["account"]: record(Brake, row) for row in rows.mappings()}


def set_paused(
    conn: Connection,
    account: str,
    *,
    by: str,
    reason: str,
    now: datetime,
    until: datetime | None = None,
) -> None:
    """Pause the account's sending on a person's word: no new token lifts it."""
    insert_rows(conn, brakes, [{"account": account}])
    conn.execute(
        update(brakes)
        .where(brakes.c.account == account)
        .values(
            paused_at=now, paused_by=by, paused_reason=reason, paused_until=until, paused_token=None
        )
    )


def set_resumed(conn: Connection, account: str) -> bool:
    """Lift the pause of the account's sending; False when there was none."""
    lifted = conn.execute(
        update(brakes)
        .where(brakes.c.account == account, brakes.c.paused_at.is_not(None))
        .values(_NOT_PAUSED)
    )
    return lifted.rowcount > 0


def lift_lapsed_pauses(conn: Connection, *, now: datetime) -> None:
    """Lift the pauses of accounts that have come to their end."""
    conn.execute(update(brakes).where(brakes.c.paused_until <= now).values(_NOT_PAUSED))


_NOT_PAUSED = dict.fromkeys(
    ("paused_at", "paused_by", "paused_reason", "paused_until", "paused_token")
)
