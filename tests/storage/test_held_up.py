"""Runs that wait although their time has come: paused, frozen, or for another."""

import pytest

from scheduler.domain.records import RunState
from scheduler.storage import definitions, schedules, tables
from scheduler.storage.database import Database
from tests.make import NINE, minutes
from tests.storage.rows import (
    LEASE,
    claim,
    ids,
    insert_run,
)

QUEUE = {"queue": "news", "order_key": "queue:main/c_shop/news"}


def test_a_paused_queue_sends_nothing_and_others_do(db: Database) -> None:
    with db.writing() as conn:
        definitions.set_queue_paused(conn, "news", paused_at=NINE, by="me", reason=None)
        paused = insert_run(conn, **QUEUE)
        other = insert_run(conn, collector_id="c_other", queue="sport", order_key=None)

    assert ids(claim(db)) == [other]
    with db.writing() as conn:
        definitions.set_queue_paused(conn, "news", paused_at=None, by=None, reason=None)
    assert ids(claim(db)) == [paused]


def test_a_paused_schedules_runs_wait_until_its_pause_ends(db: Database) -> None:
    with db.writing() as conn:
        run_id = insert_run(conn, schedule="hourly")
        schedules.set_paused(
            conn, ["hourly"], by="me", reason="x", now=NINE, until=NINE + minutes(5)
        )

    assert claim(db) == []
    assert ids(claim(db, now=NINE + minutes(5))) == [run_id]


@pytest.mark.parametrize(
    ("scope", "labels", "is_frozen"),
    [
        ("all", None, True),
        ("collector:shop", None, True),
        ("collector:other", None, False),
        ("label:news", ",news,", True),
        ("label:news", ",sport,news,", True),
        ("label:new", ",news,", False),
        ("label:n_ws", ",news,", False),
        ("label:%", ",news,", False),
        ("label:News", ",news,", False),
        ("label:news", None, False),
    ],
)
def test_a_freeze_holds_up_what_it_names(
    db: Database, scope: str, labels: str | None, is_frozen: bool
) -> None:
    with db.writing() as conn:
        run_id = insert_run(conn, labels=labels)
        freeze = {"scope": scope, "frozen_at": NINE, "frozen_by": "me", "reason": "x"}
        conn.execute(tables.freezes.insert().values(**freeze, until=NINE + minutes(5)))

    assert ids(claim(db)) == ([] if is_frozen else [run_id])
    assert ids(claim(db, now=NINE + minutes(5))) == ([run_id] if is_frozen else [])


@pytest.mark.parametrize("state", [RunState.QUEUED, RunState.COLLECTING, RunState.SUCCEEDED])
def test_a_run_waits_for_the_end_of_another(db: Database, state: RunState) -> None:
    with db.writing() as conn:
        found = None if state is RunState.QUEUED else "j_1"
        earlier = insert_run(
            conn, collector_id="c_1", state=state, collection_id=found, not_before=NINE + LEASE
        )
        waiting = insert_run(conn, waits_for=earlier)

    assert ids(claim(db)) == ([waiting] if state is RunState.SUCCEEDED else [])
