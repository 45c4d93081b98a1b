"""The time of a shared database, so that daemons agree on leases whatever their own clocks say."""

from dataclasses import dataclass
from datetime import UTC, datetime

import structlog

from scheduler.clock import boot_seconds, utc_now
from scheduler.storage.database import Database
from scheduler.storage.dialect import database_time

log = structlog.get_logger()

_NOTEWORTHY_SECONDS = 2.0


@dataclass(slots=True)
class DatabaseClock:
    """
    Tells the database's time: measured now and then, and kept in between by this machine's uptime.

    A wall clock that is set, here, changes nothing.
    """

    database_minus_boot: float

    @classmethod
    async def measured(cls, db: Database) -> "DatabaseClock":
        """Return the clock of *db*, whose server must answer; raises DatabaseError."""
        clock = cls(0.0)
        await clock.measure(db)
        return clock

    def __call__(self) -> datetime:
        return datetime.fromtimestamp(boot_seconds() + self.database_minus_boot, UTC)

    async def measure(self, db: Database) -> None:
        """Ask the database for its time; half the way there and back is taken for the way."""
        asked_at = boot_seconds()
        told = await db.read(database_time)
        if told is None:
            return
        middle = (asked_at + boot_seconds()) / 2
        self.database_minus_boot = told.timestamp() - middle
        difference = (utc_now() - told).total_seconds()
        if abs(difference) > _NOTEWORTHY_SECONDS:
            log.warning("clock_differs_from_database", seconds=round(difference, 1))
