"""Schedules: what is due, what was edited, what is invalid, and marks that only grow."""

import sqlite3
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from threading import Barrier
from typing import Any, Final

import pytest
from sqlalchemy import Boolean, Float, Integer, Table, select, update

from scheduler.domain.errors import NotFound
from scheduler.domain.records import Schedule
from scheduler.storage import schedule_claims, schedules, tables
from scheduler.storage.database import Database
from scheduler.storage.schedules import HighWaterMark
from tests.make import NINE, make_batch, make_collector, make_schedule, minutes, seconds
from tests.storage.rows import insert_schedule, insert_world


def names(found: list[schedules.ScheduleWithRefs]) -> list[str]:
    return [whole.schedule.name for whole in found]


def mark(db: Database, **columns: Any) -> Schedule:
    """Move the marks of `hourly` and return it as it is then."""
    usual: dict[str, Any] = {
        "schedule": "hourly",
        "fired_until": NINE,
        "next_fire_at": NINE + minutes(60),
    }
    with db.writing() as conn:
        schedules.record_marks(conn, [HighWaterMark(**(usual | columns))], now=NINE)
        return schedules.get_schedule(conn, "hourly").schedule


def test_a_schedule_comes_with_what_it_names(db: Database) -> None:
    with db.reading() as conn:
        whole = schedules.get_schedule(conn, "hourly")

    assert whole.schedule == make_schedule()
    assert (whole.collector, whole.batch) == (make_collector(), make_batch())


def test_a_schedule_that_is_not_there_is_not_found(db: Database) -> None:
    with db.reading() as conn, pytest.raises(NotFound, match="no schedule is called 'gone'"):
        schedules.get_schedule(conn, "gone")


def test_schedules_are_listed_by_name(db: Database) -> None:
    with db.writing() as conn:
        insert_schedule(conn, name="a")

        assert [one.name for one in schedules.list_schedules(conn)] == ["a", "hourly"]


def test_what_is_due_is_listed_the_longest_due_first(db: Database) -> None:
    with db.writing() as conn:
        rows: dict[str, dict[str, Any]] = {
            "second": {"next_fire_at": NINE},
            "first": {"next_fire_at": NINE - minutes(1)},
            "later": {"next_fire_at": NINE + seconds(1)},
            "off": {"next_fire_at": NINE, "enabled": False},
            "aside": {"next_fire_at": NINE, "error": "x"},
            "never": {"next_fire_at": None},
        }
        for name, columns in rows.items():
            insert_schedule(conn, name=name, **columns)

        assert names(schedules.list_due(conn, now=NINE, limit=9)) == ["first", "second"]
        assert names(schedules.list_due(conn, now=NINE, limit=1)) == ["first"]
        assert schedules.find_next_fires(conn, many=1, many_after=NINE) == (NINE - minutes(1), None)


def test_nothing_fires_when_nothing_is_planned(db: Database) -> None:
    with db.reading() as conn:
        assert schedules.find_next_fires(conn, many=1, many_after=NINE) == (None, None)
        assert schedules.list_due(conn, now=NINE, limit=9) == []


def test_new_and_edited_ones_are_unplanned_unless_they_are_off(db: Database) -> None:
    with db.writing() as conn:
        insert_schedule(conn, name="planned", planned_at=NINE)
        insert_schedule(conn, name="off", enabled=False)

        assert names(schedules.list_unplanned(conn, limit=9)) == ["hourly"]


def test_what_is_invalid_is_told_with_its_error(db: Database) -> None:
    with db.writing() as conn:
        insert_schedule(conn, name="aside", planned_at=NINE, error="its batch is empty")
        insert_schedule(conn, name="off", enabled=False, error="x")

        assert names(schedules.list_invalid(conn, after="", limit=9)) == ["aside"]
        assert schedules.list_errors(conn) == [
            schedules.InvalidSchedule(name="aside", error="its batch is empty")
        ]
        assert schedules.count_enabled(conn) == 2


def test_a_mark_says_how_far_it_is_decided_and_when_it_is_due(db: Database) -> None:
    schedule = mark(db)

    assert (schedule.fired_until, schedule.next_fire_at) == (NINE, NINE + minutes(60))
    assert (schedule.planned_at, schedule.error) == (NINE, None)


@pytest.mark.parametrize(
    ("fired_until", "stands"),
    [
        (NINE + seconds(1), NINE + seconds(1)),
        (NINE, NINE),
        (None, NINE),
        (NINE - seconds(1), NINE),
    ],
)
def test_a_mark_only_grows(db: Database, fired_until: datetime | None, stands: datetime) -> None:
    mark(db)

    assert mark(db, fired_until=fired_until).fired_until == stands


def test_an_older_mark_changes_nothing_at_all(db: Database) -> None:
    before = mark(db)

    assert mark(db, fired_until=NINE - seconds(1), next_fire_at=NINE, error="x") == before


def test_an_error_is_noted_and_cleared(db: Database) -> None:
    """Also by one that was never fired: there is no mark to move."""
    invalid = mark(db, fired_until=None, next_fire_at=None, error="its batch is empty")
    assert (invalid.error, invalid.fired_until) == ("its batch is empty", None)

    assert mark(db).error is None


def test_marks_of_many_are_recorded_at_once(db: Database) -> None:
    with db.writing() as conn:
        insert_schedule(conn, name="other")
        marks = [
            HighWaterMark(schedule="hourly", fired_until=NINE, next_fire_at=None),
            HighWaterMark(schedule="other", fired_until=None, next_fire_at=None, error="x"),
        ]
        schedules.record_marks(conn, marks, now=NINE)
        schedules.record_marks(conn, [], now=NINE)

        found = [(one.fired_until, one.error) for one in schedules.list_schedules(conn)]
    assert found == [(NINE, None), (None, "x")]


def test_an_edit_while_it_is_fired_asks_for_another_plan(postgresql_url: str) -> None:
    """The daemon holds the row; the edit waits, and the new plan is asked for after its mark."""
    with Database(postgresql_url) as db, ThreadPoolExecutor(1) as pool:
        with db.writing() as conn:
            insert_world(conn)
        ready = Barrier(2)

        def edit() -> None:
            with db.writing() as conn:
                ready.wait(60)
                conn.exec_driver_sql("UPDATE schedules SET cron = '1 * * * *'")

        with db.writing() as conn:
            schedule_claims.claim(conn, ["hourly"])
            edited = pool.submit(edit)
            ready.wait(60)
            planned = HighWaterMark(schedule="hourly", fired_until=NINE, next_fire_at=NINE)
            schedules.record_marks(conn, [planned], now=NINE)
        edited.result(60)

        with db.reading() as conn:
            schedule = schedules.get_schedule(conn, "hourly").schedule
    assert (schedule.planned_at, schedule.fired_until) == (None, NINE)


def test_what_another_daemon_fires_is_left_to_it(postgresql_url: str) -> None:
    with Database(postgresql_url) as db:
        with db.writing() as conn:
            insert_world(conn)
            insert_schedule(conn, name="other")

        with db.writing() as one, db.writing() as other:
            first = schedule_claims.claim(one, ["hourly"]).wholes
            second = schedule_claims.claim(other, ["hourly", "other"]).wholes

    assert (names(first), names(second)) == (["hourly"], ["other"])


def test_only_enabled_schedules_are_claimed(db: Database) -> None:
    with db.writing() as conn:
        insert_schedule(conn, name="off", enabled=False)

        assert names(schedule_claims.claim(conn, ["off", "hourly", "gone"]).wholes) == ["hourly"]


SKIPPED: Final = ("name", "enabled", "collector_id", "cron", "anchor")
"""What would be another row, or none, or stands for another column."""

OTHER: Final = {
    "version": "dev",
    "overlap": "skip",
    "after_when": "succeeded",
    "dst_gap": "skip",
    "dst_fold": "both",
    "catch_up": "all",
    "on_unconfirmed": "hold",
    "on_overrun": "cancel",
    "origin": "file",
}
"""A value that the column does not have before; of others it is told by their type."""


@pytest.mark.parametrize("table", [tables.schedules, tables.collectors], ids=str)
def test_what_was_found_is_read_again_whichever_column_was_edited_since(
    db: Database, table: Table
) -> None:
    """Nothing counts the edits of another client: it is the row that is looked at."""
    unseen = []
    moment = type(tables.schedules.c.edited_at.type)
    kinds = {Boolean: False, Integer: 17, Float: 0.125, moment: NINE + minutes(7)}
    with db.writing() as conn:
        (found,) = schedule_claims.claim(conn, ["hourly"]).wholes
        same = schedule_claims.claim(conn, ["hourly"], {"hourly": found}).wholes[0] is found
        for column in table.c:
            if column.foreign_keys or column.name in SKIPPED:
                continue
            value = OTHER.get(column.name, kinds.get(type(column.type), "7m"))
            if value is False:
                value = not conn.scalar(select(column))
            with conn.begin_nested() as edit:
                is_time = column.name in ("every", "calendar_interval", "at", "after", "manual")
                instead = {"cron": None} if is_time else {}
                conn.execute(update(table).values({column.name: value, **instead}))
                (claimed,) = schedule_claims.claim(conn, ["hourly"], {"hourly": found}).wholes
                if claimed is found:
                    unseen.append(column.name)
                edit.rollback()

    assert same
    assert unseen == []


def test_a_schedule_is_switched_on_and_off(db: Database) -> None:
    with db.writing() as conn:
        assert schedules.set_enabled(conn, "hourly", enabled=False)
        assert not schedules.get_schedule(conn, "hourly").schedule.enabled
        assert not schedules.set_enabled(conn, "gone", enabled=True)


def test_a_pause_is_set_lapses_and_is_lifted(db: Database) -> None:
    with db.writing() as conn:
        schedules.set_paused(
            conn, ["hourly"], by="me", reason="lunch", now=NINE, until=NINE + minutes(1)
        )
        paused = schedules.get_schedule(conn, "hourly").schedule
        lapsed = [
            schedules.list_lapsed_pauses(conn, now=moment) for moment in (NINE, NINE + minutes(1))
        ]
        schedules.set_resumed(conn, ["hourly"])

        assert schedules.get_schedule(conn, "hourly").schedule == make_schedule()
    assert (paused.paused_by, paused.paused_reason, paused.paused_at) == ("me", "lunch", NINE)
    assert lapsed == [[], ["hourly"]]


def test_a_schedule_that_names_nothing_is_read_all_the_same(sqlite_url: str) -> None:
    """The sqlite3 shell writes such rows: it does not look at foreign keys unless told to."""
    with Database(sqlite_url) as db:
        with db.writing() as conn:
            insert_world(conn)
        assert db.file is not None
        client = sqlite3.connect(db.file)
        client.execute("UPDATE schedules SET collector = 'gone', batch = 'gone'")
        client.commit()
        client.close()

        with db.writing() as conn:
            (found,) = schedules.list_unplanned(conn, limit=9)
            (claimed,) = schedule_claims.claim(conn, ["hourly"]).wholes

    assert (found.collector, found.batch) == (None, None)
    assert claimed == found


def test_only_those_with_a_limit_that_are_not_paused_are_watched_for_failures(
    db: Database,
) -> None:
    with db.writing() as conn:
        insert_schedule(conn, name="watched", pause_after_failures=3)
        insert_schedule(conn, name="paused", pause_after_failures=3, paused_at=NINE)

        found = schedules.list_failure_limits(conn, ["hourly", "watched", "paused"])
        assert schedules.list_failure_limits(conn, []) == []
    assert found == [("watched", 3)]
