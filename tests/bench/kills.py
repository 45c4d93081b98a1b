"""
Clients repeat their triggers under one key each while daemon and server are killed: who is billed?

Run it with `python -m tests.bench.kills sqlite 100`, or `postgresql`. Judged by the upstream's
jobs: a key has one, the one that its client was answered. A third of all answers are lost.
"""

import os
import signal
import sys
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

import httpx

from scheduler.sandbox import Fault, FaultKind, When
from tests.databases import migrated_postgresql, migrated_sqlite
from tests.e2e.rig import AT_RANDOM, COLLECTORS, pause
from tests.postgres import Session
from tests.web.dropin_house import Door, open_door
from tests.web.test_process import wait_for_server

CLIENTS = 4
SLOW = Fault(kind=FaultKind.HANG, when=When.AFTER, times=None, probability=0.5, seconds=0.5)
VICTIMS = ("server", "daemon", "both")


def main() -> int:
    """Kill so many times; print what was billed twice or never, and return how many that were."""
    kind, rounds = sys.argv[1], int(sys.argv[2])
    with ExitStack() as stack:
        session = Session()
        stack.callback(session.close)
        folder = Path(stack.enter_context(TemporaryDirectory(dir=session.folder)))
        is_file = kind == "sqlite"
        url = migrated_sqlite(folder) if is_file else stack.enter_context(migrated_postgresql())
        door = stack.enter_context(open_door(folder, url))
        for fault in (*AT_RANDOM, SLOW):
            door.sandbox.arm(fault)
        chance, told, killed = Random(rounds), dict[str, str](), Counter[str]()  # noqa: S311
        for number in range(rounds):
            victim = chance.choice(VICTIMS)
            told |= _round(door, chance, number, victim)
            killed[victim] += 1
            print(f"{number + 1}: {victim}; {len(told)} keys", flush=True)  # noqa: T201
        return _judge(door, told, killed)


def _round(door: Door, chance: Random, number: int, victim: str) -> dict[str, str]:
    keys = [f"{number}-{client}" for client in range(CLIENTS)]
    sent = threading.Barrier(CLIENTS + 1)
    with ThreadPoolExecutor(CLIENTS) as clients:
        asked = [clients.submit(_until_told, door, key, sent) for key in keys]
        sent.wait()
        pause(chance.random())
        if victim != "daemon":
            os.kill(door.server, signal.SIGKILL)
            door.servers += 1
        if victim != "server":
            door.daemon.kill()
            _start(door)
        return {key: one.result() for key, one in zip(keys, asked, strict=True)}


def _start(door: Door) -> None:
    door.daemon = door.house.start()
    door.daemon.wait_until_it_said('"http_serving"', within=300)
    door.servers = 1
    door.address, _ = wait_for_server(door.daemon)


def _until_told(door: Door, key: str, sent: threading.Barrier) -> str:
    """Repeat a trigger, as a client does whose answer was lost, until it has its collection."""
    collector = COLLECTORS[sum(map(ord, key)) % len(COLLECTORS)]
    path = f"/dca/trigger?collector=c_{collector}&name={key}"
    headers = {**door.headers, "Idempotency-Key": key}
    with httpx.Client(headers=headers, timeout=240) as client:
        sent.wait()
        while True:
            with suppress(httpx.TransportError):
                answer = client.post(door.address + path, json=[{"url": key}])
                if answer.status_code == 200:
                    return str(answer.json()["collection_id"])
                assert answer.status_code in (202, 503), answer.text
            pause(0.5)


def _judge(door: Door, told: dict[str, str], killed: Counter[str]) -> int:
    jobs = {name: list[str]() for name in told}
    for job in door.sandbox.account.book.jobs.values():
        jobs.setdefault(str(job.order.name), []).append(job.id)
    wrong = {name: ids for name, ids in jobs.items() if ids != [told.get(name)]}
    print(f"killed {dict(killed)}: {len(told)} keys, {len(wrong)} without exactly one job: {wrong}")  # noqa: T201
    return min(len(wrong), 100)


if __name__ == "__main__":
    sys.exit(main())
