"""The jobs model: what holds whatever happens in whichever order."""

from datetime import datetime, timedelta
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from scheduler.sandbox.book import JobBook
from scheduler.sandbox.jobs import Job, Order
from scheduler.sandbox.settings import SandboxSettings
from tests.sandbox.rig import NINE

events = st.lists(
    st.tuples(
        st.integers(0, 4),  # seconds that pass first
        st.sampled_from(["submit", "urgent", "cancel", "pause", "resume"]),
        st.integers(0, 9),  # which queue, or which job
    ),
    max_size=40,
)


def live(book: JobBook) -> list[Job]:
    return [job for job in book.jobs.values() if not job.ended]


def play(history: list[tuple[int, str, int]]) -> tuple[JobBook, datetime]:
    book = JobBook(SandboxSettings())
    now = NINE
    for seconds, what, which in history:
        now = book.advance(now + timedelta(seconds=seconds))
        jobs = live(book)
        if what in ("submit", "urgent"):
            inputs = ({"url": "x"},) * (1 + which % 3)
            queue = None if which < 5 else f"q{which}"
            deadline = timedelta(seconds=2) if which == 2 else None
            book.submit(
                Order(
                    collector="c_shop",
                    inputs=inputs,
                    queue=queue,
                    confirm_cancel=what == "urgent",
                    deadline=deadline,
                )
            )
        elif jobs:
            getattr(book, what)(jobs[which % len(jobs)])
    return book, now


@given(events)
def test_one_job_of_a_queue_at_a_time(history: list[tuple[int, str, int]]) -> None:
    book, now = play(history)
    for job in live(book):
        book.resume(job)
    book.advance(now + timedelta(days=1))

    spans: dict[str | None, list[tuple[datetime, datetime]]] = {}
    for job in book.jobs.values():
        assert job.finished_at is not None
        if job.taken_at is not None:
            spans.setdefault(job.order.queue, []).append((job.taken_at, job.finished_at))
    for taken in spans.values():
        taken.sort()
        assert all(end <= start for (_, end), (start, _) in pairwise(taken))


@given(events)
def test_the_count_of_live_jobs_is_right(history: list[tuple[int, str, int]]) -> None:
    book, _ = play(history)

    assert book.live("c_shop") == len(live(book))


@given(st.lists(st.integers(1, 5), min_size=1, max_size=10))
def test_without_interference_every_job_starts_when_it_was_promised(sizes: list[int]) -> None:
    book = JobBook(SandboxSettings(spread=0.5))
    book.advance(NINE)
    promises = [
        book.submit(Order(collector="c_shop", inputs=({"url": "x"},) * size)) for size in sizes
    ]
    book.advance(NINE + timedelta(days=1))

    assert [job.started_at for job, _ in promises] == [eta for _, eta in promises]


@given(events)
def test_looking_often_or_once_makes_no_difference(history: list[tuple[int, str, int]]) -> None:
    once, now = play(history)
    often, _ = play(history)
    for second in range(60):
        often.advance(now + timedelta(seconds=second))
    once.advance(now + timedelta(seconds=59))

    def moments(book: JobBook) -> list[tuple[object, ...]]:
        return [(job.status, job.started_at, job.finished_at) for job in book.jobs.values()]

    assert moments(once) == moments(often)
