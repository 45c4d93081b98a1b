"""One trigger a second, with and without reads over HTTP beside it."""

import json
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

from bench.figures import Figure, percentile
from bench.place import Databases, Place, wait_until
from bench.reads import Reads, reading
from bench.rows import store_beat
from bench.stub import Stub, running_stub
from scheduler.actions.api_tokens import create_token
from scheduler.clock import utc_now
from scheduler.domain.access import Scope
from scheduler.storage.database import Database

if TYPE_CHECKING:
    from bench.measures import Sizes

RATE = 200
PATH = "/api/v1/runs?limit=20"


def served(made: Databases, sizes: "Sizes") -> Iterator[Figure]:
    """Yield how late a trigger a second is while 200 requests a second are answered, and is not."""
    rounds, seconds = sizes.rounds, sizes.seconds
    for kind in ("sqlite", "postgresql"):
        with running_stub() as stub:
            alone = [beat(made, kind, stub, seconds, rate=0)[0] for _ in range(rounds)]
            pairs = [beat(made, kind, stub, seconds, rate=RATE) for _ in range(rounds)]
        beside, reads = [late for late, _ in pairs], [read for _, read in pairs if read]
        name = f"one a second beside {RATE} reads a second, {kind}"
        for what, figure in (("median", median), ("p99", lambda late: percentile(late, 0.99))):
            yield Figure(
                name=f"{name}: {what} late, over that without",
                unit="ms",
                values=[figure(late) for late in beside],
                against=[figure(late) for late in alone],
            )
        yield Figure(name=f"{name}: p99 of a read", unit="ms", values=[one.p99_ms for one in reads])


def beat(
    made: Databases, kind: str, stub: Stub, seconds: int, *, rate: int
) -> tuple[list[float], Reads | None]:
    """Return how late each trigger was, in ms, and what came of the reads beside it."""
    with made.place(kind, stub.url) as place:
        with place.config.open("a") as config:
            config.write('[http]\nlisten = "127.0.0.1:0"\nrequests_per_second = 100000.0\n')
        with Database(place.url) as db:
            store_beat(db)
            with db.writing() as conn:
                made_token = create_token(conn, "b", scope=Scope.READ, by="bench", now=utc_now())
        place.start()
        url = _address(place)
        with ExitStack() as stack:
            reads = stack.enter_context(reading(url, made_token.token, PATH, rate)) if rate else []
            wait_until(lambda: stub.count() >= 5, "the first beats")
            stub.forget()
            wait_until(lambda: stub.count() >= seconds, f"{seconds} beats", within=seconds + 30)
            late = [at % 1 * 1e3 for at in stub.arrivals()]
        stub.forget()
        return late, reads[0] if reads else None


def _address(place: Place) -> str:
    log = Path(place.folder / "daemon-0.log")

    def said() -> list[str]:
        return [line for line in log.read_text().splitlines() if '"http_serving"' in line]

    wait_until(lambda: bool(said()), "a server")
    return str(json.loads(said()[0])["address"])
