"""A buffer tells how much to claim ahead of it, and when more is needed."""

import pytest

from scheduler.engine.send_buffer import SendBuffer


def buffer(*, passes: list[int], waiting: int = 0) -> SendBuffer[int]:
    made: SendBuffer[int] = SendBuffer(slots=8)
    for answers in passes:
        made.note_pass(answers)
    made.waiting.extend(range(waiting))
    return made


@pytest.mark.parametrize(
    ("passes", "prefetch"),
    [([], 0), ([8], 16), ([8, 0], 12), ([8, 0, 0, 0, 0], 6), ([8, 40], 80), ([40, 39], 78)],
)
def test_twice_the_answers_of_the_busiest_of_the_last_passes_may_wait(
    passes: list[int], prefetch: int
) -> None:
    assert buffer(passes=passes).prefetch == prefetch


@pytest.mark.parametrize(
    ("passes", "waiting", "is_short"),
    [([], 0, True), ([8], 16, False), ([8], 9, False), ([8], 8, True), ([8], 0, True)],
)
def test_it_is_short_when_half_of_them_have_left(
    passes: list[int], waiting: int, is_short: bool
) -> None:
    assert buffer(passes=passes, waiting=waiting).is_short == is_short


def test_one_that_stands_still_is_short_whatever_waits() -> None:
    standing = buffer(passes=[8], waiting=16)
    assert next(standing.take()) == 0
    standing.answered(plainly=False)

    assert standing.is_short
