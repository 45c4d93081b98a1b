"""What is counted for the metrics, and the counts of one process until they are stored."""

from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass
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
        return (*(f"{bound:g}" for bound in self.bounds), INFINITY)

    def bucket(self, seconds: float) -> int:
        """Return which of the buckets *seconds* fall into: its bound belongs to it."""
        return bisect_left(self.bounds, seconds)


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
        self._counters: dict[Key, float] = {}
        self._histograms: dict[Key, tuple[Histogram, list[float]]] = {}
        self._lock = Lock()

    def add(self, counter: str, *labels: str, amount: float = 1) -> None:
        """Count one, or *amount*."""
        key = counter, labels
        with self._lock:
            self._counters[key] = self._counters.get(key, 0.0) + amount

    def observe(self, histogram: Histogram, seconds: float, *labels: str) -> None:
        """Count *seconds* in their bucket; fewer than 0, by a clock that was set, are 0."""
        seconds = max(seconds, 0.0)
        key = histogram.name, labels
        with self._lock:
            if key not in self._histograms:
                self._histograms[key] = histogram, [0.0] * (len(histogram.buckets) + 1)
            counts = self._histograms[key][1]
            counts[histogram.bucket(seconds)] += 1
            counts[-1] += seconds

    def values(self) -> Mapping[Key, float]:
        """Return what has been counted so far."""
        with self._lock:
            values = dict(self._counters)
            for (name, labels), (histogram, counts) in self._histograms.items():
                for of, count in zip((*histogram.buckets, SUM), counts, strict=True):
                    if count or of == SUM:
                        values[name, (*labels, of)] = count
            return values
