"""A wire tells how much to claim ahead of it, and when more is needed."""

import pytest

from scheduler.engine.wire import Wire


def wire(*, passes: list[int], waiting: int = 0) -> Wire[int]:
    made: Wire[int] = Wire(slots=8)
    for answers in passes:
        made.passed(answers)
    made.waiting.extend(range(waiting))
    return made


@pytest.mark.parametrize(
    ("passes", "ahead"),
    [([], 0), ([8], 16), ([8, 0], 12), ([8, 0, 0, 0, 0], 6), ([8, 40], 80), ([40, 39], 78)],
)
def test_twice_the_answers_of_the_busiest_of_the_last_passes_may_wait(
    passes: list[int], ahead: int
) -> None:
    assert wire(passes=passes).ahead == ahead


@pytest.mark.parametrize(
    ("passes", "waiting", "is_short"),
    [([], 0, True), ([8], 16, False), ([8], 9, False), ([8], 8, True), ([8], 0, True)],
)
def test_it_is_short_when_half_of_them_have_left(
    passes: list[int], waiting: int, is_short: bool
) -> None:
    assert wire(passes=passes, waiting=waiting).is_short == is_short


def test_one_that_stands_still_is_short_whatever_waits() -> None:
    standing = wire(passes=[8], waiting=16)
    assert next(standing.take()) == 0
    standing.answered(plainly=False)

    assert standing.is_short
