"""Who must wait: for the head of its lane, for its collector's limits."""

from typing import Any

import pytest
from sqlalchemy import update

from scheduler.domain.records import RunState
from scheduler.storage import tables
from scheduler.storage.database import Database
from tests.make import NINE, minutes, seconds
from tests.storage.rows import (
    LEASE,
    claim,
    ids,
    insert_account,
    insert_collection,
    insert_collector,
    insert_run,
    settle_as_collecting,
)

QUEUE = {"queue": "news", "lane": "queue:main/c_shop/news"}
IN_FLIGHT: dict[RunState, dict[str, Any]] = {
    RunState.DISPATCHING: {"lease_owner": "d9", "lease_until": NINE + LEASE},
    RunState.UNCONFIRMED: {"look_at": NINE},
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
        conn.execute(update(tables.collectors).values(max_unsettled=9))
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
def test_of_a_schedule_one_run_is_unsettled_at_a_time(db: Database, state: RunState) -> None:
    lane = {"schedule": "hourly", "lane": "schedule:hourly"}
    with db.writing() as conn:
        conn.execute(update(tables.collectors).values(max_unsettled=9))
        insert_run(conn, state=state, **lane, **IN_FLIGHT[state])
        insert_run(conn, due_at=NINE + seconds(1), not_before=NINE, **lane)

    assert claim(db) == []


def test_outside_named_queues_a_person_who_thinks_holds_up_nobody(db: Database) -> None:
    lane = {"schedule": "hourly", "lane": "schedule:hourly"}
    with db.writing() as conn:
        insert_run(conn, state=RunState.NEEDS_ATTENTION, **lane)
        behind = insert_run(conn, due_at=NINE + seconds(1), not_before=NINE, **lane)

    assert ids(claim(db)) == [behind]


@pytest.mark.parametrize("state", [RunState.QUEUED, RunState.NEEDS_ATTENTION])
def test_in_a_relaxed_queue_others_pass_the_head(db: Database, state: RunState) -> None:
    relaxed = {"queue": "news", "lane": None}
    with db.writing() as conn:
        insert_run(conn, state=state, not_before=NINE + minutes(1), **relaxed)
        behind = insert_run(conn, due_at=NINE + seconds(1), not_before=NINE, **relaxed)

    assert ids(claim(db)) == [behind]


def test_a_lane_over_two_collectors_is_one_line_all_the_same(db: Database) -> None:
    """A schedule that was given another collector keeps its order."""
    lane = {"schedule": "hourly", "lane": "schedule:hourly"}
    with db.writing() as conn:
        head = insert_run(conn, collector_id="c_old", **lane)
        insert_run(conn, collector_id="c_new", due_at=NINE + seconds(1), not_before=NINE, **lane)

    assert [ids(claim(db)) for _ in range(2)] == [[head], []]


def test_at_most_one_run_of_a_collector_is_claimed_at_a_time(db: Database) -> None:
    with db.writing() as conn:
        conn.execute(update(tables.collectors).values(max_unsettled=2))
        made = [insert_run(conn, due_at=NINE - minutes(3 - number)) for number in range(3)]

    assert [ids(claim(db)) for _ in range(3)] == [[made[0]], [made[1]], []]


@pytest.mark.parametrize("state", [RunState.DISPATCHING, RunState.UNCONFIRMED])
def test_what_is_unsettled_counts_against_max_unsettled(db: Database, state: RunState) -> None:
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
        insert_collector(conn, name="again", max_unsettled=5)
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


def test_running_and_unsettled_jobs_together_stay_within_max_running(db: Database) -> None:
    with db.writing() as conn:
        conn.execute(update(tables.collectors).values(max_running=2, max_unsettled=9))
        insert_run(conn, state=RunState.COLLECTING, collection_id="j_1")
        first, _ = insert_run(conn), insert_run(conn)

    assert [ids(claim(db)) for _ in range(2)] == [[first], []]


def test_a_full_collector_is_looked_at_sooner(db: Database) -> None:
    with db.writing() as conn:
        conn.execute(update(tables.collectors).values(max_running=1))
        running = insert_run(conn, state=RunState.COLLECTING, collection_id="j_1")
        insert_collection(conn, running, look_at=NINE + minutes(5))
        insert_run(conn)

    claim(db)

    with db.reading() as conn:
        assert conn.scalar(tables.collections.select().with_only_columns(
            tables.collections.c.look_at)) == NINE  # fmt: skip
