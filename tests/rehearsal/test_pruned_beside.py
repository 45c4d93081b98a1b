"""A large history is forgotten in small pieces, and nothing that is fired is late for it."""

from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial
from itertools import pairwise
from typing import TypeVar

import pytest
from sqlalchemy import func, select

from scheduler.actions.apply import apply_definitions
from scheduler.config.load import parse_config
from scheduler.domain.lateness import meant_at
from scheduler.domain.records import Outcome, Reason, RunState
from scheduler.engine.prune import PruneStep
from scheduler.rehearsal.daemon import LOOPS, RehearsedSettings, SimulatedDaemon
from scheduler.rehearsal.upstream import SimulatedUpstream
from scheduler.rehearsal.virtual_loop import VirtualLoop, pause, run_virtually
from scheduler.storage import tables
from scheduler.storage.database import Connection, Database
from scheduler.storage.rehearsed import list_rehearsed
from scheduler.upstream.in_process import in_process
from tests.make import NINE
from tests.storage.rows import insert_attempt, insert_body, insert_collection, insert_run

NOW = NINE + timedelta(days=400)
CONFIG = b"""
[retention]
runs = "100d"
[accounts.main]
token = { env = "TOKEN" }
[collectors.products]
id = "c_products"
[batches.one]
inputs = [{ url = "https://example.org/1" }]
[schedules.minutely]
collector = "products"
batch = "one"
every = "1m"
"""
OLD = 900
MOST_ROWS = 50 * 20
"""Of fifty runs, each with its attempt, its collection, its events and their lists."""

Result = TypeVar("Result")


class Counting(Database):
    """Counts the rows that each transaction of the pruning changes, and when."""

    def __init__(self, url: str, now: Callable[[], datetime]) -> None:
        super().__init__(url, checkpoints=True, by="d1", durable=False)
        self.now = now
        self.changed: list[tuple[datetime, int]] = []

    async def write(
        self, work: Callable[[Connection], Result], *, at_leisure: bool = False
    ) -> Result:
        """Do *work*, and count what it changes."""

        def counted(conn: Connection) -> Result:
            raw = conn.connection.dbapi_connection
            assert raw is not None
            before = raw.total_changes
            try:
                return work(conn)
            finally:
                if isinstance(work, partial) and work.func.__name__ == PruneStep._prune.__name__:
                    self.changed.append((self.now(), raw.total_changes - before))

        return await super().write(counted, at_leisure=at_leisure)


def remember(conn: Connection) -> None:
    """Write a history of long ago, with all that hangs on each run."""
    insert_body(conn)
    for number in range(OLD):
        at = NINE + timedelta(minutes=number)
        run_id = insert_run(
            conn,
            schedule="old",
            due_at=at,
            created_at=at,
            state=RunState.SUCCEEDED,
            reason=Reason.DONE,
            ended_at=at,
            collection_id=f"j_old{number}",
            fence=1,
            attempt_count=1,
        )
        insert_attempt(conn, run_id, outcome=Outcome.ACCEPTED, collection_id=f"j_old{number}")
        insert_collection(conn, run_id, id=f"j_old{number}")


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_large_history_is_forgotten_beside_firing(database_url: str) -> None:
    config = parse_config(CONFIG, "here").config
    with Database(database_url, durable=False) as db, db.writing() as conn:
        apply_definitions(conn, config, by="here", now=NOW)
        remember(conn)
    counted: list[tuple[datetime, int]] = []

    async def main(loop: VirtualLoop) -> None:
        upstream = SimulatedUpstream(clock=loop.now)
        settings = RehearsedSettings(config, {})
        settings.wire = lambda _: in_process(upstream.connect, upstream.carry)
        with Counting(database_url, loop.now) as db:
            daemon = SimulatedDaemon(
                db=db, settings=settings, clock=loop.now, owner="d1",
                max_idle=timedelta(minutes=1), loops=(*LOOPS, "prune"),
            )  # fmt: skip
            await daemon.start()
            await pause(600)
            await daemon.stop(timedelta(seconds=60))
            counted.extend(db.changed)

    run_virtually(main, start=NOW)

    with Database(database_url) as db, db.reading() as conn:
        left = conn.scalar(
            select(func.count()).select_from(tables.runs).where(tables.runs.c.schedule == "old")
        )
        fired = [run for run in list_rehearsed(conn) if run.schedule == "minutely"]
    assert left == 100  # the newest of a schedule stay
    large = [(at, rows) for at, rows in counted if rows]
    assert len(large) >= (OLD - 100) // 50
    assert max(rows for _, rows in counted) <= MOST_ROWS
    apart = [after - before for (before, _), (after, _) in pairwise(large)]
    assert min(apart) >= timedelta(seconds=0.24)
    late = [run.triggered_at - meant_at(run) for run in fired if run.triggered_at is not None]
    assert len(late) >= 9
    assert max(late) < timedelta(seconds=1)
