"""How everything is doing, in one answer."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from scheduler.domain.brake import CEILING, Brake
from scheduler.domain.pauses import Freeze
from scheduler.domain.records import Account, RunState
from scheduler.storage import accounts, daemons, failing, freezes, runs, schedules
from scheduler.storage.daemons import Daemon
from scheduler.storage.database import Connection
from scheduler.storage.failing import LOOKED_AT, MOST_FOUND, Failing
from scheduler.storage.schedules import PausedSchedule, SetAside

SEEN_WITHIN = timedelta(minutes=2)
"""A daemon that was not seen for so long is taken for dead."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountStatus:
    """
    An account and its brake; *throttled* counts its answers of 429 in five minutes.

    *trouble* is what went wrong with the newest of its runs that wait for another try,
    *look_due_at* since when a collection waits to be looked at.
    """

    account: Account
    brake: Brake | None
    throttled: int
    in_flight: int
    trouble: str | None
    look_due_at: datetime | None

    @property
    def most_in_flight(self) -> int:
        """Return how many requests may be under way at once: the 429 rule stands above its own."""
        return min(self.account.max_in_flight, CEILING)


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """What a person wants to know first."""

    daemons: list[Daemon]
    accounts: list[AccountStatus]
    open_runs: dict[RunState, int]
    enabled_schedules: int
    next_fire_at: datetime | None
    set_aside: list[SetAside]
    failing: list[Failing]
    paused: list[PausedSchedule]
    freezes: list[Freeze]

    @property
    def is_all_that_fails(self) -> bool:
        """Tell whether *failing* is whole: no schedule was left out because there are too many."""
        return len(self.failing) < MOST_FOUND and self.enabled_schedules <= LOOKED_AT


def read_status(conn: Connection, *, now: datetime, with_schedules: bool = True) -> Status:
    """Read it all as of one moment; looking through a million schedules takes a moment longer."""
    return Status(
        daemons=daemons.list_daemons(conn, seen_since=now - SEEN_WITHIN),
        accounts=[_account(conn, account, now) for account in accounts.list_accounts(conn)],
        open_runs=runs.count_open(conn),
        enabled_schedules=schedules.count_enabled(conn) if with_schedules else 0,
        next_fire_at=schedules.find_next_fire(conn),
        set_aside=schedules.list_errors(conn),
        failing=failing.list_failing(conn) if with_schedules else [],
        paused=schedules.list_paused(conn, now=now),
        freezes=[one for one in freezes.list_freezes(conn) if one.until is None or one.until > now],
    )


def _account(conn: Connection, account: Account, now: datetime) -> AccountStatus:
    return AccountStatus(
        account=account,
        brake=accounts.find_brake(conn, account.name),
        throttled=len(accounts.list_throttled(conn, account.name, now=now)),
        in_flight=accounts.count_in_flight(conn, account.name, now=now),
        trouble=runs.find_trouble(conn, account.name),
        look_due_at=accounts.find_look_due(conn, account.name, now=now),
    )
