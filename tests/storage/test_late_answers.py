"""Answers that come when their run has gone on: kept where they can be, and never lost."""

import pytest

from scheduler.domain.records import ENDED_STATES, Outcome, Reason, Run, RunState
from scheduler.domain.transition import Transition
from scheduler.storage.database import Database
from scheduler.storage.runs import outcomes, unconfirmed
from scheduler.storage.runs.outcomes import AttemptResult
from tests.make import NINE, minutes, seconds
from tests.storage.answers import (
    ABANDONED,
    ABSENT,
    ACCEPTED,
    ADOPTED,
    CHANGES,
    DEFERRED,
    HELD,
    LATER,
    LOST,
    REJECTED,
    attempt_of,
    collections_of,
    put,
    record,
)
from tests.storage.rows import (
    claim,
    read_run,
)


@pytest.mark.parametrize("state", RunState)
def test_no_answer_for_an_older_claim_moves_a_run(
    db: Database, claimed: Run, state: RunState
) -> None:
    """Whatever the run is, a claim with a higher fence rules."""
    accepted = state in (RunState.COLLECTING, RunState.SUCCEEDED, RunState.PARTIAL)
    put(
        db,
        claimed,
        state=state,
        fence=2,
        ended_at=NINE if state in ENDED_STATES else None,
        next_lookup_at=NINE,
        collection_id="j_9" if accepted else None,
    )
    before = read_run(db, claimed.id)

    kept = {name: record(db, claimed, change) for name, change in CHANGES.items()}

    assert kept == dict.fromkeys(CHANGES, False)
    assert read_run(db, claimed.id) == before


def test_a_late_accepted_answer_of_a_run_that_was_sent_again_is_stored_and_not_kept(
    db: Database, claimed: Run
) -> None:
    record(db, claimed, ABSENT)
    (again,) = claim(db, now=LATER)

    kept = record(db, claimed, ACCEPTED, LATER + seconds(1))

    assert not kept
    assert attempt_of(db, claimed).outcome is Outcome.ACCEPTED
    assert attempt_of(db, again).outcome is Outcome.SENDING
    assert read_run(db, claimed.id) == again
    assert collections_of(db, claimed) == ["j_1"]


def test_the_second_collection_of_a_run_is_stored_beside_the_first(
    db: Database, claimed: Run
) -> None:
    record(db, claimed, ABSENT)
    (again,) = claim(db, now=LATER)
    second = Transition(
        state=RunState.COLLECTING,
        reason=Reason.ACCEPTED,
        outcome=Outcome.ACCEPTED,
        collection_id="j_2",
    )

    with db.writing() as conn:
        results = [
            AttemptResult(run=claimed, change=ACCEPTED),
            AttemptResult(run=again, change=second),
        ]
        not_kept = outcomes.record_outcomes(conn, results, now=LATER)

    assert not_kept == results[:1]
    assert collections_of(db, claimed) == ["j_1", "j_2"]
    assert read_run(db, claimed.id).collection_id == "j_2"


@pytest.mark.parametrize(
    "given_up", [ABSENT, ABANDONED, HELD, DEFERRED], ids=["absent", "abandoned", "held", "deferred"]
)
def test_a_late_accepted_answer_brings_a_run_that_was_given_up_its_collection(
    db: Database, claimed: Run, given_up: Transition
) -> None:
    record(db, claimed, given_up)

    kept = record(db, claimed, ACCEPTED, LATER + seconds(1))

    assert kept
    run = read_run(db, claimed.id)
    assert (run.state, run.collection_id, run.ended_at) == (RunState.COLLECTING, "j_1", None)
    assert attempt_of(db, claimed).outcome is Outcome.ACCEPTED


@pytest.mark.parametrize("state", [RunState.SKIPPED, RunState.CANCELLED, RunState.FAILED])
def test_an_ended_run_takes_the_collection_of_its_last_claim(
    db: Database, claimed: Run, state: RunState
) -> None:
    put(db, claimed, state=state, ended_at=NINE)

    assert record(db, claimed, ACCEPTED)
    assert read_run(db, claimed.id).state is RunState.COLLECTING


def test_a_run_never_changes_its_collection(db: Database, claimed: Run) -> None:
    """Adopted by looking, and then the lost answer arrives and names another job."""
    record(db, claimed, ADOPTED)
    other = Transition(
        state=RunState.COLLECTING,
        reason=Reason.ACCEPTED,
        outcome=Outcome.ACCEPTED,
        collection_id="j_2",
    )

    kept = record(db, claimed, other)

    assert not kept
    assert read_run(db, claimed.id).collection_id == "j_1"
    assert attempt_of(db, claimed).collection_id == "j_1"
    assert collections_of(db, claimed) == ["j_1", "j_2"]


@pytest.mark.parametrize("name", ["absent", "abandoned", "rejected", "deferred", "accepted"])
def test_a_lost_answer_never_reopens_an_attempt(db: Database, claimed: Run, name: str) -> None:
    record(db, claimed, CHANGES[name])
    before = (read_run(db, claimed.id), attempt_of(db, claimed))

    kept = record(db, claimed, LOST, LATER + seconds(1))

    assert not kept
    assert (read_run(db, claimed.id), attempt_of(db, claimed)) == before


@pytest.mark.parametrize("change", [REJECTED, DEFERRED], ids=["rejected", "deferred"])
@pytest.mark.parametrize("state", [RunState.UNCONFIRMED, RunState.NEEDS_ATTENTION])
def test_a_run_that_is_looked_for_ends_by_an_answer_that_comes_late(
    db: Database, claimed: Run, state: RunState, change: Transition
) -> None:
    with db.writing() as conn:
        unconfirmed.expire_leases(conn, now=NINE + minutes(2), next_lookup_at=NINE + minutes(3))
    put(db, claimed, state=state)

    kept = record(db, claimed, change, NINE + minutes(2))

    assert kept
    assert read_run(db, claimed.id).state is change.state
    assert attempt_of(db, claimed).outcome is change.outcome


def test_a_daemon_that_slept_does_not_lose_a_run_that_is_already_looked_for(
    db: Database, claimed: Run
) -> None:
    with db.writing() as conn:
        unconfirmed.expire_leases(conn, now=NINE + minutes(2), next_lookup_at=NINE + minutes(3))
    before = read_run(db, claimed.id)

    record(db, claimed, LOST, NINE + minutes(2))

    assert read_run(db, claimed.id) == before
