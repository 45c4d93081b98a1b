"""Rows that were brought to a PostgreSQL database are known, however that was done."""

import asyncio
import os
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import make_url

from scheduler.actions.settle_restore import settle_moved
from scheduler.domain.errors import DatabaseReplaced, DatabaseUnfit
from scheduler.engine.fitness import FitnessStep
from scheduler.storage import daemons
from scheduler.storage.database import Database
from scheduler.storage.origin import find_brought, mark_origin
from scheduler.storage.restores import require_settled
from tests import databases
from tests.postgres import Server, find_programs, session_folder

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)


def call(program: str, *words: str | Path) -> None:
    done = subprocess.run([find_programs() / program, *words], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def mark(url: str) -> None:
    with Database(url) as db, db.writing() as conn:
        mark_origin(conn)


def told(url: str, now: datetime | None = NOW) -> str | None:
    with Database(url) as db, db.reading() as conn:
        return find_brought(conn, now=now)


def restore_whole(url: str, dump: Path) -> None:
    call("pg_restore", "--clean", "--if-exists", f"--dbname={url}", dump)


def restore_data_alone(url: str, dump: Path) -> None:
    with psycopg.connect(url) as conn:
        conn.execute("TRUNCATE origins")
    call("pg_restore", "--data-only", "--table=origins", f"--dbname={url}", dump)


@pytest.mark.parametrize(
    ("restore", "how"),
    [(restore_whole, ()), (restore_whole, ("--no-comments",)), (restore_data_alone, ())],
    ids=["whole", "without comments", "data alone, into the tables that were there"],
)
def test_a_dump_that_was_restored_is_known_until_it_is_settled(
    tmp_path: Path,
    postgresql_url: str,
    restore: Callable[[str, Path], None],
    how: tuple[str, ...],
) -> None:
    dump = tmp_path / "dca.dump"
    databases.migrate(postgresql_url)
    unmarked = told(postgresql_url)
    mark(postgresql_url)
    as_it_was = told(postgresql_url)
    call("pg_dump", "--format=custom", *how, f"--file={dump}", postgresql_url)
    restore(postgresql_url, dump)
    restored = told(postgresql_url)
    mark(postgresql_url)  # a daemon that would start all the same does not hide it
    still = told(postgresql_url)
    with Database(postgresql_url) as db, db.writing() as conn:
        settle_moved(conn, by="ann", reason="a new server", now=NOW, confirmed=True)
    mark(postgresql_url)

    assert (unmarked, as_it_was, told(postgresql_url)) == (None, None, None)
    assert restored is not None and "were restored from a dump" in restored
    assert "`dca-scheduler db settle-restore --moved REASON`" in restored
    assert still == restored


def test_the_row_is_known_though_it_was_rewritten_where_it_is(postgresql_url: str) -> None:
    databases.migrate(postgresql_url)
    mark(postgresql_url)
    with psycopg.connect(postgresql_url, autocommit=True) as conn:
        conn.execute("VACUUM FREEZE origins")
        conn.execute("VACUUM FULL origins")

    assert told(postgresql_url) is None


@pytest.mark.quiet
def test_a_server_that_was_recovered_from_a_copy_is_known(
    server: Server, postgresql_url: str
) -> None:
    databases.migrate(postgresql_url)
    with Database(postgresql_url) as db, db.writing() as conn:
        mark_origin(conn)
        daemons.insert_daemon(conn, "d1", host="lab", pid=1, version="0", zone_data="", now=NOW)
    name = make_url(postgresql_url).database
    assert name is not None
    copy = Server(session_folder() / f"quiet-copy-{os.getpid()}")
    copy.recover(server)
    url, later = copy.url(name), NOW + timedelta(hours=1)

    recovered, soon = told(url, later), told(url, NOW + timedelta(minutes=2))
    beneath = told(url, None)
    mark(url)  # a daemon that lived through it, as when a standby takes over
    nothing_lost, lost = lived_through(postgresql_url, url), lived_through(postgresql_url, url, 1)

    assert recovered is not None and "or one that was recovered since" in recovered
    assert (soon, beneath) == (None, None)
    assert told(url, later) is None
    assert told(postgresql_url, later) is None
    assert nothing_lost is None
    assert "was taken from a backup of 2026" in str(lost)
    assert "was taken from a backup" in str(held(url))
    assert held(postgresql_url) is None


def lived_through(before: str, after: str, beats: int = 0) -> DatabaseReplaced | None:
    """Look as a daemon whose server becomes another, and lacks so many of its heartbeats."""
    with Database(before) as db, Database(after) as other:
        for one, count in ((db, 1 + beats), (other, 1)):
            for _ in range(count):
                with one.writing() as conn:
                    daemons.record_seen(conn, "d1", daemons.Pulse(), now=NOW)
        step = FitnessStep(db=db, owner="d1")
        asyncio.run(step.run(NOW))
        step.db = other
        try:
            asyncio.run(step.run(NOW + timedelta(minutes=1)))
        except DatabaseReplaced as error:
            return error
    return None


def held(url: str) -> DatabaseUnfit | None:
    with Database(url) as db, db.reading() as conn:
        try:
            require_settled(conn)
        except DatabaseUnfit as error:
            return error
    return None


def test_an_sqlite_file_tells_nothing(sqlite_url: str) -> None:
    mark(sqlite_url)

    assert told(sqlite_url) is None
