"""
A daemon's days in made-up time, with everything going wrong that can, drawn from a seed.

The loops are the daemon's own; the upstream is the sandbox without a socket, and its list of jobs
is the judge. A daemon is killed at any door (before and after each commit, before a request
leaves and while it is under way), its clock jumps, its database fails before or after a commit,
answers are lost. `python -m tests.simulation --seed N` replays one, step by step.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from random import Random
from random import seed as seed_everybody
from tempfile import TemporaryDirectory
from typing import Final, TypeVar
from urllib.parse import parse_qs

from sqlalchemy import func, select, text

from scheduler.actions.apply import apply_definitions
from scheduler.config.load import parse_config
from scheduler.domain.errors import DatabaseError
from scheduler.domain.records import RunState
from scheduler.rehearsal.daemon import RehearsedSettings, SimulatedDaemon
from scheduler.rehearsal.upstream import SimulatedUpstream
from scheduler.rehearsal.virtual_loop import VirtualLoop, pause, run_virtually
from scheduler.sandbox import Fault, FaultKind, SandboxSettings, When
from scheduler.storage import migrate
from scheduler.storage.database import Connection, Database
from scheduler.storage.departures import forget_departed
from scheduler.storage.tables import in_state, runs, schedules
from scheduler.upstream.in_process import InProcessAnswer, InProcessRequest, in_process
from tests.judge import Job, complaints, not_ended

START: Final = datetime(2026, 3, 2, 9, tzinfo=UTC)
CONFIG: Final = b"""
[accounts.main]
token = { env = "TOKEN" }
requests_per_second = 50

[daemon]
lease = "60s"
request_timeout = "10s"

[defaults]
backoff_initial = "10s"

[unconfirmed]
lookup_after = ["5s", "30s", "2m"]

[queues.line]

[collectors.one]
id = "c_one"
name = "{schedule} {due_at:%Y-%m-%d %H:%M:%S.%f}"
[collectors.two]
id = "c_two"
name = "{schedule} {due_at:%Y-%m-%d %H:%M:%S.%f}"
max_unresolved = 3

[batches.few]
inputs = [{ url = "https://example.org/1" }, { url = "https://example.org/2" }]

[schedules.all]
collector = "one"
batch = "few"
every = "10m"
catch_up = "all"
misfire_grace = "12h"

[schedules.latest]
collector = "two"
batch = "few"
every = "7m"

[schedules.line-a]
collector = "two"
batch = "few"
every = "13m"
queue = "line"
catch_up = "all"

[schedules.line-b]
collector = "two"
batch = "few"
every = "17m"
queue = "line"

[schedules.hold]
collector = "one"
batch = "few"
every = "29m"
on_unconfirmed = "hold"

[schedules.follower]
collector = "one"
batch = "few"
after = "latest"
"""
INTERVALS: Final = {
    "all": timedelta(minutes=10),
    "latest": timedelta(minutes=7),
    "line-a": timedelta(minutes=13),
    "line-b": timedelta(minutes=17),
    "hold": timedelta(minutes=29),
}
CONFUSING: Final = (
    (FaultKind.LOST, When.BEFORE),
    (FaultKind.LOST, When.AFTER),
    (FaultKind.RESET, When.AFTER),
    (FaultKind.HALF, None),
    (FaultKind.ERROR, When.BEFORE),
    (FaultKind.ERROR, When.AFTER),
    (FaultKind.HTML, When.AFTER),
    (FaultKind.NO_ID, None),
    (FaultKind.LATE_LISTING, None),
    (FaultKind.LATE_COUNT, None),
)
_NOT_ENDED: Final = (
    RunState.QUEUED, RunState.DISPATCHING, RunState.UNCONFIRMED, RunState.COLLECTING,
)  # fmt: skip
SLOW: Final = (FaultKind.HANG, FaultKind.SLOW, FaultKind.DRIP)

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True, kw_only=True)
class Troubles:
    """How likely each trouble is, each time that it could be; drawn anew for each seed."""

    killed: float
    database: float
    confused: float
    slow: float
    throttled: float
    questions: float
    clock: float
    power: float
    daemons: int

    @classmethod
    def drawn(cls, chance: Random) -> "Troubles":
        """Return troubles of some kinds, few or many."""

        def some(most: float) -> float:
            return chance.choice((0.0, most / 10, most))

        return cls(
            killed=some(0.004),
            database=some(0.02),
            confused=some(0.3),
            slow=some(0.1),
            throttled=some(0.02),
            questions=some(0.1),
            clock=some(0.5),
            power=chance.choice((0.0, 0.3)),
            daemons=chance.choice((1, 1, 2)),
        )


@cache
def empty_world() -> bytes:
    """Return a database with the definitions and nothing else, made once for all seeds."""
    with TemporaryDirectory() as folder:
        file = Path(folder) / "empty.db"
        prepare(f"sqlite:///{file}")
        return file.read_bytes()


def prepare(url: str) -> None:
    """Bring the database behind *url* to the newest schema, and write the definitions."""
    config = parse_config(CONFIG, "world").config
    with Database(url, checkpoints=True, durable=False) as db, db.writing() as conn:
        migrate.upgrade(conn)
        apply_definitions(conn, config, by="world", now=START)


class Dead(asyncio.CancelledError):
    """Nothing of a killed daemon goes on."""


class DoorsOf(Database):
    """A database at whose doors things go wrong: before the work, and when it is committed."""

    def __init__(self, url: str, *, by: str, door: Callable[[str], None]) -> None:
        super().__init__(url, checkpoints=True, by=by, durable=False)
        self._door = door

    async def write(
        self, work: Callable[[Connection], Result], *, at_leisure: bool = False
    ) -> Result:
        """Do *work*, if it comes to that; whether it was committed may stay unknown."""
        self._door("write")
        result = await super().write(work, at_leisure=at_leisure)
        self._door("committed")
        return result

    async def read(self, work: Callable[[Connection], Result]) -> Result:
        """Do *work*, if it comes to that."""
        self._door("read")
        return await super().read(work)


@dataclass(slots=True, kw_only=True)
class World:
    """
    One seed's days: *hours* with troubles, then none until everything has ended.

    The database is an SQLite file in *folder*, or an empty one of PostgreSQL behind *postgresql*.
    """

    seed: int
    folder: Path
    postgresql: str | None = None
    hours: float = 3
    told: Callable[[str], None] = lambda line: None
    troubles: Troubles = field(init=False)
    chance: Random = field(init=False)
    loop: VirtualLoop = field(init=False)
    upstream: SimulatedUpstream = field(init=False)
    found: list[str] = field(default_factory=list)
    counted: dict[str, int] = field(default_factory=dict)
    _is_calm: bool = False
    _starts: int = 0
    _alive: dict[int, "Life"] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Draw what goes wrong."""
        self.chance = Random(self.seed)  # noqa: S311 - repeatable on purpose
        self.troubles = Troubles.drawn(self.chance)

    @property
    def url(self) -> str:
        """Where the database is."""
        return self.postgresql or f"sqlite:///{self.folder / 'world.db'}"

    def run(self) -> list[str]:
        """Let the days pass; return what broke the promise, one line each."""
        seed_everybody(self.seed)
        if self.postgresql is None:
            (self.folder / "world.db").write_bytes(empty_world())
        else:
            prepare(self.postgresql)
        self.tell(f"troubles: {self.troubles}")
        run_virtually(self._days, start=START)
        with Database(self.url) as db, db.reading() as conn:
            self.found += self._complaints(conn)
            self.found += self._missing(conn)
        return self.found

    def tell(self, line: str) -> None:
        """Tell whoever replays this, and count it."""
        kind = line.split(":", 1)[0]
        self.counted[kind] = self.counted.get(kind, 0) + 1
        self.told(line)

    async def _days(self, loop: VirtualLoop) -> None:
        self.loop = loop
        loop.thread_seconds = lambda: self.chance.choice((0.001, 0.001, 0.02, 0.3))
        self.upstream = SimulatedUpstream(
            clock=loop.now,
            settings=SandboxSettings(
                build_time=timedelta(minutes=2), spread=0.5, seed=self.seed, faults=self._faults()
            ),
            one_way=lambda: self.chance.choice((0.01, 0.1, 0.1, 1.0)),
        )
        daemons = [
            asyncio.create_task(self._one_after_the_other(number))
            for number in range(self.troubles.daemons)
        ]
        await pause(self.hours * 3600)
        self.tell(f"{loop.now():%H:%M:%S}: calm from here on")
        self._is_calm = True
        self.upstream.account.faults.disarm()
        await self._until_all_has_ended()
        for life in list(self._alive.values()):
            await life.daemon.stop(timedelta(minutes=2))
        for daemon in daemons:
            daemon.cancel()
        await asyncio.gather(*daemons, return_exceptions=True)

    async def _until_all_has_ended(self) -> None:
        """Wait until nothing that was due in the troubled hours is open, two hours at most."""
        calm = self.loop.now()
        open_then = select(func.count()).where(runs.c.due_at <= calm, in_state(runs, *_NOT_ENDED))
        while self.loop.now() < calm + timedelta(hours=12):
            await pause(601)
            with Database(self.url) as db, db.reading() as conn:
                if conn.scalar(open_then) == 0:
                    return
        with Database(self.url) as db, db.reading() as conn:
            self.found += [f"does not end: {line}" for line in not_ended(conn)]

    async def _one_after_the_other(self, number: int) -> None:
        """Start a daemon whenever the one before was killed, until cancelled."""
        while True:
            life = Life(world=self, number=number, start=self._starts)
            self._starts += 1
            self._alive[number] = life
            try:
                await life.live()
            finally:
                self._alive.pop(number)
                life.end()
            is_alone = self.troubles.daemons == 1 and self.postgresql is None
            if self.chance.random() < self.troubles.power and is_alone:
                self.tell("power: the machine went down")
                forget_departed(self.folder / "world.db")
            await pause(self.chance.choice((0.0, 2.0, 60.0, 1800.0)))

    def _faults(self) -> tuple[Fault, ...]:
        draw = self.chance
        faults = [
            Fault(kind=kind, when=when, probability=self.troubles.confused / len(CONFUSING),
                  seed=draw.randrange(10**9), seconds=draw.choice((3, 20, 100)), times=None)
            for kind, when in CONFUSING
        ]  # fmt: skip
        faults += [
            Fault(kind=kind, probability=self.troubles.slow / len(SLOW),
                  seed=draw.randrange(10**9), seconds=draw.choice((2, 9, 30, 90)), times=None)
            for kind in SLOW
        ]  # fmt: skip
        faults.append(Fault(kind=FaultKind.THROTTLE, probability=self.troubles.throttled,
                            seed=draw.randrange(10**9), retry_after=2, times=None))  # fmt: skip
        faults += [
            Fault(kind=kind, probability=self.troubles.questions, path=path,
                  seed=draw.randrange(10**9), times=None)
            for kind in (FaultKind.LOST, FaultKind.ERROR)
            for path in ("/dca/log/*", "/dca/collector/jobs", "/dca/dataset")
        ]  # fmt: skip
        return tuple(faults)

    def _complaints(self, conn: Connection) -> list[str]:
        """
        Return the judge's; what is with a person may have a job that nobody has adopted yet.

        Of collector two several may be lost at once, all with the same inputs, and one may be taken
        for another (promise.md, `max_unresolved`): its job counts for the run that has it.
        """
        having = text("SELECT collection_id, query FROM runs WHERE collection_id IS NOT NULL")
        name_of = {row.collection_id: _name_in(row.query) for row in conn.execute(having)}
        jobs = [
            Job(job.id, name_of.get(job.id, job.order.name))
            if job.order.collector == "c_two"
            else Job(job.id, job.order.name)
            for job in self.upstream.jobs
        ]
        held = text("SELECT query FROM runs WHERE state = 'needs_attention'")
        names = {_name_in(query) for query in conn.scalars(held)}
        with_a_person = {f"accepted and not stored: {job.id}" for job in jobs if job.name in names}
        return [line for line in complaints(conn, jobs) if line not in with_a_person]

    def _missing(self, conn: Connection) -> list[str]:
        """Return which occurrences have no run, or more than one."""
        found = []
        for schedule, interval in INTERVALS.items():
            of_it = select(runs.c.due_at, runs.c.occurrences).where(runs.c.schedule == schedule)
            rows = conn.execute(of_it.order_by(runs.c.due_at)).all()
            mark = select(schedules.c.fired_until).where(schedules.c.name == schedule)
            until = conn.scalars(mark).one() or START
            covered = sum(row.occurrences for row in rows)
            first = rows[0].due_at if rows else until
            if first > START + interval:
                found.append(f"{schedule}: the first run is due at {first}, not by {interval}")
            if rows and covered != (until - first) // interval + 1:
                found.append(
                    f"{schedule}: {covered} occurrences have runs, of"
                    f" {(until - first) // interval + 1} from {first} to {until}"
                )
        return found


@dataclass(slots=True, kw_only=True)
class Life:
    """One start of a daemon, until it is killed."""

    world: World
    number: int
    start: int
    killed: asyncio.Event = field(default_factory=asyncio.Event)
    offset: timedelta = timedelta()
    db: DoorsOf = field(init=False)
    daemon: SimulatedDaemon = field(init=False)

    def __post_init__(self) -> None:
        """Wire it."""
        world = self.world
        settings = RehearsedSettings(parse_config(CONFIG, "world").config, {})
        settings.wire = lambda _: in_process(self.connect, self.carry)
        owner = f"daemon-{self.number}-{self.start}"
        self.db = DoorsOf(world.url, by=owner, door=self.door)
        self.daemon = SimulatedDaemon(
            db=self.db,
            settings=settings,
            clock=self.clock,
            owner=owner,
            max_idle=timedelta(minutes=5),
            is_alone=world.troubles.daemons == 1,
            lead=timedelta(seconds=0.02),
        )
        if not world._is_calm and world.chance.random() < world.troubles.clock:
            self.offset = timedelta(seconds=world.chance.choice((-7200, -90, -5, 5, 90, 3600)))
            world.tell(f"clock: {owner} is {self.offset.total_seconds():+.0f} s off")

    def clock(self) -> datetime:
        """Return what this daemon takes for the time."""
        world = self.world
        return world.loop.now() + (timedelta() if world._is_calm else self.offset)

    async def live(self) -> None:
        """Run until it is killed."""
        world = self.world
        world.tell(f"start: {self.daemon.owner} at {world.loop.now():%d %H:%M:%S}")
        try:
            await self.daemon.start()
        except (DatabaseError, Dead):
            return
        while not self.killed.is_set():
            try:
                async with asyncio.timeout(world.chance.uniform(600, 7200)):
                    await self.killed.wait()
            except TimeoutError:
                self._set_clock()

    def _set_clock(self) -> None:
        world = self.world
        if not world._is_calm and world.chance.random() < world.troubles.clock:
            self.offset = timedelta(seconds=world.chance.choice((-3600, -30, 0, 30, 3600)))
            world.tell(f"clock: set to {self.offset.total_seconds():+.0f} s off")

    def end(self) -> None:
        """Let go of what the operating system would."""
        self.killed.set()
        self.daemon.kill()
        self.db.close()

    def door(self, name: str) -> None:
        """Let something go wrong here, or not."""
        world = self.world
        if self.killed.is_set():
            raise Dead
        if world._is_calm:
            return
        draw = world.chance.random()
        if draw < world.troubles.killed:
            world.tell(f"killed: {self.daemon.owner} at {world.loop.now():%H:%M:%S.%f}, {name}")
            self.killed.set()
            self.daemon.kill()
            raise Dead
        if draw < world.troubles.killed + world.troubles.database:
            world.tell(f"database: {name}")
            raise DatabaseError(f"{name}: the database is away, as the seed has it")

    def connect(self) -> None:
        """Let a request leave, unless the daemon dies right here."""
        self.door_of_the_wire("before it left")

    async def carry(self, request: InProcessRequest) -> InProcessAnswer | None:
        """Bring a request to the upstream, whatever becomes of the daemon meanwhile."""
        arriving = asyncio.ensure_future(self.world.upstream.carry(request))
        self.door_of_the_wire("while under way")
        return await asyncio.shield(arriving)

    def door_of_the_wire(self, name: str) -> None:
        """Kill the daemon at times; no database error comes from here."""
        world = self.world
        if self.killed.is_set():
            raise Dead
        if not world._is_calm and world.chance.random() < 5 * world.troubles.killed:
            world.tell(f"killed: {self.daemon.owner} at {world.loop.now():%H:%M:%S.%f}, {name}")
            self.killed.set()
            self.daemon.kill()
            raise Dead


def _name_in(query: str) -> str:
    return parse_qs(query)["name"][0]


def simulate(
    seed: int,
    folder: Path,
    *,
    hours: float = 3,
    postgresql: str | None = None,
    told: Callable[[str], None] | None = None,
) -> World:
    """Let one seed's days pass; `found` holds what broke the promise."""
    folder.mkdir(parents=True, exist_ok=True)
    world = World(seed=seed, folder=folder, postgresql=postgresql, hours=hours)
    if told is not None:
        world.told = told
    world.run()
    return world
