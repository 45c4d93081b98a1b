"""An upgrade that is killed at any statement, two upgrades at once, and alembic's own command."""

import os
import signal
import sqlite3
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import inspect

from scheduler.storage import migrate
from scheduler.storage.database import Database
from tests.databases import empty_sqlite

ROOT = Path(__file__).parent.parent.parent

UPGRADE = """
import os, signal, sys
from sqlalchemy import event
from scheduler.storage import migrate
from scheduler.storage.database import Database

url, last = sys.argv[1], int(sys.argv[2])
count = 0
with Database(url) as db, db.writing() as conn:
    @event.listens_for(conn, "after_cursor_execute")
    def counted(*_):
        global count
        count += 1
        if count == last:
            os.kill(os.getpid(), signal.SIGKILL)
    migrate.upgrade(conn)
"""


def upgrade_killed_after(url: str, statements: int) -> int:
    """Upgrade in a process of its own that is killed after so many statements."""
    done = subprocess.run(
        [sys.executable, "-c", UPGRADE, url, str(statements)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        timeout=180,
    )
    return done.returncode


@pytest.mark.parametrize("statements", [5, 20, 40])
def test_an_upgrade_that_is_killed_leaves_the_old_schema_whole(
    empty_database_url: str, statements: int
) -> None:
    killed = upgrade_killed_after(empty_database_url, statements)

    with Database(empty_database_url) as db:
        with db.reading() as conn:
            left = inspect(conn).get_table_names()
        with db.writing() as conn:
            migrate.upgrade(conn)
        with db.reading() as conn:
            migrate.require_current(conn)

    assert killed == -signal.SIGKILL
    assert left == []


def test_an_upgrade_that_fails_takes_everything_back(empty_database_url: str) -> None:
    with Database(empty_database_url) as db:
        with pytest.raises(ZeroDivisionError), db.writing() as conn:
            migrate.upgrade(conn)
            raise ZeroDivisionError

        with db.reading() as conn:
            assert inspect(conn).get_table_names() == []


def test_two_upgrades_at_once_both_succeed(empty_database_url: str) -> None:
    def upgrade(_: int) -> tuple[str | None, str]:
        with Database(empty_database_url) as db, db.writing() as conn:
            return migrate.upgrade(conn)

    with ThreadPoolExecutor(2) as pool:
        done = list(pool.map(upgrade, range(2)))

    newest = migrate.newest_revision()
    assert sorted(done, key=str) == sorted([(None, newest), (newest, newest)], key=str)


def test_alembics_own_command_makes_the_same_schema(tmp_path: Path) -> None:
    (tmp_path / "alembic.ini").write_text(
        f"[alembic]\nscript_location = {ROOT / 'migrations'}\npath_separator = os\n"
        f"sqlalchemy.url = {empty_sqlite(tmp_path)}\n"
    )
    subprocess.run(
        [sys.executable, "-m", "alembic", "upgrade", "head"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        check=True,
        capture_output=True,
    )

    client = sqlite3.connect(tmp_path / "scheduler.db")
    assert client.execute("SELECT version_num FROM alembic_version").fetchall() == [
        (migrate.newest_revision(),)
    ]
    client.close()
