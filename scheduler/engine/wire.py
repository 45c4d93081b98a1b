"""What a daemon has claimed of one account: a few requests on the wire, others that wait for it."""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from scheduler.domain.records import Account, RunToSend, StoredBody


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """A run that may be sent now, and all that sending takes; *claimed_at* by `boot_seconds`."""

    run: RunToSend
    account: Account
    body: StoredBody
    claimed_at: float


Claimed = TypeVar("Claimed")

_AHEAD = 2
"""So many claims may wait for the wire for each answer that one pass brings."""

_FADING = 0.8


@dataclass(slots=True)
class Wire(Generic[Claimed]):
    """
    The claims of one account; at most *slots* of them are on the wire at a time.

    A plain answer frees its slot at once, for the next claim that waits. Any other keeps its
    slot, and everything back, until the brake has heard of it: `heard`.
    """

    slots: int = 0
    is_stopped: bool = False
    waiting: deque[Claimed] = field(default_factory=deque)
    _taken: int = 0
    _unheard: int = 0
    _busiest: float = 0.0

    @property
    def stands_still(self) -> bool:
        """Tell whether nothing leaves, whatever waits."""
        return self.is_stopped or self._unheard > 0

    @property
    def ahead(self) -> int:
        """Return how many claims may wait, so that the next pass ends before they have left."""
        return int(_AHEAD * self._busiest)

    @property
    def is_short(self) -> bool:
        """Tell whether more should be claimed now, for the wire not to run dry meanwhile."""
        return 2 * len(self.waiting) <= self.ahead or self.stands_still

    def passed(self, answers: int) -> None:
        """Note how many answers a pass brings; *ahead* follows the busiest of the last few."""
        self._busiest = max(answers, _FADING * self._busiest)

    def take(self) -> Iterator[Claimed]:
        """Give, and take from those that wait, what may leave now."""
        while self.waiting and self._taken < self.slots and not self.stands_still:
            self._taken += 1
            yield self.waiting.popleft()

    def answered(self, *, plainly: bool) -> None:
        """Note that one of those taken was answered."""
        if plainly:
            self._taken -= 1
        else:
            self._unheard += 1

    def heard(self) -> None:
        """Note that the brake has heard of one answer that was not plain."""
        self._taken -= 1
        self._unheard -= 1
