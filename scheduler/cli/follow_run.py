"""Watches one run's row until it is where a person wants it, or never will be."""

from collections.abc import Callable
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from scheduler.cli.render import one_line
from scheduler.cli.session import Pause
from scheduler.domain.moments import moment_text
from scheduler.domain.records import ENDED_STATES, Run, RunState

if TYPE_CHECKING:
    from scheduler.storage.database import Database

_PAUSE_SECONDS: Final = 0.2


class Goal(StrEnum):
    """What is waited for."""

    ACCEPTED = "accepted"  # the upstream took it: it has a collection_id
    ENDED = "ended"  # its collection ended


def follow_run(
    db: "Database", run_id: int, goal: Goal, *, pause: Pause, tell: Callable[[str], object]
) -> bool:
    """
    Tell each change of the run's state; return True once it is accepted, or ended and succeeded.

    False when that will not be, or needs a person: nothing changes then by waiting.
    """
    from scheduler.storage import runs

    told = None
    while True:
        with db.reading() as conn:
            run = runs.get_run(conn, run_id)
        line = _line(run)
        if line != told:
            tell(line)
            told = line
        reached = has_reached(run, goal)
        if reached is not None:
            return reached
        pause(_PAUSE_SECONDS)


def has_reached(run: Run, goal: Goal) -> bool | None:
    """Tell whether the run is where it is wanted; None while waiting may still help."""
    if goal is Goal.ACCEPTED and run.collection_id is not None:
        return True
    if run.state in ENDED_STATES:
        return goal is Goal.ENDED and run.state is RunState.SUCCEEDED
    return False if run.state is RunState.NEEDS_ATTENTION else None


def _line(run: Run) -> str:
    parts = [f"{run.state} ({run.reason})"]
    if run.collection_id is not None:
        parts.append(run.collection_id)
    if run.start_eta is not None and run.state is RunState.COLLECTING:
        parts.append(f"starts {moment_text(run.start_eta)}")
    if run.detail:
        parts.append(run.detail)
    if run.state is RunState.NEEDS_ATTENTION:
        parts.append(f"see dca-scheduler runs show {run.id}; then runs adopt, resend or abandon")
    return one_line(": ".join((parts[0], ", ".join(parts[1:]))) if parts[1:] else parts[0])
