"""What recurs beside the work: the heartbeat, the status line, and forgetting what is gone."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial

import structlog

from scheduler.actions.settle_restore import look_further
from scheduler.daemon.config_state import ConfigState
from scheduler.daemon.loop_lag import LoopLag
from scheduler.daemon.steady_clock import SteadyClock, Witness
from scheduler.daemon.systemd import Notifier
from scheduler.domain.errors import DatabaseError
from scheduler.domain.holds import full_scope
from scheduler.domain.records import Account, RunState
from scheduler.domain.tally import Key, Tally
from scheduler.domain.timestamps import display_time, display_time_of_day
from scheduler.engine.loop import Loop
from scheduler.storage import (
    accounts,
    daemons,
    definitions,
    freezes,
    held_daemons,
    holds,
    overrides,
    request_answers,
    runs,
    schedules,
    tallies,
)
from scheduler.storage.daemons import Pulse
from scheduler.storage.database import Connection, Database
from scheduler.storage.last_seen import write_seen
from scheduler.storage.weaknesses import large_log
from scheduler.views.status import StatusView, read_status

log = structlog.get_logger()

_HEARTBEAT_SECONDS = 10
_LONG_PASS = timedelta(seconds=30)
_GONE_AFTER = timedelta(days=7)
_ANSWERS_KEPT = timedelta(hours=24)


@dataclass(frozen=True, slots=True, kw_only=True)
class Housekeeping:
    """
    The recurring chores of one daemon; a database that is away is tried again next time.

    What the daemon counts in its *tally* is stored with the heartbeat, and by `leave`.
    """

    db: Database
    clock: SteadyClock
    owner: str
    loops: Sequence[Loop]
    notifier: Notifier
    witness: Witness
    config: ConfigState
    tally: Tally
    http_error: Callable[[], str | None]
    why_unusable: Callable[[Account], str | None]
    lag: LoopLag = field(default_factory=LoopLag)
    _written: dict[Key, float] = field(default_factory=dict)

    async def run(self, stopping: asyncio.Event) -> None:
        """Beat until *stopping*, whatever happens to the machine's clock; one begun is finished."""
        self.lag.start()
        stop = asyncio.create_task(stopping.wait())
        while not (await asyncio.wait({stop}, timeout=_HEARTBEAT_SECONDS))[0]:
            try:
                await self.heartbeat()
            except Exception:
                log.exception("step_failed", loop="heartbeat")

    async def heartbeat(self) -> None:
        """Say that this daemon is alive, and how it is doing."""
        try:
            await self.clock.measure(self.db, self.witness)
            now = self.clock()
            values = self.tally.values()
            news = {key: value for key, value in values.items() if self._written.get(key) != value}
            rows = await self.db.read(accounts.list_accounts)
            unusable = {row.name: why for row in rows if (why := self.why_unusable(row))}
            work = partial(self._heartbeat, now=now, news=news, unusable=unusable)
            status = await self.db.write(work)
            self._written.update(news)
            if self.db.file is not None:
                write_seen(self.db.file, now)
        except DatabaseError as error:
            self.notifier.status(f"waiting for the database: {error}")
            return
        self.notifier.status(_status_line(status, self._last_error()))

    async def leave(self) -> None:
        """Say that this daemon has stopped, and store all that it has counted."""
        self.lag.stop()
        now = self.clock()
        await self.db.write(partial(self._leave, now=now))
        if self.db.file is not None:
            write_seen(self.db.file, now)

    def _leave(self, conn: Connection, *, now: datetime) -> None:
        if daemons.record_stopped(conn, self.owner, now=now):
            tallies.write(conn, self.owner, self.tally.values())
            tallies.fold(conn, self.owner)

    def _heartbeat(
        self,
        conn: Connection,
        *,
        now: datetime,
        news: Mapping[Key, float],
        unusable: Mapping[str, str],
    ) -> StatusView:
        if daemons.record_seen(conn, self.owner, self._pulse(), now=now):
            tallies.write(conn, self.owner, news)
        daemons.record_unusable(conn, self.owner, unusable)
        daemons.delete_gone(conn, before=now - _GONE_AFTER)
        held_daemons.delete_gone(conn, now=now)
        tallies.fold_gone(conn)
        freezes.delete_lapsed(conn, before=now - _GONE_AFTER)
        overrides.delete_lapsed(conn, before=now)
        request_answers.delete_old(conn, before=now - _ANSWERS_KEPT)
        full = {full_scope(*key): why for key, why in runs.list_full(conn, now=now).items()}
        holds.replace_lasting(conn, "full:", full, now=now)
        schedules.set_resumed(conn, schedules.list_lapsed_pauses(conn, now=now))
        definitions.lift_lapsed_pauses(conn, now=now)
        look_further(conn, now=now)
        accounts.lift_lapsed_pauses(conn, now=now)
        return read_status(conn, now=now, with_schedules=False)

    def _pulse(self) -> Pulse:
        return Pulse(
            last_error=self._last_error(),
            loop_lag_seconds=self.lag.take(),
            loop_lags=list(self.lag.by_minute),
            config_loaded_at=self.config.loaded_at,
            config_refused_at=self.config.refused_at,
        )

    def _last_error(self) -> str | None:
        now = self.clock()
        errors = [
            f"the {loop.name} loop is in this pass since {display_time_of_day(loop.health.since)}"
            for loop in self.loops
            if loop.health.since is not None and now - loop.health.since > _LONG_PASS
        ]
        errors += [
            loop.health.last_error for loop in self.loops if loop.health.last_error is not None
        ]
        log_error = large_log(self.db.file) if self.db.file is not None else None
        told = (self.clock.last_error, self.config.error, self.http_error(), log_error)
        errors += [error for error in told if error]
        return errors[0] if errors else None


def _status_line(status: StatusView, last_error: str | None) -> str:
    if last_error is not None:
        return f"in trouble: {last_error}"
    next_fire = status.next_fire_at
    waiting = status.open_runs.get(RunState.QUEUED, 0)
    attention = status.open_runs.get(RunState.NEEDS_ATTENTION, 0)
    parts = [
        f"next fire {display_time(next_fire)}" if next_fire else "nothing will fire",
        f"{waiting} waiting",
        f"{status.open_runs.get(RunState.COLLECTING, 0)} collecting",
        *([f"{attention} need attention"] if attention else []),
        *([f"{len(status.invalid)} invalid schedules"] if status.invalid else []),
        *(
            f"account {account.name} {'paused' if account.paused_at else 'braking'}"
            for account in status.accounts
            if account.paused_at or account.trips
        ),
    ]
    return ", ".join(parts)
