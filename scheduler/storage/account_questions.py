"""What the upstream was asked of accounts, and what came of it; and what it bills."""

import json
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, and_, delete, func, insert, select, update

from scheduler.domain.account_questions import (
    ASKED_EVERY,
    AccountCall,
    Balance,
    BilledBy,
    BilledLine,
    NativeSchedule,
    UpstreamCollector,
)
from scheduler.domain.records import Account
from scheduler.storage import accounts as account_rows
from scheduler.storage.dialect import Inserted, insert_or_update
from scheduler.storage.json_rows import JsonValues
from scheduler.storage.rows import records
from scheduler.storage.tables import account_questions as questions
from scheduler.storage.tables import billed, collections, runs


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountQuestion:
    """When an account was asked something, and *trouble*, why there was no answer the last time."""

    account: str
    call: AccountCall
    next_at: datetime | None
    asked_at: datetime | None
    answered_at: datetime | None
    trouble: str | None
    answer: str | None

    @property
    def balance(self) -> Balance | None:
        """Return what was answered to the question for the balance."""
        return None if self.answer is None else Balance(**json.loads(self.answer))

    @property
    def collectors(self) -> tuple[UpstreamCollector, ...]:
        """Return what was answered to the question for the collectors."""
        return tuple(_collector(**row) for row in json.loads(self.answer or "[]"))


def _collector(
    *, last_run: str | None, schedule: dict[str, Any] | None, **row: Any
) -> UpstreamCollector:
    return UpstreamCollector(
        last_run=datetime.fromisoformat(last_run) if last_run else None,
        schedule=NativeSchedule(**schedule) if schedule else None,
        **row,
    )


def list_questions(conn: Connection, account: str | None = None) -> list[AccountQuestion]:
    """Return what was, or is to be asked, of one account or all."""
    query = select(questions).order_by(questions.c.account, questions.c.call)
    if account is not None:
        query = query.where(questions.c.account == account)
    return records(AccountQuestion, conn.execute(query))


def find_question(conn: Connection, account: str, call: AccountCall) -> AccountQuestion | None:
    """Return when that was asked of an account; None: never."""
    return next((one for one in list_questions(conn, account) if one.call is call), None)


def list_low(conn: Connection) -> list[tuple[Account, datetime, float]]:
    """Return the accounts whose balance is below what they say, since when that is known."""
    known = {one.account: one for one in list_questions(conn) if one.call is AccountCall.BALANCE}
    low = []
    for account in account_rows.list_accounts(conn) if known else ():
        one = known.get(account.name)
        balance = one.balance.balance if one and one.balance else None
        if one is None or one.answered_at is None or balance is None:
            continue
        if account.balance_below is not None and balance < account.balance_below:
            low.append((account, one.answered_at, balance))
    return low


def list_due(
    conn: Connection, *, now: datetime
) -> tuple[list[tuple[Account, AccountCall]], datetime | None]:
    """Return what is to be asked now, and when something is next."""
    known = {(one.account, one.call): one for one in list_questions(conn)}
    due, later = [], list[datetime]()
    for account in account_rows.list_accounts(conn):
        for call in AccountCall:
            one = known.get((account.name, call))
            at = one.next_at if one else (now if _is_on(account, call) else None)
            if at is None or (call in ASKED_EVERY and not _is_on(account, call)):
                continue
            if at <= now:
                due.append((account, call))
            else:
                later.append(at)
    return due, min(later, default=None)


def _is_on(account: Account, call: AccountCall) -> bool:
    match call:
        case AccountCall.BALANCE:
            return account.invoice or account.balance_below is not None
        case AccountCall.COSTS:
            return account.invoice
        case AccountCall.COLLECTORS:
            return False  # only on a word


def ask(conn: Connection, account: str, call: AccountCall, *, at: datetime) -> None:
    """Have a daemon ask it at that moment."""
    _write(conn, account, call, next_at=at)


def note_asked(
    conn: Connection, account: str, call: AccountCall, *, now: datetime, until: datetime
) -> None:
    """Note that it is asked now: nobody else does before *until*."""
    _write(conn, account, call, asked_at=now, next_at=until)


def note_trouble(
    conn: Connection, account: str, call: AccountCall, trouble: str, *, again: datetime | None
) -> None:
    """Note why there was no answer, and when it is asked again."""
    _write(conn, account, call, trouble=trouble[:_LONGEST], next_at=again)


_LONGEST = 500


def note_answer(
    conn: Connection,
    account: str,
    call: AccountCall,
    answer: Balance | Sequence[UpstreamCollector] | None,
    *,
    now: datetime,
    again: datetime | None,
    doubt: str | None = None,
) -> None:
    """Keep what was answered, and what of it is in doubt; a bill has a table of its own."""
    text = None
    if isinstance(answer, Balance):
        text = json.dumps(asdict(answer))
    elif answer is not None:
        text = json.dumps([asdict(one) for one in answer], default=datetime.isoformat)
    trouble = doubt and doubt[:_LONGEST]
    _write(conn, account, call, trouble=trouble, answered_at=now, next_at=again, answer=text)


def _write(conn: Connection, account: str, call: AccountCall, **columns: Any) -> None:
    key = and_(questions.c.account == account, questions.c.call == call)
    if not conn.execute(update(questions).where(key).values(columns)).rowcount:
        conn.execute(insert(questions).values(account=account, call=call, **columns))


def replace_bill(
    conn: Connection, account: str, by: BilledBy, lines: Sequence[BilledLine], *, since: str
) -> None:
    """
    Keep what is billed from the day *since* on, in place of what was told of that before.

    Jobs are joined with our runs by the collection's id; what is known stays, for runs are
    forgotten. What the upstream tells nothing of any more stays, too.
    """
    sums: dict[tuple[str, str], float] = {}
    for line in lines:
        if line.day >= since:
            key = (line.day, line.subject)
            sums[key] = sums.get(key, 0.0) + line.money
    owners = _owners(conn, {subject for _, subject in sums}) if by is BilledBy.JOB else {}
    rows = [
        {"account": account, "day": day, "by": by, "subject": subject, "money": money}
        | {name: getattr(owners.get(subject), name, None) for name in _OF_RUN}
        for (day, subject), money in sums.items()
    ]
    if rows:
        conn.execute(_BILLED, rows)


def _updated(new: Inserted) -> dict[str, Any]:
    names = {name: func.coalesce(new[name], billed.c[name]) for name in _OF_RUN}
    return {"money": new["money"], **names}


_OF_RUN = ("run_id", "schedule", "collector", "labels")
_BILLED = insert_or_update(billed, _updated)
_IDS = JsonValues("ids", collections.c.id.type)


def _owners(conn: Connection, ids: Collection[str]) -> dict[str, Any]:
    query = (
        select(
            collections.c.id, collections.c.run_id, runs.c.schedule, runs.c.collector, runs.c.labels
        )
        .join(runs, runs.c.id == collections.c.run_id)
        .where(_IDS.has(collections.c.id))
    )
    return {row.id: row for row in conn.execute(query, _IDS.of(ids))}


@dataclass(frozen=True, slots=True, kw_only=True)
class Billed:
    """What was billed on a day for a job or a collector, and whose run that was, if any is."""

    account: str
    day: str
    by: BilledBy
    subject: str
    money: float
    run_id: int | None
    schedule: str | None
    collector: str | None
    labels: str | None


def list_billed(conn: Connection, *, month: str) -> list[Billed]:
    """Return what is billed for a month, such as `2026-11`, by day."""
    query = select(billed).where(billed.c.day.startswith(month)).order_by(billed.c.day)
    return records(Billed, conn.execute(query.order_by(billed.c.subject)))


def forget_billed(conn: Connection, *, before: str) -> None:
    """Forget what was billed before a day."""
    conn.execute(delete(billed).where(billed.c.day < before))
