"""Where the project is measured: a database with full durability, a configuration, daemons."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

import psycopg

from bench.bare import COLLECTORS
from scheduler.actions.apply import apply_definitions
from scheduler.clock import utc_now
from scheduler.config import load_config
from scheduler.storage import migrate
from scheduler.storage.database import Database
from tests.postgres import Server, Session, start_keeper

ENVIRON = {"BENCH_TOKEN": "token"}
_TICK = os.sysconf("SC_CLK_TCK")


class NotReached(Exception):
    """Something did not happen in time: the figure cannot be had."""


@dataclass(slots=True, kw_only=True)
class Place:
    """A folder with a configuration and the database that it names, the schema made."""

    folder: Path
    url: str
    stub_url: str
    accounts: int = 1
    daemons: list["Daemon"] = field(default_factory=list)

    @property
    def config(self) -> Path:
        """Return the configuration file."""
        return self.folder / "config.toml"

    def prepare(self) -> None:
        """Write the configuration, make the schema and apply the definitions."""
        self.config.write_text("".join(self._lines()))
        config = load_config(self.config, os.environ | ENVIRON).config
        with Database(self.url, checkpoints=True) as db:
            with db.writing() as conn:
                migrate.upgrade(conn)
            with db.writing() as conn:
                apply_definitions(conn, config=config, by="bench", now=utc_now())

    def _lines(self) -> Iterator[str]:
        yield f'[database]\nurl = "{self.url}"\n'
        yield "[batches.one]\ninputs = [{}]\n"
        for number in range(self.accounts):
            # What account and collector allow must not be what is measured.
            yield (
                f'[accounts.a{number}]\nbase_url = "{self.stub_url}"\n'
                'token = { env = "BENCH_TOKEN" }\n'
                "requests_per_second = 100000.0\nmax_in_flight = 64\n"
            )
        for number in range(COLLECTORS):
            account = f"a{number % self.accounts}"
            yield f'[collectors.k{number}]\naccount = "{account}"\nid = "c_{number}"\n'
            yield "max_running = 1000000\n"

    def start(self) -> "Daemon":
        """Start a daemon; return when it says that it is ready."""
        daemon = Daemon.started(self, len(self.daemons))
        self.daemons.append(daemon)
        return daemon

    def stop(self) -> None:
        """Stop the daemons."""
        for daemon in self.daemons:
            daemon.stop()
        self.daemons.clear()


@dataclass(slots=True, kw_only=True)
class Daemon:
    """A process `dca-scheduler run` with its log in a file, as under systemd."""

    process: subprocess.Popen[bytes]
    seconds_to_ready: float

    @classmethod
    def started(cls, place: Place, number: int) -> "Daemon":
        """Start one in *place* and wait for its READY."""
        log, listening = place.folder / f"daemon-{number}.log", place.folder / f"notify-{number}"
        listening.unlink(missing_ok=True)
        words = [sys.executable, "-m", "scheduler", "run", "--config", str(place.config)]
        environ = os.environ | ENVIRON | {"NOTIFY_SOCKET": str(listening)}
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify, log.open("wb") as out:
            notify.bind(str(listening))
            notify.settimeout(60)
            began = time.perf_counter()
            process = subprocess.Popen(words, stdout=out, stderr=out, env=environ)
            try:
                while b"READY=1" not in notify.recv(4096):
                    pass
            except TimeoutError:
                raise NotReached(f"a daemon is not ready: {log.read_text()[-500:]}") from None
            return cls(process=process, seconds_to_ready=time.perf_counter() - began)

    def cpu(self) -> float:
        """Return the seconds of processor time that it has used."""
        return _cpu(self.process.pid)

    def waited(self) -> float:
        """Return the seconds that its threads have been ready and had no processor."""
        return sum(map(_waited, Path(f"/proc/{self.process.pid}/task").iterdir()))

    def server_cpu(self) -> float:
        """Return those that its server over HTTP has used, the only child that it has."""
        pid = self.process.pid
        return sum(map(_cpu, map(int, _read(f"/proc/{pid}/task/{pid}/children").split())))

    def peak_mib(self) -> float:
        """Return the most memory that it ever had resident."""
        lines = Path(f"/proc/{self.process.pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM"))

    def stop(self) -> None:
        """Ask it to stop, and wait."""
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(60)


def _waited(task: Path) -> float:
    with suppress(OSError):  # a thread that ended, or a system that does not tell
        return int((task / "schedstat").read_text().split()[1]) / 1e9
    return 0.0


def _cpu(pid: int) -> float:
    words = _read(f"/proc/{pid}/stat").rsplit(")", 1)[1].split()
    return (int(words[11]) + int(words[12])) / _TICK


def _read(path: str) -> str:
    return Path(path).read_text()


def wait_until(true: Callable[[], bool], what: str, within: float = 120.0) -> None:
    """Wait until something is *true*; NotReached says *what* it was."""
    deadline = time.monotonic() + within
    while not true():
        if time.monotonic() > deadline:
            raise NotReached(f"not within {within:g} s: {what}")
        time.sleep(0.02)


@dataclass(slots=True)
class Databases:
    """Gives new databases: SQLite files, and those of one PostgreSQL server that syncs."""

    session: Session
    _server: Server | None = None
    _made: int = 0

    @property
    def folder(self) -> Path:
        """Return where all of it lies; the session's keeper removes it, however this ends."""
        return self.session.folder

    @contextmanager
    def place(self, kind: str, stub_url: str, accounts: int = 1) -> Iterator[Place]:
        """Give a place on a new database of that kind; its daemons are stopped afterwards."""
        self._made += 1
        name = f"bench_{self._made}"
        with TemporaryDirectory(dir=self.folder, prefix=name) as folder, ExitStack() as stack:
            url = f"sqlite:///{folder}/bench.db"
            if kind == "postgresql":
                url = stack.enter_context(self._postgresql(name))
            place = Place(folder=Path(folder), url=url, stub_url=stub_url, accounts=accounts)
            stack.callback(place.stop)
            place.prepare()
            yield place

    @contextmanager
    def empty(self, kind: str) -> Iterator[str]:
        """Give an empty database for somebody else: a URL of PostgreSQL, or a file's path."""
        self._made += 1
        with TemporaryDirectory(dir=self.folder) as folder, ExitStack() as stack:
            if kind == "postgresql":
                yield stack.enter_context(self._postgresql(f"other_{self._made}"))
            else:
                yield f"{folder}/other.db"

    @contextmanager
    def _postgresql(self, name: str) -> Iterator[str]:
        if self._server is None:
            settings = "-c fsync=on -c synchronous_commit=on"
            self._server = Server(self.folder, settings=settings)
            start_keeper(self._server)
        with psycopg.connect(self._server.url("postgres"), autocommit=True) as conn:
            conn.execute(f"CREATE DATABASE {name}".encode())
            yield self._server.url(name)
            conn.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())


@contextmanager
def databases() -> Iterator[Databases]:
    """Give new databases in a folder of their own, which is removed afterwards."""
    session = Session()
    session.folder.chmod(0o755)  # the server may run as somebody else
    try:
        yield Databases(session)
    finally:
        session.close()
