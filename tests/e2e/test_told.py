"""Every end of a run is told, once but for repeats under the same id, whoever is killed."""

import json
import socket
import sys
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import text

from tests.e2e.rig import House, house, pause, serving, wait_for

RECEIVER = """
import os, sys, time
message = sys.stdin.buffer.read()
time.sleep(0.05)
file = os.open(sys.argv[1], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
os.write(file, message + b"\\n")
os.fsync(file)
time.sleep(0.05)
"""

CHANNELS = """
[channels.load]
type = "command"
command = ["{python}", "{script}", "{folder}/load"]

[channels.log]
type = "command"
command = ["{python}", "{script}", "{folder}/log"]
group_wait = "1s"
group_interval = "1s"

[channels.hangs]
type = "webhook"
url = "http://127.0.0.1:{port}/"
allow_private = true
group_wait = "1s"
group_interval = "1s"

[notices.good]
channels = ["hangs", "log"]
kinds = ["succeeded"]
"""


@contextmanager
def deaf() -> Iterator[int]:
    """Listen at a port, and say nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def messages(file: Path) -> dict[str, list[dict[str, Any]]]:
    """Return what a receiver got, by the message's id."""
    found = defaultdict(list)
    # The last line may be one that is being written.
    *lines, _ = file.read_text().split("\n") if file.exists() else [""]
    for line in lines:
        message = json.loads(line)
        found[message["id"]].append(message)
    return dict(found)


def runs_told(file: Path) -> list[int]:
    """Return the runs that were told, each as often as by another message."""
    found = messages(file)
    for repeats in found.values():
        assert all(one == repeats[0] for one in repeats)
    return sorted(notice["run_id"] for one in found.values() for notice in one[0]["notices"])


def untold(built: House) -> int:
    """Count what has not arrived, but for the channel that is deaf."""
    with built.reading() as conn:
        query = (
            "SELECT count(*) FROM notices LEFT JOIN deliveries ON deliveries.id = delivery"
            " WHERE notices.channel <> 'hangs' AND settled_at IS NULL"
        )
        return int(conn.scalar(text(query)) or 0)


def all_ended(built: House, condition: str) -> list[int]:
    """Return the runs that came to an end of that kind."""
    with built.reading() as conn:
        query = f"SELECT id FROM runs WHERE ended_at IS NOT NULL AND {condition} ORDER BY id"
        return list(conn.scalars(text(query)))


def wait_for_more(file: Path, built: House) -> None:
    had = len(messages(file))
    wait_for(lambda: len(messages(file)) > had + 2, within=60, what="more is told", also=built.tell)


def test_what_ends_is_told_whoever_is_killed(tmp_path: Path, database_url: str) -> None:
    script = tmp_path / "receiver.py"
    script.write_text(RECEIVER)
    with (
        deaf() as port,
        serving() as (_, base_url),
        house(
            tmp_path,
            database_url,
            base_url,
            schedules=4,
            more=CHANNELS.format(python=sys.executable, script=script, folder=tmp_path, port=port),
        ) as built,
    ):
        built.edit('batch = "x"\nevery', 'batch = "x"\non_end = "load"\nevery')
        for delay in (0.1, 0.9, 0.4, 0.6):
            daemon = built.start(wait=True)
            wait_for_more(tmp_path / "load", built)
            pause(delay)
            daemon.kill()
        built.rest()
        last = built.start(wait=True)
        wait_for(
            lambda: (
                built.count("ended_at IS NULL") == 0
                and len(runs_told(tmp_path / "load")) >= len(all_ended(built, "state <> 'skipped'"))
                and untold(built) == 0
            ),
            within=120,
            what="all has ended, and is told",
            also=built.tell,
        )
        assert last.stop() == 0, last.said()[-3000:]

        assert runs_told(tmp_path / "load") == all_ended(built, "state <> 'skipped'")
        assert runs_told(tmp_path / "log") == all_ended(built, "state = 'succeeded'")
