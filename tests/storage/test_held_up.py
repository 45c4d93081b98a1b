"""Runs that are not sent: paused, frozen, waiting for another, too late or superseded."""

from typing import Any

import pytest

from scheduler.domain.records import Reason, Run, RunState
from scheduler.storage import claims, definitions, schedules, tables
from scheduler.storage.database import Database
from tests.make import NINE, minutes, seconds
from tests.storage.rows import (
    LEASE,
    claim,
    insert_run,
    insert_schedule,
    read_run,
    states_of,
)

QUEUE = {"queue": "news", "lane": "queue:main/c_shop/news"}
IN_FLIGHT: dict[RunState, dict[str, Any]] = {
    RunState.DISPATCHING: {"lease_owner": "d9", "lease_until": NINE + LEASE},
    RunState.UNCONFIRMED: {"look_at": NINE},
    RunState.NEEDS_ATTENTION: {},
}


def ids(claimed: list[Run]) -> list[int]:
    return [run.id for run in claimed]


def test_a_paused_queue_sends_nothing_and_others_do(db: Database) -> None:
    with db.writing() as conn:
        definitions.set_queue_paused(conn, "news", paused_at=NINE, by="me", reason=None)
        paused = insert_run(conn, **QUEUE)
        other = insert_run(conn, collector_id="c_other", queue="sport", lane=None)

    assert ids(claim(db)) == [other]
    with db.writing() as conn:
        definitions.set_queue_paused(conn, "news", paused_at=None, by=None, reason=None)
    assert ids(claim(db)) == [paused]


def test_a_paused_schedules_runs_wait_until_its_pause_ends(db: Database) -> None:
    with db.writing() as conn:
        run_id = insert_run(conn, schedule="hourly")
        schedules.set_paused(conn, "hourly", by="me", reason="x", now=NINE, until=NINE + minutes(5))

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


# --- too late, superseded


def test_a_run_past_its_grace_is_skipped_and_one_that_was_tried_failed(db: Database) -> None:
    with db.writing() as conn:
        untried = insert_run(conn, send_before=NINE - seconds(1))
        tried = insert_run(conn, send_before=NINE - seconds(1), attempts=1, fence=1, detail="429")
        on_the_edge = insert_run(conn, send_before=NINE)
        for_ever = insert_run(conn, send_before=None)

        ended = claims.skip_too_late(conn, now=NINE)

    assert [(run.id, run.state, run.reason, run.ended_at) for run in ended] == [
        (untried, RunState.SKIPPED, Reason.MISSED, NINE),
        (tried, RunState.FAILED, Reason.MISSED, NINE),
    ]
    assert ended[1].detail == "it could not be sent within its misfire grace; 429"
    assert read_run(db, on_the_edge).state is RunState.QUEUED
    assert read_run(db, for_ever).state is RunState.QUEUED


def test_nothing_too_late_ends_nothing(db: Database) -> None:
    with db.writing() as conn:
        insert_run(conn, send_before=NINE)
        assert claims.skip_too_late(conn, now=NINE) == []


def test_a_later_confirm_cancel_supersedes_the_older_waiting_runs_of_its_collector(
    db: Database,
) -> None:
    with db.writing() as conn:
        older = insert_run(conn, due_at=NINE - minutes(2))
        other = insert_run(conn, due_at=NINE - minutes(2), collector_id="c_other")
        insert_run(conn, due_at=NINE - minutes(1), confirm_cancel=True)
        newest = insert_run(conn, due_at=NINE, confirm_cancel=True)
        later = insert_run(conn, due_at=NINE + minutes(1))

        superseded = claims.supersede_older(conn, ["main"], now=NINE)

    assert [(run.id, run.reason, run.detail) for run in superseded if run.id == older] == [
        (older, Reason.SUPERSEDED, f"run {newest} with confirm_cancel took its place")
    ]
    assert states_of(db) == [
        RunState.SKIPPED,
        RunState.QUEUED,
        RunState.SKIPPED,
        RunState.QUEUED,
        RunState.QUEUED,
    ]
    assert (other, later) == (2, 5)


@pytest.mark.parametrize("held_up", ["not yet", "paused", "frozen", "waits"])
def test_a_confirm_cancel_that_cannot_be_sent_supersedes_nobody(db: Database, held_up: str) -> None:
    with db.writing() as conn:
        insert_schedule(conn, name="cancelling", confirm_cancel=True)
        before = insert_run(
            conn, collector_id="c_1", state=RunState.COLLECTING, collection_id="j_1"
        )
        older = insert_run(conn, due_at=NINE - minutes(1))
        insert_run(
            conn,
            confirm_cancel=True,
            schedule="cancelling",
            labels=",big,",
            not_before=NINE + seconds(held_up == "not yet"),
            waits_for=before if held_up == "waits" else None,
        )
        if held_up == "paused":
            schedules.set_paused(conn, "cancelling", by="me", reason="x", now=NINE, until=None)
        if held_up == "frozen":
            freeze = {"scope": "label:big", "frozen_at": NINE, "frozen_by": "me", "reason": "x"}
            conn.execute(tables.freezes.insert().values(**freeze))

        assert claims.supersede_older(conn, ["main"], now=NINE) == []

    assert ids(claim(db)) == [older]
