"""What is not sent because it would be paid for in vain: inputs that are old, or unchanged."""

from dataclasses import dataclass
from datetime import datetime

from scheduler.domain.batch import Chunks, all_parked
from scheduler.domain.definition import duration_of
from scheduler.domain.durations import format_duration
from scheduler.domain.records import Collector, Reason, Schedule
from scheduler.domain.timestamps import display_time


@dataclass(frozen=True, slots=True, kw_only=True)
class LastGood:
    """The last run of a schedule that succeeded; *bodies* are what all its chunks sent."""

    run_id: int
    due_at: datetime
    collector_id: str
    bodies: tuple[str, ...]

    def sent(self, chunks: Chunks, collector: Collector) -> bool:
        """Tell whether it sent just this to that collector."""
        fingerprints = tuple(chunk.fingerprint for chunk in chunks)
        return (self.collector_id, self.bodies) == (collector.collector_id, fingerprints)


def why_in_vain(
    schedule: Schedule,
    collector: Collector,
    chunks: Chunks,
    last_good: LastGood | None,
    now: datetime,
) -> tuple[Reason, str] | None:
    """Say why *chunks* are not worth a trigger; None if they are. None at all: all are parked."""
    if not chunks:
        return Reason.PARKED, all_parked(schedule.batch, schedule.name)
    most = duration_of("batch_max_age", schedule.batch_max_age)
    written = max((chunk.written_at for chunk in chunks if chunk.written_at), default=None)
    if most is not None and written is not None and now - written > most:
        age = format_duration(now - written)
        return Reason.STALE_BATCH, (
            f"its batch was last written at {display_time(written)}, {age} before, and"
            f" batch_max_age = {schedule.batch_max_age}"
        )
    if schedule.only_if_changed and last_good is not None and last_good.sent(chunks, collector):
        due = display_time(last_good.due_at)
        return Reason.UNCHANGED, f"its inputs are those of run {last_good.run_id}, due {due}"
    return None
