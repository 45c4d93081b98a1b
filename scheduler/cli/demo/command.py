"""The course of the demo, from an empty folder to the history of its runs."""

import shutil
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Final

import click

from scheduler.cli.demo.children import Child, running
from scheduler.cli.demo.folder import DemoFolder, demo_folder
from scheduler.cli.demo.pace import FASTER, daemon_environment
from scheduler.cli.demo.verdict import judge
from scheduler.cli.demo.watch import Watch, columns_for_terminal
from scheduler.cli.exit_codes import Ended, ExitCode
from scheduler.cli.render import one_line, print_table
from scheduler.cli.session import Session, pass_session, person
from scheduler.clock import utc_now
from scheduler.domain.records import Run, RunState

if TYPE_CHECKING:
    from scheduler.storage.database import Database

_LOOK_SECONDS: Final = 0.2
_SETTLE_SECONDS: Final = 15.0
_COLLECT_SECONDS: Final = 4.0
_SHOWN: Final = 20
_HISTORY: Final = ("id", "due_at", "schedule", "queue", "state", "reason", "collection_id")
_SANDBOX: Final = ("sandbox", "--port", "0", "--seconds-per-input", "0.3", "--build-seconds", "0.3")


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
    with _stop_on_signal() as stopping, demo_folder(folder) as place:
        course = Course(session=session, place=place, stopping=stopping)
        problems = course.run(seconds)
    if problems:
        for problem in problems:
            click.echo(one_line(problem), err=True)
        raise Ended(ExitCode.REFUSED, f"{len(problems)} of what was due is missing")


@dataclass(slots=True, kw_only=True)
class Course:
    """One demo, from start to end."""

    session: Session
    place: DemoFolder
    stopping: Event
    watch: Watch = field(default_factory=lambda: Watch(columns=columns_for_terminal()))

    def run(self, seconds: int | None) -> list[str]:
        """Run it; return what is missing, if it was to end by itself and did."""
        from scheduler.storage.database import Database

        place, environ = self.place, self.session.environ
        with running("sandbox", _SANDBOX, dict(environ), place.sandbox_log) as sandbox:
            base_url = self._wait_for(sandbox, "sandbox: http").partition(" ")[2]
            self._introduce(base_url)
            words = ("run", "--config", str(place.config))
            faster = daemon_environment(environ, base_url)
            with running("daemon", words, faster, place.daemon_log) as daemon:
                self._wait_for(daemon, "daemon_started")
                with Database(f"sqlite:///{place.database}") as db:
                    started_at = self.session.clock()
                    self._look_until_stopped(db, (sandbox, daemon), seconds)
                    if self.stopping.is_set():
                        seconds = None
                    stopped_at = self.session.clock()
                    if seconds is not None:
                        self._settle(db, (sandbox, daemon))
                    click.echo("\nstopping ...")
                    daemon.stop()
                    self._show(db)
                    return [] if seconds is None else _judge(db, started_at, stopped_at)

    def _wait_for(self, child: Child, sign: str) -> str:
        return child.wait_for(sign, seconds=30, pause=self._pause)

    def _pause(self, seconds: float) -> None:
        if self.stopping.wait(seconds):
            raise KeyboardInterrupt

    def _introduce(self, base_url: str) -> None:
        place = self.place
        click.echo(f"sandbox   {base_url}, a stand-in of the Data Collector API on this machine")
        click.echo(f"daemon    dca-scheduler run -c {place.config}, its log in {place.daemon_log}")
        click.echo("schedules as in config.toml, but sped up by environment variables:")
        for name, value in FASTER.items():
            click.echo(f"          {name}={value}")
        click.echo("Ctrl-C ends it.\n")

    def _look_until_stopped(
        self, db: "Database", children: tuple[Child, ...], seconds: int | None
    ) -> None:
        ends = None if seconds is None else time.monotonic() + seconds
        while not self.stopping.wait(_LOOK_SECONDS) and (ends is None or time.monotonic() < ends):
            self._look(db, children)

    def _look(self, db: "Database", children: tuple[Child, ...]) -> None:
        for child in children:
            child.require_alive()
        self.watch.look(_list_runs(db, limit=500))

    def _settle(self, db: "Database", children: tuple[Child, ...]) -> None:
        """Fire nothing more, and give what is under way time to end."""
        _switch_schedules(db, enabled=False)
        unsettled = {RunState.QUEUED, RunState.DISPATCHING, RunState.UNCONFIRMED}
        for states, limit in (
            (unsettled, _SETTLE_SECONDS),
            ({RunState.COLLECTING}, _COLLECT_SECONDS),
        ):
            until = time.monotonic() + limit
            while time.monotonic() < until and not self.stopping.wait(_LOOK_SECONDS):
                self._look(db, children)
                if not states & _open_states(db):
                    break

    def _show(self, db: "Database") -> None:
        # The daemon is gone: its schedules are as the file has them again.
        _switch_schedules(db, enabled=True)
        from scheduler.storage import runs

        last = _list_runs(db, limit=_SHOWN)
        self.watch.look(last)
        with db.reading() as conn:
            counts = runs.count_states(conn)
        click.echo(f"\nthe last {len(last)} runs")
        rows = [asdict(run) for run in reversed(last)]
        print_table(rows, _HISTORY, empty="no runs", spare=("queue", "reason"))
        told = ", ".join(f"{count} {state}" for state, count in counts.items())
        click.echo(f"\nruns by state: {told or 'none'}\n\nlook further:")
        config, program = self.place.config, program_name()
        for command in ("runs list", "next front-pages", "status"):
            click.echo(f"  {program} {command} -c {config}")
        click.echo(f"  sqlite3 {self.place.database}")


@contextmanager
def _stop_on_signal() -> Iterator[Event]:
    """Give an event that the first SIGINT, SIGTERM or SIGHUP sets; the second ends at once."""
    stopping = Event()

    def stop(number: int, _: object) -> None:
        if stopping.is_set():
            raise KeyboardInterrupt
        stopping.set()

    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.signal(number, stop) for number in numbers}
    try:
        yield stopping
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _judge(db: "Database", started_at: datetime, stopped_at: datetime) -> list[str]:
    from scheduler.actions.timetables import timetable_of_schedule
    from scheduler.storage import schedules

    due = []
    with db.reading() as conn:
        for schedule in schedules.list_schedules(conn):
            first = timetable_of_schedule(conn, schedule.name).next_after(started_at)
            # Who is due at the very stop may not have been fired any more.
            if first is not None and (stopped_at - first).total_seconds() > 1:
                due.append(schedule.name)
    return list(judge(_list_runs(db, limit=100_000), due))


def _list_runs(db: "Database", *, limit: int) -> list[Run]:
    from scheduler.storage import runs

    with db.reading() as conn:
        return runs.list_runs(conn, runs.RunFilter(), limit=limit)


def _open_states(db: "Database") -> set[RunState]:
    from scheduler.storage import runs

    with db.reading() as conn:
        return set(runs.count_open(conn))


def _switch_schedules(db: "Database", *, enabled: bool) -> None:
    from scheduler.actions.schedules import set_enabled
    from scheduler.storage import schedules

    with db.writing() as conn:
        for schedule in schedules.list_schedules(conn):
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
