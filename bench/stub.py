"""
The upstream reduced to its answer: a raw asyncio server in a process of its own.

It takes any POST for a trigger and answers it with a new id, after a delay if one is asked for.
`GET /count` tells how many came; `GET /arrivals` when, by the id that each was answered with;
`GET /forget` starts the counting anew.
"""

import asyncio
import json
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from typing import Any

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s"
# Far away, so that nobody asks how the collection fares while something else is measured.
TRIGGERED = b'{"collection_id":"j_%d","start_eta":"2099-01-01T00:00:00.000Z"}'

arrivals: dict[str, float] = {}
# Not from 1: what an earlier stub said must never be said again to the same database.
numbers = count(time.time_ns())


class Connection(asyncio.Protocol):
    """One kept-alive connection."""

    def __init__(self, delay: float) -> None:
        self._delay = delay
        self._heard = b""

    def connection_made(self, transport: Any) -> None:
        """Keep where answers go."""
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Answer every request that is whole."""
        self._heard += data
        while (end := self._heard.find(b"\r\n\r\n")) >= 0:
            head = self._heard[:end]
            whole = end + 4 + _body_length(head)
            if len(self._heard) < whole:
                return
            self._heard = self._heard[whole:]
            self._take(head)

    def _take(self, head: bytes) -> None:
        if not head.startswith(b"POST"):
            self._answer(_tell(head.split(b" ", 2)[1]))
            return
        number = next(numbers)
        arrivals[f"j_{number}"] = time.time()
        body = TRIGGERED % number
        if self._delay:
            asyncio.get_running_loop().call_later(self._delay, self._answer, body)
        else:
            self._answer(body)

    def _answer(self, body: bytes) -> None:
        self._transport.write(ANSWER % (len(body), body))


def _body_length(head: bytes) -> int:
    place = head.lower().find(b"content-length:")
    return int(head[place + 15 :].split(b"\r\n", 1)[0]) if place >= 0 else 0


def _tell(path: bytes) -> bytes:
    if path == b"/arrivals":
        return json.dumps(arrivals).encode()
    if path == b"/forget":
        arrivals.clear()
    return b"%d" % len(arrivals)


@dataclass(frozen=True, slots=True)
class Stub:
    """A stub that is running."""

    url: str

    def count(self) -> int:
        """Return how many triggers came."""
        return int(self._get("/count"))

    def arrivals(self) -> list[float]:
        """Return when they came, in order."""
        return list(self.arrived().values())

    def arrived(self) -> dict[str, float]:
        """Return when each came, by the id of the collection that it was answered with."""
        return {id_: float(at) for id_, at in json.loads(self._get("/arrivals")).items()}

    def forget(self) -> None:
        """Start the counting anew."""
        self._get("/forget")

    def _get(self, path: str) -> bytes:
        with urllib.request.urlopen(self.url + path) as answer:  # noqa: S310  # our own stub
            return bytes(answer.read())


@contextmanager
def running_stub(delay: float = 0.0) -> Iterator[Stub]:
    """Run a stub in a process of its own."""
    words = [sys.executable, "-m", "bench.stub", str(delay)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield Stub(f"http://127.0.0.1:{int(process.stdout.readline())}")
        finally:
            process.kill()


async def _serve(delay: float) -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Connection(delay), "127.0.0.1", 0, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_serve(float(sys.argv[1])))
