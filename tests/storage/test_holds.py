"""What holds runs up leaves one row, whoever stops it, and none while nothing changes."""

from datetime import timedelta

import pytest
from sqlalchemy import Connection, text

from scheduler.actions.pauses import (
    freeze,
    pause_account,
    pause_queue,
    pause_schedules,
    resume_account,
    resume_schedules,
    thaw,
)
from scheduler.domain.errors import NotFound
from scheduler.domain.holds import Hold
from scheduler.domain.retention import Retention
from scheduler.storage import accounts, definitions, holds, migrate, schedules
from scheduler.storage.database import Database
from scheduler.storage.retention import prune_others
from tests.make import NINE, minutes
from tests.migrations.steps import downgrade
from tests.storage.plans import caught

LATER = NINE + minutes(5)


def all_holds(conn: Connection) -> list[Hold]:
    return holds.list_holds(conn, since=NINE - minutes(60), until=LATER + minutes(60))


def test_a_pause_and_a_freeze_leave_who_why_and_until_when(db: Database) -> None:
    with db.writing() as conn:
        conn.execute(text("INSERT INTO queues (name) VALUES ('nightly')"))
        pause_queue(conn, "nightly", by="root", reason="budget", now=NINE)
        pause_account(conn, "main", by="eve", reason="leak", now=NINE)
        freeze(conn, "all", by="bob", reason="flood", until=LATER, now=NINE)

        assert {
            (hold.scope, hold.by, hold.why, hold.since, hold.until) for hold in all_holds(conn)
        } == {
            ("queue:nightly", "root", "budget", NINE, None),
            ("account:main", "eve", "leak", NINE, None),
            ("freeze:all", "bob", "flood", NINE, LATER),
        }


def test_what_is_lifted_holds_nothing_up_any_more(db: Database) -> None:
    with db.writing() as conn:
        pause_account(conn, "main", by="eve", reason="leak", now=NINE)
        freeze(conn, "all", by="bob", reason="flood", now=NINE)
        resume_account(conn, "main", by="eve", now=LATER)
        thaw(conn, "all", by="bob", now=LATER, confirmed=True)

        assert [hold.until for hold in all_holds(conn)] == [LATER, LATER]


@pytest.mark.parametrize(
    "lift",
    [
        "UPDATE queues SET paused_at = NULL",
        "DELETE FROM queues",
        "UPDATE queues SET paused_at = NULL, paused_by = NULL, paused_reason = NULL",
    ],
)
def test_a_pause_by_plain_sql_counts_too(db: Database, lift: str) -> None:
    with db.writing() as conn:
        conn.execute(
            text(
                "INSERT INTO queues (name, paused_at, paused_reason)"
                " VALUES ('nightly', '2026-03-02 09:00:00.000000', 'budget')"
            )
        )
        (begun,) = all_holds(conn)
        conn.execute(text(lift))
        (ended,) = all_holds(conn)

    assert (begun.scope, begun.by, begun.until) == ("queue:nightly", None, None)
    assert begun.present == "queue nightly is paused by hand: budget"
    assert ended.until is not None


def test_another_reason_ends_the_one_before_and_nothing_new_leaves_nothing(db: Database) -> None:
    with db.writing() as conn:
        conn.execute(text("INSERT INTO queues (name) VALUES ('nightly')"))
        pause_queue(conn, "nightly", by="root", reason="budget", now=NINE)
        pause_queue(conn, "nightly", by="bob", reason="audit", now=LATER)
        conn.execute(text("UPDATE queues SET paused_reason = paused_reason, max_depth = 3"))

        assert [(hold.why, hold.since, hold.until) for hold in all_holds(conn)] == [
            ("budget", NINE, LATER),
            ("audit", LATER, None),
        ]


def test_a_pause_that_lapsed_keeps_the_end_that_it_had(db: Database) -> None:
    with db.writing() as conn:
        conn.execute(
            text(
                "INSERT INTO schedules (name, collector, batch, manual)"
                " SELECT 's', (SELECT min(name) FROM collectors), min(name), true FROM batches"
            )
        )
        schedules.set_paused(conn, ["s"], by="root", reason="move", now=NINE, until=LATER)
        schedules.set_resumed(conn, ["s"])
        (hold,) = all_holds(conn)

    assert (hold.scope, hold.until) == ("schedule:s", LATER)
    assert hold.past == (
        "schedule s was paused by root from 2026-03-02 09:00:00Z to 2026-03-02 09:05:00Z: move"
    )


def test_many_schedules_are_paused_and_resumed_by_as_many_statements_as_few(db: Database) -> None:
    def sent(number: int) -> tuple[int, list[tuple[str, str]], int]:
        names = [f"s{i}" for i in range(number)]
        with caught(db) as (conn, statements):
            rows = text(
                "INSERT INTO schedules (name, collector, batch, manual)"
                " SELECT :name, (SELECT min(name) FROM collectors), min(name), true FROM batches"
            )
            conn.execute(rows, [{"name": name} for name in names])
            statements.clear()
            pause_schedules(conn, names, by="root", reason="sale", now=NINE)
            resume_schedules(conn, names, by="root", now=LATER)
            count = len(statements)
            told = conn.execute(
                text("SELECT action, subject FROM changes WHERE by = 'root' ORDER BY id")
            )
            lasting = [hold for hold in all_holds(conn) if hold.until != LATER]
            return count, [(row.action, row.subject) for row in told], len(lasting)

    assert sent(40)[0] == sent(2)[0]
    assert sent(2)[1:] == (
        [(action, f"schedules.s{i}") for action in ("pause", "resume") for i in range(2)],
        0,
    )


def test_of_many_schedules_none_is_paused_where_one_is_not_there(db: Database) -> None:
    with db.writing() as conn, pytest.raises(NotFound, match="no schedule is called 'other'"):
        pause_schedules(conn, ["hourly", "other"], by="root", reason="sale", now=NINE)


def test_a_pause_with_an_end_holds_until_then_and_is_lifted_then(db: Database) -> None:
    with db.writing() as conn:
        conn.execute(text("INSERT INTO queues (name) VALUES ('nightly')"))
        pause_queue(conn, "nightly", by="root", reason="budget", until=LATER, now=NINE)
        pause_account(conn, "main", by="eve", reason="leak", until=LATER, now=NINE)
        held = all_holds(conn)
        for lift in (definitions.lift_lapsed_pauses, accounts.lift_lapsed_pauses):
            lift(conn, now=NINE + minutes(1))
        early = definitions.list_queues(conn)["nightly"].paused_at, list(accounts.list_paused(conn))
        for lift in (definitions.lift_lapsed_pauses, accounts.lift_lapsed_pauses):
            lift(conn, now=LATER)
        late = definitions.list_queues(conn)["nightly"].paused_at, list(accounts.list_paused(conn))

        assert [(hold.by, hold.until) for hold in held] == [("root", LATER), ("eve", LATER)]
        assert (early, late) == ((NINE, ["main"]), (None, []))
        assert all_holds(conn) == held


def test_what_is_stopped_before_the_upgrade_is_there_after_it(db: Database) -> None:
    with db.writing() as conn:
        conn.execute(text("INSERT INTO queues (name) VALUES ('nightly')"))
        pause_queue(conn, "nightly", by="root", reason="budget", now=NINE)
        before = all_holds(conn)
    with db.writing() as conn:
        downgrade(conn, "0012_gaps")
    with db.writing() as conn:
        migrate.upgrade(conn)
        assert all_holds(conn) == before


def test_what_comes_by_itself_lasts_while_it_is_found(db: Database) -> None:
    with db.writing() as conn:
        holds.replace_lasting(conn, "full:", {"full:main:c_1": "3 of 3"}, now=NINE)
        holds.replace_lasting(conn, "full:", {"full:main:c_1": "4 of 3"}, now=NINE + minutes(1))
        holds.replace_lasting(conn, "full:", {"full:main:c_2": "1 of 1"}, now=LATER)

        assert [(hold.scope, hold.why, hold.since, hold.until) for hold in all_holds(conn)] == [
            ("full:main:c_1", "3 of 3", NINE, LATER),
            ("full:main:c_2", "1 of 1", LATER, None),
        ]


def test_what_ended_long_ago_is_forgotten_and_what_lasts_is_not(db: Database) -> None:
    with db.writing() as conn:
        holds.begin(conn, "brake:main", "two", now=NINE)
        holds.end(conn, "brake:main", now=NINE + minutes(1))
        holds.begin(conn, "brake:main", "three", now=NINE + minutes(2))
        rules = Retention(holds=timedelta(days=1))
        prune_others(conn, rules, now=LATER + timedelta(days=1), limit=10)

        assert [hold.why for hold in all_holds(conn)] == ["three"]
