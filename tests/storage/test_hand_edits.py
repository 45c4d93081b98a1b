"""What a person edits with a plain client: a new timetable is noticed, anything else kept."""

import sqlite3
from typing import Final

import psycopg
import pytest

from scheduler.domain.records import Schedule
from scheduler.storage import schedules
from scheduler.storage.database import Database
from scheduler.storage.schedules import Mark
from tests.make import NINE, minutes
from tests.storage.rows import Execute, insert_schedule

REFUSED: Final = (sqlite3.IntegrityError, psycopg.IntegrityError, psycopg.DataError)


@pytest.fixture
def planned(db: Database) -> None:
    """Bring every schedule to where the daemon brings it: planned, fired, then set aside."""
    with db.writing() as conn:
        mark = Mark(schedule="hourly", fired_until=NINE, next_fire_at=NINE + minutes(60),
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


OTHER_EDITS: Final = (
    "collector = 'shop'",
    "priority = 5",
    "misfire_grace = '2h'",
    "catch_up = 'all'",
    "queue = 'news'",
    "overlap = 'skip'",
    "labels = ',news,'",
    "deadline = '1h'",
    "max_attempts = 2",
    "on_unconfirmed = 'hold'",
    "origin = 'file'",
    "paused_reason = 'lunch'",
)


@pytest.mark.usefixtures("planned")
@pytest.mark.parametrize("edit", OTHER_EDITS)
def test_an_edit_of_anything_else_leaves_the_plan(
    db: Database, by_hand: Execute, edit: str
) -> None:
    before = schedule(db)

    by_hand(f"UPDATE schedules SET {edit}")

    edited = schedule(db)
    assert (edited.planned_at, edited.edited_at, edited.error) == (NINE, None, before.error)


@pytest.mark.usefixtures("planned")
def test_an_edit_touches_the_schedules_that_it_changes_and_no_other(
    db: Database, by_hand: Execute
) -> None:
    with db.writing() as conn:
        insert_schedule(conn, name="daily", cron="0 0 * * *", planned_at=NINE)

    by_hand("UPDATE schedules SET cron = '0 0 * * *'")

    assert schedule(db, "hourly").planned_at is None
    assert schedule(db, "daily").planned_at == NINE


def test_every_column_of_the_timetable_is_watched() -> None:
    """Whoever adds a column decides whether an edit of it needs a new plan."""
    watched = {*EDITS, "name", "enabled"}
    others = {
        "collector", "batch", "overlap", "queue", "confirm_cancel", "deadline", "no_downloads",
        "version", "trigger_name", "notify", "deliver", "priority", "misfire_grace", "catch_up",
        "catch_up_window", "catch_up_max", "catch_up_pace", "pause_after_failures", "labels",
        "max_attempts", "first_pause", "longest_pause", "on_unconfirmed", "paused_at",
        "paused_by", "paused_reason", "paused_until", "created_at", "edited_at", "planned_at",
        "fired_until", "next_fire_at", "error",
    }  # fmt: skip

    assert set(Schedule.__dataclass_fields__) == watched | others
