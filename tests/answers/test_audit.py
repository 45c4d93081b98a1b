"""Monday's first question: what was expected against what happened, and only where it differs."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from scheduler.storage.database import Database
from scheduler.tools.calendar.audit import AuditReport, read_audit
from tests.make import NINE, minutes
from tests.storage.rows import insert_run, insert_schedule, insert_world

DAY = timedelta(days=1)


@pytest.fixture
def db(database_url: str) -> Iterator[Database]:
    with Database(database_url) as database:
        with database.writing() as conn:
            insert_world(conn)
        yield database


def fire(db: Database, hour: int, state: str = "succeeded", **columns: Any) -> int:
    """Write what became of the occurrence of `hourly` that was due so many hours before NINE."""
    due_at = NINE - timedelta(hours=hour)
    usual: dict[str, Any] = {"schedule": "hourly", "due_at": due_at, "not_before": due_at}
    if state in ("succeeded", "partial", "collecting"):
        usual |= {"collection_id": f"j_{hour}", "triggered_at": due_at}
    usual["reason"] = {"succeeded": "done", "skipped": "missed", "failed": "refused"}.get(
        state, "accepted"
    )
    with db.writing() as conn:
        return insert_run(conn, state=state, **(usual | columns))


def audit(db: Database, **asked: Any) -> AuditReport:
    with db.reading() as conn:
        return read_audit(conn, now=NINE + minutes(30), **({"since": NINE - DAY} | asked))


def fire_all(db: Database, *but: int) -> None:
    for hour in range(24):
        if hour not in but:
            fire(db, hour)


def test_what_came_as_expected_is_not_told(db: Database) -> None:
    fire_all(db)

    report = audit(db)

    assert report.schedules == ()
    assert (report.expected_count, report.good_count, report.exit_code) == (24, 24, 0)


def test_each_way_to_differ_is_counted_by_itself(db: Database) -> None:
    fire_all(db, 0, 1, 2, 3, 4, 5)
    fire(db, 5, "skipped", reason="paused")
    fire(db, 4, "skipped")
    fire(db, 3, "succeeded", triggered_at=NINE - timedelta(hours=3) + minutes(7))
    fire(db, 2, "collecting")
    failed = fire(db, 1, "failed", detail="no such page")

    (row,) = audit(db).schedules

    assert (row.expected_count, row.good_count, row.open_count) == (24, 19, 1)
    assert (row.skipped_count, row.missed_count, row.failed_count) == (1, 1, 1)
    assert (row.late_count, round(row.latest_seconds or 0)) == (1, 420)
    assert (row.unknown_count, row.unaccounted_count) == (1, 1)
    assert (row.last_run_id, row.why) == (failed, "refused: no such page")


def test_a_failure_that_was_retried_well_is_as_expected(db: Database) -> None:
    fire_all(db, 3)
    failed = fire(db, 3, "failed")
    fire(db, 3, retry_of=failed)

    assert audit(db).schedules == ()


def test_a_gap_stands_for_all_its_occurrences(db: Database) -> None:
    fire_all(db, 3, 4, 5)
    fire(db, 5, "skipped", occurrences=3, due_until=NINE - timedelta(hours=3))

    (row,) = audit(db).schedules

    assert (row.missed_count, row.expected_count, row.unaccounted_count) == (3, 24, 0)


def test_a_schedule_that_was_made_since_owes_nothing_before(db: Database) -> None:
    fire_all(db)
    with db.writing() as conn:
        insert_schedule(conn, name="new", created_at=NINE - minutes(90))

    (row,) = audit(db).schedules

    assert (row.schedule, row.expected_count, row.unknown_count) == ("new", 2, 2)
