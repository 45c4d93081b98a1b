"""What somebody took out of the schema: told by its name, and no daemon works without it."""

import pytest
from sqlalchemy import text

from scheduler.cli.exit_codes import ExitCode, code_of
from scheduler.domain.errors import DatabaseError, DatabaseUnfit
from scheduler.storage.database import Database
from scheduler.storage.gaps import list_gaps, require_whole
from scheduler.views.database_check import check_database
from scheduler.views.health import HealthView, read_health
from tests.make import NINE

COPY = "dca-scheduler db copy makes a new database that is whole"


def damage(url: str, *statements: str) -> None:
    with Database(url) as db, db.writing() as conn:
        for statement in statements:
            conn.execute(text(statement))


def refusal(url: str) -> str:
    with Database(url) as db, db.reading() as conn, pytest.raises(DatabaseUnfit) as refused:
        require_whole(conn)
    assert code_of(refused.value) is ExitCode.CONFIGURATION
    return str(refused.value)


def health(url: str) -> HealthView:
    with Database(url) as db, db.reading() as conn:
        return read_health(conn, now=NINE)


@pytest.mark.parametrize(
    ("statement", "gone"),
    [
        ("DROP TABLE parked_inputs", "table parked_inputs"),
        ("ALTER TABLE alerts DROP COLUMN acked_reason", "column alerts.acked_reason"),
    ],
)
def test_what_held_rows_and_is_gone_is_named_with_the_only_way_out(
    database_url: str, statement: str, gone: str
) -> None:
    damage(database_url, statement)
    told = f"the schema lacks {gone}: restore a backup (dca-scheduler db restore)"

    assert refusal(database_url) == told
    found = health(database_url)
    assert (found.complaints, found.violations, found.exit_code) == ((told,), (), 1)
    assert found.invariant_count == 0
    with Database(database_url) as db, db.reading() as conn:
        assert check_database(conn, now=NINE).problems == (told,)


def test_who_asks_a_table_that_is_gone_is_sent_to_doctor(database_url: str) -> None:
    damage(database_url, "DROP TABLE parked_inputs")
    with (
        Database(database_url) as db,
        pytest.raises(
            DatabaseError, match=r"parked_inputs.*`dca-scheduler doctor` says what is missing"
        ),
        db.reading() as conn,
    ):
        conn.execute(text("SELECT * FROM parked_inputs"))


@pytest.mark.parametrize("name", ["runs_moved", "runs_created", "schedules_edited"])
def test_a_trigger_that_was_dropped_is_told_and_refuses_a_start(
    database_url: str, name: str
) -> None:
    on = f" ON {name.partition('_')[0]}" if database_url.startswith("postgresql") else ""
    damage(database_url, f"DROP TRIGGER {name}{on}")
    told = f"the schema lacks trigger {name}, and what is promised rests on it: {COPY}"

    assert refusal(database_url) == told
    assert told in health(database_url).complaints
    assert health(database_url).invariant_count > 0


@pytest.mark.parametrize("what", ["USER", "ALL", "runs_moved"])
def test_a_trigger_that_is_switched_off_is_told_and_refuses_a_start(
    postgresql_url: str, what: str
) -> None:
    damage(postgresql_url, f"ALTER TABLE runs DISABLE TRIGGER {what}")
    told = (
        "triggers of runs are disabled, and what is promised rests on them:"
        " ALTER TABLE runs ENABLE TRIGGER ALL"
    )

    assert refusal(postgresql_url) == told
    assert told in health(postgresql_url).complaints

    damage(postgresql_url, "ALTER TABLE runs ENABLE TRIGGER ALL")
    assert not any("trigger" in one for one in health(postgresql_url).complaints)


def test_a_unique_index_that_is_gone_refuses_a_start_and_any_other_is_told(
    database_url: str,
) -> None:
    damage(database_url, "DROP INDEX ix_runs_lookup")
    slow = f"the schema lacks index ix_runs_lookup, and is slow: {COPY}"
    with Database(database_url) as db, db.reading() as conn:
        assert require_whole(conn) == [slow]
    assert slow in health(database_url).complaints

    damage(database_url, "DROP INDEX uq_runs_schedule_due_at_chunk")
    assert "lacks index uq_runs_schedule_due_at_chunk, and what is promised" in refusal(
        database_url
    )


@pytest.mark.parametrize(
    ("statement", "gone"),
    [
        ("ALTER TABLE attempts DROP CONSTRAINT pk_attempts", "constraint pk_attempts"),
        ("DROP SEQUENCE runs_id_seq CASCADE", "default runs.id"),
        ("ALTER TABLE runs ALTER COLUMN fence DROP DEFAULT", "default runs.fence"),
        ("DROP FUNCTION run_moved CASCADE", "trigger runs_moved"),
    ],
)
def test_rules_that_postgresql_lets_go_by_themselves_are_missed(
    postgresql_url: str, statement: str, gone: str
) -> None:
    damage(postgresql_url, statement)

    assert f"the schema lacks {gone}, and what is promised rests on it" in refusal(postgresql_url)


def test_much_that_is_gone_is_told_in_part(sqlite_url: str) -> None:
    with Database(sqlite_url) as db, db.reading() as conn:
        names = conn.scalars(text("SELECT name FROM sqlite_master WHERE type = 'trigger'")).all()
    damage(sqlite_url, *(f"DROP TRIGGER {name}" for name in names))

    with Database(sqlite_url) as db, db.reading() as conn:
        (gap,) = list_gaps(conn)
    assert f" and {len(names) - 10} more, and what is promised" in gap.sentence
