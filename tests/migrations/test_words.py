"""A database of before 0.2.0 keeps its rows and its protections under the new names."""

import pytest
from sqlalchemy import Connection, text
from sqlalchemy.exc import IntegrityError

from scheduler.domain.errors import DatabaseError
from scheduler.storage import migrate
from scheduler.storage.database import Database
from scheduler.storage.tables import metadata
from tests.migrations.steps import upgrade_to

OLD_ROWS = (
    "INSERT INTO accounts (name, token) VALUES ('main', 'env:T')",
    "INSERT INTO collectors (name, account, collector_id, first_pause, longest_pause,"
    " max_unsettled) VALUES ('shop', 'main', 'c_1', '7s', '8m', 3)",
    "INSERT INTO batches (name, inputs) VALUES ('one', '[]')",
    "INSERT INTO schedules (name, collector, batch, manual, first_pause, planned_at)"
    " VALUES ('nightly', 'shop', 'one', TRUE, '9s', '2026-03-02 09:00:00.000000')",
    "INSERT INTO bodies (fingerprint, send_as, row_count, byte_count, text, created_at)"
    " VALUES ('f', 'json', 0, 2, '[]', '2026-03-02 09:00:00.000000')",
    "INSERT INTO runs (id, due_at, account, collector, collector_id, body, query, lane, state,"
    " reason, not_before, max_attempts, first_pause, longest_pause, on_unconfirmed, part, parts,"
    " look_at, looks, created_at)"
    " VALUES (1, '2026-03-02 09:00:00.000000', 'main', 'shop', 'c_1', 'f', 'q', 'x',"
    " 'unconfirmed', 'answer_lost', '2026-03-02 09:00:00.000000', 5, '7s', '8m', 'resend', 2, 4,"
    " '2026-03-02 10:00:00.000000', 6, '2026-03-02 09:00:00.000000')",
    "INSERT INTO attempts (run_id, number, daemon, request, outcome, claimed_at)"
    " VALUES (1, 1, 'd', 'r', 'lost', '2026-03-02 09:00:00.000000')",
    "INSERT INTO collections (id, run_id, account, collector_id, accepted_at, looks)"
    " VALUES ('j_1', 1, 'main', 'c_1', '2026-03-02 09:00:00.000000', 5)",
    "INSERT INTO brakes (account, strikes, losses) VALUES ('main', 2, 1)",
    "INSERT INTO daemons (id, host, pid, version, started_at, seen_at, trouble)"
    " VALUES ('d', 'h', 1, '0.1.0', '2026-03-02 09:00:00.000000',"
    " '2026-03-02 09:00:00.000000', 'no disk')",
)
NEW_VALUES = {
    "SELECT backoff_initial, backoff_max, max_unresolved FROM collectors": ("7s", "8m", 3),
    "SELECT backoff_initial FROM schedules": ("9s",),
    "SELECT order_key, chunk, chunks, lookups, backoff_initial, backoff_max FROM runs": (
        *("x", 2, 4, 6),
        *("7s", "8m"),
    ),
    "SELECT count(*) FROM runs WHERE next_lookup_at IS NOT NULL": (1,),
    "SELECT polls, next_poll_at, polled_at FROM collections": (5, None, None),
    "SELECT resolved_at FROM attempts": (None,),
    "SELECT trips, consecutive_losses FROM brakes": (2, 1),
    "SELECT last_error FROM daemons": ("no disk",),
}


def carry_over(conn: Connection) -> None:
    """Write a database as 0.1.0 had it, and bring it forward."""
    upgrade_to(conn, "0001")
    for statement in OLD_ROWS:
        conn.execute(text(statement))
    migrate.upgrade(conn)


def test_every_row_of_before_is_carried_over(empty_database_url: str) -> None:
    with Database(empty_database_url) as db:
        with db.writing() as conn:
            carry_over(conn)
        with db.reading() as conn:
            found = {query: tuple(conn.execute(text(query)).one()) for query in NEW_VALUES}

    assert found == NEW_VALUES


@pytest.mark.parametrize(
    "refused",
    [
        "UPDATE collectors SET max_unresolved = 0",
        "UPDATE runs SET next_lookup_at = NULL",
        "UPDATE attempts SET outcome = 'rejected'",
        "INSERT INTO runs SELECT * FROM runs",
    ],
)
def test_what_was_refused_before_still_is(empty_database_url: str, refused: str) -> None:
    with Database(empty_database_url) as db:
        with db.writing() as conn:
            carry_over(conn)
        with pytest.raises((IntegrityError, DatabaseError)), db.writing() as conn:
            conn.execute(text(refused))


def test_an_edit_under_a_new_name_is_still_noticed(empty_database_url: str) -> None:
    planned = text("SELECT planned_at IS NOT NULL FROM schedules")
    with Database(empty_database_url) as db:
        with db.writing() as conn:
            carry_over(conn)
            before = bool(conn.scalar(planned))
            conn.execute(text("UPDATE schedules SET backoff_initial = '10s'"))
        with db.writing() as conn:
            after = bool(conn.scalar(planned))

    assert (before, after) == (True, False)
    assert "backoff_initial" in metadata.tables["schedules"].c
