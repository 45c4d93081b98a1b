"""What the demo shows of each run, line by line, and its judgement of them all."""

import shutil
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final

import click

from scheduler.cli.render import one_line
from scheduler.domain.records import ENDED_STATES, Reason, RunState
from scheduler.domain.timestamps import display_time, display_time_of_day
from scheduler.views.runs import RunView

_UNSENT: Final = (RunState.QUEUED, RunState.DISPATCHING)
# Skipped because a later run stands for it, as the schedule's own policies ask, or by a pause.
_STOOD_FOR: Final = (Reason.COALESCED, Reason.SUPERSEDED, Reason.PAUSED)
_WIDTHS: Final = {
    "due": 9,
    "late": 7,
    "schedule": 17,
    "collector": 9,
    "queue": 7,
    "collection_id": 18,
    "start_eta": 9,
    "state": 10,
}


@dataclass(slots=True)
class Watch:
    """Tells each run once when it was sent, or never will be, and once more when it ends."""

    tell: Callable[[str], object] = click.echo
    _states: dict[int, RunState] = field(default_factory=dict)

    def look(self, runs: Iterable[RunView]) -> None:
        """Tell what is new in *runs*."""
        for run in sorted(runs, key=lambda run: run.id):
            before = self._states.get(run.id)
            if run.state in _UNSENT or before == run.state:
                continue
            if not self._states:
                self.tell(_row({name: name.replace("_", " ") for name in _WIDTHS}))
            self._states[run.id] = run.state
            if before is None:
                self.tell(_row(_cells(run)))
            elif run.state in ENDED_STATES:
                subject = f"{run.collection_id or f'run {run.id}'} of {run.schedule}"
                line = one_line(f"{subject}: {run.state} ({run.reason})")
                self.tell(f"{'':{_WIDTHS['due']}}  {line}")


def _row(cells: dict[str, str]) -> str:
    """Return a line of the columns that the terminal has room for."""
    has_room = shutil.get_terminal_size((120, 24)).columns >= sum(_WIDTHS.values()) + 14
    columns = (name for name in _WIDTHS if has_room or name != "schedule")
    return "  ".join(one_line(cells[name]).ljust(_WIDTHS[name]) for name in columns).rstrip()


def _cells(run: RunView) -> dict[str, str]:
    late = None if run.triggered_at is None else (run.triggered_at - run.due_at).total_seconds()
    return {
        "due": display_time_of_day(run.due_at),
        "late": "-" if late is None else f"{late:.3f}s",
        "schedule": run.schedule or "-",
        "collector": run.collector,
        "queue": run.queue or "-",
        "collection_id": run.collection_id or "-",
        "start_eta": "-" if run.start_eta is None else display_time_of_day(run.start_eta),
        "state": run.state if run.collection_id else f"{run.state} ({run.reason})",
    }


def list_missing(runs: Iterable[RunView], due: Iterable[str]) -> Iterator[str]:
    """Yield what is missing: a schedule of *due* without a collection, a run without its own."""
    runs = sorted(runs, key=lambda run: run.id)
    collected = {run.schedule for run in runs if run.collection_id is not None}
    for name in sorted(set(due) - collected):
        yield f"schedule {name} was due, and no collection_id is stored"
    for run in runs:
        if run.collection_id is None and run.reason not in _STOOD_FOR:
            yield (
                f"run {run.id} of {run.schedule}, due {display_time(run.due_at)}, has no"
                f" collection_id: {run.state} ({run.reason}) {run.detail or ''}".rstrip()
            )
