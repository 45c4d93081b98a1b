"""Accounts, and the brake each of them shares between all daemons."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime

from sqlalchemy import delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from scheduler.domain.brake import WINDOW, Brake
from scheduler.domain.errors import NotFound
from scheduler.domain.records import Account
from scheduler.storage.dialect import insert_new
from scheduler.storage.rows import record
from scheduler.storage.tables import accounts, brakes, collections, runs, throttles


async def list_accounts(conn: AsyncConnection) -> list[Account]:
    """Return every account, by name."""
    found = await conn.execute(select(accounts).order_by(accounts.c.name))
    return [record(Account, row) for row in found.mappings()]


async def get_account(conn: AsyncConnection, name: str) -> Account:
    """Return the account of that name, or raise NotFound."""
    found = await conn.execute(select(accounts).where(accounts.c.name == name))
    row = found.mappings().first()
    if row is None:
        raise NotFound(f"no account is called {name!r}")
    return record(Account, row)


@dataclass(frozen=True, slots=True, kw_only=True)
class BrakeReading:
    """Everything that the brake's decision rests on, read under its lock."""

    brake: Brake
    in_flight: int
    throttled_at: Sequence[datetime]


async def read_brake(conn: AsyncConnection, account: str, *, now: datetime) -> BrakeReading:
    """Read the account's brake and hold it until the transaction ends: one spender at a time."""
    await insert_new(conn, brakes, [{"account": account}])
    locked = select(brakes).where(brakes.c.account == account).with_for_update()
    row = (await conn.execute(locked)).mappings().one()
    throttled = select(throttles.c.at).where(
        throttles.c.account == account, throttles.c.at > now - WINDOW
    )
    return BrakeReading(
        brake=record(Brake, row),
        in_flight=await _in_flight(conn, account, now=now),
        throttled_at=list(await conn.scalars(throttled.order_by(throttles.c.at))),
    )


async def find_brake(conn: AsyncConnection, account: str) -> Brake | None:
    """Return the account's brake as it stands, for showing; None before its first request."""
    row = (await conn.execute(select(brakes).where(brakes.c.account == account))).mappings().first()
    return record(Brake, row) if row is not None else None


async def _in_flight(conn: AsyncConnection, account: str, *, now: datetime) -> int:
    """Count requests that may be on the wire: triggers claimed, and looks under a lease."""
    triggers = select(runs.c.id).where(runs.c.account == account, runs.c.state == "dispatching")
    lookups = select(runs.c.id).where(
        runs.c.account == account, runs.c.state == "unconfirmed", runs.c.lease_until > now
    )
    polls = select(collections.c.id).where(
        collections.c.account == account,
        collections.c.look_at.is_not(None),
        collections.c.lease_until > now,
    )
    counted = [len((await conn.execute(query)).all()) for query in (triggers, lookups, polls)]
    return sum(counted)


async def record_brake(conn: AsyncConnection, account: str, brake: Brake) -> None:
    """Store what the brake has become; the caller holds its lock since read_brake."""
    await conn.execute(update(brakes).where(brakes.c.account == account).values(**asdict(brake)))


async def insert_throttles(conn: AsyncConnection, account: str, at: Sequence[datetime]) -> None:
    """Note answers of 429, and forget those that no window can hold any more."""
    if not at:
        return
    await conn.execute(insert(throttles), [{"account": account, "at": moment} for moment in at])
    old = throttles.c.at < min(at) - 2 * WINDOW
    await conn.execute(delete(throttles).where(throttles.c.account == account, old))


async def set_resumed(conn: AsyncConnection, account: str) -> bool:
    """Lift the pause that bad credentials caused; False when there was none."""
    lifted = await conn.execute(
        update(brakes)
        .where(brakes.c.account == account, brakes.c.paused_at.is_not(None))
        .values(paused_at=None, paused_reason=None, paused_token=None)
    )
    return lifted.rowcount > 0
