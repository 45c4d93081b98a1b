"""What one process has counted, before it is stored."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from scheduler.domain.tally import REQUEST_TIME, SUM, Histogram, Tally

HISTOGRAM = Histogram("h", (0.5, 2))


@pytest.mark.parametrize(
    ("seconds", "bucket"), [(0, "0.5"), (0.5, "0.5"), (0.51, "2"), (2, "2"), (2.01, "+Inf")]
)
def test_a_bound_belongs_to_its_bucket(seconds: float, bucket: str) -> None:
    assert HISTOGRAM.buckets[HISTOGRAM.bucket(seconds)] == bucket


def test_a_histogram_counts_buckets_and_their_seconds_by_label() -> None:
    tally = Tally()

    for seconds in (0.2, 0.3, 9.0):
        tally.observe(HISTOGRAM, seconds, "a")
    tally.observe(HISTOGRAM, 1, "b")

    assert tally.values() == {
        ("h", ("a", "0.5")): 2,
        ("h", ("a", "+Inf")): 1,
        ("h", ("a", SUM)): pytest.approx(9.5),
        ("h", ("b", "2")): 1,
        ("h", ("b", SUM)): 1,
    }


def test_a_clock_that_was_set_back_takes_nothing_away() -> None:
    tally = Tally()

    tally.observe(HISTOGRAM, -5, "a")

    assert tally.values() == {("h", ("a", "0.5")): 1, ("h", ("a", SUM)): 0}


def test_threads_count_together() -> None:
    tally = Tally()

    def count(_: int) -> None:
        for _ in range(2_000):
            tally.add("c")
            tally.observe(REQUEST_TIME, 0.25, "x")

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(count, range(8)))

    assert tally.values()["c", ()] == 16_000
    assert tally.values()["request_time", ("x", SUM)] == 4_000
