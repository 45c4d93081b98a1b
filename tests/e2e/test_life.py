"""A daemon's life under something like systemd: started, reloaded, stopped, refused."""

import os
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import text

from scheduler.sandbox import Fault, FaultKind, When
from scheduler.storage.database import Database
from tests.e2e.rig import QUICK, house, pause, serving, wait_for
from tests.judge import jobs_of


class Systemd:
    """Hears what a daemon says of itself, in order."""

    def __init__(self, channel: socket.socket) -> None:
        self._channel = channel
        self._unheeded: list[str] = []

    def hear(self, words: str, *, within: float = 20) -> None:
        """Wait until a line that begins with *words* is said, after all that was heard before."""
        wait_for(lambda: self._said(words), within=within, what=words, also=lambda: self._unheeded)

    def _said(self, words: str) -> bool:
        with suppress(BlockingIOError):
            while True:
                self._unheeded += self._channel.recv(4096).decode().splitlines()
        found = [at for at, line in enumerate(self._unheeded) if line.startswith(words)]
        if found:
            del self._unheeded[: found[0] + 1]
        return bool(found)


@contextmanager
def systemd(folder: Path) -> Iterator[tuple[str, Systemd]]:
    """Listen at an address in *folder*; give both."""
    address = str(folder / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
        channel.bind(address)
        channel.setblocking(False)
        yield address, Systemd(channel)


def test_systemd_is_told_of_a_whole_life(tmp_path: Path, database_url: str) -> None:
    with (
        serving() as (sandbox, base_url),
        systemd(tmp_path) as (address, manager),
        house(tmp_path, database_url, base_url, schedules=4) as built,
    ):
        daemon = built.start(environ={"NOTIFY_SOCKET": address})
        manager.hear("READY=1")
        manager.hear("WATCHDOG=1")
        built.edit('every = "1s"', 'every = "2s"')
        daemon.send(signal.SIGHUP)
        manager.hear("RELOADING=1")
        manager.hear("READY=1")
        daemon.wait_until_it_said('"reloaded"')
        built.edit("[batches.x]", "[batches.y]")
        daemon.send(signal.SIGHUP)
        manager.hear("RELOADING=1")
        manager.hear("READY=1")
        daemon.wait_until_it_said("reload_refused")
        before = len(jobs_of(sandbox))
        wait_for(lambda: len(jobs_of(sandbox)) > before, within=10, what="it still works")
        manager.hear("STATUS=in trouble: the reload at ", within=15)
        built.edit("[batches.y]", "[batches.x]")
        daemon.send(signal.SIGHUP)
        manager.hear("STATUS=next fire", within=15)
        built.edit("[batches.x]", "[budgets.all]\npage_loads = 10\n\n[batches.x]")
        daemon.send(signal.SIGHUP)
        manager.hear("RELOADING=1")
        manager.hear("READY=1")
        built.edit('every = "2s"', 'every = "1s"')
        daemon.send(signal.SIGHUP)
        daemon.wait_until_it_said("of budget all: see dca-scheduler plan")
        daemon.send(signal.SIGTERM)
        manager.hear("STOPPING=1")

        assert daemon.process.wait(60) == 0, daemon.said()[-2000:]


def test_a_file_that_does_not_answer_holds_up_its_reload_only(
    tmp_path: Path, sqlite_url: str
) -> None:
    """A pipe that nobody writes stands for a mount that is gone."""
    with serving() as (sandbox, base_url), house(tmp_path, sqlite_url, base_url) as built:
        daemon = built.start(wait=True)
        content = built.config.read_text()
        built.config.unlink()
        os.mkfifo(built.config)
        daemon.send(signal.SIGHUP)
        daemon.wait_until_it_said("it does not answer: is it a pipe")
        before = len(jobs_of(sandbox))
        wait_for(lambda: len(jobs_of(sandbox)) > before, within=10, what="it still works")
        built.config.unlink()
        built.config.write_text(content)
        daemon.send(signal.SIGHUP)
        daemon.wait_until_it_said('"reloaded"')

        assert daemon.stop() == 0


def test_a_stop_under_load_lets_requests_settle_and_gives_back_every_lease(
    tmp_path: Path, database_url: str
) -> None:
    slow = Fault(kind=FaultKind.SLOW, times=None, seconds=1.0)
    with (
        serving(replace(QUICK, faults=(slow,))) as (sandbox, base_url),
        house(tmp_path, database_url, base_url) as built,
    ):
        daemon = built.start(wait=True)
        under_way = "state = 'dispatching'"
        wait_for(lambda: built.count(under_way), within=20, what="requests under way")
        asked_at = time.monotonic()
        status = daemon.stop()
        took = time.monotonic() - asked_at

        assert status == 0, daemon.said()[-2000:]
        assert took < 25, daemon.said()[-2000:]  # far from the grace of 30 s
        assert built.count("lease_owner IS NOT NULL") == 0, built.tell()
        assert built.count("state = 'unconfirmed'") == 0, built.tell()
        assert built.complaints(jobs_of(sandbox)) == []


def test_what_is_not_answered_within_the_grace_is_given_back_to_be_looked_for(
    tmp_path: Path, database_url: str
) -> None:
    hanging = Fault(kind=FaultKind.HANG, when=When.AFTER, times=None, seconds=3)
    with (
        serving(replace(QUICK, faults=(hanging,))) as (sandbox, base_url),
        house(
            tmp_path, database_url, base_url, schedules=4, daemon='shutdown_grace = "1s"'
        ) as built,
    ):
        daemon = built.start(wait=True)
        under_way = "state = 'dispatching'"
        wait_for(lambda: built.count(under_way), within=20, what="requests under way")
        status = daemon.stop(within=5)

        assert status == 0, daemon.said()[-2000:]
        assert built.count("lease_owner IS NOT NULL") == 0, built.tell()
        assert built.count("state = 'unconfirmed'") > 0, built.tell()

        sandbox.account.faults.disarm()
        built.settle()
        assert built.complaints(jobs_of(sandbox)) == []


def test_a_second_signal_leaves_at_once_and_the_next_start_finds_what_was_sent(
    tmp_path: Path, sqlite_url: str
) -> None:
    hanging = Fault(kind=FaultKind.HANG, when=When.AFTER, times=None, seconds=1.8)
    with (
        serving(replace(QUICK, faults=(hanging,))) as (sandbox, base_url),
        house(tmp_path, sqlite_url, base_url) as built,
    ):
        daemon = built.start(wait=True)
        wait_for(lambda: len(jobs_of(sandbox)) > 2, within=20, what="jobs", also=built.tell)
        daemon.send(signal.SIGTERM)
        daemon.wait_until_it_said("daemon_stopping")
        pause(0.6)  # the same signal at once would be one wish
        daemon.send(signal.SIGINT)
        status = daemon.process.wait(60)
        sandbox.account.faults.disarm()
        built.settle()

        assert status == 128 + signal.SIGINT
        assert built.complaints(jobs_of(sandbox)) == [], built.tell()


def test_a_second_daemon_on_the_same_file_is_refused_with_the_first_ones_pid(
    tmp_path: Path, sqlite_url: str
) -> None:
    with serving() as (_, base_url), house(tmp_path, sqlite_url, base_url) as built:
        first = built.start(wait=True)
        second = built.start()
        status = second.process.wait(60)

        assert status != 0
        assert f"pid {first.process.pid}" in second.said()
        assert first.process.poll() is None

        first.kill()
        third = built.start(wait=True)
        assert third.stop() == 0


@pytest.mark.parametrize(
    ("old", "new"),
    [("[batches.x]", "[batches.y]"), ('every = "1s"', 'every = "often"')],
    ids=["a name of nothing", "no duration"],
)
def test_a_wrong_file_ends_the_start_with_78(
    tmp_path: Path, sqlite_url: str, old: str, new: str
) -> None:
    with house(tmp_path, sqlite_url, "http://127.0.0.1:9") as built:
        built.edit(old, new)
        daemon = built.start()

        assert daemon.process.wait(60) == 78, daemon.said()


def test_a_schema_that_lost_a_rule_ends_the_start_with_78(
    tmp_path: Path, database_url: str
) -> None:
    with Database(database_url) as db, db.writing() as conn:
        table = "" if db.file is not None else " ON runs"
        conn.execute(text(f"DROP TRIGGER runs_moved{table}"))
    with house(tmp_path, database_url, "http://127.0.0.1:9") as built:
        daemon = built.start()

        assert daemon.process.wait(60) == 78, daemon.said()
        assert "the schema lacks trigger runs_moved" in daemon.said()


@pytest.mark.quiet  # the database is not lent to others afterwards
def test_a_database_that_only_reads_for_good_ends_the_start_with_78(
    tmp_path: Path, postgresql_url: str
) -> None:
    with Database(postgresql_url) as db, db.writing() as conn:
        name = conn.scalar(text("SELECT current_database()"))
        conn.execute(text(f"ALTER DATABASE {name} SET default_transaction_read_only = on"))
    with house(tmp_path, postgresql_url, "http://127.0.0.1:9") as built:
        daemon = built.start()

        assert daemon.process.wait(60) == 78, daemon.said()
        assert "default_transaction_read_only" in daemon.said()


def test_a_damaged_database_ends_the_start_with_78(tmp_path: Path, sqlite_url: str) -> None:
    (tmp_path / "scheduler.db").write_bytes(b"this is no database" * 1000)
    with house(tmp_path, sqlite_url, "http://127.0.0.1:9") as built:
        daemon = built.start()

        assert daemon.process.wait(60) == 78, daemon.said()


def test_commands_work_beside_a_busy_daemon(tmp_path: Path, sqlite_url: str) -> None:
    with serving() as (_, base_url), house(tmp_path, sqlite_url, base_url) as built:
        daemon = built.start(wait=True)
        done = [
            built.call(*words)
            for words in (
                ("status",),
                ("runs", "list"),
                ("queues", "list"),
                ("schedules", "disable", "s1"),
                ("schedules", "enable", "s1"),
                ("trigger", "a", "--batch", "x"),
                ("doctor", "--invariants"),
            )
        ]
        assert daemon.stop() == 0
        assert "locked" not in daemon.said()
        assert [one.returncode for one in done] == [0] * len(done), [
            (one.args, one.stdout, one.stderr) for one in done if one.returncode
        ]
