"""The database goes away under load, or the disk is full: nothing is sent without a trace."""

import resource
import signal
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psycopg
import pytest

from scheduler.sandbox import Sandbox
from tests.databases import migrate
from tests.e2e.rig import House, house, pause, serving, wait_for
from tests.judge import jobs_of
from tests.postgres import Server


@pytest.fixture
def own_server() -> Iterator[Server]:
    """A PostgreSQL server that the test may stop."""
    with tempfile.TemporaryDirectory(prefix="dca-own-") as folder:
        server = Server(Path(folder))
        server.start()
        try:
            yield server
        finally:
            with suppress(RuntimeError):  # a test that failed may have left it stopped
                server.stop()


def test_a_postgresql_that_is_stopped_and_started_under_load_is_waited_for(
    tmp_path: Path, own_server: Server
) -> None:
    url = own_server.url("postgres")
    migrate(url)
    with serving() as (sandbox, base_url), house(tmp_path, url, base_url) as built:
        daemons = [built.start(wait=True), built.start(wait=True)]
        _more_jobs(sandbox, built, than=5)
        own_server.stop()
        daemons[0].wait_until_it_said('"loop_failed"')
        pause(2)
        own_server.start()
        daemons[0].wait_until_it_said("loop_recovered")
        _more_jobs(sandbox, built, than=len(jobs_of(sandbox)))
        statuses = [daemon.stop() for daemon in daemons]
        built.settle()

        assert statuses == [0, 0], built.tell()
        assert built.complaints(jobs_of(sandbox)) == [], built.tell()


def test_with_the_disk_full_nothing_is_sent_and_afterwards_it_goes_on(
    tmp_path: Path, sqlite_url: str
) -> None:
    """A limit on the size of files stands for the disk; lifting it, for making room."""
    with serving() as (sandbox, base_url), house(tmp_path, sqlite_url, base_url) as built:
        daemon = built.start(wait=True)
        _more_jobs(sandbox, built, than=5)
        pid = daemon.process.pid
        limits = resource.prlimit(pid, resource.RLIMIT_FSIZE)
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (4096, limits[1]))
        pause(2)  # what was committed before may still be on its way
        jobs = len(jobs_of(sandbox))
        pause(3)
        sent_meanwhile = len(jobs_of(sandbox)) - jobs
        alive = daemon.process.poll() is None
        resource.prlimit(pid, resource.RLIMIT_FSIZE, limits)
        _more_jobs(sandbox, built, than=jobs)
        assert daemon.stop() == 0, daemon.said()[-2000:]
        built.settle()

        assert alive
        assert sent_meanwhile == 0, daemon.said()[-2000:]
        assert built.complaints(jobs_of(sandbox)) == [], built.tell()


def test_a_daemon_that_is_frozen_in_a_transaction_does_not_hold_up_the_others_for_long(
    tmp_path: Path, postgresql_url: str
) -> None:
    """It is stopped while it waits for the brake, and then has it."""
    with (
        serving() as (sandbox, base_url),
        house(tmp_path, postgresql_url, base_url) as built,
        psycopg.connect(postgresql_url) as holder,
        psycopg.connect(postgresql_url, autocommit=True) as observer,
    ):
        frozen = built.start(wait=True)
        _more_jobs(sandbox, built, than=5)
        holder.execute("SELECT * FROM brakes FOR UPDATE")
        wait_for(
            lambda: observer.execute(_WAITING).fetchone(), within=10, what="it waits for the brake"
        )
        frozen.send(signal.SIGSTOP)
        holder.rollback()
        other = built.start(wait=True)
        _more_jobs(sandbox, built, than=len(jobs_of(sandbox)) + 3)
        frozen.send(signal.SIGCONT)
        statuses = [frozen.stop(), other.stop()]
        built.settle()

        assert statuses == [0, 0], built.tell()
        assert built.complaints(jobs_of(sandbox)) == [], built.tell()


_WAITING = """
    SELECT pid FROM pg_stat_activity
    WHERE datname = current_database() AND wait_event_type = 'Lock' AND query LIKE '%brakes%'
"""


def _more_jobs(sandbox: Sandbox, built: House, *, than: int) -> None:
    wait_for(lambda: len(jobs_of(sandbox)) > than, within=25, what="more jobs", also=built.tell)
