"""What an account's upstream tells besides its jobs is asked for: where it may, now and then."""

import asyncio
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Final

import structlog

from scheduler.clock import Clock
from scheduler.domain.account_questions import (
    AGAIN_AFTER,
    ASKED_EVERY,
    BILLED_DAYS,
    REFUSED_FOR,
    AccountCall,
    Balance,
    Bill,
    BilledBy,
    UpstreamCollector,
)
from scheduler.domain.answers import Refused, Unanswered
from scheduler.domain.records import Account
from scheduler.engine.accounts import Upstreams
from scheduler.engine.rate_limiter import Feedback, feedback_of_answer, open_limiter
from scheduler.storage import account_questions
from scheduler.storage.database import Connection, Database
from scheduler.upstream import Dca

log = structlog.get_logger()

_KEPT: Final = timedelta(days=800)
_BRAKED: Final = timedelta(seconds=30)

Bills = dict[BilledBy, Bill]


@dataclass(slots=True)
class _Told:
    """What the upstream told, or why not, and what the account's brake hears of it."""

    answer: Balance | tuple[UpstreamCollector, ...] | Bills | Refused | Unanswered
    feedbacks: list[Feedback] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountQuestionsStep:
    """
    Ask for the balance and the bill of accounts that say so, and for collectors on a word.

    Nothing waits for an answer, and a refusal is a sentence: it pauses no account, for the token
    may be good for all else.
    """

    db: Database
    upstreams: Upstreams
    clock: Clock
    request_timeout: timedelta

    async def run(self, now: datetime) -> datetime | None:
        """Ask what is due; return when something is next."""
        due, later = await self.db.read(partial(account_questions.list_due, now=now))
        if not due:
            return later
        taken = await self.db.write(partial(self._claim, now=now))
        await asyncio.gather(*(self._ask(account, call) for account, call in taken))
        _, later = await self.db.read(partial(account_questions.list_due, now=self.clock()))
        return later

    def _claim(self, conn: Connection, *, now: datetime) -> list[tuple[Account, AccountCall]]:
        taken = []
        due, _ = account_questions.list_due(conn, now=now)
        for account, call in due:
            limiter = open_limiter(conn, account, now=now)
            needs = 2 if call is AccountCall.COSTS else 1
            until = now + 2 * self.request_timeout
            if limiter.questions().count >= needs:
                limiter.ask(needs)
                account_questions.note_asked(conn, account.name, call, now=now, until=until)
                taken.append((account, call))
            else:
                account_questions.ask(conn, account.name, call, at=now + _BRAKED)
            limiter.close(conn)
        return taken

    async def _ask(self, account: Account, call: AccountCall) -> None:
        client = self.upstreams.client(account)
        try:
            told = await self._told(client, call)
        except Exception as error:  # a bug: all else goes on
            log.exception("look_failed", account=account.name, call=call)
            told = _Told(Unanswered(detail=f"{type(error).__name__} while asking"))
        await self.db.write(partial(self._record, account=account, call=call, told=told))

    async def _told(self, client: Dca, call: AccountCall) -> _Told:
        match call:
            case AccountCall.COLLECTORS:
                collectors = await client.list_collectors()
                return _Told(collectors, [_heard(collectors)])
            case AccountCall.BALANCE:
                balance = await client.get_balance()
                return _Told(balance, [_heard(balance)])
            case AccountCall.COSTS:
                return await self._bill(client)

    async def _bill(self, client: Dca) -> _Told:
        today = self.clock().date()
        told = _Told({})
        bills: Bills = {}
        for by in BilledBy:
            bill = await client.export_costs(
                by, from_date=today - timedelta(days=BILLED_DAYS), to_date=today + timedelta(days=1)
            )
            told.feedbacks.append(_heard(bill))
            if isinstance(bill, Refused | Unanswered):
                return _Told(bill, told.feedbacks)
            bills[by] = bill
        return _Told(bills, told.feedbacks)

    def _record(
        self, conn: Connection, *, account: Account, call: AccountCall, told: _Told
    ) -> None:
        now = self.clock()
        limiter = open_limiter(conn, account, now=now)
        limiter.apply(conn, told.feedbacks)
        limiter.close(conn)
        answer = told.answer
        if isinstance(answer, Refused | Unanswered):
            self._record_trouble(conn, account.name, call, answer, now)
            return
        doubt = None
        if isinstance(answer, dict):
            doubt = self._keep_bills(conn, account.name, answer, now)
        kept = None if isinstance(answer, dict) else answer
        every = ASKED_EVERY.get(call)
        again = None if every is None else now + every
        account_questions.note_answer(
            conn, account.name, call, kept, now=now, again=again, doubt=doubt
        )

    def _keep_bills(
        self, conn: Connection, account: str, bills: Bills, now: datetime
    ) -> str | None:
        """Keep what is billed; return what of it is in doubt."""
        since = f"{now - timedelta(days=BILLED_DAYS):%Y-%m-%d}"
        for by, bill in bills.items():
            account_questions.replace_bill(conn, account, by, bill.lines, since=since)
        account_questions.forget_billed(conn, before=f"{now - _KEPT:%Y-%m-%d}")
        doubts = [bill.doubt for bill in bills.values() if bill.doubt is not None]
        if not doubts:
            return None
        doubt = "; ".join(doubts)
        log.warning("account_not_told", account=account, call=AccountCall.COSTS, trouble=doubt)
        return doubt

    def _record_trouble(
        self,
        conn: Connection,
        account: str,
        call: AccountCall,
        answer: Refused | Unanswered,
        now: datetime,
    ) -> None:
        is_refused = isinstance(answer, Refused)
        said = "refuses it" if is_refused else "did not answer"
        trouble = f"the upstream {said}: {answer.detail}"
        again = now + (REFUSED_FOR if is_refused else AGAIN_AFTER)
        log.warning("account_not_told", account=account, call=call, trouble=trouble)
        is_on_a_word = call not in ASKED_EVERY
        account_questions.note_trouble(
            conn, account, call, trouble, again=None if is_on_a_word else again
        )


def _heard(answer: object) -> Feedback:
    return feedback_of_answer(answer, token_fingerprint="")
