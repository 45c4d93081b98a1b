"""What a person can do with what waits in a named queue."""

from dataclasses import dataclass
from datetime import datetime

from scheduler.domain.errors import NeedsConfirmation
from scheduler.storage import definitions
from scheduler.storage.audit import record_change
from scheduler.storage.database import Connection
from scheduler.storage.runs import end_queued


@dataclass(frozen=True, slots=True, kw_only=True)
class Flushed:
    """A queue, and how many runs that waited in it were skipped."""

    name: str
    skipped_count: int


def flush_counted(
    conn: Connection, name: str, *, by: str, now: datetime, confirmed: bool
) -> Flushed:
    """Do as flush_queue; NeedsConfirmation while runs wait, NotFound for no such queue."""
    definitions.check_queue(conn, name)
    skipped = flush_queue(conn, name, by=by, now=now, confirmed=confirmed)
    return Flushed(name=name, skipped_count=skipped)


def flush_queue(
    conn: Connection, name: str, *, by: str, now: datetime, confirmed: bool = False
) -> int:
    """Skip every run that waits in the queue; return how many. What was sent goes on."""
    flushed = end_queued.flush_queue(conn, name, detail=f"flushed by {by}", now=now)
    if flushed and not confirmed:
        raise NeedsConfirmation(f"what waits in queue {name} would be skipped: {flushed}", flushed)
    if flushed:
        record_change(conn, by, "flush", f"queues.{name}", {"waiting": (flushed, 0)}, now=now)
    return flushed
