"""On PostgreSQL a pass reads what it takes and settles, a list what it shows; never all."""

from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Any, Final

import psycopg
import pytest
from sqlalchemy import Connection

from scheduler.domain.records import Outcome, Reason, RunState, RunToSend
from scheduler.domain.transition import Transition
from scheduler.storage import run_events
from scheduler.storage.database import Database
from scheduler.storage.runs import claims, outcomes, queued
from scheduler.storage.runs.outcomes import AttemptResult
from scheduler.views.collections import CollectionFilter, count_collections, list_collections
from scheduler.views.runs import RunFilter, count_runs, list_runs
from tests.databases import migrated_postgresql
from tests.make import NINE
from tests.storage.plans import GROWING, caught, nodes, plan_carried_out
from tests.storage.rows import LEASE, insert_collector, insert_world

QUEUED: Final = 5_000
COLLECTORS: Final = 20
MOST_READ: Final = 500


@pytest.fixture(scope="module")
def crowded() -> Iterator[Database]:
    """Give a database with many queued runs of a few collectors."""
    with migrated_postgresql() as url, Database(url) as db:
        with db.writing() as conn:
            _define(conn)
            _queue(conn, first=1, last=QUEUED)
        with db.writing() as conn:
            conn.exec_driver_sql("ANALYZE")
        yield db


@pytest.fixture
def crowded_after_a_quiet_hour(postgresql_url: str) -> Iterator[Database]:
    """Give one that was measured when it had a long history, and nothing queued or running."""
    with Database(postgresql_url) as db:
        with db.writing() as conn:
            _define(conn)
            _queue(conn, first=1, last=4 * QUEUED)
            conn.exec_driver_sql("UPDATE runs SET state = 'skipped', ended_at = due_at")
        with psycopg.connect(postgresql_url, autocommit=True) as server:
            server.execute("VACUUM ANALYZE")
        with db.writing() as conn:
            _queue(conn, first=4 * QUEUED + 1, last=5 * QUEUED)
        yield db


def _define(conn: Connection) -> None:
    insert_world(conn)
    for number in range(COLLECTORS):
        insert_collector(conn, name=f"c_{number}", collector_id=f"c_{number}")


def _queue(conn: Connection, *, first: int, last: int) -> None:
    conn.exec_driver_sql(
        "INSERT INTO runs (id, due_at, account, collector, collector_id, batch, body,"
        " query, state, reason, not_before, send_before, attempt_count, max_attempts,"
        " backoff_initial, backoff_max, on_unconfirmed, fence, created_at)"
        f" SELECT i, %(at)s, 'main', 'c_' || i %% {COLLECTORS}, 'c_' || i %% {COLLECTORS},"
        " 'bestsellers', (SELECT fingerprint FROM bodies), 'collector=c', 'queued', 'due',"
        " %(at)s, %(late)s, 0, 5, '5s', '15m', 'resend', 0, %(at)s"
        f" FROM generate_series({first}, {last}) AS i",
        {"at": NINE, "late": NINE + timedelta(hours=1)},
    )


def _pass(conn: Connection) -> list[RunToSend]:
    """Claim what may be sent, and settle it, as a pass does."""
    queued.read_outlook(conn, now=NINE)
    queued.list_at_work(conn, ["main"], now=NINE)
    taken = claims.claim_runs(conn, {"main": 64}, now=NINE, owner="d1", lease_until=NINE + LEASE)
    accepted = [AttemptResult(run=run, change=_accepted(run.id)) for run in taken.runs]
    outcomes.record_outcomes(conn, accepted, now=NINE)
    return taken.runs


def test_a_pass_does_not_read_all_that_is_queued(crowded: Database) -> None:
    assert _read_in_a_pass(crowded, more_than=MOST_READ) == {}


def test_a_quiet_hour_does_not_make_a_pass_read_all_for_each_run(
    crowded_after_a_quiet_hour: Database,
) -> None:
    """An index of what is open is believed to be empty: it may be read through once."""
    assert _read_in_a_pass(crowded_after_a_quiet_hour, more_than=QUEUED + MOST_READ) == {}


def _read_in_a_pass(db: Database, *, more_than: int) -> dict[str, float]:
    """Return the statements of a pass that read more rows than that, each with how many."""
    with caught(db) as (conn, statements):
        taken = _pass(conn)
        read = {
            statement: _rows_read(conn, statement, parameters)
            for statement, parameters in statements
        }

    assert len(taken) == COLLECTORS
    assert len(read) >= 7
    return {statement: rows for statement, rows in read.items() if rows > more_than}


def test_a_first_page_reads_what_it_shows_or_what_it_may_look_through(crowded: Database) -> None:
    looked = {"look_through": 100}
    for wanted in (
        RunFilter(),
        RunFilter(states=[RunState.SKIPPED]),
        RunFilter(collector="nobody"),
        RunFilter(reasons=[Reason.THROTTLED]),
        RunFilter(until=NINE - timedelta(days=1)),
        RunFilter(states=[RunState.COLLECTING]),
    ):
        with caught(crowded) as (conn, statements):
            list_runs(conn, wanted, limit=50, **looked)
            if wanted != RunFilter():
                count_runs(conn, wanted, **looked)
            read = [_rows_read(conn, *statement) for statement in statements]

        assert max(read) <= 101, (wanted, read)


def test_collections_are_looked_through_as_far_as_their_runs(crowded: Database) -> None:
    with caught(crowded) as (conn, statements):
        conn.exec_driver_sql(
            "INSERT INTO collections (id, run_id, account, collector_id, accepted_at)"
            " SELECT 'j_' || id, id, account, collector_id, created_at FROM runs"
        )
        statements.clear()
        nobodys = CollectionFilter(account="nobody")
        list_collections(conn, nobodys, limit=50, look_through=100)
        count_collections(conn, nobodys, look_through=100)
        list_collections(conn, CollectionFilter(), limit=50)
        read = [_rows_read(conn, *statement) for statement in statements]

    assert max(read) <= 2 * 101, read  # a bitmap tells its rows twice


@pytest.mark.parametrize("measured", ["", "ANALYZE", "VACUUM ANALYZE"])
@pytest.mark.parametrize("at_first", [0, 3])
def test_a_plan_that_was_made_when_little_was_queued_reads_no_more_later(
    measured: str, at_first: int
) -> None:
    """A connection plans a statement once; where the tables were measured empty, worst of all."""
    with migrated_postgresql() as url, Database(url, checkpoints=True) as db:
        with db.writing() as conn:
            _define(conn)
            run_events.start_consumer(conn, "a test")
        with psycopg.connect(url, autocommit=True) as server:
            server.execute(measured)
        for number in range(1, 4):
            with db.writing() as conn:
                _queue(conn, first=number, last=min(number, at_first))
                _pass(conn)
            with db.writing() as conn:
                _next_events(conn, 3)
        with db.writing() as conn:
            _queue(conn, first=4, last=QUEUED)

        with db.writing() as conn:
            before = _read_so_far(conn)
            taken = _pass(conn)
            read = _read_so_far(conn) - before
        with db.writing() as conn:
            before = _read_so_far(conn)
            events = _next_events(conn, MOST_READ)
            read_for_events = _read_so_far(conn) - before

    assert len(taken) == COLLECTORS
    assert COLLECTORS < read < MOST_READ * len(GROWING)
    assert len(events) == MOST_READ
    assert MOST_READ <= read_for_events < 2 * MOST_READ


def _next_events(conn: Connection, number: int) -> Sequence[object]:
    return run_events.take_events(conn, "a test", states=frozenset(RunState), limit=number)


def _read_so_far(conn: Connection) -> int:
    tables = ", ".join(f"'{table}'" for table in GROWING)
    counted = conn.exec_driver_sql(
        "SELECT sum(seq_tup_read + coalesce(idx_tup_fetch, 0)) FROM pg_stat_xact_user_tables"
        f" WHERE relname IN ({tables})"
    )
    return int(counted.scalar_one())


async def test_who_reads_at_a_terminal_has_time_and_a_loop_has_not(crowded: Database) -> None:
    """One by one, as a pass wants it, reading all history would take minutes."""
    with crowded.reading() as conn:
        at_leisure = _settings(conn)

    assert at_leisure == ["on", "on", "off", "0", "0"]
    assert await crowded.read(_settings) == ["off", "off", "off", "30s", "10s"]
    assert await crowded.write(_settings) == ["off", "off", "off", "30s", "10s"]


def _settings(conn: Connection) -> list[str]:
    names = (
        *("enable_hashjoin", "enable_mergejoin", "jit"),
        *("statement_timeout", "idle_in_transaction_session_timeout"),
    )
    return [conn.exec_driver_sql(f"SHOW {name}").scalar_one() for name in names]


def _accepted(run_id: int) -> Transition:
    return Transition(
        state=RunState.COLLECTING,
        reason=Reason.ACCEPTED,
        outcome=Outcome.ACCEPTED,
        collection_id=f"j_{run_id}",
    )


def _rows_read(conn: Connection, statement: str, parameters: Any) -> float:
    """Return how many rows the statement reads from tables that grow, and from indexes."""
    read = 0.0
    for node in nodes(plan_carried_out(conn, statement, parameters)):
        # A bitmap's step tells its index, and no table.
        if node.get("Relation Name", "Index Name" in node and GROWING[0]) in GROWING:
            rows = node["Actual Rows"] + node.get("Rows Removed by Filter", 0)
            read += rows * node["Actual Loops"]
    return read


@pytest.mark.parametrize(("options", "in_a_pass"), [("", "off"), ("-cenable_seqscan=on", "on")])
def test_a_daemons_plans_read_through_nothing_though_they_are_made_of_empty_tables(
    postgresql_url: str, options: str, in_a_pass: str
) -> None:
    def asked(url: str, *, is_daemon: bool) -> list[object]:
        with Database(url, checkpoints=is_daemon) as db:
            with db.writing() as conn:
                usual = conn.exec_driver_sql("SHOW enable_seqscan").scalar()
            with db.reading() as conn:
                return [usual, conn.exec_driver_sql("SHOW enable_seqscan").scalar()]

    url = f"{postgresql_url}&options={options}"
    assert asked(url, is_daemon=True) == [in_a_pass, "on"]
    assert asked(url, is_daemon=False) == ["on", "on"]


def test_what_a_daemon_notes_in_a_schedule_is_not_looked_through_for_an_edit(
    postgresql_url: str,
) -> None:
    defined = "SELECT pg_get_triggerdef(oid) FROM pg_trigger WHERE tgname = 'schedules_by_sql'"
    with Database(postgresql_url) as db, db.reading() as conn:
        trigger = str(conn.exec_driver_sql(defined).scalar_one())

    heeded = trigger.partition(" UPDATE OF ")[2].partition(" ON ")[0]
    assert {"cron", "batch", "edits"} <= set(heeded.split(", "))
    assert not {"next_fire_at", "fired_until", "planned_at"} & set(heeded.split(", "))
