"""Claims whose daemon died, and runs whose answer was lost: found, leased, looked for."""

from typing import Any

import pytest

from scheduler.domain.records import Outcome, Reason, RunState
from scheduler.storage import accounts, collections_, runs
from scheduler.storage.database import Database
from scheduler.storage.runs import unconfirmed
from tests.make import NINE, minutes, seconds
from tests.storage.rows import (
    LEASE,
    Execute,
    claim,
    insert_account,
    insert_attempt,
    insert_collection,
    insert_run,
    read_run,
)

OVER = NINE + LEASE + seconds(1)


def insert_lost_run(conn: Any, **overrides: Any) -> int:
    """Write a run that is looked for since NINE, with its attempt."""
    usual = {
        "state": RunState.UNCONFIRMED,
        "reason": Reason.ANSWER_LOST,
        "fence": 1,
        "attempt_count": 1,
        "next_lookup_at": NINE,
    }
    run_id = insert_run(conn, **(usual | overrides))
    insert_attempt(conn, run_id, outcome=Outcome.LOST, number=overrides.get("fence", 1))
    return run_id


def lookup(db: Database, owner: str = "d1", **how: Any) -> list[int]:
    usual: dict[str, Any] = {
        "account": "main",
        "now": NINE,
        "lease_until": NINE + LEASE,
        "limit": 10,
    }
    with db.writing() as conn:
        found = unconfirmed.claim_lookups(conn, **(usual | how), owner=owner)
    assert all(lost.attempt.run_id == lost.run.id for lost in found)
    return [lost.run.id for lost in found]


def test_a_lost_run_whose_attempt_is_gone_holds_up_no_other(db: Database, by_hand: Execute) -> None:
    with db.writing() as conn:
        without, other = insert_lost_run(conn), insert_lost_run(conn)
    by_hand(f"DELETE FROM attempts WHERE run_id = {without}")

    assert lookup(db) == [other]


def test_a_claim_whose_lease_ended_is_unconfirmed_and_never_queued(db: Database) -> None:
    with db.writing() as conn:
        run_id = insert_run(conn)
    claim(db)

    with db.writing() as conn:
        (lost,) = unconfirmed.expire_leases(conn, now=OVER, next_lookup_at=OVER + seconds(5))

    assert lost == read_run(db, run_id)
    assert (lost.state, lost.reason) == (RunState.UNCONFIRMED, Reason.DAEMON_DIED)
    assert (lost.next_lookup_at, lost.lease_owner, lost.fence) == (OVER + seconds(5), None, 1)
    with db.reading() as conn:
        (attempt,) = runs.list_attempts(conn, run_id)
    assert (attempt.outcome, attempt.resolved_at) == (Outcome.LOST, None)


def test_a_lease_that_holds_is_left_alone(db: Database) -> None:
    with db.writing() as conn:
        insert_run(conn)
    (run,) = claim(db)

    with db.writing() as conn:
        assert unconfirmed.expire_leases(conn, now=NINE + LEASE, next_lookup_at=OVER) == []

    assert read_run(db, run.id) == run


def test_the_answers_that_a_dead_daemon_did_not_see_are_suspected_to_be_429(db: Database) -> None:
    with db.writing() as conn:
        insert_account(conn, name="other", base_url="https://elsewhere.example")
        for number in range(2):
            insert_run(conn, collector_id=f"c_{number}")
        insert_run(conn, account="other")
    claim(db)
    claim(db, account="other")

    with db.writing() as conn:
        accounts.insert_throttles(conn, "other", [OVER])
        unconfirmed.expire_leases(conn, now=OVER, next_lookup_at=OVER)

        alone = accounts.list_throttled(conn, "main", now=OVER)
        accounts.insert_throttles(conn, "main", [OVER])
        seen = accounts.list_throttled(conn, "main", now=OVER)
        trips = {name: accounts.find_brake(conn, name) for name in ("main", "other")}
    assert (alone, seen) == ([], [OVER] * 3)
    # Whether it was a storm nobody knows: one request at a time finds out.
    assert {name: brake and brake.trips for name, brake in trips.items()} == {
        "main": 1,
        "other": 1,
    }


def test_questions_that_a_dead_daemon_had_asked_are_suspected_too(db: Database) -> None:
    with db.writing() as conn:
        for number in range(3):
            run_id = insert_run(
                conn,
                collector_id=f"c_{number}",
                state=RunState.COLLECTING,
                collection_id=f"j_{number}",
            )
            insert_collection(
                conn,
                run_id,
                id=f"j_{number}",
                next_poll_at=NINE,
                lease_owner="dead",
                lease_until=OVER,
            )
        unconfirmed.expire_leases_of_others(conn, "new", now=NINE, next_lookup_at=NINE)
        accounts.insert_throttles(conn, "main", [NINE])

        counted = accounts.list_throttled(conn, "main", now=NINE)
        brake = accounts.find_brake(conn, "main")
    assert len(counted) == 3 + 1
    assert brake is not None and brake.trips == 1


def test_a_new_daemon_alone_takes_over_every_claim_but_its_own(db: Database) -> None:
    with db.writing() as conn:
        dead, own = (insert_run(conn, collector_id=f"c_{number}") for number in range(2))
    claim(db, owner="dead", limit=1)
    claim(db, owner="new")

    with db.writing() as conn:
        lost = unconfirmed.expire_leases_of_others(conn, "new", now=NINE, next_lookup_at=NINE)

    assert [run.id for run in lost] == [dead]
    assert read_run(db, own).state is RunState.DISPATCHING


def test_taking_over_frees_looks_that_others_had_leased(db: Database) -> None:
    with db.writing() as conn:
        lost = insert_lost_run(conn)
        running = insert_run(
            conn, collector_id="c_1", state=RunState.COLLECTING, collection_id="j_1"
        )
        insert_collection(conn, running, next_poll_at=NINE)
        collections_.claim_polls(conn, ["j_1"], now=NINE, owner="dead", lease_until=NINE + LEASE)
    lookup(db, "dead")

    with db.writing() as conn:
        unconfirmed.expire_leases_of_others(conn, "new", now=NINE, next_lookup_at=NINE)
        free = collections_.claim_polls(
            conn, ["j_1"], now=NINE, owner="new", lease_until=NINE + LEASE
        )

    assert [one.id for one in free] == ["j_1"]
    assert lookup(db, "new") == [lost]


def test_the_first_due_are_looked_for_first_and_only_once_at_a_time(db: Database) -> None:
    with db.writing() as conn:
        insert_account(conn, name="other")
        third = insert_lost_run(conn, collector_id="c_1", next_lookup_at=NINE)
        first = insert_lost_run(conn, collector_id="c_2", next_lookup_at=NINE - seconds(2))
        second = insert_lost_run(conn, collector_id="c_3", next_lookup_at=NINE - seconds(1))
        insert_lost_run(conn, collector_id="c_4", next_lookup_at=NINE + seconds(1))
        insert_lost_run(conn, account="other")

    assert lookup(db, limit=2) == [first, second]
    assert lookup(db, "d2") == [third]
    assert lookup(db, "d3") == []


def test_a_look_whose_lease_ended_is_taken_by_another(db: Database) -> None:
    with db.writing() as conn:
        run_id = insert_lost_run(conn)
    lookup(db)

    assert lookup(db, "d2", now=NINE + LEASE) == []
    assert lookup(db, "d2", now=OVER, lease_until=OVER + LEASE) == [run_id]


def test_the_look_comes_with_the_attempt_that_is_looked_for(db: Database) -> None:
    with db.writing() as conn:
        run_id = insert_lost_run(conn, fence=2, attempt_count=2)
        insert_attempt(conn, run_id, number=1, outcome=Outcome.ABSENT)

        (lost,) = unconfirmed.claim_lookups(
            conn, "main", now=NINE, owner="d1", lease_until=NINE + LEASE, limit=9
        )

    assert (lost.attempt.number, lost.attempt.outcome) == (2, Outcome.LOST)


def test_a_look_that_is_put_off_gives_its_lease_back(db: Database) -> None:
    with db.writing() as conn:
        run_id = insert_lost_run(conn)
    lookup(db)

    with db.writing() as conn:
        unconfirmed.put_off_lookup(
            conn, runs.get_run(conn, run_id), next_lookup_at=NINE + minutes(1), lookups=1
        )

    run = read_run(db, run_id)
    assert (run.next_lookup_at, run.lookups, run.lease_owner) == (NINE + minutes(1), 1, None)


@pytest.mark.parametrize("meanwhile", ["settled", "claimed again"])
def test_a_look_is_not_put_off_for_a_run_that_went_on(db: Database, meanwhile: str) -> None:
    with db.writing() as conn:
        run_id = insert_lost_run(conn)
        looked_for = runs.get_run(conn, run_id)
        change = "state = 'queued'" if meanwhile == "settled" else "fence = 2"
        conn.exec_driver_sql(f"UPDATE runs SET {change}")
        before = runs.get_run(conn, run_id)

        unconfirmed.put_off_lookup(conn, looked_for, next_lookup_at=NINE + minutes(9), lookups=1)

        assert runs.get_run(conn, run_id) == before


def test_accounts_are_looked_for_when_a_look_of_theirs_is_due(db: Database) -> None:
    with db.writing() as conn:
        insert_account(conn, name="b")
        insert_account(conn, name="a")
        insert_lost_run(conn, account="b")
        insert_lost_run(conn, account="b", collector_id="c_2")
        insert_lost_run(conn, account="a", next_lookup_at=NINE + seconds(1))

        assert unconfirmed.list_accounts_to_look_up(conn, now=NINE) == ["b"]


def test_the_next_moment_is_the_first_look_or_the_first_end_of_a_lease(db: Database) -> None:
    with db.writing() as conn:
        assert unconfirmed.find_next_lookup(conn) is None
        insert_run(conn, collector_id="c_1")
    claim(db)

    with db.writing() as conn:
        assert unconfirmed.find_next_lookup(conn) == NINE + LEASE
        insert_lost_run(conn, next_lookup_at=NINE + seconds(5))
        assert unconfirmed.find_next_lookup(conn) == NINE + seconds(5)
