"""Did every schedule that was due get its collection_id?"""

from collections.abc import Iterable, Iterator
from typing import Final

from scheduler.domain.moments import moment_text
from scheduler.domain.records import Reason, Run

# Skipped because a later run stands for it: what the schedule's own policies ask for.
_STOOD_FOR: Final = (Reason.COALESCED, Reason.SUPERSEDED)


def judge(runs: Iterable[Run], due: Iterable[str]) -> Iterator[str]:
    """Yield what is missing: a schedule of *due* without a collection, a run without its own."""
    found = sorted(runs, key=lambda run: run.id)
    collected = {run.schedule for run in found if run.collection_id is not None}
    for name in sorted(set(due) - collected):
        yield f"schedule {name} was due, and no collection_id is stored"
    for run in found:
        if run.collection_id is None and run.reason not in _STOOD_FOR:
            yield (
                f"run {run.id} of {run.schedule}, due {moment_text(run.due_at)}, has no"
                f" collection_id: {run.state} ({run.reason}) {run.detail or ''}".rstrip()
            )
