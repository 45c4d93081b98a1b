"""
No statement of the hot path reads through a table that grows: each uses an index.

Every plan is that of the statement itself, caught on its way to the database.
"""

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any, Final

import pytest
from sqlalchemy import Connection, event, text

from scheduler.domain.records import Outcome, Reason, RunState
from scheduler.domain.transition import Transition
from scheduler.storage import (
    accounts,
    claims,
    collections_,
    runs,
    schedules,
    settle,
    tables,
    unconfirmed,
)
from scheduler.storage.claims import NewAttempt
from scheduler.storage.database import Database
from scheduler.storage.runs import RunFilter
from scheduler.storage.settle import Settled
from tests.databases import migrated_postgresql, migrated_sqlite
from tests.make import NINE, make_run, minutes, seconds
from tests.storage.rows import (
    LEASE,
    insert_attempt,
    insert_collection,
    insert_collector,
    insert_run,
    insert_schedule,
    insert_world,
)

GROWING: Final = ("runs", "schedules", "attempts", "collections", "bodies")
SCHEDULES: Final = 20_000
ENDED: Final = 50_000

PARTIAL: Final = {
    index.name
    for table in tables.metadata.tables.values()
    for index in table.indexes
    if index.dialect_options["postgresql"]["where"] is not None
}


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def grown(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Database]:
    """Give a database with many schedules, a long history and a little open work."""
    if request.param == "sqlite":
        yield from _grown(migrated_sqlite(tmp_path_factory.mktemp("plans")))
    else:
        with migrated_postgresql() as url:
            yield from _grown(url)


def _grown(url: str) -> Iterator[Database]:
    with Database(url, checkpoints=True) as db:
        with db.writing() as conn:
            insert_world(conn)
            _grow(conn)
            _open_work(conn)
        if db.file is None:
            # As autovacuum does, which the tests' server leaves out. SQLite gets no statistics.
            with db.writing() as conn:
                conn.exec_driver_sql("ANALYZE")
        yield db


def _grow(conn: Connection) -> None:
    numbers = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {}) "
    for table, values, count in (
        (
            "schedules (name, collector, batch, cron, created_at, planned_at, fired_until,"
            " next_fire_at)",
            "'s' || i, 'shop', 'bestsellers', '@daily', '2026-03-01 00:00:00.000000',"
            " '2026-03-01 00:00:00.000000', '2026-03-02 00:00:00.000000',"
            " '2026-03-03 00:00:00.000000'",
            SCHEDULES,
        ),
        (
            "runs (id, schedule, due_at, account, collector, collector_id, batch, body, query,"
            " lane, state, reason, not_before, send_before, attempts, max_attempts, first_pause,"
            " longest_pause, on_unconfirmed, fence, collection_id, created_at, ended_at, part)",
            "i, 's' || (i % 20000), '2026-03-01 00:00:00.000000', 'main', 'shop', 'c_shop',"
            " 'bestsellers', (SELECT fingerprint FROM bodies), 'collector=c_shop',"
            " 'schedule:s' || (i % 20000), CASE WHEN i % 9 = 0 THEN 'failed' ELSE 'succeeded' END,"
            " 'done', '2026-03-01 00:00:00.000000', '2026-03-01 01:00:00.000000', 1, 5, '5s',"
            " '15m', 'resend', 1, 'j_' || i, '2026-03-01 00:00:00.000000',"
            " '2026-03-01 00:10:00.000000', i",
            ENDED,
        ),
        (
            "attempts (run_id, number, daemon, request, outcome, claimed_at, settled_at,"
            " collection_id)",
            "i, 1, 'd0', 'POST', 'accepted', '2026-03-01 00:00:00.000000',"
            " '2026-03-01 00:00:01.000000', 'j_' || i",
            ENDED,
        ),
        (
            "collections (id, run_id, account, collector_id, status, accepted_at, looked_at,"
            " looks)",
            "'j_' || i, i, 'main', 'c_shop', 'done', '2026-03-01 00:00:00.000000',"
            " '2026-03-01 00:10:00.000000', 3",
            ENDED,
        ),
    ):
        conn.execute(text(numbers.format(count) + f"INSERT INTO {table} SELECT {values} FROM n"))


def _open_work(conn: Connection) -> None:
    for number in range(5):
        name = f"c_{number}"
        insert_collector(conn, name=name, collector_id=name)
        insert_run(conn, collector_id=name, collector=name)
        insert_run(conn, collector_id=name, confirm_cancel=True, due_at=NINE + seconds(1))
        insert_run(conn, collector_id=name, send_before=NINE - minutes(1))
        insert_schedule(conn, name=f"due{number}", next_fire_at=NINE, planned_at=NINE)
        insert_schedule(conn, name=f"new{number}")
        insert_schedule(conn, name=f"aside{number}", planned_at=NINE, error="x")
        insert_schedule(conn, name=f"after{number}", cron=None, after="s1", planned_at=NINE)
        lost = insert_run(
            conn, collector_id=f"c_l{number}", state=RunState.UNCONFIRMED, look_at=NINE, fence=1
        )
        insert_attempt(conn, lost, outcome=Outcome.LOST)
        wired = insert_run(
            conn,
            collector_id=f"c_w{number}",
            state=RunState.DISPATCHING,
            fence=1,
            lease_owner="d9",
            lease_until=NINE - seconds(1),
        )
        insert_attempt(conn, wired)
        running = insert_run(
            conn,
            collector_id=f"c_r{number}",
            state=RunState.COLLECTING,
            fence=1,
            collection_id=f"jr_{number}",
            schedule="hourly",
            due_at=NINE + seconds(number),
        )
        insert_attempt(
            conn, running, outcome=Outcome.ACCEPTED, collection_id=f"jr_{number}"
        )
        insert_collection(
            conn, running, id=f"jr_{number}", collector_id=f"c_r{number}", look_at=NINE
        )


# --- what is asked on the hot path

ACCEPTED: Final = Transition(
    state=RunState.COLLECTING,
    reason=Reason.ACCEPTED,
    outcome=Outcome.ACCEPTED,
    collection_id="j_new",
)
LOST: Final = Transition(
    state=RunState.UNCONFIRMED, reason=Reason.ANSWER_LOST, outcome=Outcome.LOST, look_at=NINE
)
REJECTED: Final = Transition(
    state=RunState.FAILED, reason=Reason.REFUSED, outcome=Outcome.REJECTED
)


def look(module: Any) -> Callable[[Connection], object]:
    return lambda conn: module.claim_looks(
        conn, "main", now=NINE, owner="d1", lease_until=NINE + LEASE, limit=10
    )


def answer(change: Transition) -> Callable[[Connection], object]:
    def work(conn: Connection) -> None:
        (run,) = runs.list_runs(conn, RunFilter(states=[RunState.DISPATCHING]), limit=1)
        settle.settle(conn, [Settled(run=replace(run, confirm_cancel=True), change=change)],
                      now=NINE)  # fmt: skip

    return work


HOT: Final[dict[str, Callable[[Connection], object]]] = {
    "list_due": lambda conn: schedules.list_due(conn, now=NINE, limit=500),
    "list_unplanned": lambda conn: schedules.list_unplanned(conn, limit=500),
    "list_set_aside": lambda conn: schedules.list_set_aside(conn, limit=500),
    "list_followers": lambda conn: schedules.list_followers(conn, limit=500),
    "list_lapsed_pauses": lambda conn: schedules.list_lapsed_pauses(conn, now=NINE),
    "find_next_fire": schedules.find_next_fire,
    "claim": lambda conn: schedules.claim(conn, ["due1", "due2"]),
    "list_unfinished": lambda conn: runs.list_unfinished(conn, ["hourly", "s1"]),
    "coalesce_waiting": lambda conn: runs.coalesce_waiting(
        conn, ["hourly"], due_before=NINE, reason=Reason.COALESCED, now=NINE
    ),
    "count_waiting": lambda conn: runs.count_waiting(conn, "main", "c_shop", "news"),
    "find_occurrence": lambda conn: runs.find_occurrence(conn, "s1", NINE),
    "count_last_failures": lambda conn: runs.count_last_failures(conn, "s1", limit=3),
    "list_accounts_with_work": lambda conn: claims.list_accounts_with_work(conn, now=NINE),
    "claim_runs": lambda conn: claims.claim_runs(
        conn, "main", now=NINE, owner="d1", lease_until=NINE + LEASE, limit=64
    ),
    "find_next_ready": lambda conn: claims.find_next_ready(conn, now=NINE),
    "skip_too_late": lambda conn: claims.skip_too_late(conn, now=NINE),
    "supersede_older": lambda conn: claims.supersede_older(conn, "main", now=NINE),
    "hasten_looks": lambda conn: collections_.hasten_looks(conn, "main", ["c_r1"], now=NINE),
    "read_brake": lambda conn: accounts.read_brake(conn, "main", now=NINE),
    "count_in_flight": lambda conn: accounts.count_in_flight(conn, "main", now=NINE),
    "list_claimed_by": lambda conn: settle.list_claimed_by(conn, "d9"),
    "settle accepted": answer(ACCEPTED),
    "settle lost": answer(LOST),
    "settle rejected": answer(REJECTED),
    "expire_leases": lambda conn: unconfirmed.expire_leases(conn, now=NINE, look_at=NINE),
    "unconfirmed.list_accounts": lambda conn: unconfirmed.list_accounts_to_look_for(
        conn, now=NINE
    ),
    "unconfirmed.claim_looks": look(unconfirmed),
    "unconfirmed.put_off_look": lambda conn: unconfirmed.put_off_look(
        conn, make_run(id=ENDED + 4), look_at=NINE, looks=1
    ),
    "unconfirmed.find_next_look": unconfirmed.find_next_look,
    "collections.list_accounts": lambda conn: collections_.list_accounts_to_look_at(
        conn, now=NINE
    ),
    "collections.claim_looks": look(collections_),
    "collections.find_next_look": collections_.find_next_look,
    "list_owners": lambda conn: collections_.list_owners(conn, ["j_1", "j_2"]),
    "list_collections": lambda conn: collections_.list_collections(conn, 1),
    "request_cancel": lambda conn: collections_.request_cancel(
        conn, "j_1", now=NINE, note="x"
    ),
    "count_open": runs.count_open,
    "list_queue_depths": runs.list_queue_depths,
    "list_attempts": lambda conn: runs.list_attempts(conn, 1),
    "list_runs of a schedule": lambda conn: runs.list_runs(
        conn, RunFilter(schedule="s1"), limit=50
    ),
    "list_runs in an open state": lambda conn: runs.list_runs(
        conn, RunFilter(states=[RunState.NEEDS_ATTENTION, RunState.UNCONFIRMED]), limit=50
    ),
}


@pytest.mark.parametrize("name", HOT)
def test_no_statement_of_the_hot_path_reads_through_what_grows(grown: Database, name: str) -> None:
    with caught(grown) as (conn, statements):
        HOT[name](conn)
        complaints = [
            f"{complaint}: {statement}"
            for statement, parameters in statements
            for complaint in scans(conn, statement, parameters)
        ]

    assert statements
    assert complaints == []


def test_the_first_page_of_runs_is_read_from_the_newest_back(grown: Database) -> None:
    """It has no condition to look for: it must stop at its limit, and not sort everything."""
    with caught(grown) as (conn, statements):
        runs.list_runs(conn, RunFilter(), limit=50)
        runs.list_runs(conn, RunFilter(), limit=50, before_id=1000)
        plans = [plan(conn, *statement) for statement in statements]

    assert len(plans) == 2
    for words in map(str, plans):
        assert "TEMP B-TREE" not in words and "'Sort'" not in words
        assert "Seq Scan" not in words


def test_a_statement_that_reads_through_a_table_is_noticed(grown: Database) -> None:
    """What all the others rest on."""
    with caught(grown) as (conn, statements):
        runs.list_runs(conn, RunFilter(queue="news"), limit=50)
        runs.count_states(conn)
        complaints = [scans(conn, *statement) for statement in statements]

    assert complaints[1] != []


# --- catching and reading plans

Caught = tuple[Connection, list[tuple[str, Any]]]


class caught:  # noqa: N801  # reads as a word
    """Hand out a transaction that is taken back, and every statement that is sent in it."""

    def __init__(self, db: Database) -> None:
        self._writing = db.writing()

    def __enter__(self) -> Caught:
        conn = self._writing.__enter__()
        statements: list[tuple[str, Any]] = []

        @event.listens_for(conn, "before_cursor_execute")
        def catch(*sent: Any) -> None:
            _, _, statement, parameters, _, is_many = sent
            if not statement.startswith(("EXPLAIN", "INSERT")):
                statements.append((statement, parameters[0] if is_many else parameters))

        return conn, statements

    def __exit__(self, *error: Any) -> None:
        undo = Undo()
        try:
            self._writing.__exit__(Undo, undo, None)
        except Undo:
            pass


class Undo(Exception):
    """Takes the transaction back."""


def plan(conn: Connection, statement: str, parameters: Any) -> Any:
    if conn.dialect.name == "sqlite":
        found = conn.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)
        return [row.detail for row in found]
    answer = conn.exec_driver_sql(f"EXPLAIN (FORMAT JSON) {statement}", parameters).scalar_one()
    return answer if isinstance(answer, list) else json.loads(answer)


def scans(conn: Connection, statement: str, parameters: Any) -> list[str]:
    """Return the steps of the statement's plan that read through a table that grows."""
    found = plan(conn, statement, parameters)
    if conn.dialect.name == "sqlite":
        return [step for step in found if _is_sqlite_scan(step, _names(statement))]
    return [step for node in _nodes(found[0]["Plan"]) if (step := _postgresql_scan(node))]


def _names(statement: str) -> set[str]:
    """Return the growing tables, and the other names that the statement gives them."""
    aliased = re.findall(rf"\b({'|'.join(GROWING)}) AS (\w+)", statement)
    return {*GROWING, *(alias for _, alias in aliased)}


def _is_sqlite_scan(step: str, names: set[str]) -> bool:
    scan = re.match(r"SCAN (\w+)(?: USING (?:COVERING )?INDEX (\w+))?", step)
    return scan is not None and scan[1] in names and scan[2] not in PARTIAL


def _nodes(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield node
    for child in node.get("Plans", ()):
        yield from _nodes(child)


_THROUGH_AN_INDEX: Final = ("Index Scan", "Index Only Scan", "Bitmap Index Scan")


def _postgresql_scan(node: dict[str, Any]) -> str | None:
    kind, table, index = node["Node Type"], node.get("Relation Name"), node.get("Index Name")
    if kind == "Seq Scan" and table in GROWING:
        return f"{kind} on {table}"
    if kind in _THROUGH_AN_INDEX and "Index Cond" not in node and index not in PARTIAL:
        return f"{kind} through all of {index}"
    return None


def test_history_is_long_enough_to_tell(grown: Database) -> None:
    with grown.reading() as conn:
        counts = {
            table: conn.exec_driver_sql(f"SELECT count(*) FROM {table}").scalar_one()
            for table in ("runs", "schedules")
        }

    assert counts["runs"] > ENDED and counts["schedules"] > SCHEDULES
    assert timedelta(0) < LEASE
