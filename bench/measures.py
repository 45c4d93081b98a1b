"""What is measured. Each measure gives its figures; a run's values stand side by side."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from statistics import median

from sqlalchemy import text

from bench.bare import YARDSTICK, Pace, bare
from bench.figures import Figure, percentile
from bench.lists import lists
from bench.pages import pages
from bench.place import Databases, wait_until
from bench.pruned import pruned
from bench.rows import (
    analyze,
    count_unresolved,
    make_history,
    queue_runs,
    store_beat,
    store_schedules,
)
from bench.served import served
from bench.stub import Stub, running_stub
from scheduler.clock import utc_now
from scheduler.storage import runs
from scheduler.storage.database import Database
from scheduler.storage.runs import RunFilter, claims


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """How much is done in each measure, and how often."""

    rounds: int = 3
    triggers: int = 8_000
    at_once: int = 10_000
    seconds: int = 15
    lead: int = 8
    stored: tuple[int, ...] = (10_000, 100_000, 1_000_000)
    history: int = 1_000_000
    fleet: tuple[int, ...] = (1, 2, 3, 4)


FULL = Sizes(history=10_000_000)
QUICK = Sizes(
    triggers=1_000, at_once=1_000, seconds=5, stored=(10_000,), history=50_000, fleet=(1, 2)
)
TINY = Sizes(
    rounds=1, triggers=50, at_once=50, seconds=2, stored=(50,), history=200, fleet=(1,), lead=5
)

Figures = Iterator[Figure]


def clients(made: Databases, sizes: Sizes) -> Figures:
    """What the clients do alone: bare loops, 64 in flight, nothing stored."""
    with running_stub() as stub:
        rates = [
            {
                name: bare(name, stub.url, sizes.triggers).rate
                for name in ("own", "httpx", "aiohttp")
            }
            for _ in range(sizes.rounds)
        ]
    yield Figure(name="bare loop, own client", unit="1/s", values=[one["own"] for one in rates])
    yield Figure(name="bare loop, httpx", unit="1/s", values=[one["httpx"] for one in rates])
    yield Figure(name="bare loop, aiohttp", unit="1/s", values=[one["aiohttp"] for one in rates])


def triggers(made: Databases, sizes: Sizes) -> Figures:
    """Durable triggers: claim, POST and outcome on disk, 256 collectors."""
    for kind, accounts, target in (
        ("sqlite", 1, "ratio 0.45"),
        ("sqlite", 8, "ratio 0.45"),
        ("postgresql", 1, "PgQueuer"),
        ("postgresql", 8, "PgQueuer"),
    ):
        with running_stub() as stub:
            rounds = [
                (
                    bare(YARDSTICK, stub.url, sizes.triggers),
                    _drain(made, kind, accounts, stub, sizes),
                )
                for _ in range(sizes.rounds)
            ]
        name = f"durable triggers, {kind}, {accounts} account{'s' * (accounts > 1)}"
        loops, drains = zip(*rounds, strict=True)
        yield Figure(
            name=name,
            unit="1/s",
            values=[one.rate for one in drains],
            against=[one.rate for one in loops],
            target=target,
        )
        yield Figure(
            name="  its processor time",
            unit="ms",
            values=[one.cpu_per_request * 1e3 for one in drains],
            against=[one.cpu_per_request * 1e3 for one in loops],
        )


def _drain(made: Databases, kind: str, accounts: int, stub: Stub, sizes: Sizes) -> Pace:
    with made.place(kind, stub.url, accounts) as place, Database(place.url) as db:
        daemon = place.start()
        stub.forget()
        spent = daemon.cpu()
        queue_runs(db, sizes.triggers, accounts)
        seconds = _until_resolved(db, stub, sizes.triggers)
        return Pace(sizes.triggers / seconds, (daemon.cpu() - spent) / sizes.triggers)


def _until_resolved(db: Database, stub: Stub, number: int) -> float:
    """Return the seconds from the first arrival until every outcome is on disk."""
    wait_until(lambda: stub.count() >= number, f"{number} triggers")
    wait_until(lambda: count_unresolved(db) == 0, "every outcome on disk")
    return time.time() - stub.arrivals()[0]


def same_second(made: Databases, sizes: Sizes) -> Figures:
    """Thousands of schedules over 256 collectors and 8 accounts, due in the same second."""
    number, target = sizes.at_once, "ratio 2.5"
    for kind in ("sqlite", "postgresql"):
        firsts, lasts, loops = [], [], []
        with running_stub() as stub:
            for _ in range(sizes.rounds):
                loops.append(number / bare(YARDSTICK, stub.url, number).rate)
                late = _fire_together(made, kind, stub, sizes)
                assert min(late) >= 0, "sent before it was due"
                firsts.append(min(late))
                lasts.append(percentile(late, 0.99))
        name = f"{number:,} in one second, {kind}"
        yield Figure(name=f"{name}: first", unit="s", values=firsts, target="0.05 s")
        yield Figure(name=f"{name}: p99", unit="s", values=lasts, against=loops, target=target)


def _fire_together(
    made: Databases, kind: str, stub: Stub, sizes: Sizes, lead: int | None = None
) -> list[float]:
    number, lead = sizes.at_once, lead or sizes.lead
    with made.place(kind, stub.url, accounts=8) as place, Database(place.url) as db:
        due_at = datetime.fromtimestamp(int(time.time()) + lead, UTC)
        store_schedules(db, number, due_at=due_at)
        stub.forget()
        place.start()
        ready_in_time = utc_now() < due_at
        wait_until(lambda: stub.count() >= number, f"{number} triggers")
        wait_until(lambda: count_unresolved(db) == 0, "every outcome on disk")
        arrivals = stub.arrivals()
    if not ready_in_time:  # a slow machine: once more, due later
        assert lead < 200, "the machine is too slow to be ready in time"
        return _fire_together(made, kind, stub, sizes, lead=2 * lead)
    assert len(arrivals) == number, f"{len(arrivals)} triggers for {number} schedules"
    return [at - due_at.timestamp() for at in arrivals]


def punctual(made: Databases, sizes: Sizes) -> Figures:
    """One schedule a second on an idle daemon, from the due instant to the arrival."""
    for kind, target in (("sqlite", "5 ms"), ("postgresql", "7 ms")):
        with running_stub() as stub:
            late = [_beat(made, kind, stub, sizes.seconds) for _ in range(sizes.rounds)]
        middle, last = [median(one) for one in late], [percentile(one, 0.99) for one in late]
        name = f"one a second, {kind}"
        yield Figure(name=f"{name}: median late", unit="ms", values=middle, target=target)
        yield Figure(name=f"{name}: p99 late", unit="ms", values=last, target="50 ms")


def _beat(made: Databases, kind: str, stub: Stub, seconds: int) -> list[float]:
    with made.place(kind, stub.url) as place:
        with Database(place.url) as db:
            store_beat(db)
        stub.forget()
        place.start()
        # The first were due while it started, and find a daemon that has never sent anything.
        wait_until(lambda: stub.count() >= 5, "the first beats")
        stub.forget()
        wait_until(lambda: stub.count() >= seconds, f"{seconds} beats", within=seconds + 30)
        return [at % 1 * 1e3 for at in stub.arrivals()]


def stored(made: Databases, sizes: Sizes) -> Figures:
    """Many schedules stored and one due each second: start, memory, and what a pass costs."""
    for number in sizes.stored:
        with running_stub() as stub:
            seen = [_among(made, stub, number, sizes.seconds) for _ in range(sizes.rounds)]
        ready, memory, cost = zip(*seen, strict=True)
        name = f"{number:,} stored"
        yield Figure(name=f"{name}: ready", unit="s", values=ready, target="1 s")
        yield Figure(name=f"{name}: memory", unit="MiB", values=memory, target="100 MiB")
        yield Figure(name=f"{name}: processor time of a firing", unit="ms", values=cost)


def _among(made: Databases, stub: Stub, number: int, seconds: int) -> tuple[float, float, float]:
    with made.place("sqlite", stub.url) as place:
        with Database(place.url) as db:
            store_schedules(db, number, due_at=utc_now() + timedelta(days=30))
            store_beat(db)
        stub.forget()
        daemon = place.start()
        wait_until(lambda: stub.count() >= 2, "the first beats")
        spent, before = daemon.cpu(), stub.count()
        time.sleep(min(seconds, 5))
        cost = (daemon.cpu() - spent) / max(1, stub.count() - before)
        return daemon.seconds_to_ready, daemon.peak_mib(), cost * 1e3


def history(made: Databases, sizes: Sizes) -> Figures:
    """A long history: claims, and the first page of `runs list`, against an empty database."""
    for kind in ("sqlite", "postgresql"):
        with (
            made.place(kind, "http://127.0.0.1:9", accounts=8) as empty,
            made.place(kind, "http://127.0.0.1:9", accounts=8) as grown,
            Database(empty.url) as before,
            Database(grown.url) as after,
        ):
            make_history(after, sizes.history)
            for db in (before, after):
                queue_runs(db, 256, 8)
                analyze(db)
            for what, work in (("claim of 64", _claim), ("first page of runs", _page)):
                pairs = [(_timed(after, work), _timed(before, work)) for _ in range(sizes.rounds)]
                long, short = zip(*pairs, strict=True)
                yield Figure(
                    name=f"{sizes.history:,} of history, {kind}: {what}",
                    unit="ms",
                    values=long,
                    against=short,
                    target="ratio 1.2",
                )


def _claim(db: Database) -> None:
    now = utc_now()
    lease = now + timedelta(seconds=60)
    room = {f"a{number}": 8 for number in range(8)}
    with db.writing() as conn:
        taken = claims.claim_runs(conn, room, now=now, owner="bench", lease_until=lease).runs
        assert len(taken) == 64, len(taken)
        conn.rollback()


def _page(db: Database) -> None:
    with db.reading() as conn:
        assert runs.list_runs(conn, RunFilter(), limit=50)


def _timed(db: Database, work: Callable[[Database], None]) -> float:
    """Return the milliseconds that *work* takes, the middle of many times."""
    took = []
    for _ in range(30):
        began = time.perf_counter()
        work(db)
        took.append((time.perf_counter() - began) * 1e3)
    return median(took)


def fleet(made: Databases, sizes: Sizes) -> Figures:
    """Several daemons on one PostgreSQL, 32 accounts, an upstream that takes 200 ms."""
    alone: list[float] = []
    for number in sizes.fleet:
        with running_stub(delay=0.2) as stub:
            rates = [_together(made, stub, number, sizes.triggers) for _ in range(sizes.rounds)]
        alone = alone or rates
        name = f"{number} daemon{'s' * (number > 1)}, postgresql, 200 ms"
        yield Figure(name=name, unit="1/s", values=rates, against=alone)


def _together(made: Databases, stub: Stub, number: int, count: int) -> float:
    with made.place("postgresql", stub.url, accounts=32) as place, Database(place.url) as db:
        for _ in range(number):
            place.start()
        stub.forget()
        queue_runs(db, count, 32)
        return count / _until_resolved(db, stub, count)


def idle(made: Databases, sizes: Sizes) -> Figures:
    """A daemon with nothing to do: its processor time, and what it asks the database."""
    for kind in ("sqlite", "postgresql"):
        seen = [_at_rest(made, kind, sizes.seconds) for _ in range(sizes.rounds)]
        share, asked = zip(*seen, strict=True)
        yield Figure(name=f"idle daemon, {kind}: processor", unit="%", values=share)
        if kind == "postgresql":
            yield Figure(name=f"idle daemon, {kind}: transactions", unit="1/s", values=asked)


def _at_rest(made: Databases, kind: str, seconds: int) -> tuple[float, float]:
    with made.place(kind, "http://127.0.0.1:9") as place, Database(place.url) as db:
        daemon = place.start()
        time.sleep(1)
        spent, asked = daemon.cpu(), _transactions(db)
        time.sleep(seconds)
        return (
            (daemon.cpu() - spent) / seconds * 100,
            (_transactions(db) - asked) / seconds,
        )


def _transactions(db: Database) -> int:
    if db.file is not None:
        return 0
    counted = "SELECT xact_commit + xact_rollback FROM pg_stat_database"
    with db.reading() as conn:
        return int(conn.scalar(text(f"{counted} WHERE datname = current_database()")) or 0)


MEASURES: dict[str, Callable[[Databases, Sizes], Figures]] = {
    measure.__name__.replace("_", "-"): measure
    for measure in (
        *(
            clients,
            triggers,
            punctual,
            served,
            pruned,
            same_second,
            stored,
            history,
            lists,
            pages,
            fleet,
            idle,
        ),
    )
}
