"""What an account's brake allows, asked and told inside the caller's transaction."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from scheduler.domain.answers import Unanswered
from scheduler.domain.brake import (
    CEILING,
    Allowance,
    Brake,
    Limits,
    after_credentials_refused,
    after_loss,
    after_success,
    after_throttle,
    after_unreachable,
    allowance,
    free_slots,
    is_calm,
    most_on_the_wire,
    refill,
)
from scheduler.domain.records import Account
from scheduler.domain.reply import Deferral, Deferred, Lost, Refusal, Rejected, TriggerReply
from scheduler.domain.verdict import LATE_AFTER
from scheduler.engine.failures import tell_account_paused
from scheduler.storage import accounts
from scheduler.storage.database import Connection


@dataclass(frozen=True, slots=True, kw_only=True)
class Signal:
    """What one answer says about the account as a whole, whatever was asked."""

    throttled: bool = False
    retry_after: timedelta | None = None
    credentials: str | None = None
    token_mark: str | None = None
    unreachable: bool = False
    lost: bool = False


def signal_of_reply(reply: TriggerReply, *, token_mark: str) -> Signal:
    """Read the answer to a trigger that was sent with the token of *token_mark*."""
    match reply:
        case Deferred(status=429, retry_after=retry_after):
            return Signal(throttled=True, retry_after=retry_after)
        case Deferred(deferral=Deferral.NOT_SENT):
            return Signal(unreachable=True)
        case Rejected(refusal=Refusal.CREDENTIALS, detail=detail):
            return Signal(credentials=detail, token_mark=token_mark)
        case Lost():
            return Signal(lost=True)
        case _:
            return Signal()


def signal_of_answer(answer: object, *, token_mark: str) -> Signal:
    """Read the answer to a question that was asked with the token of *token_mark*."""
    if not isinstance(answer, Unanswered):
        return Signal()
    if answer.throttled:
        return Signal(throttled=True, retry_after=answer.retry_after)
    if answer.credentials:
        return Signal(credentials=answer.detail, token_mark=token_mark)
    return Signal(lost=True)


def heed(brake: Brake, signals: Iterable[Signal], limits: Limits, *, now: datetime) -> Brake:
    """Return what the brake becomes after the answers that *signals* were read from."""
    for signal in signals:
        if signal.throttled:
            brake = after_throttle(brake, now=now, retry_after=signal.retry_after)
        elif signal.credentials is not None:
            brake = after_credentials_refused(
                brake, now=now, detail=signal.credentials, token_mark=signal.token_mark or ""
            )
        elif signal.unreachable:
            brake = after_unreachable(brake, now=now)
        elif signal.lost:
            brake = after_loss(brake, now=now)
        else:
            brake = after_success(brake, limits)
    return brake


QUESTIONS_AT_ONCE = 4
"""Of an account's requests in flight, so many at most ask about what runs."""

_SHARED_FROM = 4.0
"""At fewer requests a second there is nothing to share: who comes first is served."""

_TURN = 4
"""In seconds: so long questions go first and then triggers, by turns, while looks are late."""

_MOST_CLAIMED = 256
"""Of one account by one daemon, those on the wire included."""


@dataclass(slots=True, kw_only=True)
class Budget:
    """
    An account's brake, held from `open_budget` until the transaction ends.

    Tell what was answered with *heard*, ask what may leave with *allowance*, take it
    with *claim* or *ask*, and *close* to store it all. *claimed* counts the triggers of each
    daemon, *asked* the questions.
    """

    account: Account
    brake: Brake
    claimed: Counter[str]
    asked: int
    throttled_at: list[datetime]
    looks_are_late: bool
    now: datetime

    @property
    def limits(self) -> Limits:
        """Return what the operator allows the account."""
        return Limits(
            max_in_flight=self.account.max_in_flight,
            requests_per_second=self.account.requests_per_second,
        )

    @property
    def is_calm(self) -> bool:
        """Tell whether all is well with the account, as `brake.is_calm` does."""
        return is_calm(self.brake, now=self.now, throttled_at=self.throttled_at)

    def heard(self, conn: Connection, signals: Iterable[Signal]) -> None:
        """Let the brake heed answers; every daemon counts those of 429, and a pause is told."""
        signals = tuple(signals)
        was_paused = self.brake.paused_at is not None
        self.brake = heed(self.brake, signals, self.limits, now=self.now)
        throttled = [self.now for signal in signals if signal.throttled]
        accounts.insert_throttles(conn, self.account.name, throttled)
        self.throttled_at += throttled
        if self.brake.paused_reason is not None and not was_paused:
            reason = self.brake.paused_reason
            tell_account_paused(conn, self.account.name, reason=reason, now=self.now)

    def allowance(self) -> Allowance:
        """Say how many triggers may leave now, or looks for those that were lost."""
        return self._allowance(kept=self._share() if self._questions_first else 0.0)

    def questions(self) -> Allowance:
        """Say how many questions may leave now about what runs."""
        found = self._allowance(kept=0.0 if self._questions_first else self._share())
        if self.looks_are_late and self.is_calm and not self._questions_first:
            # Else who has the only slot would keep it: an answer is recorded as the next is taken.
            most = min(self.account.max_in_flight, CEILING) - self._half_of_the_wire() - self.asked
            return replace(found, count=max(0, min(found.count, most)))
        return found

    def _allowance(self, *, kept: float) -> Allowance:
        found = allowance(
            replace(self.brake, tokens=self.brake.tokens - kept),
            self.limits,
            now=self.now,
            in_flight=most_on_the_wire(self.claimed.values()) + self.asked,
            throttled_at=self.throttled_at,
        )
        if not self.looks_are_late:
            return found
        next_turn = self.now + timedelta(seconds=_TURN - self.now.timestamp() % _TURN)
        return replace(found, ask_again_at=min(found.ask_again_at or next_turn, next_turn))

    @property
    def _questions_first(self) -> bool:
        """
        Tell whose turn it is while looks are late; before, it is always the triggers'.

        By the clock, which all daemons share. By turns, because there may always be more open
        than can be looked at, or looks may fail while triggers would not.
        """
        return self.looks_are_late and self.now.timestamp() // _TURN % 2 == 0

    def slots(self, owner: str) -> int:
        """Return how many triggers of *owner* may be on the wire, those that are included."""
        others = [count for daemon, count in self.claimed.items() if daemon != owner]
        return free_slots(
            self.brake,
            self.limits,
            now=self.now,
            in_flight=most_on_the_wire(others) + max(self.asked, self._slots_kept()),
            throttled_at=self.throttled_at,
        ).count

    def most_to_claim(self, owner: str, *, ahead: int) -> int:
        """
        Return how many triggers more *owner* may claim.

        While all is well those are *ahead* more than may be on the wire, but it never has more
        than 256: after a crash each of them has to be looked for.
        """
        most = self.slots(owner)
        if most > 0 and self.is_calm and not self._questions_first:
            most = min(most + ahead, _MOST_CLAIMED)
        kept = self._share() if self._questions_first else 0.0
        return min(most - self.claimed[owner], int(self.brake.tokens - kept))

    def _share(self) -> float:
        """Half of a second's requests are left to those that go first."""
        rate = self.account.requests_per_second
        return rate / 2 if rate >= _SHARED_FROM else 0.0

    def _slots_kept(self) -> int:
        return self._half_of_the_wire() if self._questions_first and self.is_calm else 0

    def _half_of_the_wire(self) -> int:
        return min(QUESTIONS_AT_ONCE, max(1, self.account.max_in_flight // 2))

    def claim(self, count: int, *, owner: str) -> None:
        """Take *count* triggers of *owner* out of the budget."""
        self.brake = replace(self.brake, tokens=self.brake.tokens - count)
        self.claimed[owner] += count

    def give_back(self, count: int, *, owner: str) -> None:
        """Take back what *owner* had claimed and did not send."""
        self.claim(-count, owner=owner)

    def ask(self, count: int) -> None:
        """Take *count* questions out of the budget."""
        self.brake = replace(self.brake, tokens=self.brake.tokens - count)
        self.asked += count

    def close(self, conn: Connection) -> None:
        """Store what the brake has become."""
        close_budgets(conn, [self])


def open_budget(conn: Connection, account: Account, *, now: datetime) -> Budget:
    """Read one account's brake, and hold it, as `open_budgets` does."""
    return open_budgets(conn, [account], now=now)[0]


def open_budgets(conn: Connection, opened: Sequence[Account], *, now: datetime) -> list[Budget]:
    """Read the accounts' brakes and hold them: one spender at a time, whatever the daemon."""
    if not opened:
        return []
    readings = accounts.read_brakes(conn, [account.name for account in opened], now=now)
    budgets = [
        Budget(
            account=account,
            brake=readings[account.name].brake,
            claimed=Counter(readings[account.name].claimed),
            asked=readings[account.name].asked,
            throttled_at=list(readings[account.name].throttled_at),
            looks_are_late=_is_late(readings[account.name].look_due_at, now),
            now=now,
        )
        for account in opened
    ]
    for budget in budgets:
        budget.brake = refill(budget.brake, budget.limits, now=now)
    return budgets


def _is_late(look_due_at: datetime | None, now: datetime) -> bool:
    return look_due_at is not None and look_due_at < now - LATE_AFTER


def close_budgets(conn: Connection, budgets: Iterable[Budget]) -> None:
    """Store what the brakes have become."""
    accounts.record_brakes(conn, {budget.account.name: budget.brake for budget in budgets})
