"""Which runs of a filter an act is for, and how many are left out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from scheduler.domain.errors import InvalidInput
from scheduler.domain.records import Run, RunState
from scheduler.domain.run_acts import ACTS_ON, UNLESS_SAID, Act, RunAct
from scheduler.storage import runs
from scheduler.storage.database import Connection
from scheduler.storage.runs import RunFilter
from scheduler.views.runs import RunView, run_view

_MOST_CHOSEN: Final = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class ChosenRuns:
    """The runs that an act is for, the oldest first; *left_out* counts the others by why."""

    runs: tuple[RunView, ...]
    left_out: Mapping[str, int]


def list_wanted(conn: Connection, wanted: RunFilter, unless_said: Sequence[RunState]) -> list[Run]:
    """
    Return the runs that *wanted* chooses, the oldest first; in these states, if it names none.

    Raises InvalidInput for very many, before it reads them.
    """
    chosen = wanted if wanted.states else replace(wanted, states=unless_said)
    if runs.count_runs(conn, chosen, most=_MOST_CHOSEN + 1) > _MOST_CHOSEN:
        raise InvalidInput(
            f"more than {_MOST_CHOSEN} runs are chosen: narrow the filter, as by its since"
        )
    return runs.list_runs(conn, chosen, limit=_MOST_CHOSEN)[::-1]


def list_chosen(conn: Connection, act: Act, wanted: RunFilter) -> ChosenRuns:
    """
    Return what *wanted* chooses and *act* is for: in any state of such, if it names none.

    Raises InvalidInput for very many.
    """
    listed = list_wanted(conn, wanted, UNLESS_SAID[act])
    meant = [run for run in listed if run.state in ACTS_ON[act]]
    others = len(listed) - len(meant)
    if not isinstance(act, RunAct):
        meant = [run for run in meant if run.collection_id is not None]
    return ChosenRuns(
        runs=tuple(map(run_view, meant)),
        left_out={f"in a state that {act} is not for": others} if others else {},
    )
