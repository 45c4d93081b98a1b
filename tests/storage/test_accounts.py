"""Accounts, and the brake that all daemons share."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest

from scheduler.domain.errors import NotFound
from scheduler.domain.records import RunState
from scheduler.storage import accounts
from scheduler.storage.database import Database
from tests.make import NINE, make_account, make_brake, minutes, seconds
from tests.storage.rows import insert_account, insert_collection, insert_run


def test_accounts_are_found_by_name(db: Database) -> None:
    with db.writing() as conn:
        insert_account(conn, name="a")

        assert accounts.list_accounts(conn) == [make_account(name="a"), make_account()]
        assert accounts.get_account(conn, "main") == make_account()
        assert accounts.find_account(conn, "gone") is None
        with pytest.raises(NotFound, match="no account is called 'gone'"):
            accounts.get_account(conn, "gone")


def test_a_brake_is_there_from_the_first_request_on(db: Database) -> None:
    with db.writing() as conn:
        assert accounts.find_brake(conn, "main") is None
        read = accounts.read_brake(conn, "main", now=NINE)

        assert accounts.find_brake(conn, "main") == read.brake
    assert (read.claimed, read.asked, list(read.throttled_at)) == ({}, 0, [])


def test_what_a_brake_became_is_read_again(db: Database) -> None:
    brake = make_brake(open_until=NINE, trips=2, consecutive_losses=1, slow_start=4, tokens=0.5)
    with db.writing() as conn:
        accounts.read_brake(conn, "main", now=NINE)
        accounts.record_brake(conn, "main", brake)

    with db.writing() as conn:
        assert accounts.read_brake(conn, "main", now=NINE).brake == brake


def test_one_spender_at_a_time_holds_the_brake(db: Database) -> None:
    """Each reads what the one before has written: no strike is lost."""
    with db.writing() as conn:
        accounts.read_brake(conn, "main", now=NINE)

    def strike(_: int) -> None:
        for _ in range(5):
            with db.writing() as conn:
                brake = accounts.read_brake(conn, "main", now=NINE).brake
                accounts.record_brake(conn, "main", replace(brake, trips=brake.trips + 1))

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(strike, range(4)))

    with db.reading() as conn:
        brake = accounts.find_brake(conn, "main")
    assert brake is not None and brake.trips == 20


def test_the_first_requests_of_two_daemons_make_one_brake(db: Database) -> None:
    def read(_: int) -> None:
        with db.writing() as conn:
            accounts.read_brake(conn, "main", now=NINE)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(read, range(8)))

    with db.reading() as conn:
        assert conn.exec_driver_sql("SELECT count(*) FROM brakes").scalar() == 1


IN_FLIGHT: dict[str, dict[str, Any]] = {
    "a trigger": {"state": RunState.DISPATCHING, "lease_owner": "d1", "lease_until": NINE},
    "a lookup for a lost one": {
        "state": RunState.UNCONFIRMED,
        "next_lookup_at": NINE,
        "lease_owner": "d1",
        "lease_until": NINE + seconds(1),
    },
}
NOT_IN_FLIGHT: dict[str, dict[str, Any]] = {
    "one that waits": {},
    "a lookup that is over": IN_FLIGHT["a lookup for a lost one"] | {"lease_until": NINE},
    "a lookup to come": {"state": RunState.UNCONFIRMED, "next_lookup_at": NINE},
    "another account's": IN_FLIGHT["a trigger"] | {"account": "other"},
}


@pytest.mark.parametrize("name", [*IN_FLIGHT, *NOT_IN_FLIGHT])
def test_what_may_be_on_the_wire_is_in_flight(db: Database, name: str) -> None:
    with db.writing() as conn:
        insert_account(conn, name="other")
        insert_run(conn, **(IN_FLIGHT | NOT_IN_FLIGHT)[name])

        assert accounts.count_in_flight(conn, "main", now=NINE) == int(name in IN_FLIGHT)


def test_a_poll_of_a_collection_is_in_flight_while_its_lease_holds(db: Database) -> None:
    with db.writing() as conn:
        run_id = insert_run(conn, state=RunState.COLLECTING, collection_id="j_1")
        insert_collection(conn, run_id)
        conn.exec_driver_sql(
            "UPDATE collections SET lease_owner = 'd1', lease_until = next_poll_at"
        )

        counts = [
            accounts.count_in_flight(conn, "main", now=moment)
            for moment in (NINE, NINE + minutes(1))
        ]
    assert counts == [1, 0]


def test_answers_of_429_count_for_five_minutes(db: Database) -> None:
    with db.writing() as conn:
        insert_account(conn, name="other", base_url="https://other.example")
        accounts.insert_throttles(conn, "main", [NINE, NINE - minutes(5), NINE - minutes(4)])
        accounts.insert_throttles(conn, "other", [NINE])

        assert accounts.list_throttled(conn, "main", now=NINE) == [NINE - minutes(4), NINE]


def test_what_others_at_the_same_upstream_were_answered_counts_for_the_address(
    db: Database,
) -> None:
    with db.writing() as conn:
        insert_account(conn, name="beside")
        insert_account(conn, name="elsewhere", base_url="https://elsewhere.example")
        accounts.insert_throttles(conn, "beside", [NINE])
        accounts.insert_throttles(conn, "elsewhere", [NINE - seconds(1)])

        assert accounts.list_throttled(conn, "main", now=NINE) == [NINE]
        assert list(accounts.read_brake(conn, "main", now=NINE).throttled_at) == [NINE]


def test_suspected_ones_count_once_one_was_seen(db: Database) -> None:
    with db.writing() as conn:
        accounts.insert_throttles(conn, "main", [NINE - seconds(2)], suspected=True)
        before = accounts.list_throttled(conn, "main", now=NINE)
        accounts.insert_throttles(conn, "main", [NINE - seconds(1)])

        after = accounts.list_throttled(conn, "main", now=NINE)
    assert (before, after) == ([], [NINE - seconds(2), NINE - seconds(1)])


def test_a_certain_one_that_is_long_ago_makes_nothing_certain(db: Database) -> None:
    with db.writing() as conn:
        accounts.insert_throttles(conn, "main", [NINE - minutes(5)])
        accounts.insert_throttles(conn, "main", [NINE - seconds(2)], suspected=True)

        assert accounts.list_throttled(conn, "main", now=NINE) == []


def test_old_answers_are_forgotten_and_those_of_the_window_kept(db: Database) -> None:
    with db.writing() as conn:
        accounts.insert_throttles(conn, "main", [NINE - minutes(11), NINE - minutes(9)])
        accounts.insert_throttles(conn, "main", [NINE])
        accounts.insert_throttles(conn, "main", [])

        assert conn.exec_driver_sql("SELECT count(*) FROM throttles").scalar() == 2


def test_a_pause_by_hand_is_lifted_by_hand(db: Database) -> None:
    with db.writing() as conn:
        accounts.set_paused(conn, "main", by="ann", reason="audit", now=NINE)
        brake = accounts.list_paused(conn)["main"]
        lifted = [accounts.set_resumed(conn, "main") for _ in range(2)]

        assert accounts.list_paused(conn) == {}
    assert (brake.paused_at, brake.paused_reason, brake.paused_token) == (NINE, "audit", None)
    assert lifted == [True, False]


def test_pausing_leaves_the_rest_of_the_brake(db: Database) -> None:
    with db.writing() as conn:
        accounts.read_brake(conn, "main", now=NINE)
        accounts.record_brake(conn, "main", make_brake(trips=3))
        accounts.set_paused(conn, "main", by="ann", reason="audit", now=NINE)
        accounts.set_resumed(conn, "main")

        assert accounts.find_brake(conn, "main") == make_brake(trips=3)
