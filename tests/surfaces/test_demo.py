"""The demo, as a process, and what it is made of."""

import sqlite3
import subprocess
import sys
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from scheduler.cli.demo import daemon_environment, demo_folder
from scheduler.cli.demo_watch import Watch, list_missing
from scheduler.config import load_config
from scheduler.domain.errors import Conflict
from scheduler.domain.records import Reason, RunState
from scheduler.storage.database import Database
from scheduler.views.runs import RunView, get_run
from tests.surfaces.rig import NINE, Home, process_environment


def a_run(home: Home) -> RunView:
    """Return a run that waits."""
    run_id = home.make_run(schedule="nightly", queue="nightly")
    with Database(f"sqlite:///{home.database}") as db, db.reading() as conn:
        return get_run(conn, run_id)


def accepted(run: RunView) -> RunView:
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
        timeout=300,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    with closing(sqlite3.connect(folder / "dca-scheduler.db")) as connection:
        # What was due before, while its month was rehearsed, is caught up with and not shown.
        ours = "due_at >= (SELECT min(started_at) FROM daemons) AND state <> 'skipped'"
        stored = list(
            connection.execute(f"SELECT schedule, collection_id, start_eta FROM runs WHERE {ours}")
        )
        open_ones = list(connection.execute("SELECT id, state FROM runs WHERE ended_at IS NULL"))
        (rehearsed,) = connection.execute(
            "SELECT count(*) FROM runs WHERE collection_id LIKE 'j\\_rehearsed%' ESCAPE '\\'"
        ).fetchone()
        enabled = list(connection.execute("SELECT DISTINCT enabled FROM schedules"))
    assert {row[0] for row in stored} >= {"front-pages", "nightly-products"}
    assert all(collection_id in done.stdout for _, collection_id, _ in stored)
    assert all(start_eta for _, _, start_eta in stored)
    assert enabled == [(1,)]
    assert open_ones == []
    assert rehearsed > 3_000
    assert "/sign-in?code=" in done.stdout
    assert (folder / "token").stat().st_mode & 0o777 == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["demo"]
    assert "secret" not in (folder / "daemon.log").read_text()


def test_a_folder_with_something_else_in_it_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text("mine")

    with pytest.raises(Conflict, match="not a demo's"), demo_folder(tmp_path):
        pass

    assert [path.name for path in tmp_path.iterdir()] == ["config.toml"]


def test_a_second_demo_begins_anew_but_not_beside_the_first(tmp_path: Path) -> None:
    folder = tmp_path / "demo"
    with demo_folder(folder):
        for suffix in ("", ".seen", ".departed"):
            (folder / f"dca-scheduler.db{suffix}").write_text("old")
        with pytest.raises(Conflict, match="another demo runs"), demo_folder(folder):
            pass
    with demo_folder(folder):
        assert not list(folder.glob("dca-scheduler.db*[!k]"))
        assert (folder / "config.toml").exists()


def test_pages_of_results_notices_and_costs_have_something_to_show(tmp_path: Path) -> None:
    folder = tmp_path / "demo"

    with demo_folder(folder):
        settings = daemon_environment({}, "http://127.0.0.1:1")
        config = load_config(folder / "config.toml", settings).config

    assert config.channels
    assert config.notices
    assert config.budgets
    assert any(schedule.save_to for schedule in config.schedules.values())
    assert config.results.folder == str(folder)


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


def test_a_run_is_told_when_it_was_sent_and_when_it_ended(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "120")
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

    assert list(list_missing([accepted(run), stood_for], ["nightly"])) == []
    assert list(list_missing([accepted(run), refused], ["nightly", "hourly"])) == [
        "schedule hourly was due, and no collection_id is stored",
        "run 2 of nightly, due 2026-03-02 09:00:00Z, has no collection_id:"
        " failed (refused) 400: no",
    ]
    assert list(list_missing([stood_for], ["nightly"])) == [
        "schedule nightly was due, and no collection_id is stored"
    ]
