"""For each invariant, rows that break it; the schema is weakened where it would refuse them."""

from collections.abc import Callable
from typing import Any, Final

from sqlalchemy import Connection, text, update

from scheduler.clock import utc_now
from scheduler.domain.records import Outcome, Reason, RunState
from scheduler.storage import accounts, tables
from tests.make import NINE, minutes, seconds
from tests.storage.rows import (
    LEASE,
    insert_attempt,
    insert_collection,
    insert_collector,
    insert_run,
)

HOURLY: Final[dict[str, Any]] = {"schedule": "hourly", "order_key": "schedule:hourly"}
QUEUE: Final[dict[str, Any]] = {"queue": "news", "order_key": "queue:main/c_shop/news"}
ON_THE_WIRE: Final[dict[str, Any]] = {
    "state": RunState.DISPATCHING,
    "attempt_count": 1,
    "fence": 1,
    "lease_owner": "d1",
    "lease_until": NINE + LEASE,
}
SENT: Final[dict[str, Any]] = {
    "state": RunState.FAILED,
    "reason": Reason.REFUSED,
    "attempt_count": 1,
    "fence": 1,
    "ended_at": NINE,
}


def collecting(conn: Connection, collection_id: str, **overrides: Any) -> int:
    """Write a run that was accepted as *collection_id*, with its attempt and its collection."""
    usual = {"state": RunState.COLLECTING, "collection_id": collection_id, "attempt_count": 1}
    run_id = insert_run(conn, **(usual | {"fence": 1} | overrides))
    insert_attempt(conn, run_id, outcome=Outcome.ACCEPTED, collection_id=collection_id)
    insert_collection(conn, run_id, id=collection_id)
    return run_id


def on_the_wire(conn: Connection, **overrides: Any) -> int:
    run_id = insert_run(conn, **(ON_THE_WIRE | overrides))
    insert_attempt(conn, run_id)
    return run_id


def two_runs_of_one_occurrence(conn: Connection) -> None:
    mark_fired(conn)
    conn.execute(text("DROP INDEX uq_runs_schedule_due_at_chunk"))
    for _ in range(2):
        insert_run(conn, **HOURLY)


def a_run_later_than_its_schedules_mark(conn: Connection) -> None:
    conn.execute(update(tables.schedules).values(fired_until=NINE))
    insert_run(conn, due_at=NINE + seconds(1), **HOURLY)


def two_unresolved_runs_of_a_lane(conn: Connection) -> None:
    conn.execute(update(tables.collectors).values(max_unresolved=2))
    conn.execute(text("DROP INDEX uq_runs_order_key_in_flight"))
    for _ in range(2):
        on_the_wire(conn, order_key="schedule:x")


def two_unresolved_runs_of_a_collector(conn: Connection) -> None:
    """Of two rows that name it, the stricter holds."""
    insert_collector(conn, name="shop, too", max_unresolved=2)
    for _ in range(2):
        on_the_wire(conn)


def two_accepted_attempts(conn: Connection) -> None:
    run_id = collecting(conn, "j_1", attempt_count=2, fence=2)
    insert_attempt(
        conn, run_id, number=2, outcome=Outcome.ACCEPTED, collection_id="j_2", claimed_at=NINE
    )


def an_attempt_whose_collection_its_run_has_not(conn: Connection) -> None:
    run_id = insert_run(conn, **SENT)
    insert_attempt(conn, run_id, outcome=Outcome.ACCEPTED, collection_id="j_1")


def a_collection_that_no_attempt_brought(conn: Connection) -> None:
    run_id = insert_run(conn, state=RunState.COLLECTING, collection_id="j_1")
    insert_collection(conn, run_id, id="j_1")


def an_open_attempt_of_an_ended_run(conn: Connection) -> None:
    run_id = insert_run(conn, **SENT)
    insert_attempt(conn, run_id, outcome=Outcome.LOST)


def a_trigger_before_the_last_was_settled(conn: Connection) -> None:
    run_id = insert_run(conn, **(SENT | {"attempt_count": 2, "fence": 2}))
    insert_attempt(conn, run_id, outcome=Outcome.ABSENT, resolved_at=NINE + minutes(1))
    insert_attempt(conn, run_id, number=2, outcome=Outcome.REJECTED, claimed_at=NINE + seconds(59))


def a_claim_without_an_attempt(conn: Connection) -> None:
    insert_run(conn, **SENT)


def one_that_overtook_in_a_strict_queue(conn: Connection) -> None:
    insert_run(conn, created_at=NINE, **QUEUE)
    collecting(conn, "j_1", due_at=NINE + seconds(1), **QUEUE)
    conn.execute(update(tables.attempts).values(claimed_at=NINE + seconds(2)))


def a_trigger_after_its_grace(conn: Connection) -> None:
    run_id = insert_run(conn, send_before=NINE - seconds(1), **SENT)
    insert_attempt(conn, run_id, outcome=Outcome.REJECTED)


def a_skipped_run_with_an_accepted_attempt(conn: Connection) -> None:
    run_id = collecting(conn, "j_1")
    is_sqlite = conn.dialect.name == "sqlite"
    conn.execute(text(f"DROP TRIGGER {'runs_move_refused' if is_sqlite else 'runs_moved ON runs'}"))
    conn.execute(
        update(tables.runs)
        .where(tables.runs.c.id == run_id)
        .values(state=RunState.SKIPPED, reason=Reason.FLUSHED, ended_at=NINE)
    )


def ten_answers_of_429(conn: Connection) -> None:
    accounts.insert_throttles(conn, "main", [NINE + seconds(33 * number) for number in range(10)])


def a_mark_of_the_future(conn: Connection) -> None:
    conn.execute(update(tables.schedules).values(fired_until=utc_now() + minutes(2)))


PLANTS: Final[dict[str, Callable[[Connection], None]]] = {
    "one_run_per_occurrence": two_runs_of_one_occurrence,
    "nothing_decided_above_the_mark": a_run_later_than_its_schedules_mark,
    "one_unresolved_per_order_key": two_unresolved_runs_of_a_lane,
    "unresolved_within_limit": two_unresolved_runs_of_a_collector,
    "one_accepted_attempt_per_run": two_accepted_attempts,
    "run_knows_its_collection": an_attempt_whose_collection_its_run_has_not,
    "collection_has_its_attempt": a_collection_that_no_attempt_brought,
    "open_attempt_means_open_run": an_open_attempt_of_an_ended_run,
    "no_trigger_before_the_last_was_settled": a_trigger_before_the_last_was_settled,
    "fence_is_the_last_attempt": a_claim_without_an_attempt,
    "nobody_overtakes_in_a_strict_queue": one_that_overtook_in_a_strict_queue,
    "nothing_sent_too_late": a_trigger_after_its_grace,
    "skipped_was_never_accepted": a_skipped_run_with_an_accepted_attempt,
    "fewer_than_ten_429": ten_answers_of_429,
    "no_mark_ahead_of_now": a_mark_of_the_future,
}

# A run with a second collection cannot know both, and what was claimed left no attempt.
ALSO: Final = {
    "one_accepted_attempt_per_run": {"run_knows_its_collection"},
    "collection_has_its_attempt": set[str](),
}


def mark_fired(conn: Connection) -> None:
    conn.execute(update(tables.schedules).values(fired_until=NINE + minutes(60)))
