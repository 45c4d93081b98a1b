"""What is recorded of an answer, whatever its run has become since the claim."""

import sqlite3
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import closing

import pytest

from scheduler.domain.records import Outcome, Reason, Run, RunState
from scheduler.domain.transition import Transition
from scheduler.storage.database import Database
from scheduler.storage.runs import outcomes
from scheduler.storage.runs.outcomes import AttemptResult
from tests.make import NINE, minutes, seconds
from tests.storage.answers import (
    ACCEPTED,
    ADOPTED,
    CHANGES,
    LATER,
    attempt_of,
    collections_of,
    record,
)
from tests.storage.rows import (
    claim,
    insert_attempt,
    insert_collection,
    insert_run,
    insert_world,
    read_collection,
    read_run,
)

# --- the usual paths


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
def test_a_run_on_the_wire_becomes_what_was_decided(
    db: Database, claimed: Run, change: Transition
) -> None:
    assert record(db, claimed, change)

    run = read_run(db, claimed.id)
    assert (run.state, run.reason, run.detail) == (change.state, change.reason, change.detail)
    assert (run.lease_owner, run.lease_until) == (None, None)
    assert (run.next_lookup_at, run.lookups) == (change.next_lookup_at, 0)
    assert run.not_before == (change.not_before or NINE)
    assert run.attempt_count == (1 if change.counts else 0)
    assert (run.collection_id, run.start_eta) == (change.collection_id, change.start_eta)
    assert (run.ended_at is not None) == (run.state is RunState.FAILED)


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
def test_the_attempt_tells_its_own_outcome(db: Database, claimed: Run, change: Transition) -> None:
    record(db, claimed, change, status=418)

    attempt = attempt_of(db, claimed)
    resolved_at = None if change.outcome is Outcome.LOST else LATER
    assert (attempt.outcome, attempt.resolved_at) == (change.outcome, resolved_at)
    assert (attempt.detail, attempt.http_status) == (change.detail, 418)
    assert attempt.collection_id == change.collection_id


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
def test_recording_twice_changes_nothing(db: Database, claimed: Run, change: Transition) -> None:
    record(db, claimed, change)
    before = (read_run(db, claimed.id), attempt_of(db, claimed), collections_of(db, claimed))

    kept = record(db, claimed, change, LATER + minutes(1))

    assert kept
    after = (read_run(db, claimed.id), attempt_of(db, claimed), collections_of(db, claimed))
    assert after == before


def test_an_accepted_run_knows_when_it_was_triggered(db: Database, claimed: Run) -> None:
    record(db, claimed, ACCEPTED)

    assert read_run(db, claimed.id).triggered_at == LATER


def test_an_adopted_run_was_triggered_when_the_upstream_says(db: Database, claimed: Run) -> None:
    record(db, claimed, ADOPTED)

    assert read_run(db, claimed.id).triggered_at == NINE - seconds(1)


def test_an_accepted_run_has_its_collection_stored(db: Database, claimed: Run) -> None:
    record(db, claimed, ACCEPTED)

    with db.reading() as conn:
        collection = read_collection(conn, "j_1")
    assert (collection.run_id, collection.account, collection.collector_id) == (
        claimed.id,
        "main",
        "c_shop",
    )
    assert (collection.accepted_at, collection.next_poll_at) == (LATER, NINE + minutes(2))


def test_settling_nothing_settles_nothing(db: Database) -> None:
    with db.writing() as conn:
        assert outcomes.record_outcomes(conn, [], now=LATER) == []


# --- ids that another run has


def test_an_id_that_another_run_has_is_not_believed(db: Database, claimed: Run) -> None:
    with db.writing() as conn:
        owner = insert_run(conn, collector_id="c_1", state=RunState.COLLECTING, collection_id="j_1")
        insert_attempt(conn, owner, outcome=Outcome.ACCEPTED, collection_id="j_1")
        insert_collection(conn, owner, id="j_1")

    record(db, claimed, ACCEPTED)

    run = read_run(db, claimed.id)
    assert (run.state, run.reason, run.collection_id) == (
        RunState.NEEDS_ATTENTION,
        Reason.DUPLICATE_ID,
        None,
    )
    assert run.detail == f"the upstream answered with j_1, which run {owner} already has"
    assert attempt_of(db, claimed).outcome is Outcome.LOST
    assert read_run(db, owner).collection_id == "j_1"


def test_of_one_id_twice_in_a_batch_the_first_is_believed(db: Database) -> None:
    with db.writing() as conn:
        insert_run(conn, collector_id="c_1")
        insert_run(conn, collector_id="c_2")
    one, other = claim(db)

    with db.writing() as conn:
        results = [AttemptResult(run=run, change=ACCEPTED) for run in (one, other)]
        not_kept = outcomes.record_outcomes(conn, results, now=LATER)

    assert not_kept == []
    assert read_run(db, one.id).collection_id == "j_1"
    assert read_run(db, other.id).reason is Reason.DUPLICATE_ID
    assert collections_of(db, one) == ["j_1"]


def test_a_late_answer_with_what_was_found_for_a_later_attempt_changes_nothing(
    db: Database, claimed: Run
) -> None:
    """Recorded as new it would break a unique index, and with it every pass of its daemon."""
    record(db, claimed, CHANGES["absent"])
    (again,) = claim(db, now=LATER)
    record(db, again, CHANGES["adopted"])
    adopted = read_run(db, claimed.id)

    assert record(db, claimed, ACCEPTED)

    assert adopted.collection_id == "j_1"
    assert read_run(db, claimed.id) == adopted
    assert collections_of(db, claimed) == ["j_1"]


def test_an_id_that_an_earlier_attempt_brought_is_not_believed(db: Database, claimed: Run) -> None:
    record(db, claimed, CHANGES["absent"])
    (again,) = claim(db, now=LATER)
    record(db, claimed, ACCEPTED)

    record(db, again, ACCEPTED)

    run = read_run(db, claimed.id)
    assert (run.state, run.reason) == (RunState.NEEDS_ATTENTION, Reason.DUPLICATE_ID)
    assert run.detail == "the upstream answered with j_1, which its attempt 1 already has"


def test_an_answer_for_a_run_whose_row_is_gone_hinders_no_other(sqlite_url: str) -> None:
    """The sqlite3 shell deletes without asking about foreign keys."""
    with Database(sqlite_url) as db:
        with db.writing() as conn:
            insert_world(conn)
            for number in range(2):
                insert_run(conn, collector_id=f"c_{number}")
        gone, stays = claim(db)
        assert db.file is not None
        with closing(sqlite3.connect(db.file)) as shell, shell:
            shell.execute("DELETE FROM attempts WHERE run_id = 1")
            shell.execute("DELETE FROM runs WHERE id = 1")

        with db.writing() as conn:
            results = [AttemptResult(run=run, change=ACCEPTED) for run in (gone, stays)]
            not_kept = outcomes.record_outcomes(conn, results, now=LATER)

        assert [one.run.id for one in not_kept] == [gone.id]
        assert read_run(db, stays.id).collection_id == "j_1"


def test_a_batch_of_every_outcome_is_recorded_whole(db: Database) -> None:
    with db.writing() as conn:
        for number in range(len(CHANGES) - 1):
            insert_run(conn, collector_id=f"c_{number}")
    changes = [change for name, change in CHANGES.items() if name != "adopted"]
    claimed = claim(db)

    with db.writing() as conn:
        results = [
            AttemptResult(run=run, change=one) for run, one in zip(claimed, changes, strict=True)
        ]
        not_kept = outcomes.record_outcomes(conn, results, now=LATER)

    assert not_kept == []
    assert [read_run(db, run.id).state for run in claimed] == [one.state for one in changes]


# --- confirm_cancel, replacing, releasing


def test_what_a_confirm_cancel_ended_is_marked(db: Database) -> None:
    with db.writing() as conn:
        killed = insert_run(conn, state=RunState.COLLECTING, collection_id="j_0")
        insert_collection(conn, killed, id="j_0")
        insert_run(conn, confirm_cancel=True)
    (run,) = claim(db)

    record(db, run, ACCEPTED)

    with db.reading() as conn:
        assert read_collection(conn, "j_0").replaced_by == run.id
        assert read_collection(conn, "j_1").replaced_by is None


def test_a_claim_that_was_not_sent_is_released_without_counting(db: Database, claimed: Run) -> None:
    with db.writing() as conn:
        assert outcomes.list_claimed_by(conn, "d1") == [claimed]
        outcomes.release_unsent(conn, [claimed], now=LATER, detail="why")

    run = read_run(db, claimed.id)
    assert (run.state, run.reason, run.attempt_count, run.fence) == (
        RunState.QUEUED,
        Reason.LEASE_ENDED,
        0,
        1,
    )
    assert attempt_of(db, claimed).outcome is Outcome.DEFERRED


def test_only_a_daemons_own_claims_are_its(db: Database, claimed: Run) -> None:
    with db.reading() as conn:
        assert outcomes.list_claimed_by(conn, "d2") == []


def test_an_account_that_was_renamed_in_flight_keeps_the_collection(
    db: Database, claimed: Run
) -> None:
    with db.writing() as conn:
        conn.exec_driver_sql("UPDATE accounts SET name = 'new' WHERE name = 'main'")

    record(db, claimed, ACCEPTED)

    with db.reading() as conn:
        assert read_collection(conn, "j_1").account == "new"


def test_one_id_that_two_daemons_record_at_once_is_believed_once(postgresql_url: str) -> None:
    """The second waits for the first, and finds out by what it cannot write any more."""
    with Database(postgresql_url) as db, ThreadPoolExecutor(1) as pool:
        with db.writing() as conn:
            insert_world(conn)
            insert_run(conn, collector_id="c_1")
            insert_run(conn, collector_id="c_2")
        first, second = claim(db)

        with db.writing() as conn:
            outcomes.record_outcomes(conn, [AttemptResult(run=first, change=ACCEPTED)], now=LATER)
            recording = pool.submit(record, db, second, ACCEPTED)
            wait([recording], timeout=0.3)
            waited = not recording.done()
        recording.result(60)

        assert waited
        assert read_run(db, first.id).collection_id == "j_1"
        assert read_run(db, second.id).reason is Reason.DUPLICATE_ID
