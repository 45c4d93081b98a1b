"""What planning and firing a schedule came to beside its runs, in the log."""

from collections import Counter
from collections.abc import Sequence

import structlog

from scheduler.domain.plan_schedule import Decision
from scheduler.domain.records import NewRun, Schedule

log = structlog.get_logger()


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
