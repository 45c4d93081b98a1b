"""What the upstream says that it bills, joined with our runs by the collection's id."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from scheduler.domain.account_questions import AccountCall, BilledBy
from scheduler.storage import account_questions, accounts, definitions
from scheduler.storage.account_questions import Billed
from scheduler.storage.database import Connection

NamesOf = Callable[[Billed], Sequence[str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class InvoiceLine:
    """What was billed for runs of *name*, in the upstream's currency."""

    name: str
    billed_money: float


@dataclass(frozen=True, slots=True, kw_only=True)
class UnknownCost:
    """What was billed on a *day* for a job, or a collector, that is in no run here."""

    account: str
    day: str
    by: BilledBy
    subject: str
    billed_money: float


@dataclass(frozen=True, slots=True, kw_only=True)
class InvoiceSource:
    """When an account's bill was last told; *trouble* is why it was not the last time."""

    account: str
    told_at: datetime | None
    trouble: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class InvoiceView:
    """
    What a month was billed so far; the upstream tells the last day or two late.

    *lines* are of our runs. *unknown* belongs to no run: what somebody started elsewhere. Of an
    account that is told no costs by job, collectors are what is known, and all that can be joined.
    """

    billed_money: float
    unknown_money: float
    lines: tuple[InvoiceLine, ...]
    unknown: tuple[UnknownCost, ...]
    sources: tuple[InvoiceSource, ...]


def read_invoice(conn: Connection, month: str, names_of: NamesOf) -> InvoiceView | None:
    """Return what is billed for *month*; None where no account asks, and nothing is known."""
    billed = account_questions.list_billed(conn, month=month)
    if not billed and not any(account.invoice for account in accounts.list_accounts(conn)):
        return None
    ours, unknown = _joined(conn, billed)
    sums: dict[str, float] = {}
    for one in ours:
        for name in names_of(one):
            sums[name] = sums.get(name, 0.0) + one.money
    return InvoiceView(
        billed_money=_sum([*ours, *unknown]),
        unknown_money=_sum(unknown),
        lines=tuple(
            InvoiceLine(name=name, billed_money=round(money, 4))
            for name, money in sorted(sums.items())
        ),
        unknown=tuple(map(_unknown, unknown)),
        sources=tuple(
            InvoiceSource(account=one.account, told_at=one.answered_at, trouble=one.trouble)
            for one in account_questions.list_questions(conn)
            if one.call is AccountCall.COSTS
        ),
    )


def _joined(conn: Connection, billed: Sequence[Billed]) -> tuple[list[Billed], list[Billed]]:
    """Return what is ours, and what is not: jobs by their run, collectors by their id."""
    ids = {(row.account, row.collector_id) for row in definitions.list_collectors(conn)}
    told_by_job = {one.account for one in billed if one.by is BilledBy.JOB}
    ours, unknown = list[Billed](), list[Billed]()
    for one in billed:
        if one.by is BilledBy.JOB:
            (unknown if one.run_id is None else ours).append(one)
        elif one.account not in told_by_job:
            (ours if (one.account, one.subject) in ids else unknown).append(one)
    return ours, unknown


def _unknown(one: Billed) -> UnknownCost:
    return UnknownCost(
        account=one.account,
        day=one.day,
        by=one.by,
        subject=one.subject,
        billed_money=one.money,
    )


def _sum(billed: Iterable[Billed]) -> float:
    return round(sum(one.money for one in billed), 4)
