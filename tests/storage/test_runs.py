"""Runs: written once an occurrence, listed and counted."""

from datetime import datetime
from typing import Any

import pytest

from scheduler.domain.errors import NotFound
from scheduler.domain.records import Outcome, RunState
from scheduler.storage import runs
from scheduler.storage.database import Database
from scheduler.storage.runs import RunFilter
from tests.make import NINE, make_new_run, make_run, minutes
from tests.storage.rows import insert_account, insert_attempt, insert_run, read_run, states_of

QUEUE: dict[str, Any] = {"queue": "news", "order_key": "queue:main/c_shop/news"}


def test_a_new_run_is_read_as_it_was_written(db: Database) -> None:
    with db.writing() as conn:
        run_id = runs.insert_run(conn, make_new_run(), by="a test")

    assert read_run(db, run_id) == make_run(id=run_id, created_by="a test")


def test_an_occurrence_is_written_once(db: Database) -> None:
    with db.writing() as conn:
        runs.insert_runs(conn, [make_new_run(), make_new_run(due_at=NINE + minutes(60))])
        runs.insert_runs(conn, [make_new_run(priority=9), make_new_run(chunk=2, chunks=2)])
        runs.insert_runs(conn, [])

        found = runs.list_runs(conn, RunFilter(), limit=9)
    assert [(run.due_at, run.chunk, run.priority) for run in reversed(found)] == [
        (NINE, 1, 0),
        (NINE + minutes(60), 1, 0),
        (NINE, 2, 0),
    ]


def test_retries_and_runs_by_hand_stand_beside_an_occurrence(db: Database) -> None:
    with db.writing() as conn:
        first = runs.insert_run(conn, make_new_run(), by="a test")
        for _ in range(2):
            runs.insert_run(conn, make_new_run(retry_of=first), by="a test")
            runs.insert_run(conn, make_new_run(schedule=None), by="a test")

        assert runs.list_retried(conn, [first, 99]) == {first}
    assert len(states_of(db)) == 5


def test_a_run_that_is_not_there_is_not_found(db: Database) -> None:
    with db.reading() as conn, pytest.raises(NotFound, match="no run has the id 99"):
        runs.get_run(conn, 99)


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (RunFilter(), [4, 3, 2, 1]),
        (RunFilter(schedule="hourly"), [1]),
        (RunFilter(collector="other"), [2]),
        (RunFilter(queue="news"), [3]),
        (RunFilter(states=[RunState.SKIPPED]), [4]),
        (RunFilter(states=[RunState.QUEUED]), [3, 2, 1]),
        (RunFilter(states=[RunState.QUEUED, RunState.SKIPPED]), [4, 3, 2, 1]),
        (RunFilter(since=NINE + minutes(1)), [3, 2]),
        (RunFilter(until=NINE + minutes(1)), [4, 2, 1]),
        (RunFilter(since=NINE + minutes(1), until=NINE + minutes(1)), [2]),
        (RunFilter(schedule="hourly", queue="news"), []),
    ],
)
def test_a_filter_narrows_the_list(db: Database, wanted: RunFilter, expected: list[int]) -> None:
    with db.writing() as conn:
        insert_run(conn, schedule="hourly")
        insert_run(conn, collector="other", due_at=NINE + minutes(1))
        insert_run(conn, due_at=NINE + minutes(2), **QUEUE)
        insert_run(conn, state=RunState.SKIPPED)

        found = runs.list_runs(conn, wanted, limit=9)
    assert [run.id for run in found] == expected


def test_pages_follow_each_other_without_a_gap(db: Database) -> None:
    with db.writing() as conn:
        for _ in range(5):
            insert_run(conn)

        pages: list[list[int]] = []
        before_id = None
        while page := runs.list_runs(conn, RunFilter(), limit=2, before_id=before_id):
            pages.append([run.id for run in page])
            before_id = page[-1].id
    assert pages == [[5, 4], [3, 2], [1]]


def test_attempts_are_listed_in_order(db: Database) -> None:
    with db.writing() as conn:
        run_id = insert_run(conn, fence=2)
        insert_attempt(conn, run_id, number=2)
        insert_attempt(conn, run_id, number=1, outcome=Outcome.ABSENT)

        assert [one.number for one in runs.list_attempts(conn, run_id)] == [1, 2]


def test_runs_are_counted_by_state(db: Database) -> None:
    with db.writing() as conn:
        for state in (RunState.QUEUED, RunState.QUEUED, RunState.SKIPPED):
            insert_run(conn, state=state)

        assert runs.count_open(conn) == {RunState.QUEUED: 2}
        assert runs.count_states(conn) == {RunState.QUEUED: 2, RunState.SKIPPED: 1}


def test_what_waits_in_a_queue_is_counted_per_collector(db: Database) -> None:
    with db.writing() as conn:
        insert_account(conn, name="other")
        insert_run(conn, **QUEUE)
        insert_run(conn, state=RunState.SKIPPED, **QUEUE)
        insert_run(conn, collector_id="c_other", queue="news")
        insert_run(conn, account="other", queue="news")

        assert runs.count_waiting(conn, "main", "c_shop", "news") == 1


def test_unfinished_runs_are_listed_in_the_order_they_were_due(db: Database) -> None:
    with db.writing() as conn:
        later = insert_run(conn, schedule="hourly", due_at=NINE + minutes(1))
        first = insert_run(conn, schedule="hourly", due_at=NINE)
        insert_run(conn, schedule="hourly", due_at=NINE - minutes(1), state=RunState.SKIPPED)
        insert_run(conn, schedule="daily")

        found = runs.list_unfinished(conn, ["hourly", "weekly"])
        assert runs.list_unfinished(conn, []) == {}
    assert {name: [one.run_id for one in found[name]] for name in found} == {
        "hourly": [first, later]
    }


@pytest.mark.parametrize(
    ("ends", "expected"),
    [
        ([], 0),
        (["failed", "failed"], 2),
        (["failed", "succeeded", "failed"], 1),
        (["failed", "skipped", "failed"], 2),
        (["failed", "failed", "failed", "failed"], 3),
        (["failed", "queued"], 1),
    ],
)
def test_failures_in_a_row_are_counted_from_the_latest(
    db: Database, ends: list[str], expected: int
) -> None:
    with db.writing() as conn:
        for number, end in enumerate(ends):
            state = RunState(end)
            found = f"j_{number}" if state is RunState.SUCCEEDED else None
            insert_run(
                conn,
                schedule="hourly",
                due_at=NINE + minutes(number),
                state=state,
                collection_id=found,
            )

        assert runs.count_last_failures(conn, "hourly", limit=3) == expected


@pytest.mark.parametrize(
    ("second", "head"),
    [
        ({"due_at": NINE + minutes(1)}, 1),
        ({"due_at": NINE - minutes(1)}, 2),
        ({"due_at": NINE + minutes(1), "priority": 1}, 2),
        ({"due_at": NINE + minutes(1), "state": RunState.NEEDS_ATTENTION}, 2),
    ],
)
def test_a_queue_is_shown_with_what_holds_it_up(
    db: Database, second: dict[str, Any], head: int
) -> None:
    with db.writing() as conn:
        insert_run(conn, **QUEUE)
        insert_run(conn, **QUEUE, **second)
        insert_run(conn, queue=None)

        (depth,) = runs.list_queue_depths(conn)
    unresolved = int("state" in second)
    assert (depth.queue, depth.account, depth.collector_id) == ("news", "main", "c_shop")
    assert (depth.waiting, depth.unresolved, depth.head.id) == (2 - unresolved, unresolved, head)


def test_runs_that_were_meant_to_be_sent_are_counted_once(db: Database) -> None:
    with db.writing() as conn:
        first = insert_run(conn, schedule="hourly", chunks=2)
        insert_run(conn, schedule="hourly", chunk=2, chunks=2)
        insert_run(conn, schedule="hourly", retry_of=first)
        insert_run(conn, schedule="hourly", due_at=later(1), state=RunState.SKIPPED)

        assert runs.count_made(conn, ["hourly", "daily"]) == {"hourly": 1}
        assert runs.count_made(conn, []) == {}


def later(count: float) -> datetime:
    return NINE + minutes(count)
