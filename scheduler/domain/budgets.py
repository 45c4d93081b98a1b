"""
What a month may cost, in page loads or in money: what is used of it, and what a run would add.

A month is one of UTC, as the upstream bills by. Page loads are known when a collection ends; of
those that have not ended, and of a run that is to be sent, they are expected: so many for each
input as of late.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Final

from scheduler.domain.errors import InvalidInput
from scheduler.domain.limits import Scope, ScopeKind

PRICED_BY: Final = 1000
"""A price is for so many page loads."""

_PAGE_LOADS: Final = ("page loads", 0)
_MONEY: Final = ("in money", 2)  # what it is called, and how many digits of it are told

MOST_OF_IT: Final = 80
"""So many percent used are told."""

LOADS_UNTIL_KNOWN: Final = 1.0
"""So many page loads are expected of an input where none of the kind has ended: the least."""


class BudgetMode(StrEnum):
    """What becomes of a run that would go beyond."""

    SOFT = "soft"  # it is sent, and told
    HARD = "hard"  # it is skipped


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """What the runs of *scope*, as text, may use in a month: *page_loads*, *money*, or both."""

    name: str
    scope: str
    page_loads: int | None
    money: float | None
    mode: BudgetMode

    @property
    def covers(self) -> Scope:
        """Return whose runs it counts; raises InvalidInput for a text that names nobody."""
        return read_scope(self.scope)


@dataclass(frozen=True, slots=True, kw_only=True)
class Loads:
    """Page loads, and what they cost."""

    pages: float = 0.0
    money: float = 0.0

    def __add__(self, other: "Loads") -> "Loads":
        return Loads(pages=self.pages + other.pages, money=self.money + other.money)


NO_LOADS: Final = Loads()


@dataclass(frozen=True, slots=True, kw_only=True)
class Spent:
    """What is used of a month: what *ended*, and what is *expected* of what has not."""

    ended: Loads = NO_LOADS
    expected: Loads = NO_LOADS

    @property
    def whole(self) -> Loads:
        """Return both together."""
        return self.ended + self.expected

    def plus(self, more: Loads) -> "Spent":
        """Return the same with *more* expected."""
        return Spent(ended=self.ended, expected=self.expected + more)


def read_scope(text: str) -> Scope:
    """Read `all`, `account:NAME`, `collector:NAME`, `schedule:NAME` or `label:NAME`."""
    kind, _, name = text.partition(":")
    if text == ScopeKind.ALL or (name and kind in {*ScopeKind} - {ScopeKind.ALL}):
        return Scope(ScopeKind(kind), name)
    kinds = ", ".join(f"{each}:NAME" for each in ScopeKind if each is not ScopeKind.ALL)
    raise InvalidInput(f"scope: {text!r} is none of all, {kinds}")


def month_of(moment: datetime) -> str:
    """Return the month of UTC that a moment is in: `2026-03`."""
    return f"{moment.astimezone(UTC):%Y-%m}"


def loads_of(pages: float, price_per_thousand: float | None) -> Loads:
    """Return so many page loads with what they cost; nothing where nobody has said a price."""
    return Loads(pages=pages, money=pages * (price_per_thousand or 0.0) / PRICED_BY)


def percent_used(budget: Budget, used: Loads) -> float:
    """Return how much of a budget is used, of page loads or money what is more."""
    shares = [
        100 * have / allowed
        for have, allowed in ((used.pages, budget.page_loads), (used.money, budget.money))
        if allowed
    ]
    return max(shares, default=0.0)


def budget_sentence(budget: Budget, spent: Spent, *, month: str) -> str:
    """Say how much of a budget is used."""
    whole = spent.whole
    used = [
        f"{have:,.{digits}f} of {allowed:,.{digits}f} {words}"
        for have, allowed, (words, digits) in (
            (whole.pages, budget.page_loads, _PAGE_LOADS),
            (whole.money, budget.money, _MONEY),
        )
        if allowed is not None
    ]
    return (
        f"budget {budget.name} of {budget.covers} ({budget.mode}): {' and '.join(used)}"
        f" are used or expected in {month}, {percent_used(budget, whole):,.0f} %"
    )


def what_is_spent(budget: Budget, spent: Spent, more: Loads, *, month: str) -> str | None:
    """Say why *more* is beyond a budget; None while it is within."""
    after = spent.plus(more).whole
    for have, would, allowed, (words, digits) in (
        (spent.whole.pages, after.pages, budget.page_loads, _PAGE_LOADS),
        (spent.whole.money, after.money, budget.money, _MONEY),
    ):
        if allowed is not None and would > allowed:
            return (
                f"budget {budget.name} of {budget.covers}: {have:,.{digits}f} {words} are used or"
                f" expected in {month}, this would use {would - have:,.{digits}f},"
                f" {allowed:,.{digits}f} are allowed"
            )
    return None


@dataclass(frozen=True, slots=True)
class LoadsPerInput:
    """How many page loads an input of late came to: by schedule, else collector, else account."""

    by_schedule: Mapping[str, float]
    by_collector: Mapping[str, float]
    by_account: Mapping[str, float]

    def of(self, *, schedule: str | None, collector: str, account: str) -> float:
        """Return what is expected of an input."""
        for known, name in (
            (self.by_schedule, schedule),
            (self.by_collector, collector),
            (self.by_account, account),
        ):
            if name is not None and name in known:
                return known[name]
        return LOADS_UNTIL_KNOWN


NOTHING_KNOWN: Final = LoadsPerInput({}, {}, {})
"""What is expected before anything has ended: the least."""
