"""Which runs of a filter an act is for, and how many are left out."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from scheduler.domain.errors import InvalidInput
from scheduler.domain.run_acts import ACTS_ON, UNLESS_SAID, Act, RunAct
from scheduler.storage import runs
from scheduler.storage.database import Connection
from scheduler.storage.runs import RunFilter
from scheduler.views.runs import RunView, run_view

MOST_CHOSEN = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class ChosenRuns:
    """The runs that an act is for, the oldest first; *left_out* counts the others by why."""

    runs: tuple[RunView, ...]
    left_out: Mapping[str, int]


def list_chosen(conn: Connection, act: Act, wanted: RunFilter) -> ChosenRuns:
    """
    Return what *wanted* chooses and *act* is for: in any state of such, if it names none.

    Raises InvalidInput for very many.
    """
    chosen = wanted if wanted.states else replace(wanted, states=UNLESS_SAID[act])
    listed = runs.list_runs(conn, chosen, limit=MOST_CHOSEN + 1)[::-1]
    if len(listed) > MOST_CHOSEN:
        raise InvalidInput(
            f"more than {MOST_CHOSEN} runs are chosen: narrow the filter, as by its since"
        )
    meant = [run for run in listed if run.state in ACTS_ON[act]]
    others = len(listed) - len(meant)
    if not isinstance(act, RunAct):
        meant = [run for run in meant if run.collection_id is not None]
    return ChosenRuns(
        runs=tuple(map(run_view, meant)),
        left_out={f"in a state that {act} is not for": others} if others else {},
    )
