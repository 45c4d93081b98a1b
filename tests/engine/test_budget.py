"""Budget: what triggers and questions leave to each other of an account's requests."""

from collections import Counter
from datetime import timedelta
from typing import Any

import pytest

from scheduler.engine.budget import Budget, open_budget
from scheduler.storage.database import Database
from tests.make import NINE, make_account, make_brake
from tests.storage.rows import insert_collection, insert_run, insert_world


def budget(*, tokens: float = 20.0, looks_are_late: bool = False, **overrides: Any) -> Budget:
    limits = {"max_in_flight": 8, "requests_per_second": 20.0}
    return Budget(
        account=make_account(**(limits | overrides)),
        brake=make_brake(tokens=tokens, refilled_at=NINE),
        claimed=Counter(),
        asked=0,
        throttled_at=[],
        looks_are_late=looks_are_late,
        now=NINE,
    )


def test_triggers_go_first_and_questions_leave_them_half_a_second() -> None:
    short = budget(tokens=10.5)

    assert (short.allowance().count, short.questions().count) == (8, 0)
    assert short.most_to_claim("d1", ahead=0) == 8
    assert short.questions().ask_again_at == NINE + timedelta(seconds=0.5 / 20)


def test_questions_go_first_once_looks_are_late() -> None:
    """A daemon that starts more than it can follow would never see anything end."""
    short = budget(tokens=10.5, looks_are_late=True)

    assert (short.allowance().count, short.questions().count) == (0, 8)
    assert short.most_to_claim("d1", ahead=0) == 0
    assert short.allowance().ask_again_at == NINE + timedelta(seconds=0.5 / 20)


def test_triggers_leave_late_questions_room_on_the_wire() -> None:
    late = budget(looks_are_late=True)
    asking = budget(looks_are_late=True)
    asking.ask(4)

    assert budget().slots("d1") == 8
    assert late.slots("d1") == 4
    assert asking.slots("d1") == 4


@pytest.mark.parametrize(("most", "slots"), [(1, 1), (2, 1), (3, 2), (32, 4)])
def test_of_few_requests_in_flight_half_is_left_to_triggers(most: int, slots: int) -> None:
    assert budget(looks_are_late=True, max_in_flight=most).slots("d1") == slots


@pytest.mark.parametrize("looks_are_late", [False, True])
def test_of_few_requests_a_second_nothing_is_kept_for_anybody(looks_are_late: bool) -> None:
    few = budget(tokens=1.0, requests_per_second=2.0, looks_are_late=looks_are_late)

    assert (few.allowance().count, few.questions().count) == (1, 1)


@pytest.mark.parametrize(
    ("waited", "leased", "is_late"),
    [(9, None, False), (11, None, True), (11, 1, False), (11, -1, True)],
    ids=["not yet", "late", "being looked at", "its lease is over"],
)
def test_looks_are_late_when_one_has_waited_for_ten_seconds(
    database_url: str, waited: float, leased: float | None, is_late: bool
) -> None:
    with Database(database_url) as db, db.writing() as conn:
        insert_world(conn)
        insert_collection(
            conn,
            insert_run(conn),
            look_at=NINE - timedelta(seconds=waited),
            lease_until=None if leased is None else NINE + timedelta(seconds=leased),
        )

        assert open_budget(conn, make_account(), now=NINE).looks_are_late is is_late
