"""What the upstream may tell of an account besides its jobs: collectors, balance, bills."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from scheduler.domain.answers import Refused, Unanswered


class AccountCall(StrEnum):
    """What can be asked; each is optional, and may be refused."""

    COLLECTORS = "collectors"
    BALANCE = "balance"
    COSTS = "costs"


ASKED_EVERY: Final[Mapping[AccountCall, timedelta]] = {
    AccountCall.BALANCE: timedelta(hours=1),
    AccountCall.COSTS: timedelta(hours=6),
}
"""How often what an account has switched on is asked; the list of collectors only on a word."""

AGAIN_AFTER: Final = timedelta(minutes=5)
"""A question that was not answered is asked again then."""
REFUSED_FOR: Final = timedelta(days=1)
"""One that was refused, then: a right may be given meanwhile."""
BILLED_DAYS: Final = 35
"""So many days are asked for again each time: what is billed for a day comes late."""


class BilledBy(StrEnum):
    """What the upstream adds costs up by: its word for it is the value."""

    COLLECTOR = "collectors"
    JOB = "dca_jobs"


@dataclass(frozen=True, slots=True, kw_only=True)
class Balance:
    """What an account has, in USD; None for what the upstream does not tell."""

    balance: float | None
    credit: float | None = None
    prepayment: float | None = None
    pending_costs: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NativeSchedule:
    """A schedule that the vendor itself keeps for a collector."""

    frequency: str | None
    start: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class UpstreamCollector:
    """A collector as the account's list has it; only its *id* is sure to be there."""

    id: str
    name: str | None = None
    is_active: bool | None = None
    last_run: datetime | None = None
    schedule: NativeSchedule | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BilledLine:
    """What was billed on a *day* (`2026-11-30`, in UTC) for a *subject*, the id of one, in USD."""

    day: str
    by: BilledBy
    subject: str
    money: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Bill:
    """What was billed, and a sentence about what of the answer cannot be: that is left out."""

    lines: tuple[BilledLine, ...]
    doubt: str | None = None


Collectors = tuple[UpstreamCollector, ...]
AccountAnswer = Collectors | Balance | Bill | Refused | Unanswered
