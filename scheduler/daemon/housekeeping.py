"""What recurs beside the work: the heartbeat, the status line, and forgetting what is gone."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

import structlog
from apscheduler.schedulers.asyncio import AsyncIOScheduler

from scheduler.actions.status import Status, read_status
from scheduler.clock import Clock
from scheduler.daemon.database_clock import DatabaseClock
from scheduler.daemon.systemd import Notifier
from scheduler.domain.errors import DatabaseError
from scheduler.domain.records import RunState
from scheduler.engine.loop import Loop
from scheduler.storage import daemons, freezes, overrides, schedules
from scheduler.storage.database import Connection, Database

log = structlog.get_logger()

_HEARTBEAT_SECONDS = 10
_GONE_AFTER = timedelta(days=7)


@dataclass(frozen=True, slots=True, kw_only=True)
class Housekeeping:
    """The recurring chores of one daemon; a database that is away is tried again next time."""

    db: Database
    clock: Clock
    owner: str
    loops: Sequence[Loop]
    notifier: Notifier

    def start(self) -> AsyncIOScheduler:
        """Begin; the caller shuts the returned scheduler down."""
        chores = AsyncIOScheduler(timezone="UTC")
        chores.add_job(
            self.beat, "interval", seconds=_HEARTBEAT_SECONDS, coalesce=True, max_instances=1
        )
        chores.start()
        return chores

    async def beat(self) -> None:
        """Say that this daemon is alive, and how it is doing."""
        try:
            if isinstance(self.clock, DatabaseClock):
                await self.clock.measure(self.db)
            status = await self.db.write(partial(self._beat, now=self.clock()))
        except DatabaseError as error:
            self.notifier.status(f"waiting for the database: {error}")
            return
        self.notifier.status(_status_line(status, self._trouble()))

    def _beat(self, conn: Connection, *, now: datetime) -> Status:
        daemons.record_seen(conn, self.owner, now=now, trouble=self._trouble())
        daemons.delete_gone(conn, before=now - _GONE_AFTER)
        freezes.delete_lapsed(conn, before=now - _GONE_AFTER)
        overrides.delete_lapsed(conn, before=now)
        schedules.set_resumed(conn, schedules.list_lapsed_pauses(conn, now=now))
        return read_status(conn, now=now, with_schedules=False)

    def _trouble(self) -> str | None:
        troubles = [loop.pulse.trouble for loop in self.loops if loop.pulse.trouble is not None]
        return troubles[0] if troubles else None


def _status_line(status: Status, trouble: str | None) -> str:
    if trouble is not None:
        return f"in trouble: {trouble}"
    next_fire = status.next_fire_at
    waiting = status.open_runs.get(RunState.QUEUED, 0)
    attention = status.open_runs.get(RunState.NEEDS_ATTENTION, 0)
    parts = [
        f"next fire {next_fire:%Y-%m-%d %H:%M:%SZ}" if next_fire else "nothing will fire",
        f"{waiting} waiting",
        f"{status.open_runs.get(RunState.COLLECTING, 0)} collecting",
        *([f"{attention} need attention"] if attention else []),
        *([f"{len(status.set_aside)} schedules set aside"] if status.set_aside else []),
        *(
            f"account {one.account.name} {'paused' if one.brake.paused_at else 'braking'}"
            for one in status.accounts
            if one.brake is not None and (one.brake.paused_at or one.brake.strikes)
        ),
    ]
    return ", ".join(parts)
