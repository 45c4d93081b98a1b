"""What an account's brake allows, asked and told inside the caller's transaction."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from scheduler.domain.answers import Unanswered
from scheduler.domain.brake import (
    CEILING,
    LOSSES,
    WINDOW,
    Brake,
    Limits,
    Permits,
    after_credentials_refused,
    after_loss,
    after_success,
    after_throttle,
    after_unreachable,
    free_slots,
    is_calm,
    most_on_the_wire,
    permits,
    refill,
)
from scheduler.domain.records import Account
from scheduler.domain.reply import Deferral, Deferred, Lost, Refusal, Rejected, TriggerReply
from scheduler.domain.verdict import LATE_AFTER
from scheduler.engine.failures import tell_account_paused
from scheduler.engine.tuning import MOST_CLAIMED, QUESTIONS_AT_ONCE, SHARED_FROM, TURN
from scheduler.storage import accounts, holds
from scheduler.storage.database import Connection


@dataclass(frozen=True, slots=True, kw_only=True)
class Feedback:
    """What one answer says about the account as a whole, whatever was asked."""

    throttled: bool = False
    retry_after: timedelta | None = None
    credentials: str | None = None
    token_fingerprint: str | None = None
    unreachable: bool = False
    lost: bool = False
    detail: str | None = None


ALL_IS_WELL: Final = Feedback()


def feedback_of_reply(reply: TriggerReply, *, token_fingerprint: str) -> Feedback:
    """Read the answer to a trigger that was sent with the token of *token_fingerprint*."""
    match reply:
        case Deferred(status=429, retry_after=retry_after):
            return Feedback(throttled=True, retry_after=retry_after)
        case Deferred(deferral=Deferral.NOT_SENT, detail=detail):
            return Feedback(unreachable=True, detail=detail)
        case Rejected(refusal=Refusal.CREDENTIALS, detail=detail):
            return Feedback(credentials=detail, token_fingerprint=token_fingerprint)
        case Lost(detail=detail):
            return Feedback(lost=True, detail=detail)
        case _:
            return ALL_IS_WELL


def feedback_of_answer(answer: object, *, token_fingerprint: str) -> Feedback:
    """Read the answer to a question that was asked with the token of *token_fingerprint*."""
    if not isinstance(answer, Unanswered):
        return ALL_IS_WELL
    if answer.throttled:
        return Feedback(throttled=True, retry_after=answer.retry_after)
    if answer.credentials:
        return Feedback(credentials=answer.detail, token_fingerprint=token_fingerprint)
    return Feedback(lost=True, detail=answer.detail)


def apply_feedback(
    brake: Brake, feedbacks: Iterable[Feedback], limits: Limits, *, now: datetime
) -> Brake:
    """Return what the brake becomes after the answers that *feedbacks* were read from."""
    for feedback in feedbacks:
        if feedback.throttled:
            brake = after_throttle(brake, now=now, retry_after=feedback.retry_after)
        elif feedback.credentials is not None:
            brake = after_credentials_refused(
                brake,
                now=now,
                detail=feedback.credentials,
                token_fingerprint=feedback.token_fingerprint or "",
            )
        elif feedback.unreachable:
            brake = after_unreachable(brake, now=now)
        elif feedback.lost:
            brake = after_loss(brake, now=now)
        else:
            brake = after_success(brake, limits)
    return brake


@dataclass(slots=True, kw_only=True)
class RateLimiter:
    """
    An account's brake, held from `open_limiter` until the transaction ends.

    Tell what was answered with *apply*, ask what may leave with *permits*, take it
    with *claim* or *ask*, and *close* to store it all. *claimed* counts the triggers of each
    daemon, *asked* the questions.
    """

    account: Account
    brake: Brake
    claimed: Counter[str]
    asked: int
    throttled_at: list[datetime]
    polls_are_late: bool
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

    def apply(self, conn: Connection, feedbacks: Iterable[Feedback]) -> None:
        """Let the brake follow answers; every daemon counts those of 429, and a pause is told."""
        feedbacks = tuple(feedbacks)
        before = self.brake
        self.brake = apply_feedback(self.brake, feedbacks, self.limits, now=self.now)
        throttled = [self.now for feedback in feedbacks if feedback.throttled]
        accounts.insert_throttles(conn, self.account.name, throttled)
        self.throttled_at += throttled
        self._note_hold(conn, feedbacks, was_braked=before.trips > 0)
        if self.brake.paused_at not in (None, before.paused_at):
            reason = self.brake.paused_reason or ""
            tell_account_paused(conn, self.account.name, reason=reason, now=self.now)

    def _note_hold(
        self, conn: Connection, feedbacks: Sequence[Feedback], *, was_braked: bool
    ) -> None:
        """Keep since when the account is braked and why, or that it is not any more."""
        is_throttled = any(feedback.throttled for feedback in feedbacks)
        if self.brake.trips == 0:
            if was_braked:
                holds.end_braking(conn, self.account.name, now=self.now)
        elif is_throttled or not was_braked:
            recent = sum(at > self.now - WINDOW for at in self.throttled_at)
            why = f"{recent} answer{'s' * (recent > 1)} of 429 in five minutes"
            if not is_throttled:
                why = _why_closed(feedbacks)
            holds.begin_braking(conn, self.account.name, why, now=self.now)

    def permits(self) -> Permits:
        """Say how many triggers may leave now, or looks for those that were lost."""
        return self._permits(kept=self._share() if self._questions_first else 0.0)

    def questions(self) -> Permits:
        """Say how many questions may leave now about what runs."""
        allowed = self._permits(kept=0.0 if self._questions_first else self._share())
        if self.polls_are_late and self.is_calm and not self._questions_first:
            # Else who has the only slot would keep it: an answer is recorded as the next is taken.
            most = min(self.account.max_in_flight, CEILING) - self._half_of_the_wire() - self.asked
            return replace(allowed, count=max(0, min(allowed.count, most)))
        return allowed

    def _permits(self, *, kept: float) -> Permits:
        allowed = permits(
            replace(self.brake, tokens=self.brake.tokens - kept),
            self.limits,
            now=self.now,
            in_flight=most_on_the_wire(self.claimed.values()) + self.asked,
            throttled_at=self.throttled_at,
        )
        if not self.polls_are_late:
            return allowed
        next_turn = self.now + timedelta(seconds=TURN - self.now.timestamp() % TURN)
        return replace(allowed, ask_again_at=min(allowed.ask_again_at or next_turn, next_turn))

    @property
    def _questions_first(self) -> bool:
        """
        Tell whose turn it is while polls are late; before, it is always the triggers'.

        By the clock, which all daemons share. By turns, because there may always be more open
        than can be polled, or polls may fail while triggers would not.
        """
        return self.polls_are_late and self.now.timestamp() // TURN % 2 == 0

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

    def most_to_claim(self, owner: str, *, prefetch: int) -> int:
        """
        Return how many triggers more *owner* may claim.

        While all is well those are *prefetch* more than may be on the wire, but it never has more
        than MOST_CLAIMED: after a crash each of them has to be looked for.
        """
        most = self.slots(owner)
        if most > 0 and self.is_calm and not self._questions_first:
            most = min(most + prefetch, MOST_CLAIMED)
        kept = self._share() if self._questions_first else 0.0
        return min(most - self.claimed[owner], int(self.brake.tokens - kept))

    def _share(self) -> float:
        """Half of a second's requests are left to those that go first."""
        rate = self.account.requests_per_second
        return rate / 2 if rate >= SHARED_FROM else 0.0

    def _slots_kept(self) -> int:
        return self._half_of_the_wire() if self._questions_first and self.is_calm else 0

    def _half_of_the_wire(self) -> int:
        return min(QUESTIONS_AT_ONCE, max(1, self.account.max_in_flight // 2))

    def claim(self, count: int, *, owner: str) -> None:
        """Take *count* triggers of *owner* out of what may leave."""
        self.brake = replace(self.brake, tokens=self.brake.tokens - count)
        self.claimed[owner] += count

    def give_back(self, count: int, *, owner: str) -> None:
        """Take back what *owner* had claimed and did not send."""
        self.claim(-count, owner=owner)

    def ask(self, count: int) -> None:
        """Take *count* questions out of what may leave."""
        self.brake = replace(self.brake, tokens=self.brake.tokens - count)
        self.asked += count

    def pay(self, count: int) -> None:
        """Take *count* requests that have been made and answered out of what may leave."""
        self.brake = replace(self.brake, tokens=self.brake.tokens - count)

    def close(self, conn: Connection) -> None:
        """Store what the brake has become."""
        close_limiters(conn, [self])


def open_limiter(conn: Connection, account: Account, *, now: datetime) -> RateLimiter:
    """Read one account's brake, and hold it, as `open_limiters` does."""
    return open_limiters(conn, [account], now=now)[0]


def open_limiters(
    conn: Connection, opened: Sequence[Account], *, now: datetime
) -> list[RateLimiter]:
    """Read the accounts' brakes and hold them: one spender at a time, whatever the daemon."""
    if not opened:
        return []
    readings = accounts.read_brakes(conn, [account.name for account in opened], now=now)
    limiters = [
        RateLimiter(
            account=account,
            brake=readings[account.name].brake,
            claimed=Counter(readings[account.name].claimed),
            asked=readings[account.name].asked,
            throttled_at=list(readings[account.name].throttled_at),
            polls_are_late=_is_late(readings[account.name].poll_due_at, now),
            now=now,
        )
        for account in opened
    ]
    for limiter in limiters:
        limiter.brake = refill(limiter.brake, limiter.limits, now=now)
    return limiters


def _is_late(poll_due_at: datetime | None, now: datetime) -> bool:
    return poll_due_at is not None and poll_due_at < now - LATE_AFTER


def close_limiters(conn: Connection, limiters: Iterable[RateLimiter]) -> None:
    """Store what the brakes have become."""
    accounts.record_brakes(conn, {limiter.account.name: limiter.brake for limiter in limiters})


def _why_closed(feedbacks: Sequence[Feedback]) -> str:
    is_unreachable = any(feedback.unreachable for feedback in feedbacks)
    details = [one.detail for one in feedbacks if one.detail and one.unreachable == is_unreachable]
    what = "nothing can be sent" if is_unreachable else f"{LOSSES} answers lost in a row"
    return f"{what}: {details[-1][:_TOLD]}" if details else what


_TOLD: Final = 300
