"""The inputs that a schedule leaves out, for they failed in each of its last runs."""

from dataclasses import dataclass
from datetime import datetime

from scheduler.domain.parking import ParkedInput
from scheduler.storage import parked_inputs, schedules
from scheduler.storage.database import Connection
from scheduler.storage.rows import values_of


@dataclass(frozen=True, slots=True, kw_only=True)
class ParkedInputView(ParkedInput):
    """An input that is left out, as it is shown."""


def list_parked_inputs(
    conn: Connection, schedule: str | None = None, *, now: datetime, limit: int, after: int = 0
) -> tuple[ParkedInputView, ...]:
    """Return *limit* parked inputs of a schedule, or of all; NotFound for one that is not there."""
    if schedule is not None:
        schedules.get_schedule(conn, schedule)
    found = parked_inputs.list_parked(conn, schedule, limit=limit, after=after)
    return tuple(ParkedInputView(**values_of(one)) for one in found)
