"""`demo`: the sandbox and the real daemon, two processes, watched on the terminal."""

import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

import click

from scheduler.actions.api_tokens import create_token, make_link
from scheduler.actions.apply import apply_definitions
from scheduler.actions.pauses import resume_queue
from scheduler.actions.schedules import set_enabled
from scheduler.actions.schema import upgrade_schema
from scheduler.cli.demo_watch import Watch, list_missing
from scheduler.cli.examples import example_config, example_inputs
from scheduler.cli.exit_codes import CommandEnded, ExitCode
from scheduler.cli.render import one_line, print_table
from scheduler.cli.session import Session, pass_session, person
from scheduler.clock import utc_now
from scheduler.config import load_config
from scheduler.daemon.instance_lock import instance_lock
from scheduler.domain.access import Scope
from scheduler.domain.errors import Conflict
from scheduler.inputs import ANY_FILE
from scheduler.tools.calendar.next import timetable_of_schedule
from scheduler.tools.demo.history import fill_history, more_schedules
from scheduler.tools.demo.story import QUEUE
from scheduler.views.opening import Connection, Database
from scheduler.views.runs import RunFilter, count_states, list_runs
from scheduler.views.schedules import list_schedules
from scheduler.views.status import count_open

_LOOK_SECONDS: Final = 0.2
_READY_SECONDS: Final = 60
_SETTLE_SECONDS: Final = 60
_SHOWN: Final = 20
_HISTORY: Final = ("id", "due_at", "schedule", "queue", "state", "reason", "collection_id")
_SANDBOX: Final = ("sandbox", "--port", "0", "--seconds-per-input", "0.3", "--build-seconds", "0.3")
_LET_IN_BY: Final = "token"
_MARK: Final = ".dca-scheduler-demo"
_DATABASE: Final = "dca-scheduler.db"
# A daemon that systemd started must not hear from a demo.
_FOREIGN: Final = frozenset({"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"})
_FASTER: Final = {
    "DCA_SCHEDULER__SCHEDULES__FRONT_PAGES__EVERY": "2s",
    "DCA_SCHEDULER__SCHEDULES__NIGHTLY_PRODUCTS__EVERY": "3s",
    "DCA_SCHEDULER__SCHEDULES__MONTHLY_CATALOGUE__EVERY": "6s",
    # One second beside nightly-products: its confirm_cancel would take a waiting run's place.
    "DCA_SCHEDULER__SCHEDULES__MONTHLY_CATALOGUE__ANCHOR": "2026-01-01T00:00:01Z",
    "DCA_SCHEDULER__SCHEDULES__MONTHLY_CATALOGUE__EXCLUDE": "[]",
    "DCA_SCHEDULER__FOLLOW__POLL_INITIAL": "1s",
    "DCA_SCHEDULER__FOLLOW__POLL_MAX": "1s",
}


@click.command()
@click.option("--seconds", type=click.IntRange(1), help="End by itself, and judge what happened.")
@click.option(
    "--folder",
    metavar="DIR",
    type=click.Path(path_type=Path),
    default=Path("demo"),
    show_default="./demo",
    help="Where its database, configuration and logs go.",
)
@pass_session
def demo(session: Session, seconds: int | None, folder: Path) -> None:
    """
    Fire schedules at a sandbox and watch, until Ctrl-C.

    All of it stays on this machine. With --seconds, exit code 0 means that every schedule that
    was due has its collection_id stored.
    """
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)
    with demo_folder(folder):
        missing = Demo(session=session, folder=folder).run(seconds)
    if missing:
        for sentence in missing:
            click.echo(one_line(sentence), err=True)
        raise CommandEnded(ExitCode.REFUSED, f"{len(missing)} of what was due is missing")


@contextmanager
def demo_folder(folder: Path) -> Iterator[None]:
    """
    Prepare the one folder that a demo writes, and keep other demos out of it within the block.

    Raises Conflict for a folder that holds something and was not made by a demo, and
    AlreadyRunning while a daemon uses its database.
    """
    mark = folder / _MARK
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())) and not mark.exists():
        raise Conflict(f"{folder} is there and not a demo's: name another --folder")
    folder.mkdir(parents=True, exist_ok=True)
    with mark.open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Conflict(f"another demo runs in {folder}: name another --folder") from None
        with instance_lock(folder / _DATABASE, me="a demo that begins"):
            # With what stands beside it: a new file would be taken for an old backup of the old.
            for suffix in ("", "-wal", "-shm", ".seen", ".departed"):
                (folder / f"{_DATABASE}{suffix}").unlink(missing_ok=True)
        example = example_config().read_text(encoding="utf-8")
        more = more_schedules(utc_now())
        (folder / "config.toml").write_text(f"{example}{more}", encoding="utf-8")
        inputs = folder / "inputs"
        shutil.copytree(example_inputs(), inputs, copy_function=shutil.copyfile, dirs_exist_ok=True)
        yield


def daemon_environment(environ: Mapping[str, str], base_url: str) -> dict[str, str]:
    """Return the daemon's environment: no setting of the caller's own reaches the demo."""
    kept = {
        name: value
        for name, value in environ.items()
        if not name.upper().startswith("DCA_SCHEDULER") and name not in _FOREIGN
    }
    return {
        **kept,
        **_FASTER,
        "DCA_SCHEDULER__HTTP__LISTEN": "127.0.0.1:0",
        "DCA_SCHEDULER__RESULTS__FOLDER": ".",
        "DCA_SCHEDULER__ACCOUNTS__MAIN__BASE_URL": base_url,
        "DCA_API_TOKEN": "a-token-for-the-sandbox",
    }


@dataclass(slots=True, kw_only=True)
class Demo:
    """One demo, from an empty folder to the history of its runs."""

    session: Session
    folder: Path
    watch: Watch = field(default_factory=Watch)
    address: str | None = None
    begun_at: datetime | None = None
    _children: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def run(self, seconds: int | None) -> list[str]:
        """Run it; return what is missing, if it was to end by itself and did."""
        environ = self.session.environ
        with self._running("sandbox", _SANDBOX, environ):
            base_url = self._wait_for("sandbox", "sandbox: http").partition(" ")[2]
            self._introduce(base_url)
            words = ("run", "--config", str(self.folder / "config.toml"))
            settings = daemon_environment(environ, base_url)
            self._rehearse(settings)
            with self._running("daemon", words, settings):
                self._wait_for("daemon", "daemon_started")
                with Database(f"sqlite:///{self.folder / _DATABASE}") as db:
                    due = self._follow_to_the_end(db, seconds)
                    click.echo("\nstopping ...")
                    _stop(self._children["daemon"])
                    # The daemon is gone: its schedules are as the file has them again.
                    _switch_schedules(db, enabled=True)
                    with db.reading() as conn:
                        self._show(conn)
                        runs = list_runs(conn, self._of_now(), limit=100_000).items
                    return [] if due is None else list(list_missing(runs, due))

    def _rehearse(self, settings: Mapping[str, str]) -> None:
        """Write a month of runs into the demo's own database, which is new, before its daemon."""
        # What is sped up is applied by the daemon: it owes nothing of the time until it starts.
        unhurried = {name: value for name, value in settings.items() if name not in _FASTER}
        loaded = load_config(self.folder / "config.toml", unhurried)
        with Database(f"sqlite:///{self.folder / _DATABASE}", by=person()) as db:
            upgrade_schema(db, keep=0, now=utc_now())
            by, now = person(), utc_now()
            with db.writing() as conn:
                apply_definitions(conn, loaded.config, file_id=loaded.file_id, by=by, now=now)
                count = fill_history(conn, loaded.config, files=ANY_FILE, now=now)
        self.begun_at = self.session.clock()
        click.echo(f"history   {count:,} runs of a month that was only rehearsed")

    def _introduce(self, base_url: str) -> None:
        config, log = self.folder / "config.toml", self._log("daemon")
        click.echo(f"sandbox   {base_url}, a stand-in of the Data Collector API on this machine")
        click.echo(f"daemon    dca-scheduler run -c {config}, its log in {log}")
        click.echo("schedules as in config.toml, but sped up by environment variables:")
        for name, value in _FASTER.items():
            click.echo(f"          {name}={value}")
        click.echo("Ctrl-C ends it.\n")

    def _introduce_http(self, db: Database) -> None:
        """Say where requests are answered, once they are, and give a token for that."""
        said = [line for line in self._said("daemon") if '"http_serving"' in line]
        if not said:
            return
        self.address = str(json.loads(said[0])["address"])
        token, code = _let_in(db)
        write_private(self.folder / _LET_IN_BY, token)
        header = f'-H "Authorization: Bearer $(cat {self.folder / _LET_IN_BY})"'
        click.echo(f"http      {self.address}/sign-in?code={code} signs a browser in, once")
        click.echo(f"          curl {header} {self.address}/api/v1/status\n")
        sys.stdout.flush()  # whoever reads a pipe waits for it

    def _follow_to_the_end(self, db: Database, seconds: int | None) -> list[str] | None:
        """Tell what happens; return which schedules were due, or None if a person ended it."""
        begun_at = self.session.clock()
        try:
            # Where requests are answered is told before its time begins to run.
            self._follow(db, _READY_SECONDS, is_over=lambda _: self._is_http_decided())
            self._follow(db, seconds)
            due = _list_due(db, begun_at, self.session.clock())
            # Nothing more is fired, and what waits or is under way has time to end.
            _switch_schedules(db, enabled=False)
            _let_go(db)
            self._follow(db, _SETTLE_SECONDS, is_over=lambda conn: not count_open(conn))
        except KeyboardInterrupt:
            return None
        return due

    def _follow(
        self,
        db: Database,
        seconds: int | None,
        is_over: Callable[[Connection], bool] = lambda _: False,
    ) -> None:
        begun = self.session.monotonic()
        while seconds is None or self.session.monotonic() - begun < seconds:
            self.session.pause(_LOOK_SECONDS)
            for name in self._children:
                self._require_alive(name)
            if self.address is None:
                self._introduce_http(db)
            with db.reading() as conn:
                self.watch.look(list_runs(conn, self._of_now(), limit=500).items)
                if is_over(conn):
                    return

    def _of_now(self) -> RunFilter:
        """Return which runs are the demo's own, and not of the month before."""
        return RunFilter(since=self.begun_at)

    def _is_http_decided(self) -> bool:
        refused = '"http_not_served"'
        return self.address is not None or any(refused in line for line in self._said("daemon"))

    def _show(self, conn: Connection) -> None:
        last = list_runs(conn, self._of_now(), limit=_SHOWN).items
        self.watch.look(last)
        counts = ", ".join(f"{count} {state}" for state, count in count_states(conn).items())
        click.echo(f"\nthe last {len(last)} runs")
        print_table(last[::-1], _HISTORY, empty="no runs", spare=("queue", "reason"))
        click.echo(f"\nruns by state: {counts or 'none'}\n\nlook further:")
        for command in ("runs list", "next front-pages", "status"):
            click.echo(f"  {program_name()} {command} -c {self.folder / 'config.toml'}")
        click.echo(f"  sqlite3 {self.folder / _DATABASE}")

    def _log(self, name: str) -> Path:
        return self.folder / f"{name}.log"

    @contextmanager
    def _running(
        self, name: str, words: Sequence[str], environ: Mapping[str, str]
    ) -> Iterator[None]:
        """Run a command of this program within the block, apart from the terminal's Ctrl-C."""
        here = str(Path(__file__).resolve().parents[2])
        path = ":".join(filter(None, (here, environ.get("PYTHONPATH"))))
        with self._log(name).open("wb") as log:
            self._children[name] = subprocess.Popen(  # noqa: S603 - our own program, our own words
                [sys.executable, "-P", "-m", "scheduler", *words],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**environ, "PYTHONPATH": path},
                start_new_session=True,
            )
        try:
            yield
        finally:
            _stop(self._children[name])

    def _wait_for(self, name: str, sign: str) -> str:
        """Return the first line of a child's log that holds *sign*."""
        for _ in range(int(_READY_SECONDS / 0.05)):
            # Dead or alive is asked first: what it said before it died is in the log then.
            is_dead = self._children[name].poll() is not None
            for line in self._said(name):
                if sign in line:
                    return line
            if is_dead:
                self._require_alive(name)
            self.session.pause(0.05)
        raise CommandEnded(ExitCode.REFUSED, f"the {name} is not ready: see {self._log(name)}")

    def _require_alive(self, name: str) -> None:
        """Raise CommandEnded, after showing its last words, when a child has ended by itself."""
        code = self._children[name].poll()
        if code is None:
            return
        for line in self._said(name)[-10:]:
            click.echo(f"  {line}", err=True)
        ended = code if code in list(ExitCode) and code else ExitCode.REFUSED
        sentence = f"the {name} ended early, exit code {code}: see {self._log(name)}"
        raise CommandEnded(ended, sentence)

    def _said(self, name: str) -> list[str]:
        return self._log(name).read_text(encoding="utf-8", errors="replace").splitlines()


def _let_in(db: Database) -> tuple[str, str]:
    """Make a token that may do everything for a day; return it, and the code of a link."""
    now = utc_now()
    with db.writing() as conn:
        made = create_token(
            conn,
            "demo",
            scope=Scope.ADMIN,
            expires_at=now + timedelta(days=1),
            by=person(),
            now=now,
        )
        return made.token, make_link(conn, "demo", by=person(), now=now)


def write_private(path: Path, text: str) -> None:
    """Write a file that only its user may read, whatever was there."""
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w") as file:
        file.write(text)


def _stop(child: subprocess.Popen[bytes]) -> None:
    """Ask it to end, wait, and end it if it does not."""
    child.terminate()
    try:
        child.wait(15)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()


def _list_due(db: Database, begun_at: datetime, ended_at: datetime) -> list[str]:
    """Return the schedules that were due; who is at the very end may not have been fired."""
    with db.reading() as conn:
        names = [row.name for row in list_schedules(conn, now=ended_at) if row.held is None]
        first = {name: timetable_of_schedule(conn, name).next_after(begun_at) for name in names}
    return [name for name, at in first.items() if at and (ended_at - at).total_seconds() > 1]


def _let_go(db: Database) -> None:
    """Let the queue send that was paused for show, unless somebody did."""
    with suppress(Conflict), db.writing() as conn:
        resume_queue(conn, QUEUE, by=person(), now=utc_now(), confirmed=True)


def _switch_schedules(db: Database, *, enabled: bool) -> None:
    with db.writing() as conn:
        for schedule in list_schedules(conn, now=utc_now()):
            if schedule.enabled != enabled:
                set_enabled(conn, schedule.name, enabled=enabled, by=person(), now=utc_now())


def program_name() -> str:
    """Return how this program is called from here: by its name if the shell finds it."""
    installed = Path(sys.executable).parent / "dca-scheduler"
    found = shutil.which("dca-scheduler")
    if found is not None and (not installed.exists() or Path(found).samefile(installed)):
        return "dca-scheduler"
    if not installed.exists():
        return "python -m scheduler"
    here = Path.cwd()
    return str(installed.relative_to(here) if installed.is_relative_to(here) else installed)
