"""Who is claimed, in which order, and who must wait."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event, select, update

from scheduler.domain.records import Outcome, RunState
from scheduler.storage import accounts, runs, tables
from scheduler.storage.database import Database
from scheduler.storage.runs import canaries, candidates, queued
from tests.make import NINE, minutes, seconds
from tests.storage.rows import (
    LEASE,
    claim,
    claim_on,
    ids,
    insert_account,
    insert_attempt,
    insert_body,
    insert_collector,
    insert_run,
    read_run,
    settle_as_collecting,
)


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
        run_id = insert_run(conn, fence=3, attempt_count=2)

    (claimed,) = claim(db, owner="d7")

    assert claimed == read_run(db, run_id)
    assert (claimed.state, claimed.fence, claimed.attempt_count) == (RunState.DISPATCHING, 4, 3)
    assert (claimed.lease_owner, claimed.lease_until) == ("d7", NINE + LEASE)


def test_an_attempt_is_written_as_sending(db: Database) -> None:
    with db.writing() as conn:
        run_id = insert_run(conn)

    claim(db)

    with db.reading() as conn:
        (attempt,) = runs.list_attempts(conn, run_id)
    assert (attempt.number, attempt.outcome, attempt.claimed_at) == (1, Outcome.SENDING, NINE)
    assert attempt.resolved_at is None


# --- two at once


def test_two_connections_that_claim_at_once_get_different_runs(postgresql_url: str) -> None:
    with Database(postgresql_url) as db:
        with db.writing() as conn:
            insert_account(conn)
            insert_body(conn)
            made = [insert_run(conn, collector_id=f"c_{number}") for number in range(6)]

        with db.writing() as one, db.writing() as other:
            first = claim_on(one, owner="d1", limit=3)
            second = claim_on(other, owner="d2", limit=6)

    assert ids(first) == made[:3]
    assert ids(second) == made[3:]


def test_what_a_client_holds_locked_is_left_out_and_the_next_are_taken(
    postgresql_url: str,
) -> None:
    with Database(postgresql_url) as db:
        with db.writing() as conn:
            insert_account(conn)
            insert_body(conn)
            made = [insert_run(conn, collector_id=f"c_{number}") for number in range(9)]

        with db.writing() as client, db.writing() as conn:
            client.execute(select(tables.runs).where(tables.runs.c.id <= made[3]).with_for_update())
            claimed = claim_on(conn, limit=4)

    assert ids(claimed) == made[4:8]


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


def test_what_waits_for_a_canary_is_not_taken_before_that_was_judged(db: Database) -> None:
    """Another daemon may end the canary between the judging and the claim of one pass."""
    with db.writing() as conn:
        canary = insert_run(conn, state=RunState.FAILED)
        waiting = insert_run(conn, waits_for=canary, after_canary=True)
        taken = ids(claim_on(conn))
        canaries.let_go(conn, [waiting], send_before=None)

        assert taken == []
        assert ids(claim_on(conn)) == [waiting]


# --- when there is work


def test_the_next_moment_is_that_of_the_first_run_whose_time_has_not_come(db: Database) -> None:
    with db.writing() as conn:
        insert_run(conn, not_before=NINE)
        assert queued.read_outlook(conn, now=NINE).next_ready_at is None
        insert_run(conn, not_before=NINE + minutes(2))
        insert_run(conn, not_before=NINE + minutes(1))
        insert_run(conn, not_before=NINE + seconds(1), state=RunState.SKIPPED)

        assert queued.read_outlook(conn, now=NINE).next_ready_at == NINE + minutes(1)


@pytest.mark.parametrize(
    ("columns", "is_ready", "is_late"),
    [
        ({"not_before": NINE}, True, False),
        ({"not_before": NINE + timedelta(microseconds=1)}, False, False),
        ({"state": RunState.SKIPPED, "ended_at": NINE, "send_before": NINE}, False, False),
        ({"send_before": NINE + timedelta(microseconds=1)}, True, False),
        ({"send_before": NINE}, True, True),
        ({"send_before": NINE - timedelta(microseconds=1)}, True, True),
    ],
)
def test_what_is_ready_or_late_is_seen(
    db: Database, columns: dict[str, Any], is_ready: bool, is_late: bool
) -> None:
    with db.writing() as conn:
        assert not any(queued.read_outlook(conn, now=NINE))
        insert_run(conn, **columns)

        outlook = queued.read_outlook(conn, now=NINE)

    assert (outlook.is_ready, outlook.is_late) == (is_ready, is_late)


def test_at_work_are_accounts_that_are_concerned_or_have_a_run_whose_time_has_come(
    db: Database,
) -> None:
    with db.writing() as conn:
        for name in ("a", "b", "c", "d"):
            insert_account(conn, name=name)
        insert_run(conn, account="b")
        insert_run(conn, account="a", not_before=NINE + timedelta(microseconds=1))
        insert_run(conn, account="c", state=RunState.SKIPPED)
        insert_run(conn, account="d", confirm_cancel=True)

        at_work = queued.list_at_work(conn, ["a", "renamed"], now=NINE)

    assert [(one.account.name, one.is_ready, one.replaces) for one in at_work] == [
        ("a", False, False),
        ("b", True, False),
        ("d", True, True),
    ]


def test_an_old_attempt_does_not_keep_a_run_from_being_claimed(db: Database) -> None:
    with db.writing() as conn:
        run_id = insert_run(conn, fence=1, attempt_count=1)
        insert_attempt(conn, run_id, outcome=Outcome.ABSENT)

    (claimed,) = claim(db)

    assert claimed.fence == 2


def test_what_another_takes_in_the_middle_of_a_claim_is_not_claimed_twice(
    postgresql_url: str,
) -> None:
    with Database(postgresql_url) as db:
        with db.writing() as conn:
            insert_account(conn)
            insert_body(conn)
            made = [insert_run(conn, collector_id=f"c_{number}") for number in range(4)]

        with db._writer.connect() as one, db.writing() as other:
            first = claim_on(one, owner="d1", limit=2)

            @event.listens_for(other, "after_cursor_execute")
            def commit_the_first(*sent: Any) -> None:
                if "SKIP LOCKED" in sent[2]:
                    one.commit()

            second = claim_on(other, owner="d2", limit=4)

    assert ids(first) == made[:2]
    assert ids(second) == made[2:]


def test_a_claim_bears_no_time_from_before_its_last_attempt_was_settled(db: Database) -> None:
    """Who waits for the brake's row while another daemon settles brings an older time."""
    resolved_at = NINE + seconds(3)
    with db.writing() as conn:
        run_id = insert_run(conn, fence=1)
        insert_attempt(conn, run_id, outcome=Outcome.DEFERRED, resolved_at=resolved_at)

    claim(db)

    with db.reading() as conn:
        _, again = runs.list_attempts(conn, run_id)
    assert again.claimed_at == resolved_at


def test_the_page_of_sql_can_be_pasted_and_tells_who_is_next(db: Database) -> None:
    a, b = shops(db, 2)
    with db.writing() as conn:
        insert_run(conn, collector_id=a, due_at=NINE)
        urgent = insert_run(conn, collector_id=b, due_at=NINE, priority=1)
        first = insert_run(conn, collector_id=a, due_at=NINE - minutes(1))
    page = Path(candidates.__file__).with_suffix(".sql").read_text()

    with db.reading() as conn:
        pasted = page.replace(":accounts", "'main'").replace(":now", "'2100-01-01 00:00:00'")
        rows = conn.exec_driver_sql(pasted).all()

    assert [row.id for row in rows] == [urgent, first]
