"""Runs that are sent no more: too late, overtaken, flushed, or ended by a person."""

from typing import Any

import pytest

from scheduler.domain.records import Reason, RunState
from scheduler.storage import definitions, schedules, tables
from scheduler.storage.database import Database
from scheduler.storage.runs import end_queued
from tests.make import NINE, minutes, seconds
from tests.storage.rows import (
    claim,
    ids,
    insert_run,
    insert_schedule,
    read_run,
    states_of,
)

QUEUE: dict[str, Any] = {"queue": "news", "order_key": "queue:main/c_shop/news"}


def test_a_run_past_its_grace_is_skipped_and_one_that_was_tried_failed(db: Database) -> None:
    with db.writing() as conn:
        untried = insert_run(conn, send_before=NINE - seconds(1))
        tried = insert_run(
            conn, send_before=NINE - seconds(1), attempt_count=1, fence=1, detail="429"
        )
        on_the_edge = insert_run(conn, send_before=NINE + seconds(0.000001))
        for_ever = insert_run(conn, send_before=None)

        end_queued.skip_too_late(conn, now=NINE)

    ended = [read_run(db, untried), read_run(db, tried)]
    assert [(run.id, run.state, run.reason, run.ended_at) for run in ended] == [
        (untried, RunState.SKIPPED, Reason.MISSED, NINE),
        (tried, RunState.FAILED, Reason.MISSED, NINE),
    ]
    assert ended[1].detail == "it could not be sent within its misfire grace; 429"
    assert read_run(db, on_the_edge).state is RunState.QUEUED
    assert read_run(db, for_ever).state is RunState.QUEUED


def test_nothing_too_late_ends_nothing(db: Database) -> None:
    with db.writing() as conn:
        insert_run(conn, send_before=NINE + seconds(0.000001))
        end_queued.skip_too_late(conn, now=NINE)

    assert states_of(db) == [RunState.QUEUED]


def test_a_later_confirm_cancel_supersedes_the_older_waiting_runs_of_its_collector(
    db: Database,
) -> None:
    with db.writing() as conn:
        older = insert_run(conn, due_at=NINE - minutes(2))
        other = insert_run(conn, due_at=NINE - minutes(2), collector_id="c_other")
        insert_run(conn, due_at=NINE - minutes(1), confirm_cancel=True)
        newest = insert_run(conn, due_at=NINE, confirm_cancel=True)
        later = insert_run(conn, due_at=NINE + minutes(1))

        end_queued.supersede_older(conn, ["main"], now=NINE)

    superseded = read_run(db, older)
    assert superseded.reason is Reason.SUPERSEDED
    assert superseded.detail == f"run {newest} with confirm_cancel took its place"
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
            schedules.set_paused(conn, ["cancelling"], by="me", reason="x", now=NINE, until=None)
        if held_up == "frozen":
            freeze = {"scope": "label:big", "frozen_at": NINE, "frozen_by": "me", "reason": "x"}
            conn.execute(tables.freezes.insert().values(**freeze))

        end_queued.supersede_older(conn, ["main"], now=NINE)

    assert ids(claim(db)) == [older]


@pytest.mark.parametrize(
    "held_up", ["not yet", "queue paused", "schedule paused", "frozen", "waits"]
)
def test_what_is_held_up_is_not_superseded_by_a_confirm_cancel(db: Database, held_up: str) -> None:
    """It is not sent before the other, and so not killed by it."""
    with db.writing() as conn:
        before = insert_run(
            conn, collector_id="c_1", state=RunState.COLLECTING, collection_id="j_1"
        )
        older = insert_run(
            conn,
            **QUEUE,
            due_at=NINE - minutes(1),
            schedule="hourly",
            labels=",big,",
            not_before=NINE + seconds(held_up == "not yet"),
            waits_for=before if held_up == "waits" else None,
        )
        newer = insert_run(conn, confirm_cancel=True)
        if held_up == "queue paused":
            definitions.set_queue_paused(conn, "news", paused_at=NINE, by="me", reason="x")
        if held_up == "schedule paused":
            schedules.set_paused(conn, ["hourly"], by="me", reason="x", now=NINE, until=None)
        if held_up == "frozen":
            freeze = {"scope": "label:big", "frozen_at": NINE, "frozen_by": "me", "reason": "x"}
            conn.execute(tables.freezes.insert().values(**freeze))

        end_queued.supersede_older(conn, ["main"], now=NINE)

    assert ids(claim(db)) == [newer]
    assert read_run(db, older).state is RunState.QUEUED


def test_a_later_occurrence_stands_for_those_that_still_wait(db: Database) -> None:
    with db.writing() as conn:
        waits = insert_run(conn, schedule="hourly", due_at=NINE - minutes(60))
        tried = insert_run(conn, schedule="hourly", due_at=NINE - minutes(120), attempt_count=1)
        retry = insert_run(conn, schedule="hourly", due_at=NINE - minutes(60), retry_of=waits)
        other = insert_run(conn, schedule="daily", due_at=NINE - minutes(60))
        itself = insert_run(conn, schedule="hourly", due_at=NINE)

        end_queued.coalesce_waiting(
            conn, ["hourly"], due_before=NINE, reason=Reason.COALESCED, now=NINE
        )

    assert [read_run(db, one).state for one in (waits, tried, retry, other, itself)] == [
        RunState.SKIPPED,
        RunState.FAILED,
        RunState.QUEUED,
        RunState.QUEUED,
        RunState.QUEUED,
    ]
    assert (read_run(db, waits).reason, read_run(db, waits).ended_at) == (Reason.COALESCED, NINE)


def test_only_what_waits_is_superseded(db: Database) -> None:
    with db.writing() as conn:
        waits = insert_run(conn)
        runs_on = insert_run(conn, state=RunState.COLLECTING, collection_id="j_1")
        untouched = insert_run(conn)
        end_queued.supersede(conn, [waits, runs_on], now=NINE)
        end_queued.supersede(conn, [], now=NINE)

    assert [read_run(db, one).state for one in (waits, runs_on, untouched)] == [
        RunState.SKIPPED,
        RunState.COLLECTING,
        RunState.QUEUED,
    ]


def test_a_waiting_run_is_ended_by_hand_and_no_other(db: Database) -> None:
    with db.writing() as conn:
        run_id = insert_run(conn)
        ended = [
            end_queued.end_waiting(
                conn,
                run_id,
                from_states=(RunState.QUEUED,),
                state=RunState.CANCELLED,
                reason=Reason.CANCELLED_BY_HAND,
                detail=None,
                now=NINE,
            )
            for _ in range(2)
        ]

    assert ended == [True, False]
    assert read_run(db, run_id).ended_at == NINE


def test_a_flushed_queue_skips_what_waits_in_it(db: Database) -> None:
    with db.writing() as conn:
        insert_run(conn, **QUEUE)
        insert_run(conn, state=RunState.UNCONFIRMED, next_lookup_at=NINE, **QUEUE)
        insert_run(conn, queue="sport")

        flushed = end_queued.flush_queue(conn, "news", detail="by me", now=NINE)

    assert flushed == 1
    assert states_of(db) == [RunState.SKIPPED, RunState.UNCONFIRMED, RunState.QUEUED]
