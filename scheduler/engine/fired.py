"""What was fired, in the log: a line for each run, but not for each of thousands missed."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime

import structlog

from scheduler.domain.deciding import Decision
from scheduler.domain.moments import moment_iso
from scheduler.domain.records import NewRun, Reason, RunState, Schedule

log = structlog.get_logger()


def log_fired(fired: Sequence[NewRun], now: datetime) -> None:
    """Write a line for each run, and one for many that were missed alike."""
    skipped: defaultdict[tuple[str | None, Reason], list[NewRun]] = defaultdict(list)
    for run in fired:
        if run.state is RunState.SKIPPED:
            skipped[run.schedule, run.reason].append(run)
        else:
            _log_run(run, now)
    for (schedule, reason), alike in skipped.items():
        if len(alike) <= _FEW:
            for run in alike:
                _log_run(run, now)
            continue
        log.warning(
            "runs_skipped",
            schedule=schedule,
            reason=reason.value,
            count=len(alike),
            first_due_at=moment_iso(min(run.due_at for run in alike)),
            last_due_at=moment_iso(max(run.due_at for run in alike)),
        )


_FEW = 3


def _log_run(run: NewRun, now: datetime) -> None:
    write = log.warning if run.state is RunState.FAILED else log.info
    write(
        "run_fired",
        schedule=run.schedule,
        collector=run.collector,
        due_at=moment_iso(run.due_at),
        late_seconds=round((now - run.due_at).total_seconds(), 3),
        state=run.state.value,
        reason=run.reason.value,
        **({"part": run.part, "parts": run.parts} if run.parts > 1 else {}),
        **({"detail": run.detail} if run.detail else {}),
    )


def log_set_aside(decision: Decision, schedule: Schedule) -> None:
    """Write a line when *schedule* was set aside by *decision*, or is back."""
    if decision.error is not None and decision.error != schedule.error:
        log.error("schedule_set_aside", schedule=schedule.name, error=decision.error)
    elif decision.error is None and schedule.error is not None:
        log.info("schedule_mended", schedule=schedule.name)
