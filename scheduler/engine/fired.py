"""What firing came to: its runs, and beside them lines of the log."""

from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

import structlog

from scheduler.domain.batch import Asked
from scheduler.domain.plan_schedule import Decision
from scheduler.domain.records import NewRun, RunState, Schedule
from scheduler.storage.database import Connection

log = structlog.get_logger()


@dataclass(slots=True)
class Fired:
    """The runs that a pass has written, and how many schedules it could not hold."""

    runs: list[NewRun]
    locked: int

    @property
    def has_queued(self) -> bool:
        """Tell whether there is something to send."""
        return any(run.state is RunState.QUEUED for run in self.runs)


Firing = Callable[[Connection], tuple[Fired, list[Asked]]]
"""Fires in a transaction, and tells what is to be read for more."""

CarryOut = Callable[[Firing, int], Awaitable[tuple[Fired, list[Asked]]]]
"""Makes the transaction of a Firing of so many schedules, and has sent what it leaves."""


def log_standing(fired: Sequence[NewRun], written: Sequence[NewRun]) -> None:
    """Write a line for each schedule of which occurrences had their runs before."""
    keys = {(run.schedule, run.due_at) for run in written}
    standing = [run for run in fired if (run.schedule, run.due_at) not in keys]
    for schedule, count in Counter(run.schedule for run in standing).items():
        log.warning("occurrences_had_their_runs", schedule=schedule, count=count)


def log_invalid(decision: Decision, schedule: Schedule) -> None:
    """Write a line when *schedule* became invalid by *decision*, or is valid again."""
    if decision.error is not None and decision.error != schedule.error:
        log.error("schedule_invalid", schedule=schedule.name, error=decision.error)
    elif decision.error is None and schedule.error is not None:
        log.info("schedule_mended", schedule=schedule.name)
