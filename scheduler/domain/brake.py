"""
One brake for all requests of an account: how many may leave now, and when to ask again.

The upstream blocks an address after 25 answers of 429 in five minutes, and calls 10 close
to it (DCA, 1). Every request in flight may become one, so what is in flight counts as
if it already had: however the upstream behaves, the tenth is never collected.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from scheduler.domain.pauses import is_paused

WINDOW: Final = timedelta(minutes=5)
CEILING: Final = 8
"""Answers of 429 that an account may collect in any WINDOW: "close to it", less a crash's probe."""

BACKOFF: Final = tuple(timedelta(seconds=seconds) for seconds in (2, 4, 8, 16, 32))
"""The documented pauses after a 429 that names none (DCA, 1)."""

LOSSES: Final = 3
"""So many answers lost in a row close the brake."""

LONGEST_RETRY_AFTER: Final = timedelta(hours=1)

CLOCK_DIFFERENCE: Final = timedelta(minutes=1)
"""So far the clocks of daemons may be apart; one that is further behind was set back."""

_SHORTEST_WAIT: Final = timedelta(milliseconds=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Brake:
    """
    The state of one account's brake, as its row holds it.

    *trips* counts the pauses since the last success; while it is above zero one
    probe at a time may leave. *slow_start* then bounds what may be in flight,
    doubling with each success, until it is None again. *consecutive_losses* counts the answers
    lost in a row: the third closes the brake, too. *refilled_at* is the latest moment
    that a daemon has brought it to.
    """

    tokens: float
    refilled_at: datetime | None
    open_until: datetime | None
    trips: int
    consecutive_losses: int
    slow_start: int | None
    paused_at: datetime | None
    paused_reason: str | None
    paused_token: str | None
    paused_by: str | None
    paused_until: datetime | None

    def is_paused(self, now: datetime) -> bool:
        """Tell whether nothing is sent until a person, another token or the time ends that."""
        return is_paused(self.paused_at, self.paused_until, now)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What the operator allows an account."""

    max_in_flight: int
    requests_per_second: float


@dataclass(frozen=True, slots=True)
class Permits:
    """How many requests may leave now, why not more, and when more may be allowed."""

    count: int
    waits_for: str | None = None
    ask_again_at: datetime | None = None


def refill(brake: Brake, limits: Limits, *, now: datetime) -> Brake:
    """
    Bring *brake* to *now*: put in what time has earned, up to one second's worth or one token.

    No moment is earned twice, whichever daemon's clock is ahead. When the clock was set
    back, what is left of a pause stays as long as it was.
    """
    full = max(1.0, limits.requests_per_second)
    if brake.refilled_at is None:
        return replace(brake, tokens=full, refilled_at=now)
    elapsed = now - brake.refilled_at
    if elapsed < -CLOCK_DIFFERENCE:
        open_until = brake.open_until and brake.open_until + elapsed
        return replace(brake, refilled_at=now, open_until=open_until)
    if elapsed < timedelta():
        return brake
    tokens = min(full, brake.tokens + elapsed.total_seconds() * limits.requests_per_second)
    return replace(brake, tokens=tokens, refilled_at=now)


def permits(
    brake: Brake,
    limits: Limits,
    *,
    now: datetime,
    in_flight: int,
    throttled_at: Sequence[datetime],
) -> Permits:
    """Say how many requests may leave; *brake* is refilled, *throttled_at* its 429s in order."""
    slots = free_slots(brake, limits, now=now, in_flight=in_flight, throttled_at=throttled_at)
    tokens = int(brake.tokens)
    if slots.count <= max(tokens, 0):
        return slots
    if tokens > 0:
        return Permits(tokens)
    seconds = min((1 - brake.tokens) / limits.requests_per_second, WINDOW.total_seconds())
    ask_again_at = now + max(timedelta(seconds=seconds), _SHORTEST_WAIT)
    return Permits(0, "requests per second", ask_again_at)


def free_slots(
    brake: Brake,
    limits: Limits,
    *,
    now: datetime,
    in_flight: int,
    throttled_at: Sequence[datetime],
) -> Permits:
    """Say how many requests may be on the wire beside those *in_flight*, however few a second."""
    if brake.is_paused(now):
        return Permits(0, f"account paused: {brake.paused_reason}", brake.paused_until)
    if brake.open_until is not None and brake.open_until > now:
        return Permits(0, "pausing after 429 or a failed connection", brake.open_until)

    recent = [at for at in throttled_at if at > now - WINDOW]
    room = {
        "in flight": min(limits.max_in_flight, CEILING) - in_flight,
        "too many 429 in five minutes": CEILING - len(recent) - in_flight,
    }
    if brake.trips > 0:
        room["probing"] = 1 - in_flight
    elif brake.slow_start is not None:
        room["slow start"] = brake.slow_start - in_flight
    tightest = min(room, key=lambda name: room[name])
    if room[tightest] > 0:
        return Permits(room[tightest])
    # An answer of what is in flight will say when there is more.
    is_full = tightest == "too many 429 in five minutes"
    return Permits(0, tightest, min(recent) + WINDOW if is_full else None)


def is_calm(brake: Brake, *, now: datetime, throttled_at: Sequence[datetime]) -> bool:
    """Tell whether all is well: nothing lost or paused, and no 429 for five minutes."""
    return (
        not brake.is_paused(now)
        and brake.trips == 0
        and brake.consecutive_losses == 0
        and brake.slow_start is None
        and all(at <= now - WINDOW for at in throttled_at)
    )


def most_on_the_wire(claimed: Iterable[int]) -> int:
    """
    Count what may be on the wire of what each daemon has *claimed*: CEILING of its own at most.

    A daemon claims ahead of what it sends, and has no more on the wire than `free_slots` gave
    it beside this count of the others. So all of them together never have more than CEILING.
    """
    return sum(min(count, CEILING) for count in claimed)


def after_throttle(brake: Brake, *, now: datetime, retry_after: timedelta | None) -> Brake:
    """
    Close the brake after a 429, for *retry_after* or the documented backoff (DCA, 1).

    The other answers of one burst prolong the pause but are not further trips.
    """
    in_same_burst = brake.open_until is not None and now < brake.open_until
    trips = brake.trips if in_same_burst else brake.trips + 1
    pause = BACKOFF[min(trips, len(BACKOFF)) - 1]
    if retry_after is not None and retry_after > timedelta():
        pause = retry_after
    until = now + min(pause, LONGEST_RETRY_AFTER)
    return replace(
        brake,
        trips=trips,
        slow_start=1,
        open_until=max(until, brake.open_until) if brake.open_until else until,
    )


def after_unreachable(brake: Brake, *, now: datetime) -> Brake:
    """Close the brake after a request that could not leave: one probe at a time finds the way."""
    return after_throttle(brake, now=now, retry_after=None)


def after_loss(brake: Brake, *, now: datetime) -> Brake:
    """Count an answer that was lost; an upstream that loses several in a row is left in peace."""
    counted = replace(brake, consecutive_losses=brake.consecutive_losses + 1)
    return counted if counted.consecutive_losses < LOSSES else after_unreachable(counted, now=now)


def after_success(brake: Brake, limits: Limits) -> Brake:
    """
    Open the brake a step: the probe came through, or the slow start goes on.

    *brake* is refilled. A success during a pause was sent before it, and does not end it.
    """
    if brake.consecutive_losses > 0:  # `replace` is dear, and successes are many
        brake = replace(brake, consecutive_losses=0)
    if _is_pausing(brake):
        return brake
    if brake.trips > 0:
        return replace(brake, trips=0, slow_start=2, open_until=None)
    if brake.slow_start is None:
        return brake
    wider = brake.slow_start * 2
    return replace(brake, slow_start=wider if wider < limits.max_in_flight else None)


def _is_pausing(brake: Brake) -> bool:
    return (
        brake.open_until is not None
        and brake.refilled_at is not None
        and brake.refilled_at < brake.open_until
    )


def after_crash(brake: Brake) -> Brake:
    """Send one probe first: what was in flight when a daemon died may have been answered 429."""
    return replace(brake, trips=max(brake.trips, 1), slow_start=1)


def after_credentials_refused(
    brake: Brake, *, now: datetime, detail: str, token_fingerprint: str
) -> Brake:
    """
    Pause all sending until the token, known by *token_fingerprint*, changes or a person resumes.

    A pause that is already there stays as it is: no new token lifts a person's own.
    """
    if brake.is_paused(now):
        return brake
    return replace(
        brake,
        paused_at=now,
        paused_reason=detail,
        paused_token=token_fingerprint,
        paused_by=None,
        paused_until=None,
    )
