"""Who is claimed, in which order, and who must wait."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import update

from scheduler.domain.records import Outcome, Reason, Run, RunState
from scheduler.storage import accounts, claims, definitions, runs, schedules, tables
from scheduler.storage.database import Database
from tests.make import NINE, minutes, seconds
from tests.storage.rows import (
    LEASE,
    claim,
    claim_on,
    insert_account,
    insert_attempt,
    insert_collection,
    insert_collector,
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


def shops(db: Database, count: int, **columns: Any) -> list[str]:
    """Write *count* further collectors and return their upstream ids."""
    names = [f"c_{number}" for number in range(count)]
    with db.writing() as conn:
        for name in names:
            insert_collector(conn, name=name, collector_id=name, **columns)
    return names


# --- order


def test_the_most_urgent_the_longest_due_and_the_first_written_go_first(db: Database) -> None:
    a, b, c, d = shops(db, 4)
    with db.writing() as conn:
        later = insert_run(conn, collector_id=a, due_at=NINE)
        urgent = insert_run(conn, collector_id=b, due_at=NINE, priority=1)
        longer_due = insert_run(conn, collector_id=c, due_at=NINE - minutes(1))
        last_written = insert_run(conn, collector_id=d, due_at=NINE)

    claimed = claim(db)

    assert ids(claimed) == [urgent, longer_due, later, last_written]


def test_within_a_collector_the_same_order_decides_who_is_next(db: Database) -> None:
    with db.writing() as conn:
        second = insert_run(conn, due_at=NINE)
        third = insert_run(conn, due_at=NINE, priority=-1)
        first = insert_run(conn, due_at=NINE - minutes(1))

    assert [ids(claim(db)) for _ in range(2)] == [[first], []]
    for expected in (second, third):
        settle_as_collecting(db)
        assert ids(claim(db)) == [expected]


def settle_as_collecting(db: Database) -> None:
    with db.writing() as conn:
        conn.exec_driver_sql("UPDATE runs SET state = 'collecting', collection_id = 'j' || id"
                             " WHERE state = 'dispatching'")  # fmt: skip


def test_a_limit_takes_the_most_urgent_only(db: Database) -> None:
    with db.writing() as conn:
        made = [
            insert_run(conn, collector_id=name, priority=number)
            for number, name in enumerate(["c_1", "c_2", "c_3"])
        ]

    assert ids(claim(db, limit=2)) == [made[2], made[1]]


def test_a_collector_without_room_does_not_use_up_the_limit(db: Database) -> None:
    with db.writing() as conn:
        insert_collector(conn, name="full", collector_id="c_full", max_running=1)
        insert_run(conn, collector_id="c_full", state=RunState.COLLECTING, collection_id="j_1")
        insert_run(conn, collector_id="c_full", priority=9)
        insert_run(conn, collector_id="c_full2", priority=8)
        free = insert_run(conn)
        conn.execute(update(tables.runs).where(tables.runs.c.collector_id == "c_full2")
                     .values(not_before=NINE + minutes(1)))  # fmt: skip

    assert ids(claim(db, limit=1)) == [free]


# --- what a claim writes


def test_a_claim_raises_the_fence_counts_the_attempt_and_takes_a_lease(db: Database) -> None:
    with db.writing() as conn:
        run_id = insert_run(conn, fence=3, attempts=2)

    (claimed,) = claim(db, owner="d7")

    assert claimed == read_run(db, run_id)
    assert (claimed.state, claimed.fence, claimed.attempts) == (RunState.DISPATCHING, 4, 3)
    assert (claimed.lease_owner, claimed.lease_until) == ("d7", NINE + LEASE)


def test_an_attempt_is_written_as_sending(db: Database) -> None:
    with db.writing() as conn:
        run_id = insert_run(conn)

    claim(db)

    with db.reading() as conn:
        (attempt,) = runs.list_attempts(conn, run_id)
    assert (attempt.number, attempt.outcome, attempt.claimed_at) == (1, Outcome.SENDING, NINE)
    assert attempt.settled_at is None


def test_writing_no_attempts_writes_none(db: Database) -> None:
    with db.writing() as conn:
        claims.insert_attempts(conn, [])


# --- who must wait


def test_a_run_is_not_claimed_before_its_time(db: Database) -> None:
    with db.writing() as conn:
        run_id = insert_run(conn, not_before=NINE + seconds(1))

    assert claim(db) == []
    assert ids(claim(db, now=NINE + seconds(1))) == [run_id]


def test_another_accounts_runs_are_left_alone(db: Database) -> None:
    with db.writing() as conn:
        insert_account(conn, name="other")
        insert_run(conn, account="other")

    assert claim(db) == []


@pytest.mark.parametrize("state", IN_FLIGHT)
def test_the_head_of_a_named_queue_blocks_those_behind_it(db: Database, state: RunState) -> None:
    shops(db, 1, max_unsettled=9)
    with db.writing() as conn:
        conn.execute(update(tables.collectors).values(max_unsettled=9))
        insert_run(conn, state=state, **QUEUE, **IN_FLIGHT[state])
        insert_run(conn, due_at=NINE + seconds(1), not_before=NINE, **QUEUE)

    assert claim(db) == []


def test_the_head_blocks_while_it_waits_for_its_retry(db: Database) -> None:
    with db.writing() as conn:
        head = insert_run(conn, not_before=NINE + minutes(1), **QUEUE)
        behind = insert_run(conn, due_at=NINE + seconds(1), not_before=NINE, **QUEUE)

    assert claim(db) == []
    assert ids(claim(db, now=NINE + minutes(1))) == [head]
    settle_as_collecting(db)
    assert ids(claim(db, now=NINE + minutes(1))) == [behind]


@pytest.mark.parametrize("state", [RunState.DISPATCHING, RunState.UNCONFIRMED])
def test_of_a_schedule_one_run_is_unsettled_at_a_time(db: Database, state: RunState) -> None:
    lane = {"schedule": "hourly", "lane": "schedule:hourly"}
    with db.writing() as conn:
        conn.execute(update(tables.collectors).values(max_unsettled=9))
        insert_run(conn, state=state, **lane, **IN_FLIGHT[state])
        insert_run(conn, due_at=NINE + seconds(1), not_before=NINE, **lane)

    assert claim(db) == []


def test_outside_named_queues_a_person_who_thinks_holds_up_nobody(db: Database) -> None:
    lane = {"schedule": "hourly", "lane": "schedule:hourly"}
    with db.writing() as conn:
        insert_run(conn, state=RunState.NEEDS_ATTENTION, **lane)
        behind = insert_run(conn, due_at=NINE + seconds(1), not_before=NINE, **lane)

    assert ids(claim(db)) == [behind]


@pytest.mark.parametrize("state", [RunState.QUEUED, RunState.NEEDS_ATTENTION])
def test_in_a_relaxed_queue_others_pass_the_head(db: Database, state: RunState) -> None:
    relaxed = {"queue": "news", "lane": None}
    with db.writing() as conn:
        insert_run(conn, state=state, not_before=NINE + minutes(1), **relaxed)
        behind = insert_run(conn, due_at=NINE + seconds(1), not_before=NINE, **relaxed)

    assert ids(claim(db)) == [behind]


def test_a_lane_over_two_collectors_is_one_line_all_the_same(db: Database) -> None:
    """A schedule that was given another collector keeps its order."""
    lane = {"schedule": "hourly", "lane": "schedule:hourly"}
    with db.writing() as conn:
        head = insert_run(conn, collector_id="c_old", **lane)
        insert_run(conn, collector_id="c_new", due_at=NINE + seconds(1), not_before=NINE, **lane)

    assert [ids(claim(db)) for _ in range(2)] == [[head], []]


def test_at_most_one_run_of_a_collector_is_claimed_at_a_time(db: Database) -> None:
    with db.writing() as conn:
        conn.execute(update(tables.collectors).values(max_unsettled=2))
        made = [insert_run(conn, due_at=NINE - minutes(3 - number)) for number in range(3)]

    assert [ids(claim(db)) for _ in range(3)] == [[made[0]], [made[1]], []]


@pytest.mark.parametrize("state", [RunState.DISPATCHING, RunState.UNCONFIRMED])
def test_what_is_unsettled_counts_against_max_unsettled(db: Database, state: RunState) -> None:
    with db.writing() as conn:
        insert_run(conn, state=state, **IN_FLIGHT[state])
        insert_run(conn)

    assert claim(db) == []


def test_a_collector_that_no_row_describes_gets_the_usual_limits(db: Database) -> None:
    with db.writing() as conn:
        made = [insert_run(conn, collector_id="c_unknown") for _ in range(2)]

    assert [ids(claim(db)) for _ in range(2)] == [made[:1], []]


def test_where_two_rows_name_a_collector_the_strictest_limit_holds(db: Database) -> None:
    with db.writing() as conn:
        insert_collector(conn, name="again", max_unsettled=5)
        made = [insert_run(conn) for _ in range(2)]

    assert [ids(claim(db)) for _ in range(2)] == [made[:1], []]


def test_running_and_unsettled_jobs_together_stay_within_max_running(db: Database) -> None:
    with db.writing() as conn:
        conn.execute(update(tables.collectors).values(max_running=2, max_unsettled=9))
        insert_run(conn, state=RunState.COLLECTING, collection_id="j_1")
        first, _ = insert_run(conn), insert_run(conn)

    assert [ids(claim(db)) for _ in range(2)] == [[first], []]


def test_a_full_collector_is_looked_at_sooner(db: Database) -> None:
    with db.writing() as conn:
        conn.execute(update(tables.collectors).values(max_running=1))
        running = insert_run(conn, state=RunState.COLLECTING, collection_id="j_1")
        insert_collection(conn, running, look_at=NINE + minutes(5))
        insert_run(conn)

    claim(db)

    with db.reading() as conn:
        assert conn.scalar(tables.collections.select().with_only_columns(
            tables.collections.c.look_at)) == NINE  # fmt: skip


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
        schedules.set_paused(
            conn, "hourly", by="me", reason="x", now=NINE, until=NINE + minutes(5)
        )

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


# --- two at once


def test_two_connections_that_claim_at_once_get_different_runs(postgresql_url: str) -> None:
    with Database(postgresql_url) as db:
        with db.writing() as conn:
            insert_account(conn)
            insert_body_once(conn)
            made = [insert_run(conn, collector_id=f"c_{number}") for number in range(6)]

        with db.writing() as one, db.writing() as other:
            first = claim_on(one, owner="d1", limit=3)
            second = claim_on(other, owner="d2", limit=6)

    assert ids(first) == made[:3]
    assert ids(second) == made[3:]


def insert_body_once(conn: Any) -> None:
    from tests.storage.rows import insert_body

    insert_body(conn)


def test_daemons_under_one_brake_never_claim_two_runs_of_a_collector(db: Database) -> None:
    with db.writing() as conn:
        for number in range(30):
            insert_run(conn, collector_id=f"c_{number % 10}", due_at=NINE - minutes(number))

    def work(owner: str) -> list[int]:
        claimed: list[int] = []
        for _ in range(5):
            with db.writing() as conn:
                accounts.read_brake(conn, "main", now=NINE)
                claimed += ids(claim_on(conn, owner=owner, limit=3))
        return claimed

    with ThreadPoolExecutor(4) as pool:
        claimed = [run_id for found in pool.map(work, ["d1", "d2", "d3", "d4"]) for run_id in found]

    owners = Counter(read_run(db, run_id).collector_id for run_id in claimed)
    assert owners == {f"c_{number}": 1 for number in range(10)}
    assert len(set(claimed)) == len(claimed)


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

        superseded = claims.supersede_older(conn, "main", now=NINE)

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
def test_a_confirm_cancel_that_cannot_be_sent_supersedes_nobody(
    db: Database, held_up: str
) -> None:
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

        assert claims.supersede_older(conn, "main", now=NINE) == []

    assert ids(claim(db)) == [older]


# --- when there is work


def test_the_next_moment_is_that_of_the_first_run_whose_time_has_not_come(db: Database) -> None:
    with db.writing() as conn:
        insert_run(conn, not_before=NINE)
        assert claims.find_next_ready(conn, now=NINE) is None
        insert_run(conn, not_before=NINE + minutes(2))
        insert_run(conn, not_before=NINE + minutes(1))
        insert_run(conn, not_before=NINE + seconds(1), state=RunState.SKIPPED)

        assert claims.find_next_ready(conn, now=NINE) == NINE + minutes(1)


def test_accounts_have_work_when_a_run_of_theirs_has_its_time(db: Database) -> None:
    with db.writing() as conn:
        for name in ("a", "b", "c"):
            insert_account(conn, name=name)
        insert_run(conn, account="b")
        insert_run(conn, account="a", not_before=NINE + timedelta(microseconds=1))
        insert_run(conn, account="c", state=RunState.SKIPPED)

        assert claims.list_accounts_with_work(conn, now=NINE) == ["b"]


def test_an_old_attempt_does_not_keep_a_run_from_being_claimed(db: Database) -> None:
    with db.writing() as conn:
        run_id = insert_run(conn, fence=1, attempts=1)
        insert_attempt(conn, run_id, outcome=Outcome.ABSENT)

    (claimed,) = claim(db)

    assert claimed.fence == 2
