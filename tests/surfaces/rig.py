"""What the surfaces' tests share: a folder with a configuration and a database, and the program."""

import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from datetime import UTC, datetime
from io import StringIO
from itertools import count
from pathlib import Path
from typing import Any

from scheduler.cli.main import main
from scheduler.cli.session import Session
from scheduler.domain.records import RunState
from tests.walk import stations

ROOT = Path(__file__).parents[2]
NINE = datetime(2026, 3, 2, 9, tzinfo=UTC)

CONFIG = """
[database]
url = "sqlite:///scheduler.db"

[accounts.main]
token = { env = "DCA_API_TOKEN" }

[secrets]
s = { env = "S" }

[queues.nightly]
max_depth = 7

[collectors.products]
id = "c_products"
deadline = "2h"

[collectors.news]
id = "c_news"

[batches.pages]
inputs = [{ url = "https://example.com/1" }, { url = "https://example.com/2" }]

[schedules.nightly]
collector = "products"
batch = "pages"
cron = "0 2 * * *"
timezone = "Europe/Berlin"
queue = "nightly"

[schedules.hourly]
collector = "news"
batch = "pages"
every = "1h"
"""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a command said, and how it ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Its output as the one JSON document that it must be."""
        return json.loads(self.out)

    @property
    def items(self) -> list[Any]:
        """What the list holds that its output must be."""
        page = self.json
        assert set(page) == {"items", "next"}, page
        return list(page["items"])


@dataclass(slots=True)
class Home:
    """A folder with config.toml and scheduler.db, and somebody who calls the program there."""

    folder: Path
    environ: dict[str, str] = field(default_factory=dict)
    pause: Callable[[float], None] = lambda seconds: None
    waited: Iterator[float] = field(default_factory=lambda: count(step=0.2))

    @property
    def config(self) -> Path:
        """The configuration file."""
        return self.folder / "config.toml"

    @property
    def database(self) -> Path:
        """The database's file."""
        return self.folder / "scheduler.db"

    def call(self, *words: str) -> Answer:
        """Carry out a command with this folder's configuration, at nine o'clock."""
        return self.call_bare("-c", str(self.config), *words)

    def call_bare(self, *words: str) -> Answer:
        """Carry out a command as it stands."""
        out, err = StringIO(), StringIO()
        session = Session(
            environ=self.environ,
            clock=lambda: NINE,
            pause=self.pause,
            monotonic=lambda: next(self.waited),
        )
        with redirect_stdout(out), redirect_stderr(err):
            code = main(words, session=session)
        return Answer(code, out.getvalue(), err.getvalue())

    def done(self, *words: str) -> Answer:
        """Carry out a command that must succeed."""
        answer = self.call(*words)
        assert answer.code == 0, answer.err
        return answer

    def json(self, *words: str) -> Any:
        """Carry out a command that must succeed, and return its JSON document."""
        return self.done(*words, "--json").json

    def items(self, *words: str) -> list[Any]:
        """Carry out a command that must succeed, and return the list of its JSON document."""
        return self.done(*words, "--json").items

    def sql(self, statement: str, *values: object) -> list[Any]:
        """Do what somebody with the sqlite3 shell may do."""
        with closing(sqlite3.connect(self.database)) as connection, connection:
            return list(connection.execute(statement, values))

    def make_run(self, **columns: object) -> int:
        """Ask for a run, then set *columns* of its row by hand; return its id."""
        collector = str(columns.pop("ask", "products"))
        run_id = int(self.done("trigger", collector, "--batch", "pages").out)
        self.set_run(run_id, **columns)
        return run_id

    def set_run(self, run_id: int, **columns: object) -> None:
        """Set *columns* of a run's row by hand."""
        for column in columns:
            assert column.isidentifier()
        ((now,),) = self.sql("SELECT state FROM runs WHERE id = ?", run_id)
        moves = columns.get("state", now) != now
        usual = [columns] if columns else []
        for station in stations(RunState(now), columns, moment=ENDED) if moves else usual:
            assignments = ", ".join(f"{column} = ?" for column in station)
            self.sql(f"UPDATE runs SET {assignments} WHERE id = ?", *station.values(), run_id)

    def run(self, run_id: int) -> Any:
        """Return a run as `runs show --json` tells it."""
        return self.done("runs", "show", str(run_id), "--json").json


ENDED = "2026-03-02 09:30:00.000000"
FAILED: dict[str, object] = {"state": "failed", "reason": "refused", "ended_at": ENDED}
LIVES = (
    "INSERT INTO daemons (id, host, pid, version, started_at, seen_at)"
    " VALUES ('d', 'host', 7, '1', '2026-03-02 08:00:00.000000', '2026-03-02 08:59:55.000000')"
)
LOST: dict[str, object] = {
    "state": "unconfirmed",
    "reason": "answer_lost",
    "next_lookup_at": ENDED,
    "fence": 1,
}


def spoken(value: object) -> str | None:
    """Name a case by the words that are said; leave what is expected of it out."""
    if isinstance(value, list | tuple) and all(isinstance(word, str) for word in value):
        return " ".join(value) or "nothing"
    return ""


def program(
    *words: str, folder: Path, environ: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run the program as a process of its own in *folder*."""
    return subprocess.run(
        [sys.executable, "-P", "-m", "scheduler", *words],
        cwd=folder,
        env=process_environment(environ or {}),
        capture_output=True,
        text=True,
        timeout=180,
    )


def process_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of a process of this checkout's program."""
    return {**os.environ, "PYTHONPATH": str(ROOT), **environ}
