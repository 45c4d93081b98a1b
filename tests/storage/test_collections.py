"""Collections: kept once, polled by one daemon at a time, ended once."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import pytest
from sqlalchemy import text

from scheduler.domain.records import Outcome, Reason, Run, RunState
from scheduler.domain.transition import Transition
from scheduler.storage import accounts, collections_, runs
from scheduler.storage.collections_ import Polled
from scheduler.storage.database import Connection, Database
from scheduler.storage.runs import followed, queued
from scheduler.storage.runs.followed import EndedCollection
from tests.databases import migrate
from tests.make import NINE, minutes, seconds
from tests.storage.rows import (
    LEASE,
    insert_account,
    insert_collection,
    insert_run,
    insert_world,
    read_collection,
    read_run,
)


def insert_collecting(conn: Connection, collection_id: str, **overrides: Any) -> int:
    """Write a collecting run and its collection; *overrides* are the collection's."""
    run_id = insert_run(conn, state=RunState.COLLECTING, collection_id=collection_id)
    insert_collection(conn, run_id, id=collection_id, **overrides)
    return run_id


def keep(conn: Connection, run: Run, *, start_eta: datetime | None) -> datetime | None:
    """Keep a collection at NINE; return when it is first polled."""
    change = Transition(
        state=RunState.COLLECTING,
        reason=Reason.ACCEPTED,
        outcome=Outcome.ACCEPTED,
        collection_id="j_1",
        start_eta=start_eta,
    )
    collections_.insert_collections(conn, [(run, change)], now=NINE)
    return read_collection(conn, "j_1").next_poll_at


def claim(
    db: Database, owner: str = "d1", *, now: datetime = NINE, ids: Sequence[str] = ()
) -> list[str]:
    """Take what is due by then, or *ids*, for as long as a lease lasts."""
    with db.writing() as conn:
        chosen = ids or due_by(conn, now)
        taken = collections_.claim_polls(
            conn, chosen, now=now, owner=owner, lease_until=now + LEASE
        )
    return [one.id for one in taken]


def due_by(conn: Connection, now: datetime, *, limit: int = 1000) -> list[str]:
    due = collections_.list_due_polls(conn, "main", now=now, until=now, limit=limit)
    return [one.id for one in due]


@pytest.mark.parametrize(
    ("start_eta", "next_poll_at"),
    [
        (None, NINE),
        (NINE - minutes(5), NINE),
        (NINE + minutes(5), NINE + minutes(5)),
        (NINE + minutes(600), NINE + minutes(60)),
    ],
)
def test_a_collection_is_first_looked_at_when_it_is_to_start_but_soon(
    db: Database, start_eta: datetime | None, next_poll_at: datetime
) -> None:
    with db.writing() as conn:
        run = runs.get_run(conn, insert_run(conn))

        assert keep(conn, run, start_eta=start_eta) == next_poll_at


def test_a_collection_that_is_kept_already_is_left_as_it_is(db: Database) -> None:
    with db.writing() as conn:
        owner = insert_collecting(conn, "j_1", polls=3)
        other = runs.get_run(conn, insert_run(conn, collector_id="c_other"))

        keep(conn, other, start_eta=None)

        collection = read_collection(conn, "j_1")
    assert (collection.run_id, collection.polls) == (owner, 3)


def test_ids_are_found_with_the_runs_that_have_them(db: Database) -> None:
    with db.writing() as conn:
        run_id = insert_collecting(conn, "j_1")

        assert collections_.list_owners(conn, ["j_1", "j_2"]) == {"j_1": run_id}
        assert collections_.list_owners(conn, []) == {}


def test_what_is_due_is_looked_at_by_one_daemon_at_a_time(db: Database) -> None:
    with db.writing() as conn:
        insert_account(conn, name="other")
        insert_collecting(conn, "j_2", next_poll_at=NINE)
        insert_collecting(conn, "j_1", next_poll_at=NINE - seconds(1))
        insert_collecting(conn, "j_3", next_poll_at=NINE + seconds(1))
        insert_collecting(conn, "j_4", next_poll_at=None)
        insert_collecting(conn, "j_5", next_poll_at=NINE, account="other")

    with db.reading() as conn:
        assert due_by(conn, NINE) == ["j_1", "j_2"]
        assert due_by(conn, NINE, limit=1) == ["j_1"]
    assert claim(db, ids=["j_1"]) == ["j_1"]
    assert claim(db, "d2", ids=["j_1", "j_2", "j_4"]) == ["j_2"]
    assert claim(db, "d3") == []
    over = NINE + LEASE + seconds(1)
    assert set(claim(db, "d3", now=over)) == {"j_1", "j_2", "j_3"}


def test_those_beside_a_question_are_not_due_while_it_lasts(db: Database) -> None:
    """They are no questions of their own: the brake counts leases."""
    with db.writing() as conn:
        for one in ("j_1", "j_2", "j_3"):
            insert_collecting(conn, one, next_poll_at=NINE)
        taken = collections_.claim_polls(
            conn, ["j_1"], beside=["j_2", "j_3"], now=NINE, owner="d1", lease_until=NINE + LEASE
        )
        asked = accounts.count_in_flight(conn, "main", now=NINE)
        left = due_by(conn, NINE)
        after = due_by(conn, NINE + LEASE + seconds(1))

    assert {one.id for one in taken} == {"j_1", "j_2", "j_3"}
    assert asked == 1
    assert left == []
    assert set(after) == {"j_1", "j_2", "j_3"}


def test_looks_are_counted_and_what_they_saw_is_stored(db: Database) -> None:
    with db.writing() as conn:
        for one in ("j_1", "j_2", "j_3"):
            insert_collecting(conn, one, next_poll_at=NINE, status="new")
    claim(db)
    seen: list[dict[str, Any]] = [
        {"status": "running", "lines": 7},
        {},
        {"status": "x", "lines": 1},
    ]

    with db.writing() as conn:
        before = [read_collection(conn, f"j_{number}") for number in (1, 2, 3)]
        polled = [
            Polled(collection=one, seen=what, next_poll_at=NINE + minutes(1))
            for one, what in zip(before, seen, strict=True)
        ]
        collections_.record_polls(conn, polled, now=NINE)
        collections_.record_polls(conn, [], now=NINE)
        after = [read_collection(conn, f"j_{number}") for number in (1, 2, 3)]

    assert [(one.status, one.lines) for one in after] == [("running", 7), ("new", None), ("x", 1)]
    assert {(one.polls, one.polled_at, one.next_poll_at) for one in after} == {
        (1, NINE, NINE + minutes(1))
    }
    assert sorted(claim(db, "d2", now=NINE + minutes(1))) == ["j_1", "j_2", "j_3"]


def test_a_run_ends_once_and_only_by_its_own_collection(db: Database) -> None:
    with db.writing() as conn:
        run_id = insert_collecting(conn, "j_1")
        insert_collection(conn, run_id, id="j_late")
        for collection_id, state in (
            ("j_late", RunState.FAILED),
            ("j_1", RunState.SUCCEEDED),
            ("j_1", RunState.CANCELLED),
        ):
            collection = read_collection(conn, collection_id)
            end = EndedCollection(
                collection=collection, state=state, reason=Reason.DONE, detail=None
            )
            followed.end_runs(conn, [end], now=NINE)

    assert read_run(db, run_id).state is RunState.SUCCEEDED


def test_cancelling_is_asked_for_at_once_and_of_what_still_runs(db: Database) -> None:
    with db.writing() as conn:
        insert_collecting(conn, "j_1", next_poll_at=NINE + minutes(5))
        insert_collecting(conn, "j_2", next_poll_at=None)

        asked = [
            collections_.request_cancel(conn, one, now=NINE, note="by hand")
            for one in ("j_1", "j_2", "j_3")
        ]
        collection = read_collection(conn, "j_1")

    assert asked == [True, False, False]
    assert (collection.cancel_requested_at, collection.cancel_note) == (NINE, "by hand")
    assert collection.next_poll_at == NINE


def test_what_a_confirm_cancel_ends_is_what_runs_in_its_collector(db: Database) -> None:
    with db.writing() as conn:
        insert_account(conn, name="other")
        rows: dict[str, dict[str, Any]] = {
            "j_running": {},
            "j_ended": {"next_poll_at": None},
            "j_elsewhere": {"collector_id": "c_other"},
            "j_others": {"account": "other"},
        }
        for name, columns in rows.items():
            insert_collecting(conn, name, **columns)
        cancelling = runs.get_run(conn, insert_collecting(conn, "j_new"))

        collections_.mark_replaced(conn, cancelling, "j_new")

        replaced = conn.exec_driver_sql("SELECT id FROM collections WHERE replaced_by IS NOT NULL")
        assert list(replaced.scalars()) == ["j_running"]


def test_what_ran_when_it_was_last_seen_is_left_alone_for_a_while(db: Database) -> None:
    with db.writing() as conn:
        later = NINE + minutes(5)
        insert_collecting(conn, "j_seen", next_poll_at=later, polled_at=NINE - seconds(4))
        insert_collecting(conn, "j_long_ago", next_poll_at=later, polled_at=NINE - seconds(6))
        insert_collecting(conn, "j_never", next_poll_at=later)

        collections_.hasten_polls(conn, frozenset({("main", "c_shop")}), now=NINE)

    assert set(claim(db)) == {"j_long_ago", "j_never"}


def test_the_twenty_oldest_of_each_full_collector_are_looked_at(db: Database) -> None:
    with db.writing() as conn:
        for name in ("c_many", "c_few", "c_free"):
            for number in range(22 if name == "c_many" else 2):
                insert_collecting(
                    conn,
                    f"{name}_{number}",
                    collector_id=name,
                    accepted_at=NINE - minutes(60 - number),
                    next_poll_at=NINE + minutes(5),
                )

        collections_.hasten_polls(
            conn, frozenset({("main", "c_many"), ("main", "c_few")}), now=NINE
        )

    expected = {f"c_many_{number}" for number in range(20)} | {"c_few_0", "c_few_1"}
    assert set(claim(db)) == expected


@pytest.mark.parametrize(
    ("replacing", "is_cancelled"),
    [
        ({"replaces": True}, True),
        ({"replaces": False}, False),
        ({"replaces": True, "state": RunState.SKIPPED, "ended_at": NINE}, False),
    ],
)
def test_what_a_waiting_run_is_to_replace_is_cancelled(
    db: Database, replacing: dict[str, Any], is_cancelled: bool
) -> None:
    with db.writing() as conn:
        run_id = insert_collecting(conn, "j_1", next_poll_at=NINE + minutes(5))
        insert_collecting(conn, "j_other", next_poll_at=NINE + minutes(5))
        insert_run(conn, waits_for=run_id, **replacing)

        collections_.cancel_replaced(conn, now=NINE)
        collections_.cancel_replaced(conn, now=NINE + minutes(1))

        asked, other = read_collection(conn, "j_1"), read_collection(conn, "j_other")
        outlook = queued.read_outlook(conn, now=NINE)
    note = collections_.REPLACED_NOTE
    expected = (NINE, NINE, note) if is_cancelled else (NINE + minutes(5), None, None)
    assert (asked.next_poll_at, asked.cancel_requested_at, asked.cancel_note) == expected
    assert other.cancel_requested_at is None
    assert outlook.replaces is is_cancelled


def test_the_next_look_is_that_of_the_first_that_runs(db: Database) -> None:
    with db.writing() as conn:
        assert collections_.find_next_poll(conn) is None
        insert_collecting(conn, "j_1", next_poll_at=None)
        insert_collecting(conn, "j_2", next_poll_at=NINE + minutes(2))
        insert_collecting(conn, "j_3", next_poll_at=NINE + minutes(1))

        assert collections_.find_next_poll(conn) == NINE + minutes(1)
        assert collections_.find_next_poll(conn, after=NINE + minutes(1)) == NINE + minutes(2)
        assert collections_.find_next_poll(conn, after=NINE + minutes(2)) is None
        assert collections_.list_accounts_to_poll(conn, now=NINE) == []
        assert collections_.list_accounts_to_poll(conn, now=NINE + minutes(2)) == ["main"]


@pytest.mark.parametrize("has_ended", [False, True])
def test_a_cancel_that_is_asked_for_while_a_look_is_out_is_not_put_off(
    db: Database, has_ended: bool
) -> None:
    with db.writing() as conn:
        insert_collecting(conn, "j_1", next_poll_at=NINE - seconds(1))
        out = read_collection(conn, "j_1")
        collections_.request_cancel(conn, "j_1", now=NINE, note="x")

        next_poll_at = None if has_ended else NINE + minutes(5)
        polled = Polled(collection=out, seen={"status": "running"}, next_poll_at=next_poll_at)
        collections_.record_polls(conn, [polled], now=NINE + seconds(1))

        assert read_collection(conn, "j_1").next_poll_at == (None if has_ended else NINE)


def test_who_polls_waits_for_nobody_who_writes_a_collection(postgresql_url: str) -> None:
    """Who polls holds a brake; who writes may wait for it: each would wait for the other."""
    migrate(postgresql_url)
    with Database(postgresql_url) as db, Database(postgresql_url) as other:
        with db.writing() as conn:
            insert_world(conn)
            for number in (1, 2, 3):
                insert_collecting(conn, f"j_{number}", next_poll_at=NINE)
        with other.writing() as writer:
            writer.execute(text("UPDATE collections SET status = 'x' WHERE id IN ('j_1', 'j_3')"))
            with db.writing() as conn:
                taken = collections_.claim_polls(
                    conn, ["j_1", "j_2"], beside=["j_3"], now=NINE, owner="d1",
                    lease_until=NINE + LEASE,
                )  # fmt: skip
                full = {("main", "c_shop")}
                collections_.hasten_polls(conn, full, now=NINE - minutes(1))

    assert [one.id for one in taken] == ["j_2"]
