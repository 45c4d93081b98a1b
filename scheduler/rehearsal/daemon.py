"""A daemon without a process: the loops of `daemon/wiring.py`, started, stopped and killed."""

import asyncio
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final

from scheduler.clock import Clock
from scheduler.config.secrets import SecretReference
from scheduler.daemon.wiring import Engine, Settings, build_engine
from scheduler.engine.fire import FireStep
from scheduler.engine.loop import Loop, Step, run_loop
from scheduler.engine.on_time import OnTime
from scheduler.rehearsal.virtual_loop import at_once, let_pass
from scheduler.storage.database import Database
from scheduler.storage.departures import Departures, read_departed

LOOPS: Final = ("fire", "dispatch", "reconcile", "follow")
"""Those that decide and send; what tells and forgets has no part in it."""

COUNTING: Final = (*LOOPS, "metrics")
"""Those, and who adds up what was used: without it, a limit reads all that was ever sent."""


class RehearsedSettings(Settings):
    """Settings that read no secret: what is sent goes nowhere."""

    def token(self, reference: SecretReference) -> str:
        """Return something that may stand in a header."""
        return "rehearsed"

    def secret(self, name: str) -> str | None:
        """Return something for every secret that the file names."""
        return "rehearsed" if name in self.config.secrets else None


@dataclass(frozen=True, slots=True)
class Together:
    """A step that looks only at whole multiples of *every*, so that one pass does for many."""

    step: Step
    every: timedelta

    async def run(self, now: datetime) -> datetime | None:
        """Make the step's pass, and put its next one off a little."""
        wake_at = await self.step.run(now)
        if wake_at is None:
            return None
        return wake_at + (_EPOCH - wake_at) % self.every


_EPOCH: Final = datetime(2000, 1, 1, tzinfo=UTC)


@dataclass(slots=True, kw_only=True)
class SimulatedDaemon:
    """
    One start of a daemon called *owner*.

    A loop without work is called again after *max_idle*. Collections are asked about once in
    *polls_every*, those that are due by then. One that is alone takes over what the one before
    left, as on SQLite. A firing begins *lead* before its instant, for it takes no time here.
    """

    db: Database
    settings: Settings
    clock: Clock
    owner: str
    max_idle: timedelta
    polls_every: timedelta = timedelta()
    is_alone: bool = True
    lead: timedelta = timedelta()
    loops: Collection[str] = LOOPS
    engine: Engine = field(init=False)
    _loops: list[Loop] = field(init=False)
    _fire: Loop = field(init=False)
    _has_followers: bool = field(init=False)
    _tasks: list[asyncio.Task[None]] = field(default_factory=list)
    _stopping: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        """Wire it."""
        self.engine = build_engine(self.db, self.settings, clock=self.clock, owner=self.owner)
        chosen = [loop for loop in self.engine.loops if loop.name in self.loops]
        for loop in chosen:
            loop.max_idle = self.max_idle
            if loop.name == "follow" and self.polls_every:
                loop.step = Together(loop.step, self.polls_every)
            if isinstance(loop.step, FireStep):
                loop.step.reader.in_thread = at_once
                loop.step.on_time = OnTime(self.clock, let_pass, fixed=self.lead)
                self._fire = loop
        schedules = self.settings.config.schedules.values()
        self._has_followers = any(schedule.after is not None for schedule in schedules)
        self._loops = chosen

    async def start(self) -> None:
        """Take over what is left, and begin."""
        if self.is_alone and self.db.file is not None:
            await self.engine.reconcile.take_over(self.clock(), read_departed(self.db.file))
            self.engine.dispatch.departures = Departures.beside(self.db.file, self.owner)
        self._tasks = [
            asyncio.create_task(
                run_loop(loop, clock=self.clock, stopping=self._stopping, passed=self._passed),
                name=f"{self.owner} {loop.name}",
            )
            for loop in self._loops
        ]

    def _passed(self, name: str) -> None:
        """Let what waits for an end look at once, where a daemon looks every other second."""
        if name == "follow" and self._has_followers:
            self._fire.wakeup.set()

    async def stop(self, grace: timedelta) -> None:
        """End in order: nothing new is sent, and what is on the wire is recorded."""
        engine = self.engine
        engine.dispatch.accepting = engine.follow.accepting = False
        self._stopping.set()
        engine.wake_all()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.gather(engine.dispatch.drain(grace), engine.follow.drain(grace))
        await engine.upstreams.close()

    def kill(self) -> None:
        """End at once; whoever holds its doors shut sees to it that nothing of it goes on."""
        for task in self._tasks:
            task.cancel()

    def failures(self) -> Collection[str]:
        """Return what troubles its loops."""
        return [f"{loop.name}: {loop.health.last_error}" for loop in self._loops
                if loop.health.last_error]  # fmt: skip
