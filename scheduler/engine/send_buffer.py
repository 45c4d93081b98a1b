"""What a daemon has claimed of one account: a few requests on the wire, others that wait for it."""

import math
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Generic, TypeVar

from scheduler.clock import boot_seconds
from scheduler.domain.records import Account, RunToSend, StoredBody
from scheduler.engine.tuning import PREFETCH, PREFETCH_FADES


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """
    A run that may be sent now, and all that sending takes.

    By `boot_seconds`: it was claimed at *claimed_at*, and no byte leaves once its lease, less the
    time that a request takes, or its misfire grace has ended.
    """

    run: RunToSend
    account: Account
    body: StoredBody
    claimed_at: float
    lease_until: float
    expires_at: float

    @property
    def send_before(self) -> float:
        """Return the reading from which on nothing of it may leave."""
        return min(self.lease_until, self.expires_at)

    @property
    def has_expired(self) -> bool:
        """Tell whether its misfire grace is over."""
        return boot_seconds() >= self.expires_at


def expiry(run: RunToSend, now: datetime, boot: float) -> float:
    """Return when the grace of *run* ends, by `boot_seconds`, which read *boot* at *now*."""
    if run.send_before is None:
        return math.inf
    return boot + (run.send_before - now).total_seconds()


Claimed = TypeVar("Claimed")


@dataclass(slots=True)
class SendBuffer(Generic[Claimed]):
    """
    The claims of one account; at most *slots* of them are on the wire at a time.

    A plain answer frees its slot at once, for the next claim that waits. Any other keeps its
    slot, and everything back, until the brake has learned of it: `acknowledge`.
    """

    slots: int = 0
    is_stopped: bool = False
    waiting: deque[Claimed] = field(default_factory=deque)
    _taken: int = 0
    _unacknowledged: int = 0
    _busiest: float = 0.0

    @property
    def is_blocked(self) -> bool:
        """Tell whether nothing leaves, whatever waits."""
        return self.is_stopped or self._unacknowledged > 0

    @property
    def prefetch(self) -> int:
        """Return how many claims may wait, so that the next pass ends before they have left."""
        return int(PREFETCH * self._busiest)

    @property
    def is_short(self) -> bool:
        """Tell whether more should be claimed now, for the wire not to run dry meanwhile."""
        return 2 * len(self.waiting) <= self.prefetch or self.is_blocked

    def note_pass(self, answers: int) -> None:
        """Note how many answers a pass brings; *prefetch* follows the busiest of the last few."""
        self._busiest = max(answers, PREFETCH_FADES * self._busiest)

    def take(self) -> Iterator[Claimed]:
        """Give, and take from those that wait, what may leave now."""
        while self.waiting and self._taken < self.slots and not self.is_blocked:
            self._taken += 1
            yield self.waiting.popleft()

    def answered(self, *, plainly: bool) -> None:
        """Note that one of those taken was answered."""
        if plainly:
            self._taken -= 1
        else:
            self._unacknowledged += 1

    def acknowledge(self) -> None:
        """Note that the brake has learned of one answer that was not plain."""
        self._taken -= 1
        self._unacknowledged -= 1
