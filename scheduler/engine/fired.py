"""What firing came to: its runs, and beside them lines of the log."""

from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Firing:
    """
    *number* schedules that are to be fired in one transaction, as things stand at *now*.

    *write* does it, and tells what is to be read for more. *hold* is called last, before the
    commit: where that would come before *now*, it waits.
    """

    number: int
    now: datetime
    write: Callable[[Connection], tuple[Fired, list[Asked]]]
    hold: Callable[[], None]

    def __call__(self, conn: Connection) -> tuple[Fired, list[Asked]]:
        """Make the whole transaction but its commit."""
        fired = self.write(conn)
        self.hold()
        return fired


CarryOut = Callable[[Firing], Awaitable[tuple[Fired, list[Asked]]]]
"""Makes the transaction of a Firing, and has sent what it leaves."""


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
