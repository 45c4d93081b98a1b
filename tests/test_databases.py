"""The databases that tests are given, and that nothing of them stays behind."""

import fcntl
import os
import signal
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import inspect

from scheduler.storage import migrate
from scheduler.storage.database import Database
from scheduler.storage.tables import metadata
from tests.postgres import FOLDER, Server

SESSION = """
import sys
from tests.postgres import Server, Session, start_keeper
session = Session()
try:
    start_keeper(Server(session.folder))
    print(session.folder, flush=True)
    sys.stdin.read()
finally:
    session.close()
"""


def test_a_database_has_the_newest_schema_and_no_rows(database_url: str) -> None:
    """But for the places among the events: the log's, and that of metrics."""
    with Database(database_url) as db, db.reading() as conn:
        migrate.require_current(conn)
        rows = {
            name: conn.exec_driver_sql(f"SELECT count(*) FROM {name}").scalar()
            for name in metadata.tables
        }

    assert rows == dict.fromkeys(metadata.tables, 0) | {"event_cursors": 3}


def test_an_empty_database_has_no_tables(empty_database_url: str) -> None:
    with Database(empty_database_url) as db, db.reading() as conn:
        assert inspect(conn).get_table_names() == []


@pytest.mark.parametrize("ending", ["closed", "killed"])
def test_no_server_outlives_its_session(ending: str) -> None:
    environ = {**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent)}
    environ.pop(FOLDER)
    with subprocess.Popen(
        [sys.executable, "-c", SESSION],
        env=environ,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as session:
        assert session.stdin is not None and session.stdout is not None
        folder = Path(session.stdout.readline().strip())
        server = Server(folder)
        with psycopg.connect(server.url("postgres")), (folder / "keeper.lock").open() as keeper:
            if ending == "killed":
                session.send_signal(signal.SIGKILL)
            session.stdin.close()
            fcntl.flock(keeper, fcntl.LOCK_EX)
        session.wait()

    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(server.url("postgres"))
    assert not folder.exists()
