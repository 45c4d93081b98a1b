"""From nothing to the newest schema and back: it is what the tables say, on both databases."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, text

from scheduler.domain.errors import SchemaError
from scheduler.storage import migrate
from scheduler.storage.database import Database
from scheduler.storage.gaps import list_gaps, list_made
from scheduler.storage.tables import metadata
from tests.databases import empty_postgresql, empty_sqlite, migrated_sqlite
from tests.make import NINE, minutes
from tests.migrations.steps import downgrade, scripts_with_one_more
from tests.storage.rows import insert_attempt, insert_collection, insert_run, insert_world

CATALOG: Final = {
    "sqlite": """
        SELECT name, sql FROM sqlite_master
        WHERE sql IS NOT NULL AND type IN ('table', 'index') AND tbl_name <> 'alembic_version'
              AND name <> 'sqlite_sequence'
    """,
    "postgresql": """
        SELECT conname AS name, conrelid::regclass || ' ' || pg_get_constraintdef(oid) AS sql
        FROM pg_constraint
        WHERE connamespace = 'public'::regnamespace AND conname NOT LIKE 'alembic%'
              AND contype <> 't'
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

    # Of an index over an expression alembic can read nothing back from SQLite, and it expects one
    # that only PostgreSQL has.
    apart = ("ix_runs_waiting", "ix_run_events_order") if db.file else ("ix_runs_waiting",)
    assert [one for one in differences if not any(name in str(one) for name in apart)] == []


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
    assert "uq_runs_order_key_in_flight" in found


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
            insert_collection(conn, run_id, next_poll_at=NINE + minutes(1))
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


def test_nothing_is_missing_and_no_trigger_is_unknown(database_url: str) -> None:
    """A migration that copies a table, as SQLite needs it for most changes, loses triggers."""
    catalog = {
        "sqlite": "SELECT name FROM sqlite_master WHERE type = 'trigger'",
        "postgresql": "SELECT tgname FROM pg_trigger WHERE NOT tgisinternal",
    }
    with Database(database_url) as db, db.reading() as conn:
        assert list_gaps(conn) == []
        triggers = set(conn.scalars(text(catalog[conn.dialect.name])))
        made = {name for name, _ in list_made(conn)}

    assert {f"trigger {name}" for name in triggers} <= made


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


@pytest.mark.parametrize(
    "theirs", ["CREATE TABLE runs (speed INTEGER)", "CREATE VIEW runs AS SELECT 1 AS speed"]
)
@pytest.mark.parametrize("door", [migrate.upgrade, migrate.require_current])
def test_what_is_called_as_ours_is_told_before_anything_is_written(
    empty_database_url: str, theirs: str, door: Callable[[Connection], object]
) -> None:
    with Database(empty_database_url) as db:
        with db.writing() as conn:
            conn.execute(text(theirs))
        with pytest.raises(SchemaError, match=r"\(runs\): give"), db.writing() as conn:
            door(conn)


def test_the_case_of_a_name_makes_no_difference_to_sqlite(tmp_path: Path) -> None:
    with Database(empty_sqlite(tmp_path)) as db:
        with db.writing() as conn:
            conn.execute(text('CREATE TABLE "Runs" (speed INTEGER)'))
        with pytest.raises(SchemaError, match=r"\(Runs\): give"), db.writing() as conn:
            migrate.upgrade(conn)


@pytest.mark.parametrize("statement", ["DELETE FROM alembic_version", "DROP TABLE alembic_version"])
def test_our_own_tables_without_their_version_are_not_taken_for_anothers(
    database_url: str, statement: str
) -> None:
    with Database(database_url) as db:
        with db.writing() as conn:
            conn.execute(text(statement))
        for door in (migrate.upgrade, migrate.require_current):
            with pytest.raises(SchemaError, match="gone or empty: restore"), db.writing() as conn:
                door(conn)


def test_a_second_version_that_somebody_has_written_is_told(database_url: str) -> None:
    with Database(database_url) as db:
        with db.writing() as conn:
            conn.execute(text("INSERT INTO alembic_version VALUES ('0001_initial')"))
        two = "names 2 versions of the schema, 0001_initial, 00"
        with pytest.raises(SchemaError, match=two), db.reading() as conn:
            migrate.require_current(conn)


def test_a_user_who_may_create_no_tables_is_told_so() -> None:
    with (
        empty_postgresql() as url,
        Database(url) as db,
        pytest.raises(SchemaError) as refused,
        db.writing() as conn,
    ):
        conn.execute(text("SET LOCAL ROLE pg_read_all_data"))
        migrate.upgrade(conn)

    assert "permission denied for schema public" in str(refused.value)
    assert "may this user create tables in this database" in str(refused.value)


def test_an_empty_database_is_refused_with_the_command_that_fills_it(
    empty_database_url: str,
) -> None:
    with (
        Database(empty_database_url) as db,
        db.reading() as conn,
        pytest.raises(SchemaError) as refused,
    ):
        migrate.require_current(conn)

    assert str(refused.value) == (
        "the database is empty: run `dca-scheduler db upgrade`, then `dca-scheduler apply`;"
        " `dca-scheduler run` does both unless auto_migrate = false;"
        " `dca-scheduler rehearse` shows what the file would do, without a database"
    )


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
    ours, scripts = migrate.newest_revision(), scripts_with_one_more(tmp_path)
    with Database(migrated_sqlite(tmp_path)) as db:
        monkeypatch.setattr(migrate, "_scripts_folder", lambda: scripts)
        with db.reading() as conn, pytest.raises(SchemaError) as refused:
            migrate.require_current(conn)
        with db.writing() as conn:
            assert migrate.upgrade(conn) == (ours, "one_more")
        with db.reading() as conn:
            migrate.require_current(conn)

    assert str(refused.value) == (
        f"the database has schema {ours}, this program needs one_more:"
        " run `dca-scheduler db upgrade`"
    )
