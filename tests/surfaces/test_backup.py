"""`db backup`, `db restore` and `db copy`: what an operator sees of them."""

import os
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import func, select

from scheduler.daemon.instance_lock import instance_lock
from scheduler.domain.errors import DatabaseUnfit
from scheduler.storage import daemons, tables
from scheduler.storage.database import Connection, Database
from scheduler.storage.dialect import database_time
from scheduler.storage.restores import find_unsettled, require_settled
from tests.databases import empty_postgresql
from tests.storage.full import everything, fill
from tests.surfaces.rig import NINE, Home, process_environment


@pytest.fixture
def filled(empty_home: Home, database_url: str) -> Home:
    """Return a home with months of work in a database of each brand."""
    empty_home.environ["DCA_SCHEDULER__DATABASE__URL"] = database_url
    with Database(database_url, checkpoints=True) as db:
        fill(db)
    return empty_home


def url_of(home: Home) -> str:
    return home.environ["DCA_SCHEDULER__DATABASE__URL"]


def rows_of(url: str) -> dict[str, list[tuple[object, ...]]]:
    """Return everything but the mark of a backup."""
    with Database(url) as db, db.reading() as conn:
        found = everything(conn)
    del found["restores"]
    return found


def is_held(conn: Connection) -> bool:
    try:
        require_settled(conn)
    except DatabaseUnfit:
        return True
    return False


def live(url: str) -> None:
    """Have a daemon be seen at this moment."""
    with Database(url) as db, db.writing() as conn:
        now = database_time(conn) or NINE
        daemons.insert_daemon(conn, "d", host="h", pid=7, version="1", zone_data="2026a", now=now)


def test_a_backup_is_one_file_with_everything_in_it(filled: Home) -> None:
    file = filled.folder / "backup.db"

    made = filled.json("db", "backup", str(file))

    assert rows_of(f"sqlite:///{file}") == rows_of(url_of(filled))
    assert made["rows"]["runs"] == len(rows_of(url_of(filled))["runs"])
    assert file.stat().st_mode & 0o777 == 0o600
    assert not list(filled.folder.glob("backup.db?*"))


def test_nothing_is_sent_from_a_backup_wherever_it_is_put(filled: Home) -> None:
    file = filled.folder / "backup.db"
    filled.done("db", "backup", str(file))
    filled.environ["DCA_SCHEDULER__DATABASE__URL"] = f"sqlite:///{file}"

    started = filled.call("run")

    assert started.code == 78
    assert "db settle-restore" in started.err
    filled.done("db", "settle-restore", "--yes")
    with Database(f"sqlite:///{file}") as db, db.reading() as conn:
        assert not is_held(conn)
        frozen = conn.scalar(
            select(tables.freezes.c.frozen_at).where(tables.freezes.c.scope == "all")
        )
    assert frozen is not None


def test_a_file_that_is_there_is_never_written_over(filled: Home) -> None:
    file = filled.folder / "backup.db"
    file.write_text("mine")

    answer = filled.call("db", "backup", str(file))

    assert answer.code == 1
    assert "is there already" in answer.err
    assert file.read_text() == "mine"


def test_a_restored_database_is_what_the_backup_was_and_is_held(filled: Home) -> None:
    file, url = filled.folder / "backup.db", url_of(filled)
    filled.done("db", "backup", str(file))
    before = rows_of(url)
    filled.done("freeze", "all", "--reason", "later")

    asked = filled.call("db", "restore", str(file))
    restored = filled.json("db", "restore", str(file), "--yes")

    assert asked.code == 1
    assert "--yes" in asked.err
    after = rows_of(url)
    changes = {name for name in after if after[name] != before[name]}
    assert changes == {"changes"}
    with Database(url) as db, db.reading() as conn:
        assert is_held(conn)
        assert find_unsettled(conn) is not None
    assert restored["kept"] is None or Path(restored["kept"]).exists()


def test_a_backup_is_restored_into_a_database_that_is_not_there_yet(home: Home) -> None:
    file = home.folder / "backup.db"
    home.done("db", "backup", str(file))
    before = rows_of(f"sqlite:///{home.database}")
    home.database.unlink()

    home.done("db", "restore", str(file))

    after = rows_of(f"sqlite:///{home.database}")
    assert after["schedules"] == before["schedules"]
    assert home.call("run").code == 78


def test_a_file_made_by_other_means_is_held_as_well(home: Home) -> None:
    with Database(f"sqlite:///{home.database}") as db, db.writing() as conn:
        daemons.insert_daemon(conn, "d", host="h", pid=7, version="1", zone_data="x", now=NINE)
    with closing(sqlite3.connect(home.database)) as source:
        source.execute("VACUUM INTO ?", [str(home.folder / "plain.db")])

    restored = home.json("db", "restore", str(home.folder / "plain.db"), "--yes")

    assert restored["backup_at"] == "2026-03-02T09:00:00.000000Z"
    assert home.call("run").code == 78


def test_a_damaged_backup_is_refused_and_nothing_is_touched(home: Home) -> None:
    file = home.folder / "backup.db"
    home.done("db", "backup", str(file))
    with file.open("r+b") as opened:
        opened.seek(8192)
        opened.write(b"\xff" * 20_000)
    before = home.database.read_bytes()

    answer = home.call("db", "restore", str(file), "--yes")

    assert answer.code == 78
    assert "damaged" in answer.err or "cannot be read" in answer.err
    assert home.database.read_bytes() == before


def test_nothing_is_restored_or_copied_while_a_daemon_runs(home: Home, tmp_path: Path) -> None:
    file = home.folder / "backup.db"
    home.done("db", "backup", str(file))

    with instance_lock(home.database, me="the daemon with pid 7 on h"):
        restored = home.call("db", "restore", str(file), "--yes")
        copied = home.call("db", "copy", f"sqlite:///{tmp_path / 'copy.db'}")

    assert (restored.code, copied.code) == (75, 75)
    assert "pid 7" in restored.err
    assert not (tmp_path / "copy.db").exists()


def test_nothing_is_restored_or_copied_while_a_daemon_is_seen(
    home: Home, postgresql_url: str, tmp_path: Path
) -> None:
    file, copy = home.folder / "backup.db", f"sqlite:///{tmp_path / 'copy.db'}"
    home.done("db", "backup", str(file))
    home.environ["DCA_SCHEDULER__DATABASE__URL"] = postgresql_url
    live(postgresql_url)

    restored = home.call("db", "restore", str(file), "--yes")
    copied = home.call("db", "copy", copy)
    told = home.done("db", "copy", copy, "--beside-daemon").out

    assert (restored.code, copied.code) == (1, 1)
    assert "daemon with pid 7" in restored.err
    assert "daemon with pid 7" in copied.err
    assert "held" in told
    with Database(copy) as db, db.reading() as conn:
        assert is_held(conn)


@pytest.mark.parametrize("brand", ["sqlite", "postgresql"])
def test_everything_moves_to_another_database_and_works_there(filled: Home, brand: str) -> None:
    with empty_postgresql() as postgresql:
        file = filled.folder / "moved.db"
        url = f"sqlite:///{file}" if brand == "sqlite" else postgresql
        before = rows_of(url_of(filled))
        broken = filled.call("doctor", "--invariants", "--json").json["violations"]
        filled.environ["TARGET"] = url

        copied = filled.json("db", "copy", "env:TARGET")
        again = filled.call("db", "copy", "env:TARGET")

        assert rows_of(url) == before
        assert {one["table"]: one["rows"] for one in copied["tables"]}["runs"] == len(
            before["runs"]
        )
        assert again.code == 1
        filled.environ["DCA_SCHEDULER__DATABASE__URL"] = url
        assert filled.call("doctor", "--invariants", "--json").json["violations"] == broken
        with Database(url) as db, db.reading() as conn:
            assert not is_held(conn)


KILLED = """
import importlib, os, signal, sys
from scheduler.cli.main import main

def killed(*_, **__):
    os.kill(os.getpid(), signal.SIGKILL)

setattr(importlib.import_module(sys.argv[1]), sys.argv[2], killed)
main(sys.argv[3:])
"""


@pytest.mark.parametrize(
    ("module", "function"),
    [
        ("scheduler.actions.copy_database", "check_file"),
        ("scheduler.storage.copying", "set_last_number"),
        ("scheduler.storage.copying", "_require_same"),
    ],
)
@pytest.mark.parametrize("brand", ["sqlite", "postgresql"])
def test_a_copy_that_is_killed_leaves_nothing_to_start_on_and_can_be_begun_anew(
    home: Home, postgresql_url: str, brand: str, module: str, function: str
) -> None:
    if brand == "postgresql" and function == "check_file":
        function = "copy_all"
    file = home.folder / "copy.db"
    url = f"sqlite:///{file}" if brand == "sqlite" else postgresql_url

    done = killed_in(home, module, function, "db", "copy", url)

    assert done.returncode == -signal.SIGKILL
    assert not file.exists()
    if brand == "postgresql":
        with Database(url) as db, db.reading() as conn:
            assert conn.scalar(select(func.count()).select_from(tables.schedules)) == 0
    home.done("db", "copy", url)
    assert rows_of(url) == rows_of(f"sqlite:///{home.database}")


@pytest.mark.parametrize("function", ["copy_file", "check_file"])
def test_a_backup_that_is_killed_is_no_file_and_can_be_begun_anew(
    home: Home, function: str
) -> None:
    file = home.folder / "backup.db"

    done = killed_in(home, "scheduler.actions.backup", function, "db", "backup", str(file))

    assert done.returncode == -signal.SIGKILL
    assert not file.exists()
    home.done("db", "backup", str(file))
    assert [one.name for one in home.folder.glob("backup.db*")] == ["backup.db"]


@pytest.mark.parametrize("function", ["replace_database", "forget_departed"])
def test_a_restore_that_is_killed_leaves_the_old_database_or_the_new_one(
    home: Home, function: str
) -> None:
    file = home.folder / "backup.db"
    home.done("db", "backup", str(file))
    home.done("freeze", "all", "--reason", "later")

    done = killed_in(home, "scheduler.actions.restore", function, "db", "restore", str(file), "-y")

    assert done.returncode == -signal.SIGKILL
    with Database(f"sqlite:///{home.database}") as db, db.reading() as conn:
        is_old = bool(conn.scalar(select(func.count()).select_from(tables.freezes)))
        assert is_old == (function == "replace_database")
        assert is_held(conn) == (not is_old)


def killed_in(
    home: Home, module: str, function: str, *words: str
) -> subprocess.CompletedProcess[bytes]:
    """Run a command whose process is killed when it comes to *function* of *module*."""
    return subprocess.run(
        [sys.executable, "-c", KILLED, module, function, "-c", str(home.config), *words],
        cwd=home.folder,
        env=process_environment({**os.environ, **home.environ}),
        capture_output=True,
        timeout=180,
    )


def test_settling_a_backup_freezes_from_its_moment_on(home: Home) -> None:
    with Database(f"sqlite:///{home.database}") as db, db.writing() as conn:
        long_ago = NINE - timedelta(days=3)
        daemons.insert_daemon(conn, "d", host="h", pid=7, version="1", zone_data="x", now=long_ago)
    file = home.folder / "backup.db"
    home.done("db", "backup", str(file))
    home.done("db", "restore", str(file), "--yes")

    settled = home.json("db", "settle-restore", "--yes")

    assert settled["frozen_since"] == "2026-03-02T09:00:00.000000Z"
