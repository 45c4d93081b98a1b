"""What happens, line by line, as the database tells it."""

import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

import click

from scheduler.cli.render import one_line
from scheduler.domain.records import ENDED_STATES, Run, RunState

_UNSENT: Final = (RunState.QUEUED, RunState.DISPATCHING)
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
    columns: Sequence[str] = tuple(_WIDTHS)
    _told: dict[int, RunState] = field(default_factory=dict)

    def look(self, runs: Iterable[Run]) -> None:
        """Tell what is new in *runs*."""
        for run in sorted(runs, key=lambda run: run.id):
            for line in self._lines(run):
                self.tell(line)

    def _lines(self, run: Run) -> Iterator[str]:
        before = self._told.get(run.id)
        if run.state in _UNSENT or before == run.state:
            return
        if not self._told:
            yield self._row({name: name.replace("_", " ") for name in _WIDTHS})
        self._told[run.id] = run.state
        if before is None:
            yield self._row(_cells(run))
        elif run.state in ENDED_STATES:
            what = run.collection_id or f"run {run.id}"
            line = one_line(
                f"{what} of {run.schedule or run.collector}: {run.state} ({run.reason})"
            )
            yield f"{'':{_WIDTHS['due']}}  {line}"

    def _row(self, cells: dict[str, str]) -> str:
        return "  ".join(cells[name].ljust(_WIDTHS[name]) for name in self.columns).rstrip()


def columns_for_terminal() -> Sequence[str]:
    """Return the columns that there is room for."""
    has_room = shutil.get_terminal_size((120, 24)).columns >= sum(_WIDTHS.values()) + 14
    return tuple(name for name in _WIDTHS if has_room or name != "schedule")


def _cells(run: Run) -> dict[str, str]:
    late = None if run.triggered_at is None else (run.triggered_at - run.due_at).total_seconds()
    cells = {
        "due": _clock(run.due_at),
        "late": "-" if late is None else f"{late:.3f}s",
        "schedule": run.schedule or "-",
        "collector": run.collector,
        "queue": run.queue or "-",
        "collection_id": run.collection_id or "-",
        "start_eta": "-" if run.start_eta is None else _clock(run.start_eta),
        "state": run.state if run.collection_id else f"{run.state} ({run.reason})",
    }
    return {name: one_line(text) for name, text in cells.items()}


def _clock(moment: datetime) -> str:
    return f"{moment:%H:%M:%SZ}"
