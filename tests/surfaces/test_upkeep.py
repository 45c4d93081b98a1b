"""`db size`, `db prune`, `db vacuum`, and a backfill of what is forgotten."""

import signal
import sqlite3
from contextlib import closing
from datetime import timedelta

import pytest

from scheduler.storage.database import Database
from scheduler.storage.tables import metadata
from tests.storage.full import HISTORY, fill
from tests.surfaces.rig import CONFIG, NINE, Home
from tests.surfaces.test_backup import killed_in


def test_every_table_is_measured(empty_home: Home, database_url: str) -> None:
    empty_home.environ["DCA_SCHEDULER__DATABASE__URL"] = database_url
    with Database(database_url) as db:
        fill(db)

    size = empty_home.json("db", "size")

    tables = {one["table"]: one for one in size["tables"]}
    assert tables.keys() == metadata.tables.keys()
    assert tables["runs"]["row_count"] == HISTORY + 4
    assert tables["runs"]["bytes"] > 0
    assert (size["file"] is None) == database_url.startswith("postgresql")
    assert empty_home.done("db", "size").out.splitlines()[0].split() == [
        "table",
        "row_count",
        "bytes",
    ]


def test_what_is_old_is_counted_and_then_forgotten(empty_home: Home, sqlite_url: str) -> None:
    home = empty_home
    home.config.write_text(CONFIG + '\n[retention]\nruns = "30d"\n')
    with Database(sqlite_url) as db:
        fill(db)
    long_ago = f"{NINE - timedelta(days=50):%Y-%m-%d %H:%M:%S.%f}"
    home.sql(
        "UPDATE runs SET schedule = NULL, retry_of = NULL, ended_at = ? WHERE ended_at IS NOT NULL",
        long_ago,
    )
    before = home.sql("SELECT count(*) FROM runs")

    counted = home.json("db", "prune", "--dry-run")
    untouched = home.sql("SELECT count(*) FROM runs")
    done = home.json("db", "prune")

    assert untouched == before
    # The last one that was sent of the batch is kept to compare with.
    assert counted["row_counts"]["runs"] == done["row_counts"]["runs"] == HISTORY - 1
    assert home.sql("SELECT sum(runs) FROM run_counts") == [(HISTORY - 1,)]
    assert home.sql("SELECT count(*) FROM changes WHERE action = 'prune'") == [(1,)]
    assert "nothing" in home.done("db", "prune", "--dry-run").out


def test_pruning_that_is_killed_has_forgotten_whole_runs_and_goes_on(
    empty_home: Home, sqlite_url: str
) -> None:
    home = empty_home
    home.config.write_text(CONFIG + '\n[retention]\nruns = "30d"\n')
    with Database(sqlite_url) as db:
        fill(db)
    long_ago = f"{NINE - timedelta(days=50):%Y-%m-%d %H:%M:%S.%f}"
    home.sql(
        "UPDATE runs SET schedule = NULL, retry_of = NULL, ended_at = ? WHERE ended_at IS NOT NULL",
        long_ago,
    )
    tables = ("runs", "attempts", "collections", "run_events", "run_counts")
    before = [home.sql(f"SELECT count(*) FROM {table}") for table in tables]

    done = killed_in(home, "scheduler.storage.retention", "_delete_bodies", "db", "prune")
    after = [home.sql(f"SELECT count(*) FROM {table}") for table in tables]

    assert done.returncode == -signal.SIGKILL
    assert after == before
    assert home.json("db", "prune")["row_counts"]["runs"] == HISTORY - 1


def test_without_retention_nothing_goes(home: Home) -> None:
    assert "nothing" in home.done("db", "prune").out


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('runs = "16d"', "at least 17d"),
        ("runs_per_schedule = 99", "100"),
        ('runs = "soon"', "duration"),
    ],
)
def test_a_retention_that_would_break_the_promise_is_refused(
    home: Home, text: str, words: str
) -> None:
    home.config.write_text(CONFIG + f"\n[retention]\n{text}\n")

    answer = home.call("config", "check")

    assert answer.code == 78
    assert "retention.runs" in answer.err + answer.out
    assert words in answer.err + answer.out


def test_a_file_of_an_earlier_version_is_told_how_to_shrink_and_does(home: Home) -> None:
    with closing(sqlite3.connect(home.database, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = DELETE")
        connection.execute("PRAGMA auto_vacuum = NONE")
        connection.execute("VACUUM")

    told = home.done("db", "size")
    home.done("db", "vacuum")

    assert "db vacuum" in told.err
    assert home.done("db", "size").err == ""
    assert home.done("db", "check").out == "ok\n"


def test_what_is_forgotten_is_not_sent_by_a_backfill(home: Home) -> None:
    home.sql(
        "INSERT INTO run_counts (day, schedule, collector, state, runs, occurrences, inputs, lines,"
        " fails, pages, last_due_at) VALUES ('2026-03-01', 'hourly', 'news', 'succeeded', 1, 1, 0,"
        " 0, 0, 0, '2026-03-01 05:00:00.000000')"
    )
    stretch = ("--to", "2026-03-01T08:00Z", "--dry-run")

    refused = home.call("backfill", "hourly", "--from", "2026-03-01T05:00Z", *stretch)
    after = home.call("backfill", "hourly", "--from", "2026-03-01T06:00Z", *stretch)

    assert refused.code == 1
    assert "forgotten" in refused.err
    assert after.code == 0


def test_a_log_that_a_forgotten_reader_holds_is_told(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("scheduler.storage.weaknesses._LARGE_LOG", 1_000)
    with closing(sqlite3.connect(home.folder / "scheduler.db", isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM runs").fetchone()
        home.done("schedules", "pause", "hourly", "--reason", "while somebody reads")

        told = home.done("db", "size")
        as_json = home.done("db", "size", "--json").json["file"]

    assert "another program holds a transaction open" in told.err
    assert as_json["log_bytes"] > 1_000
    assert as_json["log_held"] in told.err
