"""A key of a definition is declared once, in the configuration; the rest is held to that here."""

import re
from collections.abc import Iterator

import pytest
from sqlalchemy import Connection, text

from scheduler.actions.definition_columns import TIMETABLE_COLUMNS, column_of
from scheduler.config import (
    AccountDefinition,
    BatchDefinition,
    CollectorDefinition,
    QueueDefinition,
    ScheduleDefinition,
)
from scheduler.config.table import TomlTable
from scheduler.domain import records
from scheduler.storage.database import Database
from scheduler.storage.tables import metadata

DEFINITIONS: dict[str, type[TomlTable]] = {
    "accounts": AccountDefinition,
    "queues": QueueDefinition,
    "collectors": CollectorDefinition,
    "batches": BatchDefinition,
    "schedules": ScheduleDefinition,
}
BY_THE_DATABASE = {"name", "origin", "created_at", "defined_in", "edits"}
BY_AN_OPERATOR = {"paused_at", "paused_by", "paused_reason", "paused_until"}
BY_THE_DAEMON = {"edited_at", "planned_at", "fired_until", "next_fire_at", "error"}


@pytest.fixture
def db(database_url: str) -> Iterator[Database]:
    with Database(database_url) as database:
        yield database


def columns_of(table: str) -> set[str]:
    keys = set(DEFINITIONS[table].model_fields) - {"queue_next"}
    return {column_of(table, key) for key in keys}


@pytest.mark.parametrize("table", DEFINITIONS)
def test_every_key_has_its_column_and_every_column_its_key(table: str) -> None:
    columns = set(metadata.tables[table].columns.keys())

    others = columns - columns_of(table)

    assert columns_of(table) <= columns
    assert others <= BY_THE_DATABASE | BY_AN_OPERATOR | BY_THE_DAEMON


def test_every_key_of_a_schedule_is_read_back_from_its_row() -> None:
    assert columns_of("schedules") <= set(records.Schedule.__dataclass_fields__)


def test_every_edit_of_a_timetable_is_noted_by_the_database(db: Database) -> None:
    with db.reading() as conn:
        assert watched(conn, "schedules_edited") == {"name", *TIMETABLE_COLUMNS}


def test_every_edit_of_another_key_asks_for_a_check(db: Database) -> None:
    unchecked = {"priority", "min_rows", "max_fall_percent", "on_end", "on_overrun"}  # any is right
    unchecked |= {"min_rows_per_input", "min_success_rate"}
    unchecked |= {"only_if_changed", "park_after"}
    unchecked |= {"max_runs_per_day", "max_inputs_per_day"}

    with db.reading() as conn:
        checked = watched(conn, "schedules_checked") | watched(conn, "schedules_interval_checked")
        checked |= watched(conn, "schedules_retry_checked")
        checked |= watched(conn, "schedules_results_checked")

    assert checked == columns_of("schedules") - {*TIMETABLE_COLUMNS} - unchecked


def watched(conn: Connection, trigger: str) -> set[str]:
    statement = (
        "SELECT sql FROM sqlite_master WHERE name = :name"
        if conn.dialect.name == "sqlite"
        else "SELECT pg_get_triggerdef(oid) FROM pg_trigger WHERE tgname = :name"
    )
    definition = conn.execute(text(statement), {"name": trigger}).scalar_one()
    columns = re.search(r"UPDATE OF (.*?) ON ", definition)
    assert columns is not None
    return {column.strip(' "') for column in columns[1].split(",")}
