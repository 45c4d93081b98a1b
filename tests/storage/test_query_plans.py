"""
No statement that recurs reads through a table that grows: each uses an index.

Every plan is that of the statement itself, caught on its way to the database.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import Any, Final

import pytest
from sqlalchemy import Connection, select, text

from scheduler.domain.records import Outcome, Reason, RunState
from scheduler.domain.retention import Retention
from scheduler.domain.tally import START_DELAY
from scheduler.domain.transition import Transition
from scheduler.storage import (
    accounts,
    ahead,
    alerts,
    collection_requests,
    collections_,
    counted_events,
    course,
    definition_tables,
    definitions,
    failed_inputs,
    gauges,
    holds,
    last_ends,
    notices,
    other_jobs,
    results,
    retention,
    run_events,
    runs,
    schedule_claims,
    schedules,
    standing,
    tables,
)
from scheduler.storage.collections_ import Polled
from scheduler.storage.database import Database
from scheduler.storage.retention import Sweep
from scheduler.storage.runs import (
    RunFilter,
    claims,
    end_queued,
    failing,
    followed,
    outcomes,
    queued,
    troubles,
    unconfirmed,
)
from scheduler.storage.runs.followed import EndedCollection
from scheduler.storage.runs.outcomes import AttemptResult
from scheduler.views.overview import read_overview
from tests.databases import migrated_postgresql, migrated_sqlite
from tests.make import NINE, make_collection, make_run, minutes, seconds
from tests.storage.plans import caught, plan, scans
from tests.storage.rows import (
    LEASE,
    as_found,
    insert_attempt,
    insert_collection,
    insert_collector,
    insert_run,
    insert_schedule,
    insert_world,
)

SCHEDULES: Final = 20_000
ENDED: Final = 50_000


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
            with as_found(conn):
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
            " order_key, state, reason, not_before, send_before, attempt_count, max_attempts,"
            " backoff_initial, backoff_max, on_unconfirmed,"
            " fence, collection_id, created_at, ended_at, chunk)",
            "i, 's' || (i % 20000), '2026-03-01 00:00:00.000000', 'main', 'shop', 'c_shop',"
            " 'bestsellers', (SELECT fingerprint FROM bodies), 'collector=c_shop',"
            " 'schedule:s' || (i % 20000), CASE WHEN i % 9 = 0 THEN 'failed' ELSE 'succeeded' END,"
            " 'done', '2026-03-01 00:00:00.000000', '2026-03-01 01:00:00.000000', 1, 5, '5s',"
            " '15m', 'resend', 1, 'j_' || i, '2026-03-01 00:00:00.000000',"
            " '2026-03-01 00:10:00.000000', i",
            ENDED,
        ),
        (
            "attempts (run_id, number, daemon, request, outcome, claimed_at, resolved_at,"
            " collection_id)",
            "i, 1, 'd0', 'POST', 'accepted', '2026-03-01 00:00:00.000000',"
            " '2026-03-01 00:00:01.000000', 'j_' || i",
            ENDED,
        ),
        (
            "collections (id, run_id, account, collector_id, status, accepted_at, polled_at,"
            " polls)",
            "'j_' || i, i, 'main', 'c_shop', 'done', '2026-03-01 00:00:00.000000',"
            " '2026-03-01 00:10:00.000000', 3",
            ENDED,
        ),
        (
            "deliveries (id, channel, created_at, settled_at, outcome)",
            "'d' || i, 'ops', '2026-03-01 00:00:00.000000', '2026-03-01 00:00:01.000000',"
            " 'delivered'",
            ENDED,
        ),
        (
            "notices (id, channel, kind, change, subject, event, created_at, delivery)",
            "i, 'ops', 'failing', 'event', 'runs.' || i, '{{}}', '2026-03-01 00:00:00.000000',"
            " 'd' || i",
            ENDED,
        ),
        (
            "alerts (kind, subject, since, last_at, recovered_at)",
            "'failing', 'schedules.s' || i, '2026-03-01 00:00:00.000000',"
            " '2026-03-01 00:00:00.000000', '2026-03-01 00:00:01.000000'",
            ENDED,
        ),
        (
            "changes (happened_at, by, action, subject)",
            "'2026-03-01 00:00:00.000000', 'anna', 'edit', 'schedules.s' || i",
            ENDED,
        ),
        (
            "holds (scope, since, until)",
            "'schedules.s' || (i % 20000), '2026-03-01 00:00:00.000000',"
            " '2026-03-02 00:00:00.000000'",
            ENDED,
        ),
        (
            "results (run_id, collection_id, account, collector, due_at, state, created_at,"
            " expires_at, settled_at)",
            "i, 'j_' || i, 'main', 'shop', '2026-03-01 00:00:00.000000', 'saved',"
            " '2026-03-01 00:00:00.000000', '2026-03-17 00:00:00.000000',"
            " '2026-03-01 00:10:00.000000'",
            ENDED,
        ),
        ("last_ends (schedule, ended_at)", "'s' || i, '2026-03-01 00:00:00.000000'", SCHEDULES),
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
            conn,
            collector_id=f"c_l{number}",
            state=RunState.UNCONFIRMED,
            next_lookup_at=NINE,
            fence=1,
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
        insert_attempt(conn, running, outcome=Outcome.ACCEPTED, collection_id=f"jr_{number}")
        insert_collection(
            conn, running, id=f"jr_{number}", collector_id=f"c_r{number}", next_poll_at=NINE
        )


# --- what is asked on the hot path

ACCEPTED: Final = Transition(
    state=RunState.COLLECTING,
    reason=Reason.ACCEPTED,
    outcome=Outcome.ACCEPTED,
    collection_id="j_new",
)
LOST: Final = Transition(
    state=RunState.UNCONFIRMED, reason=Reason.ANSWER_LOST, outcome=Outcome.LOST, next_lookup_at=NINE
)
REJECTED: Final = Transition(state=RunState.FAILED, reason=Reason.REFUSED, outcome=Outcome.REJECTED)


def count_events(conn: Connection) -> None:
    stretch = run_events.take_stretch(conn, "metrics", limit=100, states=tuple(RunState))
    assert stretch is not None
    for ask in (
        partial(counted_events.list_delays, bounds=START_DELAY.bounds),
        counted_events.list_ends,
        counted_events.list_schedule_ends,
    ):
        ask(conn, stretch)


def claim_due(claim: Any) -> Callable[[Connection], object]:
    return lambda conn: claim(
        conn, "main", now=NINE, owner="d1", lease_until=NINE + LEASE, limit=10
    )


def answer(change: Transition) -> Callable[[Connection], object]:
    def work(conn: Connection) -> None:
        (run,) = runs.list_runs(conn, RunFilter(states=[RunState.DISPATCHING]), limit=1)
        result = AttemptResult(run=replace(run, confirm_cancel=True), change=change)
        outcomes.record_outcomes(conn, [result], now=NINE)

    return work


HOT: Final[dict[str, Callable[[Connection], object]]] = {
    "list_due": lambda conn: schedules.list_due(conn, now=NINE, limit=500),
    "list_unplanned": lambda conn: schedules.list_unplanned(conn, limit=500),
    "list_invalid": lambda conn: schedules.list_invalid(conn, after="", limit=500),
    "list_followers": lambda conn: schedules.list_followers(conn, limit=500),
    "list_lapsed_pauses": lambda conn: schedules.list_lapsed_pauses(conn, now=NINE),
    "find_next_fires": lambda conn: schedules.find_next_fires(conn, many=64, many_after=NINE),
    "list_due_names": lambda conn: schedules.list_due_names(
        conn, after=NINE, until=NINE + minutes(1), limit=500
    ),
    "list_named": lambda conn: schedules.list_named(conn, ["due1", "due2"]),
    "list_rows_of_files": lambda conn: definition_tables.list_rows_of_files(
        conn, "schedules", ["s1"]
    ),
    "find_last_error": lambda conn: runs.find_last_error(conn, "main"),
    "get_schedule": lambda conn: schedules.get_schedule(conn, "s1"),
    "claim": lambda conn: schedule_claims.claim(conn, ["due1", "due2"]),
    "list_unfinished": lambda conn: runs.list_unfinished(conn, ["hourly", "s1"]),
    "coalesce_waiting": lambda conn: end_queued.coalesce_waiting(
        conn, ["hourly"], due_before=NINE, reason=Reason.COALESCED, now=NINE
    ),
    "count_waiting": lambda conn: runs.count_waiting(conn, "main", "c_shop", "news"),
    "supersede": lambda conn: end_queued.supersede(conn, [ENDED + 1], now=NINE),
    "count_made": lambda conn: runs.count_made(conn, ["s1"]),
    "list_ends": lambda conn: schedules.list_ends(
        conn, [schedules.get_schedule(conn, "after1").schedule]
    ),
    "record_marks": lambda conn: schedules.record_marks(
        conn,
        [schedules.HighWaterMark(schedule="s1", fired_until=NINE, next_fire_at=NINE, error=None)],
        now=NINE,
    ),
    "count_last_failures": lambda conn: runs.count_last_failures(conn, "s1", limit=3),
    "list_at_work": lambda conn: queued.list_at_work(conn, ["main"], now=NINE),
    "claim_runs": lambda conn: claims.claim_runs(
        conn, {"main": 64}, now=NINE, owner="d1", lease_until=NINE + LEASE
    ),
    "read_outlook": lambda conn: queued.read_outlook(conn, now=NINE),
    "skip_too_late": lambda conn: end_queued.skip_too_late(conn, now=NINE),
    "supersede_older": lambda conn: end_queued.supersede_older(conn, ["main"], now=NINE),
    "hasten_polls": lambda conn: collections_.hasten_polls(
        conn, frozenset({("main", "c_r1")}), now=NINE
    ),
    "read_brake": lambda conn: accounts.read_brake(conn, "main", now=NINE),
    "find_poll_due": lambda conn: accounts.find_poll_due(conn, "main", now=NINE),
    "count_in_flight": lambda conn: accounts.count_in_flight(conn, "main", now=NINE),
    "list_claimed_by": lambda conn: outcomes.list_claimed_by(conn, "d9"),
    "settle accepted": answer(ACCEPTED),
    "settle lost": answer(LOST),
    "settle rejected": answer(REJECTED),
    "expire_leases": lambda conn: unconfirmed.expire_leases(conn, now=NINE, next_lookup_at=NINE),
    "unconfirmed.list_accounts": lambda conn: unconfirmed.list_accounts_to_look_up(conn, now=NINE),
    "unconfirmed.claim_lookups": claim_due(unconfirmed.claim_lookups),
    "unconfirmed.put_off_lookup": lambda conn: unconfirmed.put_off_lookup(
        conn, make_run(id=ENDED + 4), next_lookup_at=NINE, lookups=1
    ),
    "unconfirmed.find_next_lookup": unconfirmed.find_next_lookup,
    "collections.list_accounts": lambda conn: collections_.list_accounts_to_poll(conn, now=NINE),
    "collections.list_due_polls": lambda conn: collections_.list_due_polls(
        conn, "main", now=NINE, until=NINE, limit=1000
    ),
    "collections.list_open_among": lambda conn: collections_.list_open_among(conn, ["jr_1"]),
    "collections.claim_polls": lambda conn: collections_.claim_polls(
        conn, ["jr_1"], beside=["jr_2"], now=NINE, owner="d1", lease_until=NINE + LEASE
    ),
    "other_jobs.list_wanted": lambda conn: other_jobs.list_wanted(conn, now=NINE),
    "other_jobs.list_counted": lambda conn: other_jobs.list_counted(conn, ["c_1"], now=NINE),
    "other_jobs.list_in_doubt": lambda conn: other_jobs.list_in_doubt(conn, ("main", "c_1")),
    "collections.find_next_poll": collections_.find_next_poll,
    "collections.find_next_poll after": lambda conn: collections_.find_next_poll(conn, after=NINE),
    "list_owners": lambda conn: collections_.list_owners(conn, ["j_1", "j_2"]),
    "record_polls": lambda conn: collections_.record_polls(
        conn, [Polled(collection=make_collection(id="jr_1"), seen={}, next_poll_at=None)], now=NINE
    ),
    "end_runs": lambda conn: followed.end_runs(
        conn,
        [
            EndedCollection(
                collection=make_collection(id="jr_1"),
                state=RunState.FAILED,
                reason=Reason.DONE,
                detail=None,
            )
        ],
        now=NINE,
    ),
    "get_runs": lambda conn: runs.get_runs(conn, [1, 2]),
    "list_collections": lambda conn: collections_.list_collections(conn, 1),
    "request_cancel": lambda conn: collections_.request_cancel(conn, "j_1", now=NINE, note="x"),
    "count_open": runs.count_open,
    "list_queued": gauges.list_queued,
    "count_overdue": gauges.count_overdue,
    "count_events": count_events,
    "list_last_ends": lambda conn: last_ends.list_last_ends(conn, ["s1", "s2"]),
    "last_ends.record": lambda conn: last_ends.record(
        conn, [last_ends.LastEnd(schedule="s1", ended_at=NINE, succeeded_at=None)]
    ),
    "list_astray": lambda conn: course.list_astray(conn, now=NINE),
    "notices.count_open": notices.count_open,
    "list_notices that are open": lambda conn: notices.list_page(
        conn, channel="ops", only_open=True, limit=50
    ),
    "list_queue_depths": runs.list_queue_depths,
    "list_attempts": lambda conn: runs.list_attempts(conn, 1),
    "list_runs of a schedule": lambda conn: runs.list_runs(
        conn, RunFilter(schedule="s1"), limit=50
    ),
    "prune_runs": lambda conn: retention.prune_runs(
        conn, Sweep(), Retention(runs=timedelta(days=17)), now=NINE + timedelta(days=90)
    ),
    "list_runs in an open state": lambda conn: runs.list_runs(
        conn, RunFilter(states=[RunState.NEEDS_ATTENTION, RunState.UNCONFIRMED]), limit=50
    ),
}


_AGE: Final = timedelta(days=17)
_OTHERS: Final = Retention(changes=_AGE, holds=_AGE, notices=_AGE, results=_AGE)

RECURRING: Final[dict[str, Callable[[Connection], object]]] = {
    "expire_leases_of_others": lambda conn: unconfirmed.expire_leases_of_others(
        conn, "d1", now=NINE, next_lookup_at=NINE
    ),
    "prune_others": lambda conn: [
        retention.prune_others(conn, _OTHERS, now=NINE + timedelta(days=ago), limit=200)
        for ago in (0, 90)
    ],
    "list_full": lambda conn: runs.list_full(conn, now=NINE),
    "hold": lambda conn: holds.replace_lasting(conn, "full:", {"full:a": "x"}, now=NINE),
    "end a hold": lambda conn: holds.end(conn, "full:a", now=NINE),
    "lift_lapsed_pauses": lambda conn: definitions.lift_lapsed_pauses(conn, now=NINE),
    "look further": lambda conn: [
        claims.claim_as_of(conn, since=NINE, owner="d1", now=NINE),
        claims.has_waited(conn, since=NINE),
    ],
    "results.find_next": lambda conn: [results.find_next(conn, of=of) for of in results.Place],
    "results.list_accounts": lambda conn: results.list_accounts(conn, now=NINE),
    "results.claim": lambda conn: results.claim(
        conn, "main", now=NINE, owner="d1", until=NINE + LEASE, limit=10
    ),
    "results.list_removable": lambda conn: results.list_removable(
        conn, host="h", now=NINE, limit=10
    ),
    "results.list_unsaved": lambda conn: results.list_unsaved(conn, limit=10),
    "collection_requests": lambda conn: [
        collection_requests.find_next(conn),
        collection_requests.list_accounts(conn, now=NINE),
        collection_requests.list_due(conn, "main", now=NINE, limit=10),
    ],
    "failed_inputs": lambda conn: [
        failed_inputs.find_next(conn),
        failed_inputs.list_accounts(conn, now=NINE),
        failed_inputs.claim(conn, "main", now=NINE, owner="d1", until=NINE + LEASE, limit=10),
    ],
    "deliver": lambda conn: [
        notices.find_next_attempt(conn, ["ops"]),
        notices.list_waiting(conn, ["ops"]),
        notices.claim(conn, "ops", limit=10, now=NINE, until=NINE + LEASE),
    ],
    "alerts.list_open": alerts.list_open,
    "find_late": lambda conn: troubles.find_late(conn, before=NINE),
    "find_unheard": lambda conn: followed.find_unheard(conn, before=NINE),
}
"""What a daemon asks beside the work, now and then or at its start."""


@pytest.mark.parametrize("name", [*HOT, *RECURRING])
def test_nothing_that_recurs_reads_through_what_grows(grown: Database, name: str) -> None:
    with caught(grown) as (conn, statements):
        (HOT | RECURRING)[name](conn)
        complaints = [
            f"{complaint}: {statement}"
            for statement, parameters in statements
            for complaint in scans(conn, statement, parameters)
        ]

    assert statements
    assert complaints == []


def test_what_stands_is_found_without_a_look_through_all_runs(grown: Database) -> None:
    with caught(grown) as (conn, statements):
        standing.list_standing(conn, now=NINE)
        found = [scan for statement in statements for scan in scans(conn, *statement)]

    assert statements
    assert [scan for scan in found if "runs" in scan] == []


def test_how_all_is_doing_is_told_without_a_look_through_all_runs(grown: Database) -> None:
    """`status`, the overview and a look at the clock ask for what is open, or lately was."""
    with caught(grown) as (conn, statements):
        read_overview(conn, now=NINE)
        ahead.set_back_the_rest(conn, now=NINE)
        unbounded = [sent for sent in statements if "LIMIT" not in sent[0]]
        found = [scan for sent in unbounded for scan in scans(conn, *sent)]

    assert len(unbounded) > 30
    assert [scan for scan in found if "runs" in scan] == []


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


def test_the_first_schedules_are_read_by_name_up_to_a_limit(grown: Database) -> None:
    with caught(grown) as (conn, statements):
        gauges.list_first_schedules(conn, 100)
        words = str(plan(conn, *statements[0]))

    assert "TEMP B-TREE" not in words and "'Sort'" not in words and "Seq Scan" not in words


def test_schedules_that_fail_are_looked_for_from_two_ends(grown: Database) -> None:
    """By name and from the newest run back, each up to a limit; all else by index."""
    with caught(grown) as (conn, statements):
        failing.list_failing(conn)
        [complaints] = [scans(conn, *statement) for statement in statements]
        words = str(plan(conn, *statements[0]))

    assert len(complaints) == 2
    assert "Seq Scan" not in words and "'Hash" not in words


def test_what_failed_and_was_missed_of_late_is_found_by_when(grown: Database) -> None:
    with caught(grown) as (conn, statements):
        troubles.find_failed(conn, since=NINE)
        troubles.find_missed(conn, since=NINE)
        plans = [str(plan(conn, *statement)) for statement in statements]

    assert plans and all("ix_runs_lost" in words for words in plans)


def test_what_was_given_up_of_late_is_counted_by_an_index(grown: Database) -> None:
    with caught(grown) as (conn, statements):
        notices.list_outboxes(conn, given_up_since=NINE)
        plans = [str(plan(conn, *one)) for one in statements if "given_up" in one[0]]

    assert plans and all("ix_deliveries_given_up" in words for words in plans)


def test_a_statement_that_reads_through_a_table_is_noticed(grown: Database) -> None:
    """What all the others rest on."""
    with caught(grown) as (conn, statements):
        runs.count_states(conn)
        # Through an index: what is no retry is nearly all of history.
        conn.execute(
            select(tables.runs.c.schedule)
            .where(tables.runs.c.retry_of.is_(None))
            .order_by(tables.runs.c.schedule, tables.runs.c.due_at)
            .limit(9)
        )
        complaints = [scans(conn, *statement) for statement in statements]

    assert [len(found) for found in complaints] == [1, 1]


def test_history_is_long_enough_to_tell(grown: Database) -> None:
    with grown.reading() as conn:
        counts = {
            table: conn.exec_driver_sql(f"SELECT count(*) FROM {table}").scalar_one()
            for table in ("runs", "schedules")
        }

    assert counts["runs"] > ENDED and counts["schedules"] > SCHEDULES
