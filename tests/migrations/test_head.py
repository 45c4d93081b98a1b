"""From nothing to the newest schema and back: it is what the tables say, on both databases."""

from typing import Any, Final

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, text

from scheduler.domain.errors import SchemaError
from scheduler.storage import migrate
from scheduler.storage.database import Database
from scheduler.storage.tables import metadata
from tests.databases import migrated_sqlite
from tests.make import NINE, minutes
from tests.migrations.steps import downgrade, scripts_with_one_more
from tests.storage.rows import insert_attempt, insert_collection, insert_run, insert_world

CATALOG: Final = {
    "sqlite": """
        SELECT name, sql FROM sqlite_master
        WHERE sql IS NOT NULL AND type IN ('table', 'index') AND tbl_name <> 'alembic_version'
    """,
    "postgresql": """
        SELECT conname AS name, conrelid::regclass || ' ' || pg_get_constraintdef(oid) AS sql
        FROM pg_constraint
        WHERE connamespace = 'public'::regnamespace AND conname NOT LIKE 'alembic%'
        UNION ALL
        SELECT indexname, indexdef FROM pg_indexes
        WHERE schemaname = 'public' AND tablename <> 'alembic_version'
        UNION ALL
        SELECT table_name || '.' || column_name,
               concat_ws(' ', data_type, is_nullable, column_default, is_identity)
        FROM information_schema.columns
        WHERE table_schema = 'public' AND table_name <> 'alembic_version'
    """,
}


def describe(conn: Connection) -> dict[str, Any]:
    """Return every table, index, constraint and column as the database itself words them."""
    found = conn.execute(text(CATALOG[conn.dialect.name]))
    return {row.name: _sorted(" ".join(row.sql.split())) for row in found}


def _sorted(sql: str) -> list[str]:
    """The order of a table's constraints is nobody's business."""
    return sorted(part.strip(" ()") for part in sql.split(", "))


def test_the_newest_schema_is_what_the_tables_say(database_url: str) -> None:
    with Database(database_url) as db, db.writing() as conn:
        context = MigrationContext.configure(
            conn, opts={"compare_type": True, "compare_server_default": True}
        )

        differences = compare_metadata(context, metadata)

    # Of an index over an expression alembic can read nothing back from SQLite.
    assert [one for one in differences if "ix_runs_waiting" not in str(one)] == []


def test_the_database_words_both_alike(empty_database_url: str) -> None:
    """Names, partial conditions and CHECKs included, of which alembic compares nothing."""
    with Database(empty_database_url) as db:
        with db.writing() as conn:
            metadata.create_all(conn)
            expected = describe(conn)
            metadata.drop_all(conn)
        with db.writing() as conn:
            migrate.upgrade(conn)
            found = describe(conn)

    assert found == expected
    assert "uq_runs_lane_in_flight" in found


def test_an_upgrade_tells_from_where_to_where(empty_database_url: str) -> None:
    newest = migrate.newest_revision()
    with Database(empty_database_url) as db:
        with db.writing() as conn:
            first = migrate.upgrade(conn)
        with db.writing() as conn:
            second = migrate.upgrade(conn)

    assert (first, second) == ((None, newest), (newest, newest))


def test_down_and_up_again_with_rows_in_it(database_url: str) -> None:
    with Database(database_url) as db:
        with db.writing() as conn:
            before = describe(conn)
            insert_world(conn)
            run_id = insert_run(conn)
            insert_attempt(conn, run_id)
            insert_collection(conn, run_id, look_at=NINE + minutes(1))
        with db.writing() as conn:
            downgrade(conn, "base")
            emptied = describe(conn)
        with db.writing() as conn:
            migrate.upgrade(conn)
            after = describe(conn)

    assert emptied == {}
    assert after == before


def test_an_upgrade_of_the_newest_schema_keeps_every_row(database_url: str) -> None:
    with Database(database_url) as db:
        with db.writing() as conn:
            insert_world(conn)
            run_id = insert_run(conn)
        with db.writing() as conn:
            migrate.upgrade(conn)

            assert conn.scalar(text("SELECT id FROM runs")) == run_id


def test_every_trigger_is_there(sqlite_url: str) -> None:
    """A migration that copies a table, as SQLite needs it for most changes, loses them."""
    with Database(sqlite_url) as db, db.reading() as conn:
        found = conn.scalars(text("SELECT name FROM sqlite_master WHERE type = 'trigger'"))

        assert sorted(found) == [
            "batches_edited",
            "batches_gone",
            "calendars_edited",
            "calendars_gone",
            "collectors_edited",
            "collectors_gone",
            "freezes_edited_times",
            "freezes_new_times",
            "overrides_edited_times",
            "overrides_new_times",
            "queues_edited_times",
            "queues_new_times",
            "schedules_checked",
            "schedules_edited",
            "schedules_edited_times",
            "schedules_new_times",
        ]


# --- refusing a schema that is not ours


def test_the_newest_schema_is_accepted(database_url: str) -> None:
    with Database(database_url) as db, db.reading() as conn:
        migrate.require_current(conn)


def test_the_tables_of_another_program_are_left_alone(empty_database_url: str) -> None:
    with Database(empty_database_url) as db:
        with db.writing() as conn:
            conn.execute(text("CREATE TABLE runs (speed INTEGER)"))
        with (
            pytest.raises(SchemaError, match=r"of another program \(runs\): give dca-scheduler"),
            db.writing() as conn,
        ):
            migrate.upgrade(conn)

        with db.reading() as conn:
            assert conn.execute(text("SELECT speed FROM runs")).all() == []


def test_an_empty_database_is_refused_with_the_command_that_fills_it(
    empty_database_url: str,
) -> None:
    with (
        Database(empty_database_url) as db,
        db.reading() as conn,
        pytest.raises(SchemaError) as refused,
    ):
        migrate.require_current(conn)

    assert str(refused.value) == "the database is empty: run `dca-scheduler db upgrade`"


def test_a_newer_schema_is_refused_and_never_downgraded(database_url: str) -> None:
    with Database(database_url) as db:
        with db.writing() as conn:
            conn.execute(text("UPDATE alembic_version SET version_num = '9999'"))
        for refuse in (migrate.require_current, migrate.upgrade):
            with db.writing() as conn, pytest.raises(SchemaError) as refused:
                refuse(conn)

            assert str(refused.value) == (
                "the database has schema 9999, which is newer than this program:"
                " install the newer dca-scheduler"
            )


def test_an_older_schema_is_refused_with_the_command_that_mends_it(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The scripts are ours and one more, as they are after an update."""
    with Database(migrated_sqlite(tmp_path)) as db:
        monkeypatch.setattr(migrate, "_scripts_folder", lambda: scripts_with_one_more(tmp_path))
        with db.reading() as conn, pytest.raises(SchemaError) as refused:
            migrate.require_current(conn)
        with db.writing() as conn:
            assert migrate.upgrade(conn) == ("0001", "0002")
        with db.reading() as conn:
            migrate.require_current(conn)

    assert str(refused.value) == (
        "the database has schema 0001, this program needs 0002: run `dca-scheduler db upgrade`"
    )
