"""What the database refuses, whatever client writes it: nonsense, orphans, unreadable times."""

import sqlite3
from collections.abc import Iterator
from datetime import datetime
from typing import Final

import psycopg
import pytest

from scheduler.domain.records import Run, Schedule
from scheduler.storage import collections_, schedules
from scheduler.storage.database import Database
from scheduler.storage.runs import unconfirmed
from tests.databases import migrated_postgresql, migrated_sqlite
from tests.make import NINE, minutes
from tests.storage.rows import (
    Execute,
    claim,
    ids,
    insert_account,
    insert_collection,
    insert_run,
    insert_world,
    plain_client,
    read_run,
    states_of,
)

REFUSED: Final = (sqlite3.IntegrityError, psycopg.IntegrityError, psycopg.DataError)


def schedule(db: Database, name: str = "hourly") -> Schedule:
    with db.reading() as conn:
        return schedules.get_schedule(conn, name).schedule


NONSENSE: Final = (
    "UPDATE schedules SET every = '1h'",
    "UPDATE schedules SET cron = NULL",
    "UPDATE schedules SET manual = TRUE",
    "UPDATE schedules SET anchor = '2026-03-02'",
    "UPDATE schedules SET queue = 'news', confirm_cancel = TRUE",
    "UPDATE schedules SET queue = ''",
    "UPDATE schedules SET overlap = 'cancel'",
    "UPDATE schedules SET catch_up = 'some'",
    "UPDATE schedules SET after_when = 'failed'",
    "UPDATE schedules SET on_unconfirmed = 'guess'",
    "UPDATE schedules SET origin = 'me'",
    "UPDATE schedules SET dst_gap = 'x'",
    "UPDATE schedules SET dst_fold = 'x'",
    "UPDATE schedules SET version = 'prod'",
    "UPDATE schedules SET max_attempts = 0",
    "UPDATE schedules SET max_runs = 0",
    "UPDATE schedules SET catch_up_max = 0",
    "UPDATE schedules SET pause_after_failures = 0",
    "UPDATE schedules SET min_rows = -1",
    "UPDATE schedules SET max_fall_percent = 101",
    "UPDATE schedules SET min_rows = 'many'",
    "UPDATE schedules SET max_fall_percent = 'many'",
    "UPDATE schedules SET enabled = NULL",
    "UPDATE schedules SET priority = 'high'",
    "UPDATE schedules SET max_runs = 'many'",
    "UPDATE schedules SET max_attempts = 'many'",
    "UPDATE schedules SET catch_up_max = 'many'",
    "UPDATE schedules SET pause_after_failures = 'many'",
    "UPDATE schedules SET paused_until = 'whenever'",
    "UPDATE schedules SET paused_until = '9'",
    "UPDATE schedules SET created_at = 'whenever'",
    "UPDATE schedules SET edited_at = 'whenever'",
    "UPDATE schedules SET planned_at = ''",
    "UPDATE schedules SET fired_until = '9'",
    "UPDATE schedules SET next_fire_at = 'whenever'",
    "UPDATE accounts SET token = 'a1b2c3'",
    "UPDATE accounts SET max_in_flight = 0",
    "UPDATE accounts SET max_in_flight = 'many'",
    "UPDATE accounts SET requests_per_second = 0",
    "UPDATE accounts SET requests_per_second = 'many'",
    "UPDATE collectors SET collector_id = 'shop'",
    "UPDATE collectors SET max_running = 0",
    "UPDATE collectors SET max_running = 'many'",
    "UPDATE collectors SET max_unresolved = 0",
    "UPDATE collectors SET max_unresolved = 'many'",
    "UPDATE collectors SET max_attempts = 'many'",
    "UPDATE batches SET file = 'inputs.csv'",
    "UPDATE batches SET inputs = NULL",
    "UPDATE batches SET send_as = 'xml'",
    "UPDATE batches SET max_inputs_per_trigger = 'many'",
    "UPDATE batches SET max_change_percent = 'much'",
    "INSERT INTO queues (name, queue_order) VALUES ('q', 'random')",
    "INSERT INTO queues (name, max_depth) VALUES ('q', 0)",
    "INSERT INTO queues (name, max_depth) VALUES ('q', 'deep')",
    "INSERT INTO queues (name, paused_at) VALUES ('q', 'whenever')",
    "INSERT INTO freezes (scope, frozen_at, frozen_by, reason)"
    " VALUES ('everything', '2026-03-02', 'me', 'x')",
    "INSERT INTO freezes (scope, frozen_at, frozen_by, reason, until)"
    " VALUES ('all', '2026-03-02', 'me', 'x', 'whenever')",
    "UPDATE runs SET state = 'lost'",
    "UPDATE runs SET reason = 'because'",
    "UPDATE runs SET state = 'failed'",
    "UPDATE runs SET ended_at = '2026-03-02'",
    "UPDATE runs SET state = 'dispatching'",
    "UPDATE runs SET state = 'collecting'",
    "UPDATE runs SET state = 'unconfirmed'",
    "UPDATE runs SET body = NULL",
    "UPDATE runs SET on_unconfirmed = 'guess'",
    "UPDATE runs SET not_before = 'whenever'",
    "UPDATE runs SET send_before = '9'",
    "UPDATE runs SET lease_until = 'whenever'",
    "UPDATE collections SET next_poll_at = 'whenever'",
)


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def refusing(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Execute]:
    """Give a client of one database for all that changes nothing, with a row in each table."""
    if request.param == "sqlite":
        yield from _client(migrated_sqlite(tmp_path_factory.mktemp("refusing")))
    else:
        with migrated_postgresql() as url:
            yield from _client(url)


def _client(url: str) -> Iterator[Execute]:
    with Database(url) as db:
        with db.writing() as conn:
            insert_world(conn)
            insert_collection(conn, insert_run(conn))
        with plain_client(db, url) as client:
            yield client


BLOBS: Final = (
    "UPDATE batches SET inputs = CAST('[]' AS BLOB)",
    "UPDATE schedules SET deadline = x'3168'",
    "UPDATE collectors SET notify = x'7b7d'",
    "UPDATE accounts SET base_url = x'00'",
    "INSERT INTO calendars (name, rules) VALUES ('closed', CAST('12-25' AS BLOB))",
    "INSERT INTO queues (name) VALUES (x'00')",
    "INSERT INTO freezes (scope, frozen_at, frozen_by, reason)"
    " VALUES ('all', '2026-03-02', 'me', x'00')",
    "INSERT INTO overrides (schedule, field, value, made_at, made_by, reason, until)"
    " VALUES ('hourly', 'deadline', x'3168', '2026-03-02', 'me', 'x', '2026-03-03')",
)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize("statement", BLOBS)
def test_a_blob_is_no_text(by_hand: Execute, statement: str) -> None:
    """The sqlite3 shell's readfile() makes one; PostgreSQL tells the two apart by itself."""
    with pytest.raises(sqlite3.IntegrityError, match=r"a blob for a text; write CAST\(readfile"):
        by_hand(statement)


ENDLESS: Final = (
    "UPDATE schedules SET paused_until = 'infinity'",
    "UPDATE schedules SET next_fire_at = '-infinity'",
    "UPDATE schedules SET valid_from = NULL, created_at = '12026-03-02'",
    "UPDATE runs SET not_before = 'infinity'",
    "UPDATE runs SET lease_until = 'infinity'",
    "UPDATE collections SET next_poll_at = 'infinity'",
    "INSERT INTO freezes (scope, frozen_at, frozen_by, reason, until)"
    " VALUES ('all', '2026-03-02', 'me', 'x', 'infinity')",
    "INSERT INTO overrides (schedule, field, value, made_at, made_by, reason, until)"
    " VALUES ('hourly', 'deadline', '1h', '2026-03-02', 'me', 'x', 'infinity')",
)


@pytest.mark.parametrize("statement", ENDLESS)
def test_a_time_that_the_program_cannot_read_is_refused(
    db: Database, by_hand: Execute, statement: str
) -> None:
    with db.writing() as conn:
        insert_collection(conn, insert_run(conn))

    with pytest.raises(REFUSED, match=r"not a time.*; write"):
        by_hand(statement)


@pytest.mark.parametrize("statement", NONSENSE)
def test_nonsense_is_refused(refusing: Execute, statement: str) -> None:
    with pytest.raises(REFUSED):
        refusing(statement)


ORPHANS: Final = (
    "UPDATE schedules SET collector = 'gone'",
    "UPDATE schedules SET batch = 'gone'",
    "UPDATE collectors SET account = 'gone'",
    "UPDATE runs SET account = 'gone'",
    "UPDATE runs SET body = 'gone'",
    "UPDATE runs SET retry_of = 99",
    "UPDATE runs SET waits_for = 99",
    "DELETE FROM collectors",
    "DELETE FROM batches",
    "DELETE FROM accounts",
    "DELETE FROM bodies",
    "INSERT INTO throttles (account, happened_at) VALUES ('gone', '2026-03-02')",
    "INSERT INTO brakes (account) VALUES ('gone')",
)


@pytest.mark.parametrize("statement", ORPHANS)
def test_what_is_named_must_be_there(refusing: Execute, statement: str) -> None:
    with pytest.raises(REFUSED):
        refusing(statement)


HELD: Final = {
    "DELETE FROM runs": "runs: its attempts and collections go first",
    "DELETE FROM bodies": "bodies: the runs that it was made for go first",
}


@pytest.mark.parametrize("statement", HELD)
def test_what_a_daemon_cannot_go_on_without_stays(
    db: Database, by_hand: Execute, claimed: Run, statement: str
) -> None:
    """SQLite's shell checks no references."""
    if db.file is not None:
        by_hand("PRAGMA foreign_keys = OFF")

    with pytest.raises(REFUSED, match=HELD[statement] if db.file else "foreign key"):
        by_hand(statement)

    assert read_run(db, claimed.id) == claimed


def test_history_can_be_deleted_from_its_end(db: Database, by_hand: Execute, claimed: Run) -> None:
    with db.writing() as conn:
        insert_collection(conn, claimed.id)

    for table in ("collections", "attempts", "runs", "bodies"):
        by_hand(f"DELETE FROM {table}")

    assert states_of(db) == []


def test_a_new_name_is_followed_by_all_that_refer_to_it(db: Database, by_hand: Execute) -> None:
    with db.writing() as conn:
        insert_run(conn)

    for table in ("accounts", "collectors", "batches"):
        by_hand(f"UPDATE {table} SET name = 'new'")

    with db.reading() as conn:
        whole = schedules.get_schedule(conn, "hourly")
        assert conn.exec_driver_sql("SELECT account FROM runs").scalar() == "new"
    assert whole.collector is not None and whole.batch is not None
    assert (whole.collector.name, whole.collector.account, whole.batch.name) == ("new",) * 3


def test_an_account_that_nothing_uses_goes_with_its_brake(db: Database, by_hand: Execute) -> None:
    with db.writing() as conn:
        insert_account(conn, name="unused")
    by_hand("INSERT INTO brakes (account) VALUES ('unused')")

    by_hand("DELETE FROM accounts WHERE name = 'unused'")

    with db.reading() as conn:
        assert conn.exec_driver_sql("SELECT count(*) FROM brakes").scalar() == 0


def test_a_schedule_needs_no_more_than_what_it_is(db: Database, by_hand: Execute) -> None:
    by_hand(
        "INSERT INTO schedules (name, collector, batch, cron)"
        " VALUES ('new', 'shop', 'bestsellers', '@daily')"
    )

    new = schedule(db, "new")
    assert (new.enabled, new.timezone, new.misfire_grace, new.planned_at) == (
        True,
        "UTC",
        "1h",
        None,
    )
    assert new.created_at.year >= 2026


# --- times by hand

WRITTEN: Final = (
    "2026-03-02 09:00",
    "2026-03-02 09:00:00",
    "2026-03-02T09:00",
    "2026-03-02T09:00:00Z",
    "2026-03-02 09:00:00.000",
    "2026-03-02T10:00:00+01:00",
    "2026-03-02 07:00-02:00",
    "2026-03-02T09:00:00.000000",
)


@pytest.mark.parametrize("written", WRITTEN)
def test_a_time_is_understood_as_people_write_it(
    db: Database, by_hand: Execute, database_url: str, written: str
) -> None:
    if db.file is None:
        by_hand("SET timezone TO 'UTC'")

    by_hand(f"UPDATE schedules SET paused_until = '{written}'")

    assert schedule(db).paused_until == NINE
    assert lapsed(db, NINE) == ["hourly"]
    assert lapsed(db, NINE - minutes(1)) == []


@pytest.mark.parametrize("written", WRITTEN)
def test_a_run_is_sent_when_the_time_comes_that_was_written_by_hand(
    db: Database, by_hand: Execute, written: str
) -> None:
    """Compared as text, most of these would be later than any time of their day."""
    with db.writing() as conn:
        run_id = insert_run(conn, send_before=NINE + minutes(60), not_before=NINE + minutes(60))
    if db.file is None:
        by_hand("SET timezone TO 'UTC'")

    by_hand(f"UPDATE runs SET not_before = '{written}', send_before = '{written}'")

    assert ids(claim(db, now=NINE - minutes(1))) == []
    assert ids(claim(db, now=NINE)) == [run_id]


@pytest.mark.parametrize("written", WRITTEN)
def test_a_lease_and_a_look_end_when_the_time_comes_that_was_written_by_hand(
    db: Database, by_hand: Execute, claimed: Run, written: str
) -> None:
    with db.writing() as conn:
        insert_collection(conn, claimed.id, next_poll_at=NINE + minutes(60))
    if db.file is None:
        by_hand("SET timezone TO 'UTC'")

    by_hand(f"UPDATE runs SET lease_until = '{written}'")
    by_hand(f"UPDATE collections SET next_poll_at = '{written}', lease_until = '{written}'")

    later = NINE + minutes(1)
    with db.writing() as conn:
        assert collections_.list_accounts_to_poll(conn, now=later) == ["main"]
        assert ids(unconfirmed.expire_leases(conn, now=later, next_lookup_at=later)) == [claimed.id]


def lapsed(db: Database, now: datetime) -> list[str]:
    with db.reading() as conn:
        return schedules.list_lapsed_pauses(conn, now=now)


def test_a_time_of_our_own_keeps_its_microseconds(db: Database) -> None:
    moment = NINE.replace(microsecond=123456)
    with db.writing() as conn:
        schedules.set_paused(conn, ["hourly"], by="me", reason="x", now=moment, until=moment)

    assert (schedule(db).paused_at, schedule(db).paused_until) == (moment, moment)


def test_a_refused_time_says_how_to_write_one(sqlite_url: str) -> None:
    with Database(sqlite_url) as db:
        assert db.file is not None
        client = sqlite3.connect(db.file)

        with pytest.raises(sqlite3.IntegrityError) as refused:
            client.execute("INSERT INTO queues (name, paused_at) VALUES ('q', 'noon')")
        client.close()

    assert str(refused.value) == ("queues: not a time; write it in UTC, such as 2026-03-02 09:00")
