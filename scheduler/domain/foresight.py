"""What a schedule will owe in a moment, decided before: only where that rests on its rows alone."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from scheduler.domain.batch import Asked, Reading, Readings
from scheduler.domain.definition import RunDefaults, duration_of, misfire_grace_of
from scheduler.domain.firing import PROMPT
from scheduler.domain.other_jobs import BESIDE_NOTHING
from scheduler.domain.plan_schedule import Context, Decision, asks_for_check, plan_schedule
from scheduler.domain.records import Batch, Collector, RunState, Schedule


@dataclass(frozen=True, slots=True, kw_only=True)
class Foreseen:
    """
    What a schedule owes from *due_at* on, before *until*, as long as its rows are as they were.

    It rests on the *reading* of its batch and on *defaults*, and on nothing being frozen.
    """

    decision: Decision
    due_at: datetime
    until: datetime
    reading: Reading | None
    defaults: RunDefaults

    def at(self, context: Context) -> Decision | None:
        """Return what `plan_schedule` would decide in *context*; None if that must be asked."""
        now, batch = context.now, self.decision.runs[0].batch
        holds = (
            self.due_at <= now < self.until
            and not context.freezes
            and context.defaults == self.defaults
            and context.readings.get(Asked(str(batch))) == self.reading
        )
        if not holds:
            return None
        return Decision(
            schedule=self.decision.schedule,
            fired_until=self.decision.fired_until,
            next_fire_at=self.decision.next_fire_at,
            runs=[run.made_at(now) for run in self.decision.runs],
        )


def is_foreseeable(schedule: Schedule, batch: Batch | None) -> bool:
    """Tell whether what the schedule owes rests on nothing that changes from moment to moment."""
    return (
        schedule.next_fire_at is not None
        and not asks_for_check(schedule)
        and schedule.overlap not in BESIDE_NOTHING
        and not schedule.only_if_changed
        and all(getattr(schedule, name) is None for name in _RESTS_ON_MORE)
        and batch is not None
        and batch.file is None
        and batch.max_change_percent is None
    )


_RESTS_ON_MORE: Final = ("after", "exclude", "queue", "max_runs", "park_after", "batch_max_age")


def foresee(
    schedule: Schedule,
    collector: Collector | None,
    batch: Batch | None,
    *,
    accounts: Collection[str],
    readings: Readings,
    defaults: RunDefaults,
) -> Foreseen | None:
    """Decide what the schedule, which is foreseeable, will owe when it is due; None if unclear."""
    due_at = schedule.next_fire_at
    if due_at is None or batch is None:
        return None
    context = Context(now=due_at, accounts=accounts, readings=readings, defaults=defaults, limit=1)
    decision = plan_schedule(schedule, collector, batch, context)
    if not isinstance(decision, Decision) or decision.error is not None or not decision.runs:
        return None
    if any(run.state is not RunState.QUEUED or run.due_at != due_at for run in decision.runs):
        return None
    window = duration_of("catch_up_window", schedule.catch_up_window)
    late = due_at + min(PROMPT, window or misfire_grace_of(schedule))
    return Foreseen(
        decision=decision,
        due_at=due_at,
        until=min(late, decision.next_fire_at or late),
        reading=readings.get(Asked(batch.name)),
        defaults=defaults,
    )
