"""Rows for the storage's tests: valid by default, written as any client can write them."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import timedelta
from typing import Any, Final

import psycopg
from sqlalchemy import Connection, Table, func, insert, select, update

from scheduler.domain.records import (
    ENDED_STATES,
    OPEN_OUTCOMES,
    Collection,
    Outcome,
    Run,
    RunState,
)
from scheduler.storage import runs, tables
from scheduler.storage.database import Database
from scheduler.storage.postgresql import listening_arguments
from scheduler.storage.rows import record
from scheduler.storage.runs import claims
from tests.make import (
    NINE,
    make_account,
    make_attempt,
    make_batch,
    make_body,
    make_collection,
    make_collector,
    make_run,
    make_schedule,
)
from tests.walk import stations

Execute = Callable[[str], object]
"""What a plain client does with a statement."""

LEASE: Final = timedelta(seconds=60)


def insert_world(conn: Connection) -> None:
    """Write an account, a collector, a batch, a schedule and a body: what runs refer to."""
    insert_account(conn)
    insert_collector(conn)
    insert_batch(conn)
    insert_body(conn)
    insert_schedule(conn)


def insert_account(conn: Connection, **overrides: Any) -> None:
    _insert(conn, tables.accounts, asdict(make_account()) | overrides)


def insert_collector(conn: Connection, **overrides: Any) -> None:
    _insert(conn, tables.collectors, asdict(make_collector()) | overrides)


def insert_batch(conn: Connection, **overrides: Any) -> None:
    _insert(conn, tables.batches, asdict(make_batch()) | overrides)


def insert_body(conn: Connection, **overrides: Any) -> None:
    _insert(conn, tables.bodies, asdict(make_body()) | {"created_at": NINE} | overrides)


def insert_schedule(conn: Connection, **overrides: Any) -> None:
    _insert(conn, tables.schedules, asdict(make_schedule()) | overrides)


def insert_run(conn: Connection, **overrides: Any) -> int:
    """Write a run asked for by hand, due at NINE and waiting; return its id."""
    usual = asdict(make_run(schedule=None, order_key=None))
    usual["id"] = (conn.scalar(select(func.max(tables.runs.c.id))) or 0) + 1
    if overrides.get("state") in ENDED_STATES:
        usual["ended_at"] = NINE
    columns = usual | overrides
    first, *rest = stations(None, columns, moment=NINE)
    _insert(conn, tables.runs, first)
    for station in rest:
        _update_run(conn, columns["id"], station)
    return int(columns["id"])


@contextmanager
def as_found(conn: Connection) -> Iterator[None]:
    """Let runs be written in any state, as they were found by the revision that keeps events."""
    if conn.dialect.name == "postgresql":
        conn.exec_driver_sql("ALTER TABLE runs DISABLE TRIGGER runs_created")
        yield
        conn.exec_driver_sql("ALTER TABLE runs ENABLE TRIGGER runs_created")
    else:
        written = "SELECT sql FROM sqlite_master WHERE name = 'runs_created'"
        trigger = str(conn.exec_driver_sql(written).scalar_one())
        conn.exec_driver_sql("DROP TRIGGER runs_created")
        yield
        conn.exec_driver_sql(trigger)


def change_run(conn: Connection, run_id: int, **columns: Any) -> None:
    """Change a run's row as somebody else would, its state by moves that there are."""
    state = conn.scalar(select(tables.runs.c.state).where(tables.runs.c.id == run_id))
    is_moved = columns.get("state", state) != state
    for station in stations(RunState(str(state)), columns, moment=NINE) if is_moved else [columns]:
        _update_run(conn, run_id, station)


def _update_run(conn: Connection, run_id: int, columns: dict[str, Any]) -> None:
    conn.execute(update(tables.runs).where(tables.runs.c.id == run_id).values(columns))


def insert_attempt(conn: Connection, run_id: int, **overrides: Any) -> None:
    usual = asdict(make_attempt(run_id=run_id))
    if overrides.get("outcome", Outcome.SENDING) not in OPEN_OUTCOMES:
        usual["resolved_at"] = NINE
    _insert(conn, tables.attempts, usual | overrides)


def insert_collection(conn: Connection, run_id: int, **overrides: Any) -> None:
    _insert(conn, tables.collections, asdict(make_collection(run_id=run_id)) | overrides)


def read_collection(conn: Connection, collection_id: str) -> Collection:
    """Return a collection that is known to be there."""
    found = conn.execute(select(tables.collections).where(tables.collections.c.id == collection_id))
    return record(Collection, found.mappings().one())


def _insert(conn: Connection, table: Table, values: dict[str, Any]) -> None:
    # Signed as our own, so that no change by SQL is told of it.
    signed = {"edits": 1} if "edits" in table.c else {}
    conn.execute(insert(table).values(**signed, **values))


def ids(claimed: list[Run]) -> list[int]:
    """Return the ids, in order."""
    return [run.id for run in claimed]


def settle_as_collecting(db: Database) -> None:
    """Let every run that is on the wire be accepted, in short."""
    with db.writing() as conn:
        conn.exec_driver_sql("UPDATE runs SET state = 'collecting', collection_id = 'j' || id"
                             " WHERE state = 'dispatching'")  # fmt: skip


def claim(db: Database, *, owner: str = "d1", **how: Any) -> list[Run]:
    """Claim runs of the account `main` at NINE, as dispatch does, and return them whole."""
    with db.writing() as conn:
        return claim_on(conn, owner=owner, **how)


def claim_on(conn: Connection, *, owner: str = "d1", **how: Any) -> list[Run]:
    """Do so in the transaction of *conn*."""
    now = how.get("now", NINE)
    usual = {"account": "main", "now": now, "lease_until": now + LEASE, "limit": 100} | how
    room = {usual.pop("account"): usual.pop("limit")}
    found = claims.claim_runs(conn, room, **usual, owner=owner).runs
    return [runs.get_run(conn, run.id) for run in found]


def read_run(db: Database, run_id: int) -> Run:
    """Return a run as it is now."""
    with db.reading() as conn:
        return runs.get_run(conn, run_id)


def states_of(db: Database) -> list[RunState]:
    """Return the states of all runs, by id."""
    with db.reading() as conn:
        found = runs.list_runs(conn, runs.RunFilter(), limit=1000)
    return [run.state for run in reversed(found)]


@contextmanager
def plain_client(db: Database, url: str) -> Iterator[Execute]:
    """Open the driver's own client: each statement is a transaction, foreign keys hold."""
    client: Any = (
        psycopg.connect(**listening_arguments(url), autocommit=True)
        if db.file is None
        else sqlite3.connect(db.file, isolation_level=None)
    )
    if db.file is not None:
        client.execute("PRAGMA foreign_keys=ON")
    try:
        yield client.execute
    finally:
        client.close()
