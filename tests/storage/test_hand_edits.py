"""What a person edits with a plain client: a new timetable is noticed, anything else kept."""

import sqlite3
from typing import Final

import psycopg
import pytest

from scheduler.domain.records import Schedule
from scheduler.storage import schedules, tables
from scheduler.storage.database import Database
from scheduler.storage.schedules import HighWaterMark
from tests.make import NINE, minutes
from tests.storage.rows import (
    Execute,
    insert_account,
    insert_batch,
    insert_collector,
    insert_schedule,
)

REFUSED: Final = (sqlite3.IntegrityError, psycopg.IntegrityError, psycopg.DataError)


@pytest.fixture
def planned(db: Database) -> None:
    """Bring every schedule to where the daemon brings it: planned, fired, then invalid."""
    with db.writing() as conn:
        mark = HighWaterMark(schedule="hourly", fired_until=NINE, next_fire_at=NINE + minutes(60),
                    error="its batch cannot be read")  # fmt: skip
        schedules.record_marks(conn, [mark], now=NINE)


def schedule(db: Database, name: str = "hourly") -> Schedule:
    with db.reading() as conn:
        return schedules.get_schedule(conn, name).schedule


# --- an edit of the timetable asks for a new plan

EDITS: Final = {
    "cron": "cron = '5 * * * *'",
    "every": "cron = NULL, every = '1h'",
    "calendar_interval": "cron = NULL, calendar_interval = '1 month'",
    "at": "cron = NULL, at = '2026-03-03 09:00'",
    "manual": "cron = NULL, manual = TRUE",
    "after": "cron = NULL, after = 'other'",
    "after_when": "after_when = 'succeeded'",
    "anchor": "cron = NULL, every = '1h', anchor = '2026-03-02'",
    "timezone": "timezone = 'Europe/Berlin'",
    "dst_gap": "dst_gap = 'skip'",
    "dst_fold": "dst_fold = 'both'",
    "valid_from": "valid_from = '2026-03-03'",
    "valid_until": "valid_until = '2026-03-03'",
    "jitter": "jitter = '5s'",
    "spread": "spread = '5s'",
    "exclude": "exclude = 'holidays'",
    "max_runs": "max_runs = 3",
}


@pytest.mark.usefixtures("planned")
@pytest.mark.parametrize("edit", EDITS.values(), ids=EDITS.keys())
def test_an_edit_of_the_timetable_asks_for_a_new_plan(
    db: Database, by_hand: Execute, edit: str
) -> None:
    by_hand(f"UPDATE schedules SET {edit}")

    edited = schedule(db)
    assert (edited.planned_at, edited.error) == (None, None)
    assert edited.edited_at is not None
    assert (edited.fired_until, edited.next_fire_at) == (NINE, NINE + minutes(60))


@pytest.mark.usefixtures("planned")
def test_a_new_name_asks_for_a_new_plan(db: Database, by_hand: Execute) -> None:
    by_hand("UPDATE schedules SET name = 'renamed'")

    renamed = schedule(db, "renamed")
    assert (renamed.planned_at, renamed.error) == (None, None)
    assert (renamed.edited_at is not None, renamed.fired_until) == (True, NINE)


@pytest.mark.usefixtures("planned")
def test_what_is_switched_off_owes_nothing_when_it_is_switched_on_again(
    db: Database, by_hand: Execute
) -> None:
    by_hand("UPDATE schedules SET enabled = FALSE")

    assert schedule(db).next_fire_at is None

    by_hand("UPDATE schedules SET enabled = TRUE")

    assert (schedule(db).planned_at, schedule(db).next_fire_at) == (None, None)


@pytest.mark.usefixtures("planned")
def test_writing_what_is_already_there_changes_nothing(db: Database, by_hand: Execute) -> None:
    before = schedule(db)

    by_hand("UPDATE schedules SET cron = '0 * * * *', timezone = 'UTC', enabled = TRUE")
    by_hand("UPDATE schedules SET name = name, every = NULL, max_runs = NULL")

    assert schedule(db) == before


# --- an edit of anything else asks for a check, and changes neither times nor what is owed

OTHER_EDITS: Final = (
    "collector = 'other'",
    "misfire_grace = '2h'",
    "catch_up = 'all'",
    "queue = 'news'",
    "overlap = 'skip'",
    "labels = ',news,'",
    "deadline = 'one hour'",
    "deliver = '{}'",
    "max_attempts = 2",
    "on_unconfirmed = 'hold'",
)


@pytest.mark.usefixtures("planned")
@pytest.mark.parametrize("edit", OTHER_EDITS)
def test_an_edit_of_anything_else_asks_for_a_check(
    db: Database, by_hand: Execute, edit: str
) -> None:
    with db.writing() as conn:
        insert_collector(conn, name="other")
    before = schedule(db)

    by_hand(f"UPDATE schedules SET {edit}")

    edited = schedule(db)
    assert (edited.planned_at, edited.edited_at, edited.error) == (None, None, before.error)
    assert (edited.fired_until, edited.next_fire_at) == (before.fired_until, before.next_fire_at)


@pytest.mark.usefixtures("planned")
@pytest.mark.parametrize("edit", ["origin = 'file'", "paused_reason = 'lunch'", "priority = 5"])
def test_an_edit_of_what_cannot_be_wrong_asks_for_nothing(
    db: Database, by_hand: Execute, edit: str
) -> None:
    by_hand(f"UPDATE schedules SET {edit}")

    assert schedule(db).planned_at == NINE


NAMED_EDITS: Final = (
    "UPDATE collectors SET deadline = 'one hour' WHERE name = 'shop'",
    "UPDATE collectors SET name = 'renamed' WHERE name = 'shop'",
    "UPDATE batches SET max_inputs_per_trigger = 5 WHERE name = 'bestsellers'",
    "UPDATE batches SET name = 'renamed' WHERE name = 'bestsellers'",
    "UPDATE accounts SET name = 'renamed' WHERE name = 'main'",
    "INSERT INTO overrides (schedule, field, value, made_at, made_by, reason, until)"
    " VALUES ('hourly', 'batch', 'gone', '2026-03-02', 'me', 'x', '2026-03-03')",
)


@pytest.mark.usefixtures("planned")
@pytest.mark.parametrize("edit", NAMED_EDITS)
def test_an_edit_of_what_a_schedule_names_asks_for_a_check_of_it_alone(
    db: Database, by_hand: Execute, edit: str
) -> None:
    with db.writing() as conn:
        insert_account(conn, name="another")
        insert_collector(conn, name="other", account="another")
        insert_batch(conn, name="others")
        insert_schedule(conn, name="daily", collector="other", batch="others", planned_at=NINE)

    by_hand(edit)

    assert (schedule(db).planned_at, schedule(db).edited_at) == (None, None)
    assert schedule(db, "daily").planned_at == NINE


CALENDAR_EDITS: Final = (
    "UPDATE calendars SET rules = '2026-03-03' WHERE name = 'closed'",
    "UPDATE calendars SET name = 'renamed' WHERE name = 'closed'",
    "DELETE FROM calendars WHERE name = 'closed'",
)


@pytest.mark.parametrize("edit", CALENDAR_EDITS)
def test_an_edited_calendar_is_an_edited_timetable(
    db: Database, by_hand: Execute, edit: str
) -> None:
    with db.writing() as conn:
        conn.execute(tables.calendars.insert().values(name="closed", rules="2026-03-02"))
        conn.execute(tables.calendars.insert().values(name="closed too", rules="2026-03-02"))
        for name, exclude in (("first", "closed, other"), ("second", "other , closed"),
                              ("third", "closed too"), ("fourth", None)):  # fmt: skip
            insert_schedule(conn, name=name, exclude=exclude, planned_at=NINE, next_fire_at=NINE)

    by_hand(edit)

    for name in ("first", "second"):
        assert schedule(db, name).planned_at is None
        assert schedule(db, name).edited_at is not None
        assert schedule(db, name).next_fire_at == NINE
    assert [schedule(db, name).planned_at for name in ("third", "fourth")] == [NINE, NINE]


@pytest.mark.parametrize("edit", CALENDAR_EDITS)
def test_a_calendar_that_is_mended_loses_nothing_that_was_owed_meanwhile(
    db: Database, by_hand: Execute, edit: str
) -> None:
    with db.writing() as conn:
        conn.execute(tables.calendars.insert().values(name="closed", rules="never"))
        insert_schedule(conn, name="first", exclude="closed", planned_at=NINE, error="never")

    by_hand(edit)

    assert (schedule(db, "first").planned_at, schedule(db, "first").edited_at) == (None, None)


APPEARING: Final = (
    "INSERT INTO calendars (name, rules) VALUES ('closed', '12-25')",
    "INSERT INTO schedules (name, collector, batch, cron)"
    " VALUES ('first', 'shop', 'bestsellers', '@daily')",
)


@pytest.mark.usefixtures("planned")
@pytest.mark.parametrize("edit", APPEARING)
def test_what_is_new_asks_for_a_check_of_who_waits_for_it(
    db: Database, by_hand: Execute, edit: str
) -> None:
    with db.writing() as conn:
        insert_schedule(conn, name="waiting", cron=None, after="first", exclude="closed",
                        planned_at=NINE, error="it is not there")  # fmt: skip

    by_hand(edit)

    waiting = schedule(db, "waiting")
    assert (waiting.planned_at, waiting.edited_at, waiting.error) == (None, None, "it is not there")
    assert schedule(db).planned_at == NINE


GOING: Final = (
    "DELETE FROM schedules WHERE name = 'hourly'",
    "UPDATE schedules SET name = 'renamed' WHERE name = 'hourly'",
)


@pytest.mark.parametrize("edit", GOING)
def test_a_schedule_that_another_comes_after_is_missed_when_it_is_gone(
    db: Database, by_hand: Execute, edit: str
) -> None:
    with db.writing() as conn:
        insert_schedule(conn, name="next", cron=None, after="hourly", planned_at=NINE)

    by_hand(edit)

    assert (schedule(db, "next").planned_at, schedule(db, "next").edited_at) == (None, None)


REPLACED: Final = {
    "collectors": "INSERT OR REPLACE INTO collectors (name, account, collector_id)"
    " VALUES ('shop', 'main', 'c_')",
    "batches": "INSERT OR REPLACE INTO batches (name, file) VALUES ('bestsellers', 'x.csv')",
    "accounts": "INSERT OR REPLACE INTO accounts (name, token) VALUES ('main', 'env:T')",
}


@pytest.mark.usefixtures("planned")
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize("edit", REPLACED.values(), ids=REPLACED)
def test_a_row_that_is_replaced_asks_for_a_check(db: Database, by_hand: Execute, edit: str) -> None:
    """SQLite calls no trigger for the row that gives way, and its shell checks no references."""
    by_hand("PRAGMA foreign_keys = OFF")

    by_hand(edit)

    assert schedule(db).planned_at is None


# --- the daemon's own columns


@pytest.mark.parametrize(
    "edit", ["next_fire_at = '2099-01-01'", "next_fire_at = NULL", "fired_until = NULL"]
)
@pytest.mark.usefixtures("planned")
def test_a_mark_that_is_not_moved_by_the_daemon_is_reckoned_anew(
    db: Database, by_hand: Execute, edit: str
) -> None:
    by_hand(f"UPDATE schedules SET {edit}")

    assert (schedule(db).planned_at, schedule(db).edited_at) == (None, None)


@pytest.mark.usefixtures("planned")
def test_a_mark_that_the_daemon_moves_asks_for_nothing(db: Database) -> None:
    later = NINE + minutes(60)
    with db.writing() as conn:
        mark = HighWaterMark(schedule="hourly", fired_until=later, next_fire_at=later + minutes(60))
        schedules.record_marks(conn, [mark], now=later)

    moved = schedule(db)
    assert (moved.planned_at, moved.fired_until, moved.edited_at) == (later, later, None)


@pytest.mark.usefixtures("planned")
def test_an_edit_touches_the_schedules_that_it_changes_and_no_other(
    db: Database, by_hand: Execute
) -> None:
    with db.writing() as conn:
        insert_schedule(conn, name="daily", cron="0 0 * * *", planned_at=NINE)

    by_hand("UPDATE schedules SET cron = '0 0 * * *'")

    assert schedule(db, "hourly").planned_at is None
    assert schedule(db, "daily").planned_at == NINE
