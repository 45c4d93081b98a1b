"""What is counted for the metrics, and the counts of one process until they are stored."""

from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from threading import Lock
from typing import Final

Key = tuple[str, tuple[str, ...]]
"""A counter's name and the values of its labels; of a histogram with the bucket, or SUM, last."""

SUM: Final = "sum"
INFINITY: Final = "+Inf"

RUNS_ENDED: Final = "runs_ended"
"""By state and reason, out of the history."""

REQUESTS: Final = "requests"
"""By account, call and class."""


@dataclass(frozen=True, slots=True)
class Histogram:
    """A histogram by *name*; *bounds* are the upper ends of its buckets in seconds."""

    name: str
    bounds: tuple[float, ...]

    @property
    def buckets(self) -> tuple[str, ...]:
        """Return what its buckets are called, the one without an end last."""
        return _buckets(self.bounds)

    def bucket(self, seconds: float) -> str:
        """Return the bucket that *seconds* fall into: its bound belongs to it."""
        return self.buckets[bisect_left(self.bounds, seconds)]


@cache  # each request is counted in one
def _buckets(bounds: tuple[float, ...]) -> tuple[str, ...]:
    return (*(f"{bound:g}" for bound in bounds), INFINITY)


START_DELAY: Final = Histogram(
    "start_delay", (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3600, 14400)
)
"""By who asked: from when a run was meant to be sent until it was accepted."""

REQUEST_TIME: Final = Histogram(
    "request_time", (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
)
"""By call."""

DATABASE_TIME: Final = Histogram(
    "database_time", (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1, 5)
)
"""By access, read or write."""


class Tally:
    """Counts that only grow, from nothing; safe to share between threads."""

    def __init__(self) -> None:
        self._values: dict[Key, float] = {}
        self._lock = Lock()

    def add(self, counter: str, *labels: str, amount: float = 1) -> None:
        """Count one, or *amount*."""
        with self._lock:
            self._add((counter, labels), amount)

    def observe(self, histogram: Histogram, seconds: float, *labels: str) -> None:
        """Count *seconds* in their bucket; fewer than 0, by a clock that was set, are 0."""
        seconds = max(seconds, 0.0)
        with self._lock:
            self._add((histogram.name, (*labels, histogram.bucket(seconds))), 1)
            self._add((histogram.name, (*labels, SUM)), seconds)

    def values(self) -> Mapping[Key, float]:
        """Return what has been counted so far."""
        with self._lock:
            return dict(self._values)

    def _add(self, key: Key, amount: float) -> None:
        self._values[key] = self._values.get(key, 0.0) + amount
