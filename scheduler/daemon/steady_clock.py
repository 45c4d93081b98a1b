"""The time that a daemon goes by: carried on by the machine's uptime, however its clock is set."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

import structlog

from scheduler.clock import boot_seconds, utc_now
from scheduler.domain.timestamps import display_time
from scheduler.storage.database import Database
from scheduler.storage.dialect import database_time

log = structlog.get_logger()

STEP: Final = timedelta(seconds=2)
"""A clock that differs by more was set; by less, it is only kept right."""

Witness = Callable[[], Awaitable[datetime | None]]
"""Tells the time of an upstream, where one can be asked."""


@dataclass(slots=True)
class SteadyClock:
    """
    Tells the time of a shared database's server, or of this machine for a database in a file.

    It is measured now and then, and kept in between by `boot_seconds`. A clock that was set is
    followed only where an upstream's is nearer to it than to ours: until then, and for as long as
    no upstream tells, the time goes on as if it had not been set.
    """

    time_minus_boot: float
    last_error: str | None = None

    @classmethod
    async def measured(cls, db: Database) -> "SteadyClock":
        """Return the clock of *db*, whose server must answer; raises DatabaseError."""
        clock = cls(0.0)
        await clock.take_over(db)
        return clock

    def __call__(self) -> datetime:
        return datetime.fromtimestamp(boot_seconds() + self.time_minus_boot, UTC)

    async def take_over(self, db: Database) -> None:
        """Go by what the source shows, right or wrong."""
        self.time_minus_boot = await _measure(db)

    async def measure(self, db: Database, witness: Witness) -> None:
        """Follow the source where it is only kept right, or *witness* says that it was mended."""
        measured = await _measure(db)
        step = timedelta(seconds=measured - self.time_minus_boot)
        if abs(step) > STEP and not await self._is_right(step, witness):
            return
        if abs(step) > STEP:
            log.warning("clock_was_set", seconds=round(step.total_seconds(), 1))
        self.time_minus_boot, self.last_error = measured, None

    async def _is_right(self, step: timedelta, witness: Witness) -> bool:
        upstream = await witness()
        now = self()
        if upstream is not None and abs(now + step - upstream) < abs(now - upstream):
            return True
        says = "no upstream tells the time" if upstream is None else "the upstream's clock was not"
        last_error = (
            f"the clock was set to {display_time(now + step)}, and {says}: it is not followed"
        )
        if self.last_error is None:
            log.error("clock_not_followed", seconds=round(step.total_seconds(), 1), why=says)
        self.last_error = last_error
        return False


async def _measure(db: Database) -> float:
    """Return how far the source's time is ahead of `boot_seconds`."""
    asked_at = boot_seconds()
    told = await db.read(database_time)
    if told is None:
        return utc_now().timestamp() - boot_seconds()
    # Half the way there and back is taken for the way.
    return told.timestamp() - (asked_at + boot_seconds()) / 2
