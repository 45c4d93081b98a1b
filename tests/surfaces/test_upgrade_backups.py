"""Before its schema is brought forward, an SQLite file is copied; `db check` reads all of it."""

import signal
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from scheduler.storage import migrate
from scheduler.storage.database import Database
from tests.databases import empty_postgresql, empty_sqlite
from tests.migrations.steps import upgrade_to
from tests.surfaces.rig import CONFIG, Home
from tests.surfaces.test_backup import killed_in

OLD = "0013_holds"


@pytest.fixture
def older(empty_home: Home) -> Home:
    """Return a home whose database an earlier version left."""
    with Database(empty_sqlite(empty_home.folder)) as db, db.writing() as conn:
        upgrade_to(conn, OLD)
    return empty_home


def copies(home: Home) -> list[Path]:
    return sorted(home.folder.glob("scheduler.db.before-*"))


def revision_of(file: Path) -> str:
    with closing(sqlite3.connect(file)) as connection:
        ((revision,),) = connection.execute("SELECT version_num FROM alembic_version")
    return str(revision)


def test_an_upgrade_keeps_what_was_before(older: Home) -> None:
    done = older.json("db", "upgrade")

    assert done["revision"] == migrate.newest_revision()
    assert copies(older) == [Path(done["backup"])]
    assert revision_of(copies(older)[0]) == OLD
    assert older.json("db", "upgrade")["backup"] is None


def test_a_copy_of_before_can_be_restored(older: Home) -> None:
    older.sql("INSERT INTO accounts (name, token) VALUES ('mine', 'env:TOKEN')")
    older.done("db", "upgrade")
    older.sql("DELETE FROM accounts")

    older.done("db", "restore", str(copies(older)[0]), "--yes")

    assert older.sql("SELECT name FROM accounts") == [("mine",)]
    assert older.call("run").code == 78


def test_the_newest_copies_stay(older: Home) -> None:
    for number in range(4):
        (older.folder / f"scheduler.db.before-000{number}-20260101T00000{number}Z").touch()
    older.config.write_text(CONFIG.replace("[database]", "[database]\nupgrade_backups = 2"))

    older.done("db", "upgrade")

    assert len(copies(older)) == 2
    assert any(OLD in file.name for file in copies(older))


@pytest.mark.parametrize("words", [["--no-backup"], []])
def test_no_copy_is_made_where_none_is_wanted(older: Home, words: list[str]) -> None:
    if not words:
        older.config.write_text(CONFIG.replace("[database]", "[database]\nupgrade_backups = 0"))

    older.done("db", "upgrade", *words)

    assert copies(older) == []


def test_an_upgrade_that_is_killed_at_its_copy_leaves_the_old_schema(older: Home) -> None:
    done = killed_in(older, "scheduler.actions.upgrade_backup", "check_file", "db", "upgrade")

    assert done.returncode == -signal.SIGKILL
    assert revision_of(older.database) == OLD
    older.done("db", "upgrade")
    assert [one.suffix for one in copies(older)] != [".partial"]
    assert len(copies(older)) == 1


def test_all_that_is_wrong_with_a_database_is_told(home: Home) -> None:
    run_id = home.make_run()
    assert home.done("db", "check").out == "ok\n"
    home.sql("UPDATE runs SET fence = 3 WHERE id = ?", run_id)
    home.sql("UPDATE schedules SET batch = 'gone'")  # sqlite3's shell checks no references

    answer = home.call("db", "check")

    assert answer.code == 1
    assert "2 rows of schedules name, as batch, no batches.name that is there" in answer.out
    assert "fence_is_the_last_attempt: every claim of a run left an attempt" in answer.out
    assert f"run {run_id}" in answer.out


def test_a_damaged_file_is_told_and_ends_with_78(home: Home) -> None:
    with closing(sqlite3.connect(home.database)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        ((page,),) = connection.execute("PRAGMA page_size")
        ((root,),) = connection.execute(
            "SELECT rootpage FROM sqlite_master WHERE name = 'ix_changes_subject_happened_at'"
        )
    with home.database.open("r+b") as opened:
        opened.seek(page * (root - 1))
        opened.write(b"\xff" * page)

    answer = home.call("db", "check")

    assert answer.code == 78
    assert "damaged" in answer.out + answer.err


def test_a_backup_takes_the_place_of_a_database_of_an_earlier_version(home: Home) -> None:
    file = home.folder / "backup.db"
    home.done("db", "backup", str(file))
    with empty_postgresql() as url:
        home.environ["DCA_SCHEDULER__DATABASE__URL"] = url
        with Database(url) as db, db.writing() as conn:
            upgrade_to(conn, OLD)
            insert_old = "INSERT INTO calendars (name, rules) VALUES ('old', '12-24')"
            conn.exec_driver_sql(insert_old)

        asked = home.call("db", "restore", str(file))
        with Database(url) as db, db.reading() as conn:
            untouched = migrate.current_revision(conn)
        home.done("db", "restore", str(file), "--yes")

        assert asked.code == 1
        assert untouched == OLD
        assert home.call("run").code == 78
        with Database(url) as db, db.reading() as conn:
            assert migrate.current_revision(conn) == migrate.newest_revision()
            assert conn.exec_driver_sql("SELECT count(*) FROM calendars").scalar() == 0
            assert conn.exec_driver_sql("SELECT count(*) FROM schedules").scalar() == 2
