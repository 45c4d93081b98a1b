"""Accounts, and what holds up their sending."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from scheduler.config.account_rules import what_is_wrong
from scheduler.domain.account_questions import ASKED_EVERY, AccountCall
from scheduler.domain.brake import CEILING, Brake
from scheduler.domain.records import Account, AccountColumns
from scheduler.storage import account_questions, accounts, daemons, runs
from scheduler.storage.daemons import SEEN_WITHIN
from scheduler.storage.database import Connection
from scheduler.views.decoding import Duration, view


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountView(AccountColumns[Duration]):
    """
    An account and its brake; its *token* is only a reference.

    *most_in_flight* is how many requests may be under way at once: the 429 rule stands above the
    account's own. *throttled_count* counts the answers of 429 in five minutes at its *base_url*.
    *last_error* is what went wrong with the newest of its runs that wait for another try,
    *poll_due_at* since when a collection waits to be polled. *error* is why the row is not used:
    by the rules of any file, or by a living daemon for what its own allows. *balance* and
    *pending_costs* are what the upstream told at *balance_at*, *not_told* why it tells no balance,
    or no bill.
    """

    in_flight: int
    most_in_flight: int
    throttled_count: int
    open_until: datetime | None
    trips: int
    slow_start: int | None
    paused_at: datetime | None
    paused_by: str | None
    paused_reason: str | None
    paused_until: datetime | None
    poll_due_at: datetime | None
    last_error: str | None
    error: str | None
    balance: float | None
    pending_costs: float | None
    balance_at: datetime | None
    not_told: str | None


def list_accounts(conn: Connection, *, now: datetime) -> tuple[AccountView, ...]:
    """Return every account, by name."""
    unusable = _find_unusable(conn, now)
    return tuple(_view(conn, account, now, unusable) for account in accounts.list_accounts(conn))


def get_account(conn: Connection, name: str, *, now: datetime) -> AccountView:
    """Return the account of that name; raises NotFound."""
    return _view(conn, accounts.get_account(conn, name), now, _find_unusable(conn, now))


def _find_unusable(conn: Connection, now: datetime) -> dict[str, str]:
    return daemons.find_unusable(conn, seen_since=now - SEEN_WITHIN)


def _view(
    conn: Connection, account: Account, now: datetime, unusable: Mapping[str, str]
) -> AccountView:
    brake = accounts.find_brake(conn, account.name)
    return view(
        AccountView,
        account,
        in_flight=accounts.count_in_flight(conn, account.name, now=now),
        most_in_flight=min(account.max_in_flight, CEILING),
        throttled_count=len(accounts.list_throttled(conn, account.name, now=now)),
        open_until=brake and brake.open_until,
        trips=brake.trips if brake else 0,
        slow_start=brake and brake.slow_start,
        **_pause(brake, now),
        poll_due_at=accounts.find_poll_due(conn, account.name, now=now),
        last_error=runs.find_last_error(conn, account.name) if brake and brake.trips else None,
        error=what_is_wrong(account) or unusable.get(account.name),
        **_money(conn, account),
    )


def _money(conn: Connection, account: Account) -> dict[str, Any]:
    """Return what the upstream tells of the account's money, where it is asked."""
    asked = account_questions.list_questions(conn, account.name)
    known = {one.call: one for one in asked if one.call in ASKED_EVERY}
    told = known.get(AccountCall.BALANCE)
    balance = told.balance if told else None
    return {
        "balance": balance and balance.balance,
        "pending_costs": balance and balance.pending_costs,
        "balance_at": told.answered_at if told else None,
        "not_told": next((one.trouble for one in known.values() if one.trouble), None),
    }


_OF_A_PAUSE: Final = ("paused_at", "paused_by", "paused_reason", "paused_until")


def _pause(brake: Brake | None, now: datetime) -> dict[str, Any]:
    """Return what is said of the pause; nothing of one that has come to its end."""
    is_paused = brake is not None and brake.is_paused(now)
    return {name: getattr(brake, name) if is_paused else None for name in _OF_A_PAUSE}
