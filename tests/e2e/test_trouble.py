"""The database goes away under load, or the disk is full: nothing is sent without a trace."""

import resource
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from scheduler.clock import utc_now
from scheduler.sandbox import Sandbox
from tests.databases import migrate
from tests.e2e.rig import House, accepted, house, pause, serving, wait_for
from tests.postgres import Server


@pytest.fixture
def own_server() -> Iterator[Server]:
    """A PostgreSQL server that the test may stop."""
    with tempfile.TemporaryDirectory(prefix="dca-own-") as folder:
        server = Server(Path(folder))
        server.start()
        yield server
        server.stop()


def test_a_postgresql_that_is_stopped_and_started_under_load_is_waited_for(
    tmp_path: Path, own_server: Server
) -> None:
    url = own_server.url("postgres")
    migrate(url)
    with serving() as (sandbox, base_url), house(tmp_path, url, base_url) as built:
        daemons = [built.start(wait=True) for _ in range(2)]
        wait_for(lambda: len(accepted(sandbox)) > 5, within=20, what="jobs", also=built.tell)
        own_server.stop()
        daemons[0].wait_until_it_said('"trouble"')
        pause(3)
        own_server.start()
        daemons[0].wait_until_it_said("trouble_over")
        before = len(accepted(sandbox))
        wait_for(
            lambda: len(accepted(sandbox)) > before, within=30, what="new jobs", also=built.tell
        )
        statuses = [daemon.stop() for daemon in daemons]
        built.settle()

        assert statuses == [0, 0], built.tell()
        assert built.complaints(accepted(sandbox)) == [], built.tell()


def test_with_the_disk_full_nothing_is_sent_and_afterwards_it_goes_on(
    tmp_path: Path, sqlite_url: str
) -> None:
    """A limit on the size of files stands for the disk; lifting it, for making room."""
    with serving() as (sandbox, base_url), house(tmp_path, sqlite_url, base_url) as built:
        daemon = built.start(wait=True)
        wait_for(lambda: len(accepted(sandbox)) > 5, within=20, what="jobs", also=built.tell)
        pid = daemon.process.pid
        limits = resource.prlimit(pid, resource.RLIMIT_FSIZE)
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (4096, limits[1]))
        pause(3)  # what was committed before may still be on its way
        full_since, jobs = utc_now(), len(accepted(sandbox))
        pause(3)
        sent_meanwhile = len(accepted(sandbox)) - jobs
        alive = daemon.process.poll() is None
        resource.prlimit(pid, resource.RLIMIT_FSIZE, limits)
        wait_for(
            lambda: len(accepted(sandbox)) > jobs, within=30, what="new jobs", also=daemon.said
        )
        assert daemon.stop() == 0, daemon.said()[-2000:]
        built.settle()

        assert alive
        assert sent_meanwhile == 0, (full_since, daemon.said()[-2000:])
        assert built.complaints(accepted(sandbox)) == [], built.tell()


def test_a_daemon_that_is_frozen_in_a_transaction_does_not_hold_up_the_others_for_long(
    tmp_path: Path, postgresql_url: str
) -> None:
    """Stopped at a moment of chance, with many transactions a second."""
    with serving() as (sandbox, base_url), house(tmp_path, postgresql_url, base_url) as built:
        frozen, other = built.start(wait=True), built.start(wait=True)
        for _ in range(2):
            wait_for(lambda: len(accepted(sandbox)) > 5, within=20, what="jobs", also=built.tell)
            frozen.send(signal.SIGSTOP)
            before = len(accepted(sandbox))
            _more_jobs(sandbox, built, than=before + 3)
            frozen.send(signal.SIGCONT)
        statuses = [frozen.stop(), other.stop()]
        built.settle()

        assert statuses == [0, 0]
        assert built.complaints(accepted(sandbox)) == [], built.tell()


def _more_jobs(sandbox: Sandbox, built: House, *, than: int) -> None:
    wait_for(lambda: len(accepted(sandbox)) > than, within=25, what="more jobs", also=built.tell)
