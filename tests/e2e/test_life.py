"""A daemon's life under something like systemd: started, reloaded, stopped, refused."""

import signal
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from scheduler.sandbox import Fault, FaultKind, When
from tests.e2e.rig import QUICK, Daemon, House, accepted, house, serving, wait_for


@contextmanager
def notify_socket(folder: Path) -> Iterator[tuple[str, list[str]]]:
    """Listen as systemd does; give the address and the list of all that was said so far."""
    address = str(folder / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
        channel.bind(address)
        channel.setblocking(False)
        yield address, _Heard(channel)


class _Heard(list[str]):
    """Everything that came so far, read when it is looked at."""

    def __init__(self, channel: socket.socket) -> None:
        super().__init__()
        self._channel = channel

    def __contains__(self, words: object) -> bool:
        try:
            while True:
                self.extend(self._channel.recv(4096).decode().splitlines())
        except BlockingIOError:
            pass
        return any(line.startswith(str(words)) for line in self)


def hear(heard: list[str], words: str, *, within: float = 20) -> None:
    """Wait until a line that begins with *words* was heard, and forget what came before."""
    wait_for(lambda: words in heard, within=within, what=words, also=lambda: list(heard))
    heard.clear()


def test_systemd_is_told_of_a_whole_life(tmp_path: Path, database_url: str) -> None:
    with (
        serving() as (sandbox, base_url),
        notify_socket(tmp_path) as (address, heard),
        house(tmp_path, database_url, base_url, schedules=4) as built,
    ):
        daemon = built.start(environ={"NOTIFY_SOCKET": address})
        hear(heard, "READY=1")
        hear(heard, "WATCHDOG=1")
        built.edit('every = "1s"', 'every = "2s"')
        daemon.send(signal.SIGHUP)
        hear(heard, "RELOADING=1")
        hear(heard, "READY=1")
        daemon.wait_until_it_said('"reloaded"')
        built.edit("[batches.x]", "[batches.y]")
        daemon.send(signal.SIGHUP)
        hear(heard, "RELOADING=1")
        hear(heard, "READY=1")
        daemon.wait_until_it_said("reload_refused")
        before = len(accepted(sandbox))
        wait_for(lambda: len(accepted(sandbox)) > before, within=10, what="it still works")
        hear(heard, "STATUS=next fire", within=15)
        daemon.send(signal.SIGTERM)
        hear(heard, "STOPPING=1")

        assert daemon.process.wait(10) == 0, daemon.said()[-2000:]


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
        status = daemon.stop(within=10)
        took = time.monotonic() - asked_at

        assert status == 0, daemon.said()[-2000:]
        assert took < 6, daemon.said()[-2000:]
        assert built.count("lease_owner IS NOT NULL") == 0, built.tell()
        assert built.count("state = 'unconfirmed'") == 0, built.tell()
        assert built.complaints(accepted(sandbox)) == []


def test_a_second_signal_leaves_at_once_and_the_next_start_finds_what_was_sent(
    tmp_path: Path, sqlite_url: str
) -> None:
    hanging = Fault(kind=FaultKind.HANG, when=When.AFTER, times=None, seconds=1.8)
    with (
        serving(replace(QUICK, faults=(hanging,))) as (sandbox, base_url),
        house(tmp_path, sqlite_url, base_url) as built,
    ):
        daemon = built.start(wait=True)
        wait_for(lambda: len(accepted(sandbox)) > 2, within=20, what="jobs", also=built.tell)
        daemon.send(signal.SIGTERM)
        daemon.wait_until_it_said("daemon_stopping")
        time.sleep(0.6)  # the same signal at once would be one wish
        daemon.send(signal.SIGINT)
        status = daemon.process.wait(2)
        sandbox.account.faults.disarm()
        built.settle()

        assert status == 128 + signal.SIGINT
        assert built.complaints(accepted(sandbox)) == [], built.tell()


def test_a_second_daemon_on_the_same_file_is_refused_with_the_first_ones_pid(
    tmp_path: Path, sqlite_url: str
) -> None:
    with serving() as (_, base_url), house(tmp_path, sqlite_url, base_url) as built:
        first = built.start(wait=True)
        second = built.start()
        status = second.process.wait(10)

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

        assert daemon.process.wait(10) == 78, daemon.said()


def test_a_damaged_database_ends_the_start_with_78(tmp_path: Path, sqlite_url: str) -> None:
    (tmp_path / "scheduler.db").write_bytes(b"this is no database" * 1000)
    with house(tmp_path, sqlite_url, "http://127.0.0.1:9") as built:
        daemon = built.start()

        assert daemon.process.wait(10) == 78, daemon.said()


def test_commands_work_beside_a_busy_daemon(tmp_path: Path, sqlite_url: str) -> None:
    with serving() as (sandbox, base_url), house(tmp_path, sqlite_url, base_url) as built:
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
        assert _still_works(built, daemon, len(accepted(sandbox)), sandbox=accepted(sandbox))

        assert [one.returncode for one in done] == [0] * len(done), [
            (one.args, one.stdout, one.stderr) for one in done if one.returncode
        ]


def _still_works(built: House, daemon: Daemon, jobs: int, *, sandbox: object) -> bool:
    return daemon.stop() == 0 and "locked" not in daemon.said() and built.count() > 0
