"""A hundred runs fire each second while a year of history is forgotten, and while it is not."""

import time
from collections.abc import Iterator
from datetime import timedelta
from typing import TYPE_CHECKING

from sqlalchemy import func, select

from bench.figures import Figure, percentile
from bench.place import Databases, Place, wait_until
from bench.rows import analyze, count_due, make_ended, meant_at, store_beats
from bench.served import RUNS, lateness
from bench.stub import Stub, running_stub
from scheduler.clock import utc_now
from scheduler.storage.database import Database
from scheduler.storage.tables import runs

if TYPE_CHECKING:
    from bench.measures import Sizes

_DAYS = 365
_KEPT = timedelta(days=17)


def pruned(made: Databases, sizes: "Sizes") -> Iterator[Figure]:
    """Yield how late runs are among so much history, with and without what forgets it."""
    for kind in ("sqlite", "postgresql"):
        name = f"{RUNS} runs a second among {sizes.history:,}, {kind}"
        kept, _ = _fired(made, kind, sizes, retention="")
        late, rate = _fired(made, kind, sizes, retention='[retention]\nruns = "17d"\n')
        for share in (0.5, 0.99):
            yield Figure(
                name=f"{name}, pruned, over not: {share:.0%} late at most",
                unit="ms",
                values=[percentile(late, share)],
                against=[percentile(kept, share)],
            )
        yield Figure(name="  runs forgotten", unit="1/s", values=[rate])


def _fired(
    made: Databases, kind: str, sizes: "Sizes", *, retention: str
) -> tuple[list[float], float]:
    """Return how late each run of some seconds was, in ms, and how many a second were forgotten."""
    with (
        running_stub() as stub,
        made.place(kind, stub.url) as place,
        Database(place.url) as db,
    ):
        since = utc_now() - _KEPT - timedelta(days=_DAYS)
        make_ended(db, sizes.history, RUNS, since=since, days=_DAYS)
        analyze(db)
        store_beats(db, RUNS)
        with place.config.open("a") as config:
            config.write(retention)
        return _watched(place, db, stub, sizes.seconds)


def _watched(place: Place, db: Database, stub: Stub, seconds: int) -> tuple[list[float], float]:
    place.start()
    # What was due while it started is caught up by then.
    wait_until(lambda: stub.count() >= 3 * RUNS, "the first beats")
    began, first = time.time(), _oldest(db)
    time.sleep(seconds)
    ended, last = time.time(), _oldest(db)
    wait_until(lambda: count_due(db, ended) == 0, "what was due")
    late = [ms for at, ms in lateness(meant_at(db), stub.arrived()) if began <= at < ended]
    return sorted(late), (last - first) / seconds


def _oldest(db: Database) -> int:
    with db.reading() as conn:
        return int(conn.scalar(select(func.min(runs.c.id))) or 0)
