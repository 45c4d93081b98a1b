"""Accounts, and the brake each of them shares between all daemons."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime

from sqlalchemy import (
    Connection,
    Select,
    bindparam,
    delete,
    func,
    insert,
    literal,
    select,
    update,
)

from scheduler.domain.brake import WINDOW, Brake, after_crash
from scheduler.domain.errors import NotFound
from scheduler.domain.records import Account, RunState
from scheduler.storage.dialect import insert_new
from scheduler.storage.rows import record
from scheduler.storage.tables import accounts, brakes, collections, in_state, runs, throttles


def list_accounts(conn: Connection) -> list[Account]:
    """Return every account, by name."""
    found = conn.execute(select(accounts).order_by(accounts.c.name))
    return [record(Account, row) for row in found.mappings()]


def get_account(conn: Connection, name: str) -> Account:
    """Return the account of that name, or raise NotFound."""
    account = find_account(conn, name)
    if account is None:
        raise NotFound(f"no account is called {name!r}")
    return account


def find_account(conn: Connection, name: str) -> Account | None:
    """Return the account of that name; None if there is none, or no longer."""
    found = conn.execute(select(accounts).where(accounts.c.name == name))
    row = found.mappings().first()
    return None if row is None else record(Account, row)


@dataclass(frozen=True, slots=True, kw_only=True)
class BrakeReading:
    """Everything that the brake's decision rests on, read under its lock."""

    brake: Brake
    in_flight: int
    throttled_at: Sequence[datetime]


def read_brake(conn: Connection, account: str, *, now: datetime) -> BrakeReading:
    """Read the account's brake and hold it until the transaction ends: one spender at a time."""
    insert_new(conn, brakes, [{"account": account}])
    locked = select(brakes).where(brakes.c.account == account).with_for_update()
    row = (conn.execute(locked)).mappings().one()
    return BrakeReading(
        brake=record(Brake, row),
        in_flight=count_in_flight(conn, account, now=now),
        throttled_at=list_throttled(conn, account, now=now),
    )


def list_throttled(conn: Connection, account: str, *, now: datetime) -> list[datetime]:
    """
    Return when 429 was answered in the five minutes before *now*, in order.

    Suspected ones are included if one was seen for certain.
    """
    found = conn.execute(
        select(throttles.c.at, throttles.c.suspected)
        .where(throttles.c.account == account, throttles.c.at > now - WINDOW)
        .order_by(throttles.c.at)
    ).all()
    seen = [row.at for row in found if not row.suspected]
    return [row.at for row in found] if seen else []


def find_brake(conn: Connection, account: str) -> Brake | None:
    """Return the account's brake as it stands, for showing; None before its first request."""
    row = (conn.execute(select(brakes).where(brakes.c.account == account))).mappings().first()
    return record(Brake, row) if row is not None else None


def count_in_flight(conn: Connection, account: str, *, now: datetime) -> int:
    """Count requests that may be on the wire: triggers claimed, and looks under a lease."""
    return conn.scalar(_IN_FLIGHT, {"account": account, "now": now}) or 0


def _in_flight() -> Select[tuple[int]]:
    account = bindparam("account", type_=runs.c.account.type)
    now = bindparam("now", type_=runs.c.lease_until.type)
    triggers = select(runs.c.id).where(
        runs.c.account == account, in_state(runs, RunState.DISPATCHING)
    )
    lookups = select(runs.c.id).where(
        runs.c.account == account,
        in_state(runs, RunState.UNCONFIRMED),
        runs.c.lease_until > now,
    )
    polls = select(collections.c.id).where(
        collections.c.account == account,
        collections.c.look_at.is_not(None),
        collections.c.lease_until > now,
    )
    counts = (
        select(func.count()).select_from(asked.subquery()).scalar_subquery()
        for asked in (triggers, lookups, polls)
    )
    return select(sum(counts, literal(0)))


_IN_FLIGHT = _in_flight()


def record_brake(conn: Connection, account: str, brake: Brake) -> None:
    """Store what the brake has become; the caller holds its lock since read_brake."""
    conn.execute(update(brakes).where(brakes.c.account == account).values(**asdict(brake)))


def insert_throttles(
    conn: Connection, account: str, at: Sequence[datetime], *, suspected: bool = False
) -> None:
    """Note answers of 429, and forget those that no window can hold any more."""
    if not at:
        return
    conn.execute(
        insert(throttles),
        [{"account": account, "at": moment, "suspected": suspected} for moment in at],
    )
    old = throttles.c.at < min(at) - 2 * WINDOW
    conn.execute(delete(throttles).where(throttles.c.account == account, old))


def suspect_throttles(conn: Connection, account: str, count: int, *, now: datetime) -> None:
    """
    Note that nobody saw *count* answers. In a storm of 429 the account begins again with one probe.

    Without one it goes on: a crash is no reason to silence the daemons that are well.
    """
    insert_throttles(conn, account, [now] * count, suspected=True)
    reading = read_brake(conn, account, now=now)
    if reading.throttled_at:
        record_brake(conn, account, after_crash(reading.brake))


def list_paused(conn: Connection) -> dict[str, Brake]:
    """Return the brakes of the accounts whose sending is paused, by account."""
    found = conn.execute(select(brakes).where(brakes.c.paused_at.is_not(None)))
    return {row["account"]: record(Brake, row) for row in found.mappings()}


def set_paused(conn: Connection, account: str, *, reason: str, now: datetime) -> None:
    """Pause the account's sending on a person's word: no new token lifts it."""
    insert_new(conn, brakes, [{"account": account}])
    conn.execute(
        update(brakes)
        .where(brakes.c.account == account)
        .values(paused_at=now, paused_reason=reason, paused_token=None)
    )


def set_resumed(conn: Connection, account: str) -> bool:
    """Lift the pause of the account's sending; False when there was none."""
    lifted = conn.execute(
        update(brakes)
        .where(brakes.c.account == account, brakes.c.paused_at.is_not(None))
        .values(paused_at=None, paused_reason=None, paused_token=None)
    )
    return lifted.rowcount > 0
