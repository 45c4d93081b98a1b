"""Each invariant sees its own violation, and a healthy history breaks none."""

from typing import Any, Final

import pytest
from sqlalchemy import Connection, text, update

from scheduler.domain.records import Outcome, Reason, RunState
from scheduler.domain.transition import Transition
from scheduler.storage import accounts, collections_, invariants, tables
from scheduler.storage.collections_ import Polled
from scheduler.storage.database import Database
from scheduler.storage.invariants import INVARIANTS
from scheduler.storage.runs import end_queued, followed, outcomes
from scheduler.storage.runs import unconfirmed as unconfirmed_runs
from scheduler.storage.runs.followed import EndedCollection
from scheduler.storage.runs.outcomes import AttemptResult
from tests.make import NINE, minutes, seconds
from tests.storage.breaches import (
    ALSO,
    HOURLY,
    ON_THE_WIRE,
    PLANTS,
    QUEUE,
    SENT,
    collecting,
    mark_fired,
)
from tests.storage.rows import (
    LEASE,
    claim_on,
    insert_attempt,
    insert_run,
    insert_schedule,
)


def broken(conn: Connection) -> set[str]:
    return {violation.invariant.name for violation in invariants.list_violations(conn)}


def test_every_invariant_has_its_plant() -> None:
    assert [invariant.name for invariant in INVARIANTS] == list(PLANTS)


@pytest.mark.parametrize("name", PLANTS)
def test_a_planted_violation_is_reported_by_its_name(db: Database, name: str) -> None:
    with db.writing() as conn:
        PLANTS[name](conn)

    with db.reading() as conn:
        assert broken(conn) == {name} | ALSO.get(name, set())


def test_an_open_run_without_an_open_attempt_is_reported(db: Database) -> None:
    with db.writing() as conn:
        run_id = insert_run(conn, **(ON_THE_WIRE | {"state": RunState.NEEDS_ATTENTION}))
        insert_attempt(conn, run_id, outcome=Outcome.ABSENT)

        assert broken(conn) == {"open_attempt_means_open_run"}


def test_one_that_overtook_at_the_same_due_time_is_reported(db: Database) -> None:
    with db.writing() as conn:
        insert_run(conn, created_at=NINE - seconds(1), **QUEUE)
        collecting(conn, "j_1", **QUEUE)

        assert broken(conn) == {"nobody_overtakes_in_a_strict_queue"}


def test_one_of_less_priority_that_overtook_is_reported(db: Database) -> None:
    with db.writing() as conn:
        insert_run(conn, created_at=NINE - seconds(1), priority=1, due_at=NINE, **QUEUE)
        collecting(conn, "j_1", due_at=NINE - minutes(1), **QUEUE)

        assert broken(conn) == {"nobody_overtakes_in_a_strict_queue"}


def test_a_collection_that_is_not_kept_is_reported(db: Database) -> None:
    with db.writing() as conn:
        run_id = insert_run(
            conn, state=RunState.COLLECTING, collection_id="j_1", attempt_count=1, fence=1
        )
        insert_attempt(conn, run_id, outcome=Outcome.ACCEPTED, collection_id="j_1")

        assert broken(conn) == {"collection_has_its_attempt"}


def test_the_rows_that_break_a_rule_are_shown_up_to_twenty(db: Database) -> None:
    with db.writing() as conn:
        made = [insert_run(conn, **SENT) for _ in range(25)]

        (violation,) = invariants.list_violations(conn)

    shown = [row["run"] for row in violation.rows]
    assert len(shown) == 20 and set(shown) <= set(made)


def test_nine_429_or_ten_over_more_than_five_minutes_are_allowed(db: Database) -> None:
    with db.writing() as conn:
        moments = [NINE + seconds(300 / 9 * number) for number in range(10)]
        accounts.insert_throttles(conn, "main", moments)
        accounts.insert_throttles(conn, "main", [NINE + minutes(30)] * 9)

        assert broken(conn) == set()


# --- healthy histories


def test_an_occurrence_in_several_parts_is_one_occurrence(db: Database) -> None:
    with db.writing() as conn:
        mark_fired(conn)
        for chunk in (1, 2):
            insert_run(conn, chunk=chunk, chunks=2, **HOURLY)

        assert broken(conn) == set()


def test_the_history_of_a_schedule_that_was_made_anew_is_not_above_its_mark(db: Database) -> None:
    with db.writing() as conn:
        insert_run(conn, state=RunState.SKIPPED, reason=Reason.MISSED, created_at=NINE, **HOURLY)
        conn.exec_driver_sql("DELETE FROM schedules")
        insert_schedule(conn, created_at=NINE + minutes(1))

        assert broken(conn) == set()


def test_a_retry_by_hand_stands_beside_the_run_that_it_retries(db: Database) -> None:
    with db.writing() as conn:
        mark_fired(conn)
        first = insert_run(conn, state=RunState.SKIPPED, reason=Reason.MISSED, **HOURLY)
        insert_run(conn, retry_of=first, **HOURLY)

        assert broken(conn) == set()


def test_claims_and_answers_of_every_kind_leave_nothing_broken(db: Database) -> None:
    """Eight runs in three order_keys, answered in every way, some claimed again and again."""
    with db.writing() as conn:
        mark_fired(conn)
        conn.execute(update(tables.collectors).values(max_unresolved=3))
        for number in range(3):
            insert_run(conn, due_at=NINE + seconds(number), not_before=NINE, **QUEUE)
            insert_run(conn, due_at=NINE + seconds(number), not_before=NINE, **HOURLY)
        insert_run(conn, collector_id="c_1")
        insert_run(conn, collector_id="c_2", send_before=NINE + seconds(20))

    now = NINE
    for turn in range(40):
        now += seconds(5)
        with db.writing() as conn:
            end_queued.skip_too_late(conn, now=now)
            for number, run in enumerate(claim_on(conn, now=now)):
                change = ANSWERS[(turn + number) % len(ANSWERS)](run.id)
                outcomes.record_outcomes(conn, [AttemptResult(run=run, change=change)], now=now)
            look_for_what_was_lost(conn, now)
            unconfirmed_runs.expire_leases(conn, now=now, next_lookup_at=now)
            assert broken(conn) == set()

    with db.reading() as conn:
        left = conn.scalars(
            text("SELECT state FROM runs WHERE state IN ('queued', 'dispatching', 'unconfirmed')")
        ).all()
    assert left == []


def look_for_what_was_lost(conn: Connection, now: Any) -> None:
    looked_for = unconfirmed_runs.claim_lookups(
        conn, "main", now=now, owner="d1", lease_until=now + LEASE, limit=9
    )
    for lost in looked_for:
        found = lost.run.lookups > 0
        change = adopted(lost.run.id) if found else ABSENT
        outcomes.record_outcomes(conn, [AttemptResult(run=lost.run, change=change)], now=now)


ABSENT: Final = Transition(state=RunState.QUEUED, reason=Reason.ABSENT, outcome=Outcome.ABSENT)


def adopted(run_id: int) -> Transition:
    return Transition(
        state=RunState.COLLECTING,
        reason=Reason.ADOPTED,
        outcome=Outcome.ADOPTED,
        collection_id=f"j_{run_id}",
    )


def accepted(run_id: int) -> Transition:
    return Transition(
        state=RunState.COLLECTING,
        reason=Reason.ACCEPTED,
        outcome=Outcome.ACCEPTED,
        collection_id=f"j_{run_id}",
    )


def deferred(_: int) -> Transition:
    return Transition(
        state=RunState.QUEUED, reason=Reason.NOT_SENT, outcome=Outcome.DEFERRED, counts=False
    )


def lost(_: int) -> Transition:
    return Transition(
        state=RunState.UNCONFIRMED,
        reason=Reason.ANSWER_LOST,
        outcome=Outcome.LOST,
        next_lookup_at=NINE,
    )


def rejected(_: int) -> Transition:
    return Transition(state=RunState.FAILED, reason=Reason.REFUSED, outcome=Outcome.REJECTED)


ANSWERS: Final = (deferred, lost, accepted, lost, rejected)


def test_a_followed_and_ended_collection_leaves_nothing_broken(db: Database) -> None:
    with db.writing() as conn:
        insert_run(conn)
        (run,) = claim_on(conn)
        outcomes.record_outcomes(conn, [AttemptResult(run=run, change=accepted(run.id))], now=NINE)
        (collection,) = collections_.list_collections(conn, run.id)
        looked = Polled(collection=collection, seen={"status": "done"}, next_poll_at=None)
        ended = EndedCollection(
            collection=collection, state=RunState.SUCCEEDED, reason=Reason.DONE, detail=None
        )
        collections_.record_polls(conn, [looked], now=NINE)
        followed.end_runs(conn, [ended], now=NINE)

        assert broken(conn) == set()
