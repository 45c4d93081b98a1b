"""A hundred runs fire each second, with and without reads over HTTP beside them."""

import json
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bench.figures import Figure, percentile
from bench.place import Daemon, Databases, Place, wait_until
from bench.reads import Reads, reading
from bench.rows import count_due, make_ended, meant_at, store_beats
from bench.stub import Stub, running_stub
from scheduler.actions.api_tokens import create_token
from scheduler.clock import utc_now
from scheduler.domain.access import Scope
from scheduler.storage.database import Database

if TYPE_CHECKING:
    from bench.measures import Sizes

RATE = 200
RUNS = 100
PATH = "/api/v1/runs?limit=20"


@dataclass(frozen=True, slots=True)
class _Window:
    """What was seen of some seconds: from when to when, processor time, and what was read."""

    began: float
    ended: float
    cpu: float
    waited: float
    server_cpu: float
    reads: Reads | None


@dataclass(frozen=True, slots=True)
class _Beats:
    """How late each run of a window was, in ms."""

    window: _Window
    late: list[float]

    def of_a_run(self, seconds: float) -> float:
        """Return the share of one run, in ms."""
        return seconds / max(len(self.late), 1) * 1e3


def served(made: Databases, sizes: "Sizes") -> Iterator[Figure]:
    """
    Yield how late 100 runs a second are alone, and beside 200 reads a second.

    Those take processors from the runs whatever they read: so they stand beside as many of another
    database, by a server of its own. What they cost beyond that is what the database is held up.
    """
    for kind in ("sqlite", "postgresql"):
        with running_stub() as stub:
            yield from _figures(kind, *_beats(made, kind, stub, sizes))


def _figures(
    kind: str, alone: list[_Beats], elsewhere: list[_Beats], beside: list[_Beats]
) -> Iterator[Figure]:
    name = f"{RUNS} runs a second, {kind}"
    over = f"{name}, {RATE} reads a second, over that beside reads of another database"
    for what, unit, of in (
        ("median late", "ms", lambda one: percentile(one.late, 0.5)),
        ("p99 late", "ms", lambda one: percentile(one.late, 0.99)),
        ("processor time of a run", "ms", lambda one: one.of_a_run(one.window.cpu)),
        ("wait for a processor", "ms", lambda one: one.of_a_run(one.window.waited)),
    ):
        first, second, third = ([of(one) for one in beats] for beats in (alone, elsewhere, beside))
        yield Figure(name=f"{name}: {what}", unit=unit, values=first)
        yield Figure(name=f"{over}: {what}", unit=unit, values=third, against=second)
    reads = [(one.window.reads, one.window.server_cpu) for one in beside if one.window.reads]
    rates = [read.answered / read.seconds for read, _ in reads]
    yield Figure(name="  reads", unit="1/s", values=rates)
    yield Figure(name="  p99 of a read", unit="ms", values=[read.p99_ms for read, _ in reads])
    costs = [cpu / read.answered * 1e3 for read, cpu in reads]
    yield Figure(name="  the server's processor time of a read", unit="ms", values=costs)


def _beats(made: Databases, kind: str, stub: Stub, sizes: "Sizes") -> tuple[list[_Beats], ...]:
    """Return how late runs of one daemon were, by turns: alone, and beside reads of two places."""
    with (
        made.place(kind, stub.url) as place,
        made.place(kind, "http://127.0.0.1:1") as other,
        Database(place.url) as db,
        Database(other.url) as other_db,
    ):
        make_ended(other_db, 10 * RUNS, RUNS)
        elsewhere = _served(other, other_db)
        store_beats(db, RUNS)
        stub.forget()
        here = _served(place, db)
        # What was due while it started is caught up by then.
        wait_until(lambda: stub.count() >= 5 * RUNS, "the first beats")
        (daemon,), seconds = place.daemons, min(sizes.seconds, 5)
        windows = [
            [_watch(daemon, seconds, read) for read in (None, elsewhere, here)]
            for _ in range(sizes.rounds)
        ]
        wait_until(lambda: count_due(db, windows[-1][-1].ended) == 0, "what was due")
        late = sorted(lateness(meant_at(db), stub.arrived()))
    return tuple(
        [_Beats(one, [ms for at, ms in late if one.began <= at < one.ended]) for one in kinds]
        for kinds in zip(*windows, strict=True)
    )


def _served(place: Place, db: Database) -> tuple[str, str]:
    """Start a daemon with a server; return its address and a token."""
    with place.config.open("a") as config:
        config.write('[http]\nlisten = "127.0.0.1:0"\nrequests_per_second = 100000.0\n')
    with db.writing() as conn:
        token = create_token(conn, "b", scope=Scope.READ, by="bench", now=utc_now()).token
    place.start()
    return _address(place), token


def _watch(daemon: Daemon, seconds: int, read: tuple[str, str] | None) -> _Window:
    began, cpu = time.time(), daemon.cpu()
    waited, served = daemon.waited(), daemon.server_cpu()
    with ExitStack() as stack:
        reads = stack.enter_context(reading(*read, PATH, RATE)) if read else []
        time.sleep(seconds)
    return _Window(
        began,
        time.time(),
        daemon.cpu() - cpu,
        daemon.waited() - waited,
        daemon.server_cpu() - served,
        reads[0] if reads else None,
    )


def lateness(
    meant: Mapping[str, float], arrived: Mapping[str, float]
) -> Iterator[tuple[float, float]]:
    """Yield of each run when it was meant to start, and how much later it arrived, in ms."""
    for id_, at in meant.items():
        if id_ in arrived:
            yield at, (arrived[id_] - at) * 1e3


def _address(place: Place) -> str:
    log = Path(place.folder / "daemon-0.log")

    def said() -> list[str]:
        return [line for line in log.read_text().splitlines() if '"http_serving"' in line]

    wait_until(lambda: bool(said()), "a server")
    return str(json.loads(said()[0])["address"])
