"""What a client that is none of ours edits of a definition is in `changes`; our own edits once."""

import json

import pytest
from sqlalchemy import Column, text

from scheduler.actions.overrides import override_field, restore_fields
from scheduler.actions.pauses import (
    freeze,
    pause_queue,
    pause_schedule,
    resume_queue,
    resume_schedule,
    thaw,
)
from scheduler.actions.schedules import set_enabled
from scheduler.storage import definition_tables, freezes, overrides, schedules
from scheduler.storage.audit import RecordedChange, list_changes
from scheduler.storage.database import Database
from scheduler.storage.revisions import _KEPT_BY_THE_PROGRAM
from scheduler.storage.schedules import HighWaterMark
from scheduler.storage.tables import metadata
from tests.make import NINE, minutes
from tests.storage.rows import Execute, insert_world

TABLES = (
    *("accounts", "batches", "calendars", "collectors", "freezes", "overrides"),
    *("queues", "schedules"),
)


def noted(db: Database) -> list[RecordedChange]:
    """Return what was noted of other clients since the world was made, in order."""
    with db.reading() as conn:
        changes = list_changes(conn, limit=1000)[::-1]
    return [change for change in changes if change.by.startswith("sql")]


def forget(db: Database) -> None:
    """Forget how the world was made: the tests' own rows come by plain statements."""
    with db.writing() as conn:
        conn.execute(text("DELETE FROM changes"))


def whose(db: Database) -> str:
    return "sql" if db.file is not None else "sql (postgres)"


def test_an_edit_a_new_row_and_one_that_is_gone_are_noted(db: Database, by_hand: Execute) -> None:
    forget(db)
    by_hand("INSERT INTO queues (name, max_depth) VALUES ('q', 7)")
    by_hand("UPDATE queues SET max_depth = 8, queue_order = 'relaxed' WHERE name = 'q'")
    by_hand("UPDATE queues SET max_depth = 8 WHERE name = 'q'")
    by_hand("UPDATE queues SET name = 'r' WHERE name = 'q'")
    by_hand("DELETE FROM queues")

    assert [(change.action, change.subject, change.columns()) for change in noted(db)] == [
        ("insert", "queues.q", {"name": [None, "q"], "max_depth": [None, 7]}),
        ("update", "queues.q", {"max_depth": [7, 8], "queue_order": ["strict", "relaxed"]}),
        ("update", "queues.q", {"name": ["q", "r"]}),
        ("delete", "queues.r", {}),
    ]
    assert {change.by for change in noted(db)} == {whose(db)}


def test_freezes_and_overrides_by_sql_are_noted_by_what_they_are_about(
    db: Database, by_hand: Execute
) -> None:
    forget(db)
    at = "'2026-03-02 09:00:00+00'" if db.file is None else "'2026-03-02 09:00:00.000000'"
    by_hand(
        "INSERT INTO freezes (scope, frozen_at, frozen_by, reason)"
        f" VALUES ('all', {at}, 'bob', 'stock')"
    )
    by_hand("UPDATE freezes SET reason = 'x'")
    by_hand("DELETE FROM freezes")
    by_hand(
        "INSERT INTO overrides (schedule, field, value, made_at, made_by, reason, until)"
        f" VALUES ('hourly', 'priority', '7', {at}, 'bob', 'sale', {at})"
    )
    by_hand("UPDATE overrides SET value = '8'")
    by_hand("DELETE FROM overrides")

    told = [(change.action, change.subject) for change in noted(db)]
    assert told == [
        (action, subject)
        for subject in ("freezes.all", "overrides.hourly.priority")
        for action in ("insert", "update", "delete")
    ]
    assert noted(db)[0].columns()["reason"] == [None, "stock"]
    assert noted(db)[1].columns() == {"reason": ["stock", "x"]}
    assert noted(db)[4].columns() == {"value": ["7", "8"]}


def test_what_may_be_secret_or_long_is_not_kept(db: Database, by_hand: Execute) -> None:
    forget(db)
    by_hand("""UPDATE schedules SET deliver = '{"password": "CANARY"}'""")
    by_hand("""UPDATE batches SET file = NULL, inputs = '[{"url": "https://CANARY/"}]'""")
    by_hand("UPDATE accounts SET base_url = 'https://me:CANARY@host'")
    by_hand(f"UPDATE schedules SET labels = '{'CANARY' * 100}'")

    details = [change.detail or "" for change in noted(db)]

    assert len(details) == 4
    assert "CANARY" not in "".join(details)
    assert json.loads(details[0]) == {"deliver": [None, "(22 characters)"]}


def test_a_pause_and_a_switch_by_sql_are_noted_in_their_types(
    db: Database, by_hand: Execute
) -> None:
    forget(db)
    by_hand("UPDATE schedules SET enabled = FALSE, paused_at = '2026-03-02 09:00'")
    (change,) = noted(db)
    columns = change.columns()

    assert columns["enabled"] == [True, False]
    assert columns["paused_at"][1][:16] == "2026-03-02T09:00"


def test_what_our_own_commands_and_the_daemon_write_is_not_noted_as_anothers(db: Database) -> None:
    forget(db)
    with db.writing() as conn:
        pause_schedule(conn, "hourly", by="ann", reason="x", until=NINE + minutes(1), now=NINE)
        resume_schedule(conn, "hourly", by="ann", now=NINE, confirmed=True)
        set_enabled(conn, "hourly", enabled=False, by="ann", now=NINE)
        conn.execute(text("UPDATE schedules SET queue = 'q', edits = edits + 1"))
        pause_queue(conn, "q", by="ann", reason="x", now=NINE)
        resume_queue(conn, "q", by="ann", now=NINE)
        definition_tables.create_row(conn, "calendars", {"name": "c", "rules": "sat-sun"})
        definition_tables.update_row(conn, "calendars", "c", {"rules": "sun"})
        definition_tables.delete_row(conn, "calendars", "c")
        mark = HighWaterMark(schedule="hourly", fired_until=NINE, next_fire_at=NINE, error="no")
        schedules.record_marks(conn, [mark], now=NINE)
        schedules.set_defined_in(conn, ["hourly"], "host:file")
        freeze(conn, "all", by="ann", reason="x", until=NINE + minutes(1), now=NINE)
        thaw(conn, "all", by="ann", now=NINE)
        freeze(conn, "all", by="ann", reason="x", until=NINE + minutes(1), now=NINE)
        freezes.delete_lapsed(conn, before=NINE + minutes(2))
        for value in ("7", "8"):
            override_field(
                conn, "hourly", "priority", value,
                until=NINE + minutes(1), reason="x", by="ann", now=NINE,
            )  # fmt: skip
        restore_fields(conn, "hourly", by="ann", now=NINE)
        override_field(
            conn, "hourly", "priority", "7", until=NINE + minutes(1), reason="x", by="a", now=NINE
        )
        overrides.delete_lapsed(conn, before=NINE + minutes(2))
        override_field(
            conn, "hourly", "priority", "7", until=NINE + minutes(1), reason="x", by="a", now=NINE
        )
        definition_tables.delete_row(conn, "schedules", "hourly")

    assert noted(db) == []


def test_any_text_is_kept_so_that_it_can_be_read(db: Database, by_hand: Execute) -> None:
    forget(db)
    hostile = 'a"b\\c\nd\x01é'
    by_hand(f"UPDATE schedules SET labels = '{hostile}'")
    (change,) = noted(db)

    assert change.columns() == {"labels": [None, hostile]}


def test_an_editor_needs_rights_on_what_is_edited_only(postgresql_url: str) -> None:
    with Database(postgresql_url) as db:
        with db.writing() as conn:
            insert_world(conn)
            conn.execute(text("INSERT INTO queues (name) VALUES ('q')"))
            conn.execute(text("DELETE FROM changes"))
            conn.execute(text("DROP ROLE IF EXISTS editor_of_schedules"))
            conn.execute(text("CREATE ROLE editor_of_schedules"))
            grant = "GRANT SELECT, INSERT, UPDATE, DELETE ON schedules, queues"
            conn.execute(text(f"{grant} TO editor_of_schedules"))
        with db.writing() as conn:
            conn.execute(text("SET LOCAL SESSION AUTHORIZATION editor_of_schedules"))
            conn.execute(text("UPDATE schedules SET paused_at = now(), priority = 3"))
            conn.execute(text("UPDATE queues SET paused_at = now()"))
        with db.writing() as conn:
            conn.execute(text("DROP OWNED BY editor_of_schedules"))
            conn.execute(text("DROP ROLE editor_of_schedules"))

        assert {change.by for change in noted(db)} == {"sql (editor_of_schedules)"}
        assert len(noted(db)) == 2


def _columns() -> list[Column[object]]:
    return [
        column
        for table in TABLES
        for column in metadata.tables[table].columns
        if column.name not in _KEPT_BY_THE_PROGRAM
    ]


@pytest.mark.parametrize("column", _columns(), ids=str)
def test_every_column_that_people_edit_is_watched(
    sqlite_db: Database, column: Column[object]
) -> None:
    """A revision that adds one calls `audit_edits` for its table."""
    with sqlite_db.reading() as conn:
        name = f"{column.table.name}_edited_by_sql"
        sql = conn.scalar(text("SELECT sql FROM sqlite_master WHERE name = :n"), {"n": name})

    assert f"OLD.{column.name} IS NOT NEW.{column.name}" in str(sql) or (
        f"julianday(OLD.{column.name})" in str(sql)
    )


@pytest.mark.parametrize("table", TABLES)
def test_postgresql_watches_all_of_them_too(postgresql_url: str, table: str) -> None:
    columns = {column.name for column in _columns() if column.table.name == table}
    with Database(postgresql_url) as db, db.reading() as conn:
        query = text("SELECT pg_get_triggerdef(oid) FROM pg_trigger WHERE tgname = :n")
        trigger = str(conn.scalar(query, {"n": f"{table}_by_sql"}))

    usual = json.loads(trigger[trigger.index("'{") + 1 : trigger.rindex("}'") + 1])
    assert set(usual) == columns
