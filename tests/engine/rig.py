"""What the engine's tests share: a database, a sandbox on a socket, and a clock set by hand."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, Final, TypeVar

from sqlalchemy import text

from scheduler.actions.trigger import Request, request_trigger
from scheduler.config.secrets import SecretReference
from scheduler.domain.brake import Brake
from scheduler.domain.definition import Fallbacks
from scheduler.domain.records import Attempt, Collection, OnUnconfirmed, Run, RunState, Schedule
from scheduler.engine.accounts import Upstreams
from scheduler.engine.bodies import BatchReader
from scheduler.engine.dispatch import DispatchStep
from scheduler.engine.fire import FireStep
from scheduler.engine.follow import FollowStep
from scheduler.engine.reconcile import ReconcileStep
from scheduler.sandbox import Fault, Sandbox, SandboxSettings
from scheduler.sandbox.journal import Request as Received
from scheduler.storage import accounts, collections_, owned, runs, schedules
from scheduler.storage.database import Database
from tests.judge import complaints, jobs_of

NINE: Final = datetime(2026, 3, 2, 9, tzinfo=UTC)
SHOP: Final = "c_shop"
LOOK_AFTER: Final = (timedelta(seconds=5), timedelta(seconds=30), timedelta(minutes=2))
REQUEST_TIMEOUT: Final = timedelta(seconds=1)
LEASE: Final = timedelta(seconds=60)

FALLBACKS: Final = Fallbacks(
    max_attempts=5, first_pause="30s", longest_pause="15m", on_unconfirmed=OnUnconfirmed.RESEND
)

Dispatch = TypeVar("Dispatch", bound=DispatchStep)


@dataclass(slots=True)
class ManualClock:
    """Time that passes when told."""

    now: datetime = NINE

    def __call__(self) -> datetime:
        return self.now

    def tick(self, amount: timedelta | float) -> None:
        """Let that much pass; a number counts seconds."""
        self.now += amount if isinstance(amount, timedelta) else timedelta(seconds=amount)


@dataclass(slots=True, kw_only=True)
class Room:
    """One engine room: every part is real, and nothing moves unless it is told to."""

    db: Database
    sandbox: Sandbox
    base_url: str
    clock: ManualClock
    upstreams: Upstreams
    token: list[str]
    answered: asyncio.Queue[None] = field(default_factory=asyncio.Queue)
    seen: asyncio.Queue[None] = field(default_factory=asyncio.Queue)

    # --- steps

    def fire_step(self, db: Database | None = None) -> FireStep:
        """Return a step that fires what is due."""
        return FireStep(
            db=db or self.db,
            reader=BatchReader(),
            fallbacks=lambda: FALLBACKS,
            wake_dispatch=_nobody,
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
            "request_timeout": REQUEST_TIMEOUT,
            "first_look": LOOK_AFTER[0],
            "secret": lambda name: None,
            "wake": lambda: self.answered.put_nowait(None),
            "wake_settled": _nobody,
        }
        return kind(**(usual | parts))

    def reconcile_step(self, **parts: Any) -> ReconcileStep:
        """Return a step that looks for lost triggers."""
        usual: dict[str, Any] = {
            "db": self.db,
            "upstreams": self.upstreams,
            "clock": self.clock,
            "owner": "d1",
            "look_after": LOOK_AFTER,
            "request_timeout": REQUEST_TIMEOUT,
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
            "first_pause": timedelta(seconds=10),
            "longest_pause": timedelta(minutes=5),
            "request_timeout": REQUEST_TIMEOUT,
            "wake": lambda: self.seen.put_nowait(None),
            "wake_dispatch": _nobody,
        }
        return FollowStep(**(usual | parts))

    # --- passes

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
        async with asyncio.timeout(20):
            await self.answered.get()

    async def look(self, after: timedelta | float = LOOK_AFTER[0]) -> None:
        """Let that much time pass, and look once for what was lost."""
        self.clock.tick(after)
        await self.reconcile_step().run(self.clock())

    async def look_to_the_end(self) -> None:
        """Look as often as there are looks, each at its time."""
        step = self.reconcile_step()
        for _ in LOOK_AFTER:
            due = await step.run(self.clock())
            if due is None:
                return
            self.clock.now = max(due, self.clock.now)
            await step.run(self.clock())

    async def follow(
        self, after: timedelta | float = 0, step: FollowStep | None = None
    ) -> datetime | None:
        """Let that much time pass, look at the collections that are due, and record it."""
        step = step or self.follow_step()
        self.clock.tick(after)
        next_at = await step.run(self.clock())
        while step.in_flight:
            async with asyncio.timeout(20):
                await self.seen.get()
            next_at = await step.run(self.clock())
        return next_at

    # --- definitions and runs by hand

    def define(self, table: str, name: str, **columns: Any) -> None:
        """Write a row of a definition table, as anybody with a client can."""
        with self.db.writing() as conn:
            owned.insert_row(conn, table, {"name": name, **columns})

    def change(self, table: str, name: str, **columns: Any) -> None:
        """Edit a row of a definition table at this moment of the clock."""
        with self.db.writing() as conn:
            owned.update_row(conn, table, name, columns)
            if table == "schedules":
                # The database notes the edit by a clock that is not ours to set.
                conn.execute(
                    text("UPDATE schedules SET edited_at = :now WHERE edited_at > :now"),
                    {"now": _as_stored(self.db, self.clock())},
                )

    def schedule(self, name: str, **columns: Any) -> None:
        """Write a schedule for every hour of one collector and batch, unless *columns* differ."""
        usual: dict[str, Any] = {"collector": "shop", "batch": "one", "created_at": self.clock()}
        if not {"cron", "every", "at", "calendar_interval", "manual"} & columns.keys():
            usual["cron"] = "0 * * * *"
        self.define("schedules", name, **(usual | columns))

    def shops(self, count: int, **columns: Any) -> list[str]:
        """Write *count* further collectors, and return their names."""
        names = [f"shop{number}" for number in range(1, count + 1)]
        for name in names:
            usual = {"account": "main", "collector_id": f"c_{name}"}
            self.define("collectors", name, **(usual | columns))
        return names

    def ask(self, collector: str = "shop", **request: Any) -> int:
        """Ask for a run by hand, and return its id."""
        asked = Request(collector=collector, **({"batch": "one"} | request))
        with self.db.writing() as conn:
            return request_trigger(conn, asked, fallbacks=FALLBACKS, now=self.clock())

    def execute(self, sql: str, **values: Any) -> None:
        """Write by plain SQL, for what no action can do; times as the database stores them."""
        stored = {
            name: _as_stored(self.db, value) if isinstance(value, datetime) else value
            for name, value in values.items()
        }
        with self.db.writing() as conn:
            conn.execute(text(sql), stored)

    # --- what came of it

    def runs(self, **wanted: Any) -> list[Run]:
        """Return the runs, the oldest first."""
        with self.db.reading() as conn:
            return runs.list_runs(conn, runs.RunFilter(**wanted), limit=10_000)[::-1]

    def run(self, run_id: int) -> Run:
        """Return one run."""
        with self.db.reading() as conn:
            return runs.get_run(conn, run_id)

    def ends(self) -> list[tuple[RunState, str]]:
        """Return state and reason of every run, the oldest first."""
        return [(run.state, run.reason.value) for run in self.runs()]

    def attempts(self, run_id: int) -> list[Attempt]:
        """Return the attempts of a run."""
        with self.db.reading() as conn:
            return runs.list_attempts(conn, run_id)

    def collections(self, run_id: int) -> list[Collection]:
        """Return the collections of a run."""
        with self.db.reading() as conn:
            return collections_.list_collections(conn, run_id)

    def stored_schedule(self, name: str) -> Schedule:
        """Return a schedule as its row is now."""
        with self.db.reading() as conn:
            return schedules.get_schedule(conn, name).schedule

    def brake(self) -> Brake:
        """Return the brake of the account."""
        with self.db.reading() as conn:
            brake = accounts.find_brake(conn, "main")
        assert brake is not None, "nothing was asked of this account yet"
        return brake

    def arm(self, *faults: Fault) -> None:
        """Let *faults* strike from the next request on."""
        self.sandbox.arm(*faults)

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
) -> AsyncIterator[Room]:
    """Open a room at nine o'clock with an account, a collector `shop` and a batch `one`."""
    clock = ManualClock()
    sandbox = Sandbox(settings, clock)
    token = ["token"]
    upstreams = Upstreams(request_timeout=REQUEST_TIMEOUT, read_secret=partial(_read, token))
    with database(url, checkpoints=True) as db:
        async with sandbox.serving() as base_url:
            room = Room(
                db=db,
                sandbox=sandbox,
                base_url=base_url,
                clock=clock,
                upstreams=upstreams,
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
                await upstreams.close()


@contextmanager
def another_database(url: str) -> Iterator[Database]:
    """Open the database once more, as another daemon on PostgreSQL does."""
    with Database(url) as db:
        yield db


def _read(token: list[str], reference: SecretReference) -> str:
    return token[0]


def _nobody() -> None:
    """Wake nobody: each step is called by the test."""


def _as_stored(db: Database, moment: datetime) -> object:
    return moment if db.file is None else moment.strftime("%Y-%m-%d %H:%M:%S.%f")
