"""What the engine's tests share: a database, a sandbox on a socket, and a clock set by hand."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Final, TypeVar

from scheduler.clock import Clock
from scheduler.config.secrets import SecretReference
from scheduler.engine.accounts import Upstreams
from scheduler.engine.bodies import BatchReader
from scheduler.engine.dispatch import DispatchStep
from scheduler.engine.fire import FireStep
from scheduler.engine.fired import CarryOut
from scheduler.engine.follow import FollowStep
from scheduler.engine.on_time import OnTime
from scheduler.engine.reconcile import ReconcileStep
from scheduler.sandbox import Fault, Sandbox, SandboxSettings
from scheduler.sandbox.journal import ReceivedRequest as Received
from scheduler.storage.database import Database
from tests.engine.rows import NINE, RUN_DEFAULTS, ManualClock, Rows
from tests.judge import complaints, jobs_of

__all__ = ["NINE", "Room", "engine_room"]

SHOP: Final = "c_shop"
LOOKUP_AFTER: Final = (timedelta(seconds=5), timedelta(seconds=30), timedelta(minutes=2))
REQUEST_TIMEOUT: Final = timedelta(seconds=20)
SOON: Final = timedelta(seconds=1)
"""The request timeout of tests that wait for it; of others a busy machine decides nothing."""
LEASE: Final = timedelta(seconds=60)

Dispatch = TypeVar("Dispatch", bound=DispatchStep)


@dataclass(slots=True, kw_only=True)
class Room(Rows):
    """One engine room: every part is real, and nothing moves unless it is told to."""

    sandbox: Sandbox
    base_url: str
    upstreams: Upstreams
    request_timeout: timedelta
    token: list[str]
    answered: asyncio.Queue[None] = field(default_factory=asyncio.Queue)
    seen: asyncio.Queue[None] = field(default_factory=asyncio.Queue)

    def fire_step(
        self,
        db: Database | None = None,
        reader: BatchReader | None = None,
        carry_out: CarryOut | None = None,
        on_time: OnTime | None = None,
        is_free: Callable[[], bool] = lambda: False,
    ) -> FireStep:
        """
        Return a step that fires what is due, and claims nothing unless *carry_out* does.

        It begins when that is due, and not before, unless *is_free* says so.
        """
        return FireStep(
            db=db or self.db,
            reader=reader or BatchReader(),
            defaults=lambda: RUN_DEFAULTS,
            carry_out=carry_out or alone(db or self.db),
            on_time=on_time or OnTime(self.clock),
            is_free=is_free,
        )

    def dispatch_step(self, **parts: Any) -> DispatchStep:
        """Return a step that sends; *parts* are those that are not as usual."""
        return self.dispatcher(DispatchStep, **parts)

    def dispatcher(self, kind: type[Dispatch], **parts: Any) -> Dispatch:
        """Return a step of *kind*, which may lack a protection."""
        usual: dict[str, Any] = {
            "db": self.db,
            "upstreams": self.upstreams,
            "clock": self.clock,
            "owner": "d1",
            "lease": LEASE,
            "request_timeout": self.request_timeout,
            "first_lookup": LOOKUP_AFTER[0],
            "secret": lambda name: None,
            "wake": lambda: self.answered.put_nowait(None),
            "wake_follow": _nobody,
            "wake_reconcile": _nobody,
        }
        return kind(**(usual | parts))

    def reconcile_step(self, **parts: Any) -> ReconcileStep:
        """Return a step that looks for lost triggers."""
        usual: dict[str, Any] = {
            "db": self.db,
            "upstreams": self.upstreams,
            "clock": self.clock,
            "owner": "d1",
            "lookup_after": LOOKUP_AFTER,
            "request_timeout": self.request_timeout,
            "lease": LEASE,
            "wake_dispatch": _nobody,
            "wake_follow": _nobody,
        }
        return ReconcileStep(**(usual | parts))

    def follow_step(self, **parts: Any) -> FollowStep:
        """Return a step that follows collections."""
        usual: dict[str, Any] = {
            "db": self.db,
            "upstreams": self.upstreams,
            "clock": self.clock,
            "owner": "d1",
            "poll_initial": timedelta(seconds=10),
            "poll_max": timedelta(minutes=5),
            "overdue_after": timedelta(hours=24),
            "request_timeout": self.request_timeout,
            "wake": lambda: self.seen.put_nowait(None),
            "wake_dispatch": _nobody,
        }
        return FollowStep(**(usual | parts))

    async def fire(self) -> datetime | None:
        """Let a new step fire what is due now."""
        return await self.fire_step().run(self.clock())

    async def dispatch(self, step: DispatchStep | None = None) -> DispatchStep:
        """Send what may be sent now, and record answers until none is open."""
        step = step or self.dispatch_step()
        await step.run(self.clock())
        while step.in_flight:
            await self.next_answer()
            await step.run(self.clock())
        return step

    async def next_answer(self) -> None:
        """Wait until a dispatch step has an answer to record."""
        async with asyncio.timeout(60):
            await self.answered.get()

    async def lookup(self, after: timedelta | float = LOOKUP_AFTER[0]) -> None:
        """Let that much time pass, and look once for what was lost."""
        self.clock.tick(after)
        await self.reconcile_step().run(self.clock())

    async def lookup_to_the_end(self) -> None:
        """Look as often as there are lookups, each at its time."""
        step = self.reconcile_step()
        for _ in LOOKUP_AFTER:
            due = await step.run(self.clock())
            if due is None:
                return
            self.clock.now = max(due, self.clock.now)
            await step.run(self.clock())

    async def start_anew(self) -> None:
        """Let another daemon take over what is left, look for it to the end, and send the rest."""
        await self.reconcile_step(owner="d2").take_over(self.clock())
        await self.lookup_to_the_end()
        self.clock.tick(timedelta(minutes=30))
        await self.dispatch(self.dispatch_step(owner="d2"))

    async def follow(
        self, after: timedelta | float = 0, step: FollowStep | None = None
    ) -> datetime | None:
        """Let that much time pass, look at the collections that are due, and record it."""
        step = step or self.follow_step()
        self.clock.tick(after)
        next_at = await step.run(self.clock())
        while step.in_flight:
            async with asyncio.timeout(60):
                await self.seen.get()
            next_at = await step.run(self.clock())
        return next_at

    def arm(self, *faults: Fault) -> None:
        """Let *faults* strike from the next request on."""
        self.sandbox.arm(*faults)

    def start_elsewhere(self, collector_id: str = SHOP) -> str:
        """Start a job as somebody does in the vendor's panel; return its id."""
        return self.sandbox.account.start_elsewhere(collector_id, self.clock())

    @property
    def received(self) -> list[Received]:
        """The requests that the sandbox received, in order."""
        return list(self.sandbox.account.journal)

    @property
    def triggers(self) -> list[Received]:
        """The triggers among them."""
        return [one for one in self.received if one.path == "/dca/trigger"]

    @property
    def jobs(self) -> list[str]:
        """The ids of all jobs that the sandbox has, in the order they were accepted."""
        return list(self.sandbox.account.book.jobs)

    def complaints(self) -> list[str]:
        """Return what the judge has to say."""
        with self.db.reading() as conn:
            return complaints(conn, jobs_of(self.sandbox))

    def queries(self) -> list[Mapping[str, str]]:
        """Return the parameters of every trigger received."""
        return [dict(one.query) for one in self.triggers]


@asynccontextmanager
async def engine_room(
    url: str,
    settings: SandboxSettings | None = None,
    *,
    inputs: Sequence[object] = (),
    database: type[Database] = Database,
    upstream_clock: Clock | None = None,
    request_timeout: timedelta = REQUEST_TIMEOUT,
) -> AsyncIterator[Room]:
    """Open a room at nine o'clock with an account, a collector `shop` and a batch `one`."""
    clock = ManualClock()
    sandbox = Sandbox(settings, upstream_clock or clock)
    token = ["token"]
    upstreams = Upstreams(
        request_timeout=request_timeout, clock=clock, read_secret=partial(_read, token)
    )
    with database(url, checkpoints=True, by="d1") as db:
        async with sandbox.serving() as base_url:
            room = Room(
                db=db,
                sandbox=sandbox,
                base_url=base_url,
                clock=clock,
                upstreams=upstreams,
                request_timeout=request_timeout,
                token=token,
            )
            room.define(
                "accounts", "main", base_url=base_url, token="env:TOKEN", requests_per_second=1e4
            )
            room.define("collectors", "shop", account="main", collector_id=SHOP)
            sent = list(inputs) or [{"url": "https://example.org/1"}]
            room.define("batches", "one", inputs=json.dumps(sent))
            try:
                yield room
            finally:
                await room.upstreams.close()


@contextmanager
def another_database(url: str) -> Iterator[Database]:
    """Open the database once more, as another daemon on PostgreSQL does."""
    with Database(url) as db:
        yield db


def _read(token: list[str], reference: SecretReference) -> str:
    return token[0]


def alone(db: Database) -> CarryOut:
    """Return what makes a firing's transaction and claims nothing in it."""
    return db.write


def _nobody(*_: object) -> None:
    """Wake nobody: each step is called by the test."""
