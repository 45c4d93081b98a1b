"""Reads over HTTP at a steady rate, from a process of its own: `python -m bench.reads`."""

import http.client
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from statistics import median

CLIENTS = 8


@dataclass(frozen=True, slots=True)
class Reads:
    """What came of the reads: how many were answered well, and how long one took."""

    answered: int
    seconds: float
    median_ms: float
    p99_ms: float


@contextmanager
def reading(url: str, token: str, path: str, rate: int) -> Iterator[list[Reads]]:
    """Read *path* so many times a second within the block; what came of it is told at its end."""
    words = [sys.executable, "-m", "bench.reads", url, token, path, str(rate)]
    found: list[Reads] = []
    process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        yield found
    finally:
        said, _ = process.communicate("stop\n", timeout=60)
        found.append(Reads(**json.loads(said)))


def main() -> None:
    """Read until standard input says something; as if on a machine of its own."""
    os.nice(10)
    url, token, path, rate = sys.argv[1:]
    host = url.removeprefix("http://")
    took: list[float] = []
    stopping = threading.Event()

    def client(number: int) -> None:
        wire = http.client.HTTPConnection(host, timeout=60)
        pause, begun = CLIENTS / int(rate), time.monotonic()
        step = number / CLIENTS
        while not stopping.wait(max(begun + step * pause - time.monotonic(), 0)):
            step += 1
            asked = time.monotonic()
            wire.request("GET", path, headers={"Authorization": f"Bearer {token}"})
            answer = wire.getresponse()
            answer.read()
            if answer.status == 200:
                took.append(time.monotonic() - asked)

    began = time.monotonic()
    threads = [threading.Thread(target=client, args=(number,)) for number in range(CLIENTS)]
    for thread in threads:
        thread.start()
    sys.stdin.readline()
    stopping.set()
    for thread in threads:
        thread.join()
    took.sort()
    told = {
        "answered": len(took),
        "seconds": time.monotonic() - began,
        "median_ms": median(took) * 1e3,
        "p99_ms": took[int(len(took) * 0.99)] * 1e3,
    }
    print(json.dumps(told))


if __name__ == "__main__":
    main()
