"""What the tests of real processes share: a daemon, a sandbox in a thread, and one way to wait."""

import asyncio
import contextlib
import itertools
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final, TypeVar

from sqlalchemy import Connection, text

from scheduler.domain.errors import DatabaseError
from scheduler.sandbox import Fault, FaultKind, Sandbox, SandboxSettings, When
from scheduler.storage.database import Database
from tests.judge import Job, complaints, not_ended, states

Seen = TypeVar("Seen")

COLLECTORS: Final = "abcdefgh"

AT_RANDOM: Final = tuple(
    Fault(kind=kind, times=None, probability=0.05, seed=number, seconds=2.5, when=when)
    for number, (kind, when) in enumerate(
        [
            (FaultKind.LOST, When.AFTER),
            (FaultKind.RESET, When.AFTER),
            (FaultKind.RESET, When.BEFORE),
            (FaultKind.HANG, When.AFTER),
            (FaultKind.ERROR, When.AFTER),
            (FaultKind.ERROR, When.BEFORE),
            (FaultKind.HALF, None),
            (FaultKind.HTML, When.AFTER),
            (FaultKind.NO_ID, None),
        ]
    )
)
"""Somewhat more than a third of all triggers go wrong, most of them after they were accepted."""

QUICK: Final = SandboxSettings(
    build_time=timedelta(seconds=0.2), time_per_input=timedelta(seconds=0.3), job_limit=10_000
)


PATIENCE: Final = 4
"""How many times longer than on a quiet machine a test waits before it fails; it costs no pass."""


def wait_for(
    look: Callable[[], Seen | None], *, within: float, what: str, also: Callable[[], object] = str
) -> Seen:
    """
    Return the first thing that *look* sees; the only place that polls.

    Fails after *within* seconds times PATIENCE, saying *what* was waited for and what *also* tells.
    """
    deadline = time.monotonic() + PATIENCE * within
    while time.monotonic() < deadline:
        seen = look()
        if seen:
            return seen
        time.sleep(0.05)
    raise AssertionError(f"not within {within} s: {what}\n{also()}")


def pause(seconds: float) -> None:
    """Let a daemon be for so long: there is nothing to wait for but time."""
    time.sleep(seconds)


@contextmanager
def serving(settings: SandboxSettings = QUICK) -> Iterator[tuple[Sandbox, str]]:
    """Serve a sandbox from a thread of its own; give it and its URL."""
    sandbox = Sandbox(settings)
    ready: list[str] = []
    started, loops = threading.Event(), list[tuple[asyncio.AbstractEventLoop, asyncio.Event]]()

    async def serve() -> None:
        stop = asyncio.Event()
        loops.append((asyncio.get_running_loop(), stop))
        async with sandbox.serving() as url:
            ready.append(url)
            started.set()
            await stop.wait()

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    assert started.wait(20 * PATIENCE)
    try:
        yield sandbox, ready[0]
    finally:
        loop, stop = loops[0]
        loop.call_soon_threadsafe(stop.set)
        thread.join(20 * PATIENCE)


@dataclass(slots=True)
class Daemon:
    """One process `dca-scheduler run`, and where it writes."""

    process: subprocess.Popen[bytes]
    log: Path

    def send(self, number: signal.Signals) -> None:
        """Send it a signal."""
        self.process.send_signal(number)

    def kill(self) -> None:
        """End it as a power cut would."""
        self.process.kill()
        self.process.wait()

    def stop(self, *, within: float = 20) -> int:
        """Ask it to stop; return its exit status."""
        self.send(signal.SIGTERM)
        return self.process.wait(PATIENCE * within)

    def said(self) -> str:
        """Return what it has logged so far."""
        return self.log.read_text(errors="replace")

    def wait_until_it_said(self, words: str, *, within: float = 20) -> None:
        """Wait for *words* in its log."""
        wait_for(
            lambda: words in self.said() or self.process.poll() is not None,
            within=within,
            what=f"{words!r} logged",
            also=self.said,
        )
        assert words in self.said(), f"ended with {self.process.returncode}\n{self.said()}"


@dataclass(slots=True, kw_only=True)
class House:
    """A configuration file, its database, and the daemons that were started on it."""

    folder: Path
    url: str
    config: Path
    environ: dict[str, str] = field(default_factory=dict)
    started: list[Daemon] = field(default_factory=list)

    def start(self, *, environ: Mapping[str, str] = {}, wait: bool = False) -> Daemon:
        """Start a daemon; with *wait*, return when it works."""
        log = self.folder / f"daemon-{len(self.started)}.log"
        with log.open("wb") as out:
            process = subprocess.Popen(
                [sys.executable, "-m", "scheduler", "run", "--config", str(self.config)],
                stdout=out,
                stderr=out,
                stdin=subprocess.DEVNULL,
                env={**os.environ, "TOKEN": "token", **self.environ, **environ},
            )
        daemon = Daemon(process, log)
        self.started.append(daemon)
        if wait:
            daemon.wait_until_it_said("daemon_started")
        return daemon

    def call(self, *words: str, within: float = 20) -> subprocess.CompletedProcess[str]:
        """Run a command of the program beside the daemons."""
        return subprocess.run(
            [sys.executable, "-m", "scheduler", *words, "--config", str(self.config)],
            capture_output=True,
            text=True,
            timeout=PATIENCE * within,
            env={**os.environ, "TOKEN": "token", **self.environ},
        )

    def edit(self, old: str, new: str) -> None:
        """Replace text in the configuration file."""
        before = self.config.read_text()
        assert old in before, old
        self.config.write_text(before.replace(old, new))

    def rest(self) -> None:
        """Let nothing fire any more from the next start on; what was fired goes on."""
        text_ = self.config.read_text()
        self.config.write_text(text_.replace("every =", "enabled = false\nevery ="))

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """Read the database beside the daemons."""
        with Database(self.url) as db, db.reading() as conn:
            yield conn

    def count(self, condition: str = "1 = 1") -> int:
        """Count the runs that meet *condition*; 0 while there is no database."""
        with contextlib.suppress(DatabaseError), self.reading() as conn:
            found = conn.scalar(text(f"SELECT count(*) FROM runs WHERE {condition}"))
            return int(found or 0)
        return 0

    def tell(self) -> str:
        """Say what is needed to understand a failure."""
        with self.reading() as conn:
            left = "\n".join(not_ended(conn))
            counted = states(conn)
        logs = "\n".join(f"--- {one.log.name}\n{one.said()[-3000:]}" for one in self.started[-3:])
        return f"{counted}\n{left}\n{logs}"

    def settle(self, *, within: float = 60) -> None:
        """Start one daemon in peace, let it bring every run to its end, and stop it."""
        self.rest()
        daemon = self.start(wait=True)
        wait_for(
            lambda: self.count("ended_at IS NULL") == 0,
            within=within,
            what="every run has ended",
            also=self.tell,
        )
        assert daemon.stop() == 0, daemon.said()[-3000:]

    def untold(self) -> list[int]:
        """Return the events without a line in any log."""
        told = {
            json.loads(line).get("event_id")
            for daemon in self.started
            for line in daemon.said().splitlines()
            if line.startswith("{") and line.endswith("}") and '"event_id"' in line
        }
        # A claim is told where everything is.
        query = text("SELECT id FROM run_events WHERE to_state <> 'dispatching'")
        with self.reading() as conn:
            return [event_id for event_id in conn.scalars(query) if event_id not in told]

    def complaints(self, jobs: Sequence[Job]) -> list[str]:
        """Return what the judge says, missing occurrences included."""
        with self.reading() as conn:
            unsigned = conn.scalars(text("SELECT id FROM run_events WHERE by = 'sql'"))
            return [
                *complaints(conn, jobs),
                *gaps(conn),
                *(f"nobody signed event {event_id}" for event_id in unsigned),
            ]


def gaps(conn: Connection) -> list[str]:
    """Return the occurrences between a schedule's first and last that have no run."""
    missing = []
    for name, beat in conn.execute(text("SELECT name, every FROM schedules")):
        found = conn.scalars(
            text("SELECT due_at FROM runs WHERE schedule = :name ORDER BY due_at"), {"name": name}
        )
        moments = [_moment(one) for one in found]
        step = timedelta(seconds=int(beat.removesuffix("s")))
        missing += [
            f"{name}: nothing between {earlier} and {later}"
            for earlier, later in itertools.pairwise(moments)
            if later - earlier != step
        ]
    return missing


def _moment(stored: object) -> datetime:
    return stored if isinstance(stored, datetime) else datetime.fromisoformat(str(stored))


@contextmanager
def house(
    folder: Path, url: str, base_url: str, *, schedules: int = 16, daemon: str = "", more: str = ""
) -> Iterator[House]:
    """Write a configuration with *schedules* that fire every few seconds; end what was started."""
    config = folder / "config.toml"
    config.write_text(_configuration(url, base_url, schedules, daemon) + more)
    built = House(folder=folder, url=url, config=config)
    try:
        yield built
    finally:
        for one in built.started:
            if one.process.poll() is None:
                # A stopped process takes SIGKILL, too.
                one.kill()


def _configuration(url: str, base_url: str, schedules: int, daemon: str) -> str:
    return "\n".join(
        [
            f'[database]\nurl = "{url}"',
            f'[daemon]\nrequest_timeout = "2s"\nlease = "12s"\npoll_interval = "1s"\n{daemon}',
            '[log]\nformat = "json"',
            "[unconfirmed]\nlookup_after = ['1s', '2s', '4s']",
            '[follow]\npoll_initial = "1s"\npoll_max = "2s"',
            '[defaults]\nbackoff_initial = "1s"\nbackoff_max = "2s"\nmax_attempts = 50',
            f'[accounts.main]\nbase_url = "{base_url}"\ntoken = {{ env = "TOKEN" }}',
            "requests_per_second = 200.0",
            *(f'[collectors.{one}]\nid = "c_{one}"' for one in COLLECTORS),
            '[batches.x]\ninputs = [{ url = "https://example.org" }]',
            *(_schedule(number) for number in range(schedules)),
            "",
        ]
    )


def _schedule(number: int) -> str:
    lines = [
        f"[schedules.s{number}]",
        f'collector = "{COLLECTORS[number % len(COLLECTORS)]}"',
        'batch = "x"',
        f'every = "{1 + number % 4}s"',
        # By its name a job tells the judge which occurrence it was sent for.
        'name = "{schedule} {due_at:%H:%M:%S}"',
        *([f'queue = "q{number}"'] if number % 3 == 0 else []),
        *(["confirm_cancel = true"] if number == 7 else []),
    ]
    return "\n".join(lines)


def most_429_in_five_minutes(sandbox: Sandbox) -> int:
    """Return the most answers of 429 that fell into any five minutes."""
    at = [one.at for one in sandbox.account.journal if one.status == 429]
    window = timedelta(minutes=5)
    return max((sum(start <= one < start + window for one in at) for start in at), default=0)
