"""What a person can do about parked inputs: have them sent again."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from scheduler.domain.errors import NotFound
from scheduler.storage import parked_inputs, schedules
from scheduler.storage.audit import record_change
from scheduler.storage.database import Connection


@dataclass(frozen=True, slots=True, kw_only=True)
class Unparked:
    """The inputs that a schedule sends again from its next run on."""

    schedule: str
    ids: tuple[int, ...]


def unpark_inputs(
    conn: Connection, schedule: str, ids: Sequence[int] | None = None, *, by: str, now: datetime
) -> Unparked:
    """
    Let a schedule send parked inputs again, or all of them where no *ids* are given.

    Raises NotFound for a schedule, or an id, that is not there.
    """
    schedules.get_schedule(conn, schedule)
    gone = parked_inputs.unpark(conn, schedule, ids)
    missing = sorted(set(ids or ()).difference(gone))
    if missing:
        raise NotFound(
            f"schedule {schedule!r} has no parked input {missing[0]}:"
            f" dca-scheduler schedules parked {schedule} lists them"
        )
    if gone:
        columns = {"inputs": (None, gone)}
        record_change(conn, by, "unpark", f"schedules.{schedule}", columns, now=now)
    return Unparked(schedule=schedule, ids=tuple(gone))
