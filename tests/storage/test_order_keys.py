"""Who must wait: for the head of its order key, for its collector's limits."""

from typing import Any

import pytest
from sqlalchemy import update

from scheduler.domain.records import RunState
from scheduler.storage import tables
from scheduler.storage.database import Database
from scheduler.storage.runs import claims
from tests.make import NINE, minutes, seconds
from tests.storage.rows import (
    LEASE,
    claim,
    ids,
    insert_account,
    insert_collector,
    insert_run,
    settle_as_collecting,
)

QUEUE = {"queue": "news", "order_key": "queue:main/c_shop/news"}
IN_FLIGHT: dict[RunState, dict[str, Any]] = {
    RunState.DISPATCHING: {"lease_owner": "d9", "lease_until": NINE + LEASE},
    RunState.UNCONFIRMED: {"next_lookup_at": NINE},
    RunState.NEEDS_ATTENTION: {},
}


def test_a_run_is_not_claimed_before_its_time(db: Database) -> None:
    with db.writing() as conn:
        run_id = insert_run(conn, not_before=NINE + seconds(1))

    assert claim(db) == []
    assert ids(claim(db, now=NINE + seconds(1))) == [run_id]


def test_another_accounts_runs_are_left_alone(db: Database) -> None:
    with db.writing() as conn:
        insert_account(conn, name="other")
        insert_run(conn, account="other")

    assert claim(db) == []


@pytest.mark.parametrize("state", IN_FLIGHT)
def test_the_head_of_a_named_queue_blocks_those_behind_it(db: Database, state: RunState) -> None:
    with db.writing() as conn:
        conn.execute(update(tables.collectors).values(max_unresolved=9))
        insert_run(conn, state=state, **QUEUE, **IN_FLIGHT[state])
        insert_run(conn, due_at=NINE + seconds(1), not_before=NINE, **QUEUE)

    assert claim(db) == []


def test_the_head_blocks_while_it_waits_for_its_retry(db: Database) -> None:
    with db.writing() as conn:
        head = insert_run(conn, not_before=NINE + minutes(1), **QUEUE)
        behind = insert_run(conn, due_at=NINE + seconds(1), not_before=NINE, **QUEUE)

    assert claim(db) == []
    assert ids(claim(db, now=NINE + minutes(1))) == [head]
    settle_as_collecting(db)
    assert ids(claim(db, now=NINE + minutes(1))) == [behind]


@pytest.mark.parametrize("state", [RunState.DISPATCHING, RunState.UNCONFIRMED])
def test_of_a_schedule_one_run_is_unresolved_at_a_time(db: Database, state: RunState) -> None:
    order_key = {"schedule": "hourly", "order_key": "schedule:hourly"}
    with db.writing() as conn:
        conn.execute(update(tables.collectors).values(max_unresolved=9))
        insert_run(conn, state=state, **order_key, **IN_FLIGHT[state])
        insert_run(conn, due_at=NINE + seconds(1), not_before=NINE, **order_key)

    assert claim(db) == []


def test_outside_named_queues_a_person_who_thinks_holds_up_nobody(db: Database) -> None:
    order_key = {"schedule": "hourly", "order_key": "schedule:hourly"}
    with db.writing() as conn:
        insert_run(conn, state=RunState.NEEDS_ATTENTION, **order_key)
        behind = insert_run(conn, due_at=NINE + seconds(1), not_before=NINE, **order_key)

    assert ids(claim(db)) == [behind]


@pytest.mark.parametrize("state", [RunState.QUEUED, RunState.NEEDS_ATTENTION])
def test_in_a_relaxed_queue_others_pass_the_head(db: Database, state: RunState) -> None:
    relaxed = {"queue": "news", "order_key": None}
    with db.writing() as conn:
        insert_run(conn, state=state, not_before=NINE + minutes(1), **relaxed)
        behind = insert_run(conn, due_at=NINE + seconds(1), not_before=NINE, **relaxed)

    assert ids(claim(db)) == [behind]


def test_a_order_key_over_two_collectors_is_one_line_all_the_same(db: Database) -> None:
    """A schedule that was given another collector keeps its order."""
    order_key = {"schedule": "hourly", "order_key": "schedule:hourly"}
    with db.writing() as conn:
        head = insert_run(conn, collector_id="c_old", **order_key)
        insert_run(
            conn, collector_id="c_new", due_at=NINE + seconds(1), not_before=NINE, **order_key
        )

    assert [ids(claim(db)) for _ in range(2)] == [[head], []]


def test_as_many_runs_of_a_collector_are_claimed_as_may_be_unresolved(db: Database) -> None:
    with db.writing() as conn:
        conn.execute(update(tables.collectors).values(max_unresolved=3))
        made = [insert_run(conn, due_at=NINE - minutes(9 - number)) for number in range(4)]
        other = insert_run(conn, collector_id="c_other")

    claimed = [ids(claim(db, limit=limit)) for limit in (1, 3, 9)]

    # First one of each collector, then more of those that have room.
    assert claimed == [[made[0]], [made[1], other, made[2]], []]


def test_a_order_key_has_one_run_on_the_wire_however_many_its_collector_may_have(
    db: Database,
) -> None:
    with db.writing() as conn:
        conn.execute(update(tables.collectors).values(max_unresolved=9))
        head = insert_run(conn, due_at=NINE - minutes(2), **QUEUE)
        insert_run(conn, due_at=NINE - minutes(1), **QUEUE)
        free = insert_run(conn)

    assert ids(claim(db)) == [head, free]


def test_a_more_urgent_run_that_waits_blocks_its_order_key_and_a_less_urgent_does_not(
    db: Database,
) -> None:
    with db.writing() as conn:
        urgent = insert_run(conn, priority=5, not_before=NINE + minutes(1), **QUEUE)
        insert_run(conn, priority=0, due_at=NINE - minutes(1), **QUEUE)
        later = insert_run(conn, priority=9, due_at=NINE + minutes(1), not_before=NINE, **QUEUE)

    assert ids(claim(db)) == [later]
    settle_as_collecting(db)
    assert ids(claim(db)) == []
    assert ids(claim(db, now=NINE + minutes(1))) == [urgent]


@pytest.mark.parametrize("state", [RunState.DISPATCHING, RunState.UNCONFIRMED])
def test_what_is_unresolved_counts_against_max_unresolved(db: Database, state: RunState) -> None:
    with db.writing() as conn:
        insert_run(conn, state=state, **IN_FLIGHT[state])
        insert_run(conn)

    assert claim(db) == []


def test_a_collector_that_no_row_describes_gets_the_usual_limits(db: Database) -> None:
    with db.writing() as conn:
        made = [insert_run(conn, collector_id="c_unknown") for _ in range(2)]

    assert [ids(claim(db)) for _ in range(2)] == [made[:1], []]


def test_where_two_rows_name_a_collector_the_strictest_limit_holds(db: Database) -> None:
    with db.writing() as conn:
        insert_collector(conn, name="again", max_unresolved=5)
        made = [insert_run(conn) for _ in range(2)]

    assert [ids(claim(db)) for _ in range(2)] == [made[:1], []]


@pytest.mark.parametrize("running", [99, 100])
def test_a_collector_that_no_row_names_any_more_has_the_usual_limit(
    db: Database, running: int
) -> None:
    with db.writing() as conn:
        for number in range(running):
            insert_run(
                conn,
                collector_id="c_gone",
                state=RunState.COLLECTING,
                collection_id=f"j_{number}",
            )
        waiting = insert_run(conn, collector_id="c_gone")

    assert ids(claim(db)) == ([waiting] if running < 100 else [])


def test_running_and_unresolved_jobs_together_stay_within_max_running(db: Database) -> None:
    with db.writing() as conn:
        conn.execute(update(tables.collectors).values(max_running=2, max_unresolved=9))
        insert_run(conn, state=RunState.COLLECTING, collection_id="j_1")
        first, _ = insert_run(conn), insert_run(conn)

    assert [ids(claim(db)) for _ in range(2)] == [[first], []]


def test_collectors_that_are_full_are_named(db: Database) -> None:
    with db.writing() as conn:
        for number in range(20):
            insert_collector(conn, name=f"f{number}", collector_id=f"c_f{number}", max_running=1)
            insert_run(
                conn,
                collector_id=f"c_f{number}",
                state=RunState.COLLECTING,
                collection_id=f"j_{number}",
            )
            insert_run(conn, collector_id=f"c_f{number}", due_at=NINE - minutes(1))
        insert_collector(conn, name="idle", collector_id="c_idle", max_running=1)
        insert_run(conn, collector_id="c_idle", state=RunState.COLLECTING, collection_id="j_idle")
        free = insert_run(conn)

        claimed = claims.claim_runs(
            conn, {"main": 2}, now=NINE, owner="d1", lease_until=NINE + LEASE
        )

    assert [run.id for run in claimed.runs] == [free]
    assert claimed.full == {("main", f"c_f{number}") for number in range(20)}
