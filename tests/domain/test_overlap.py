"""What becomes of an occurrence while earlier runs of its schedule have not ended."""

import pytest

from scheduler.domain.overlap import OverlapDecision, Unfinished, decide_overlap
from scheduler.domain.records import Overlap, RunState

OVERDUE = Unfinished(1, RunState.COLLECTING, "j_1", is_overdue=True)
RUNNING = Unfinished(2, RunState.COLLECTING, "j_2")


@pytest.mark.parametrize(
    ("overlap", "standing"),
    [
        (Overlap.QUEUE, OverlapDecision()),
        (Overlap.ALLOW, OverlapDecision()),
        (Overlap.SKIP, OverlapDecision()),
        (Overlap.QUEUE_ONE, OverlapDecision()),
        (Overlap.REPLACE, OverlapDecision(waits_for=1, replaces=True)),
    ],
)
def test_an_overdue_run_holds_nobody_up_and_may_be_replaced(
    overlap: Overlap, standing: OverlapDecision
) -> None:
    assert decide_overlap(overlap, [OVERDUE]) == standing


def test_beside_an_overdue_run_another_still_counts() -> None:
    both = [OVERDUE, RUNNING]

    assert decide_overlap(Overlap.SKIP, both) == OverlapDecision(is_sent=False, held_by=2)
    assert decide_overlap(Overlap.QUEUE_ONE, both) == OverlapDecision(waits_for=2)
