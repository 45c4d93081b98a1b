"""RateLimiter: what triggers and questions leave to each other of an account's requests."""

from collections import Counter
from datetime import datetime, timedelta
from typing import Any

import pytest

from scheduler.engine.rate_limiter import RateLimiter, open_limiter
from scheduler.storage.database import Database
from tests.make import NINE, make_account, make_brake
from tests.storage.rows import insert_collection, insert_run, insert_world

TURN = timedelta(seconds=4)
QUESTIONS = NINE if NINE.timestamp() // 4 % 2 == 0 else NINE + TURN
TRIGGERS = QUESTIONS + TURN


def limiter(
    *, tokens: float = 20.0, polls_are_late: bool = False, now: datetime = NINE, **overrides: Any
) -> RateLimiter:
    limits = {"max_in_flight": 8, "requests_per_second": 20.0}
    brake = {"trips": overrides.pop("trips", 0)}
    return RateLimiter(
        account=make_account(**(limits | overrides)),
        brake=make_brake(tokens=tokens, refilled_at=now, **brake),
        claimed=Counter(),
        asked=0,
        throttled_at=[],
        polls_are_late=polls_are_late,
        now=now,
    )


@pytest.mark.parametrize("now", [QUESTIONS, TRIGGERS])
def test_triggers_go_first_and_questions_leave_them_half_a_second(now: datetime) -> None:
    short = limiter(tokens=10.5, now=now)

    assert (short.permits().count, short.questions().count) == (8, 0)
    assert short.most_to_claim("d1", prefetch=0) == 8
    assert short.questions().ask_again_at == now + timedelta(seconds=0.5 / 20)


def test_once_looks_are_late_questions_go_first_by_turns() -> None:
    """A daemon that starts more than it can follow would never see anything end."""
    theirs, ours = (
        limiter(tokens=10.5, polls_are_late=True, now=now) for now in (QUESTIONS, TRIGGERS)
    )

    assert (theirs.permits().count, theirs.questions().count) == (0, 8)
    assert (ours.permits().count, ours.questions().count) == (8, 0)
    assert [one.most_to_claim("d1", prefetch=99) for one in (theirs, ours)] == [0, 10]
    assert theirs.permits().ask_again_at == QUESTIONS + timedelta(seconds=0.5 / 20)


def test_whoever_is_not_in_turn_asks_again_when_it_is() -> None:
    theirs = limiter(polls_are_late=True, now=QUESTIONS + timedelta(seconds=3), max_in_flight=1)

    assert theirs.slots("d1") == 0
    assert theirs.permits().ask_again_at == TRIGGERS


@pytest.mark.parametrize(("most", "slots"), [(1, 0), (2, 1), (3, 2), (8, 4), (32, 4)])
def test_in_their_turn_triggers_leave_questions_half_the_wire(most: int, slots: int) -> None:
    def of(now: datetime) -> RateLimiter:
        return limiter(polls_are_late=True, max_in_flight=most, now=now)

    asking = of(QUESTIONS)
    asking.ask(min(4, most))

    assert of(QUESTIONS).slots("d1") == slots
    assert of(TRIGGERS).slots("d1") == min(most, 8)
    assert asking.slots("d1") == min(slots, min(most, 8) - min(4, most))


@pytest.mark.parametrize(("most", "questions"), [(1, 0), (2, 1), (3, 2), (8, 4), (32, 4)])
def test_in_the_triggers_turn_questions_leave_them_half_the_wire(most: int, questions: int) -> None:
    late = limiter(polls_are_late=True, max_in_flight=most, now=TRIGGERS)

    assert late.questions().count == questions
    assert late.questions().ask_again_at == TRIGGERS + TURN
    assert limiter(polls_are_late=True, max_in_flight=1, now=QUESTIONS).questions().count == 1


def test_a_brake_that_probes_leaves_the_probe_to_whoever_comes() -> None:
    """Polls may fail, and be late for that, while triggers would not."""
    assert limiter(polls_are_late=True, now=QUESTIONS, trips=1).slots("d1") == 1


@pytest.mark.parametrize("polls_are_late", [False, True])
def test_of_few_requests_a_second_nothing_is_kept_for_anybody(polls_are_late: bool) -> None:
    few = limiter(tokens=1.0, requests_per_second=2.0, polls_are_late=polls_are_late)

    assert (few.permits().count, few.questions().count) == (1, 1)


@pytest.mark.parametrize(
    ("waited", "leased", "is_late"),
    [(9, None, False), (11, None, True), (11, 1, False), (11, -1, True)],
    ids=["not yet", "late", "being polled", "its lease is over"],
)
def test_looks_are_late_when_one_has_waited_for_ten_seconds(
    database_url: str, waited: float, leased: float | None, is_late: bool
) -> None:
    with Database(database_url) as db, db.writing() as conn:
        insert_world(conn)
        insert_collection(
            conn,
            insert_run(conn),
            next_poll_at=NINE - timedelta(seconds=waited),
            lease_until=None if leased is None else NINE + timedelta(seconds=leased),
        )

        assert open_limiter(conn, make_account(), now=NINE).polls_are_late is is_late
