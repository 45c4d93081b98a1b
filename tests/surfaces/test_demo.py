"""The demo, as a process, and what it is made of."""

import sqlite3
import subprocess
import sys
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from scheduler.cli.demo.folder import demo_folder
from scheduler.cli.demo.pace import daemon_environment
from scheduler.cli.demo.verdict import judge
from scheduler.cli.demo.watch import Watch
from scheduler.domain.errors import Conflict
from scheduler.domain.records import Reason, Run, RunState
from scheduler.storage.database import Database
from scheduler.storage.runs import get_run
from tests.surfaces.rig import NINE, Home, process_environment


def a_run(home: Home) -> Run:
    """Return a run that waits."""
    run_id = home.make_run(schedule="nightly", queue="nightly")
    with Database(f"sqlite:///{home.database}") as db, db.reading() as conn:
        return get_run(conn, run_id)


def accepted(run: Run) -> Run:
    """Return the run as it is once the upstream took it."""
    return replace(
        run,
        state=RunState.COLLECTING,
        reason=Reason.ACCEPTED,
        collection_id="j_1",
        triggered_at=run.due_at + timedelta(seconds=0.25),
        start_eta=NINE,
    )


def test_the_demo_fires_every_schedule_and_stores_each_collection_id(tmp_path: Path) -> None:
    folder = tmp_path / "demo"
    foreign = {"DCA_SCHEDULER__DATABASE__URL": "sqlite:////proc/none", "DCA_API_TOKEN": "secret"}

    done = subprocess.run(
        [sys.executable, "-P", "-m", "scheduler", "demo", "--seconds", "6", "--folder", folder],
        env=process_environment(foreign),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    with closing(sqlite3.connect(folder / "dca-scheduler.db")) as connection:
        stored = list(connection.execute("SELECT schedule, collection_id, start_eta FROM runs"))
        enabled = list(connection.execute("SELECT DISTINCT enabled FROM schedules"))
    assert {row[0] for row in stored} >= {"front-pages", "nightly-products"}
    assert all(collection_id in done.stdout for _, collection_id, _ in stored)
    assert all(start_eta for _, _, start_eta in stored)
    assert enabled == [(1,)]
    assert [path.name for path in tmp_path.iterdir()] == ["demo"]
    assert "secret" not in (folder / "daemon.log").read_text()


def test_a_folder_with_something_else_in_it_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text("mine")

    with pytest.raises(Conflict, match="not a demo's"), demo_folder(tmp_path):
        pass

    assert [path.name for path in tmp_path.iterdir()] == ["config.toml"]


def test_a_second_demo_begins_anew_but_not_beside_the_first(tmp_path: Path) -> None:
    with demo_folder(tmp_path / "demo") as place:
        place.database.write_text("old")
        with pytest.raises(Conflict, match="another demo runs"), demo_folder(tmp_path / "demo"):
            pass
    with demo_folder(tmp_path / "demo") as place:
        assert not place.database.exists()
        assert place.config.exists()


def test_no_setting_of_the_caller_reaches_the_demos_daemon() -> None:
    own = {
        "DCA_SCHEDULER__DATABASE__URL": "postgresql://production",
        "dca_scheduler_config": "/etc/mine.toml",
        "DCA_API_TOKEN": "real",
        "NOTIFY_SOCKET": "/run/notify",
        "PATH": "/bin",
    }

    environ = daemon_environment(own, "http://127.0.0.1:1")

    assert environ["PATH"] == "/bin"
    assert environ["DCA_SCHEDULER__ACCOUNTS__MAIN__BASE_URL"] == "http://127.0.0.1:1"
    assert not {"real", "postgresql://production", "/etc/mine.toml", "/run/notify"} & set(
        environ.values()
    )


def test_a_run_is_told_when_it_was_sent_and_when_it_ended(home: Home) -> None:
    run = a_run(home)
    taken = accepted(run)
    ended = replace(taken, state=RunState.SUCCEEDED, reason=Reason.DONE)
    lines: list[str] = []
    watch = Watch(tell=lines.append)

    for one in (run, taken, taken, ended, ended):
        watch.look([one])

    heading, row, end = (line.split() for line in lines)
    assert heading[:2] == ["due", "late"]
    assert " ".join(row) == "09:00:00Z 0.250s nightly products nightly j_1 09:00:00Z collecting"
    assert end == ["j_1", "of", "nightly:", "succeeded", "(done)"]


def test_the_verdict_names_what_has_no_collection(home: Home) -> None:
    run = a_run(home)
    refused = replace(run, id=2, state=RunState.FAILED, reason=Reason.REFUSED, detail="400: no")
    stood_for = replace(run, id=3, state=RunState.SKIPPED, reason=Reason.COALESCED)

    assert list(judge([accepted(run), stood_for], ["nightly"])) == []
    assert list(judge([accepted(run), refused], ["nightly", "hourly"])) == [
        "schedule hourly was due, and no collection_id is stored",
        "run 2 of nightly, due 2026-03-02 09:00:00Z, has no collection_id:"
        " failed (refused) 400: no",
    ]
    assert list(judge([stood_for], ["nightly"])) == [
        "schedule nightly was due, and no collection_id is stored"
    ]
