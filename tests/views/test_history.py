"""A schedule's runs in figures: how late, how long, how many rows; by the day; the last hour."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from scheduler.domain.records import Outcome, RunState
from scheduler.storage.database import Database
from scheduler.storage.runs import series
from scheduler.views.history import (
    count_lately,
    figures_of,
    list_series,
    read_last_hour,
    read_year,
)
from tests.make import NINE
from tests.storage.rows import insert_attempt, insert_collection, insert_run, insert_schedule

HOUR = timedelta(hours=1)
SECOND = timedelta(seconds=1)


def insert_ended(conn, number: int, *, late: int = 0, rows: int = 10, **more) -> int:  # type: ignore[no-untyped-def]
    """Write the run of the hour *number* before NINE, which took a minute."""
    due_at = NINE - HOUR * number
    sent_at = due_at + SECOND * late
    values = {
        "schedule": "nightly",
        "due_at": due_at,
        "not_before": due_at,
        "created_at": due_at,
        "state": RunState.SUCCEEDED,
        "triggered_at": sent_at,
        "ended_at": sent_at + SECOND * 60,
        "collection_id": f"j_{number}",
        "fence": 1,
    }
    run_id = insert_run(conn, **(values | more))
    insert_collection(conn, id=f"j_{number}", run_id=run_id, lines=rows, next_poll_at=None)
    return run_id


def test_a_series_has_the_newest_runs_in_order_with_their_figures(db: Database) -> None:
    with db.writing() as conn:
        for number in (3, 2, 1):
            insert_ended(conn, number, late=number, rows=number * 100)
        series = list_series(conn, "nightly", limit=2)

    assert [(run.late, run.took, run.lines) for run in series] == [(2, 60, 200), (1, 60, 100)]


def test_lateness_counts_from_when_a_run_was_meant_to_be_sent(db: Database) -> None:
    with db.writing() as conn:
        jittered = NINE - HOUR + SECOND * 30
        insert_ended(conn, 1, late=31, not_before=jittered)
        (run,) = list_series(conn, "nightly")

    assert run.late == 1


def test_what_was_not_sent_has_no_lateness_and_what_runs_no_length(db: Database) -> None:
    with db.writing() as conn:
        insert_run(conn, schedule="nightly", state=RunState.SKIPPED, reason="missed")
        insert_run(conn, schedule="nightly", due_at=NINE + HOUR)
        series = list_series(conn, "nightly")

    assert [(run.late, run.took) for run in series] == [(None, None), (None, None)]


def test_the_figures_of_a_schedule_are_of_its_last_twenty(db: Database) -> None:
    with db.writing() as conn:
        for number in range(25, 1, -1):
            insert_ended(conn, number, late=1)
        insert_ended(conn, 1, late=1, rows=4, state=RunState.FAILED, reason="no_rows")
        figures = figures_of(conn, ["nightly", "unknown"])

    assert len(figures["nightly"].last) == 20
    assert figures["nightly"].succeeded == pytest.approx(0.95)
    assert (figures["nightly"].usual_took, figures["nightly"].late_p95) == (60, 1)
    assert (figures["nightly"].usual_rows, figures["nightly"].last_rows) == (10, 4)
    assert figures["unknown"].succeeded is None


def test_what_was_refused_did_not_end_well_and_what_was_skipped_says_nothing(db: Database) -> None:
    with db.writing() as conn:
        insert_ended(conn, 4, late=1)
        refused = {"state": RunState.FAILED, "reason": "refused", "ended_at": NINE}
        insert_run(conn, schedule="nightly", **refused)
        skipped = {"state": RunState.SKIPPED, "reason": "missed", "ended_at": NINE}
        insert_run(conn, schedule="nightly", due_at=NINE + HOUR, **skipped)
        figures = figures_of(conn, ["nightly"])

    assert figures["nightly"].succeeded == pytest.approx(0.5)


def test_lately_has_what_ended_since_and_what_is_open(db: Database) -> None:
    with db.writing() as conn:
        insert_schedule(conn, name="nightly")
        insert_ended(conn, 30)
        insert_ended(conn, 2, late=1)
        insert_run(conn, schedule="nightly")
        found = count_lately(conn, ["nightly", "other"], since=NINE - 12 * HOUR)

    sent_at = NINE - 2 * HOUR + SECOND
    ended, waits = found["nightly"]
    assert (ended.state, ended.count, ended.start) == (RunState.SUCCEEDED, 1, sent_at)
    assert ended.end == sent_at + SECOND * 60
    assert (waits.state, waits.count, waits.start, waits.end) == (RunState.QUEUED, 1, NINE, None)
    assert "other" not in found


def test_lately_counts_what_began_within_ten_minutes_and_is_alike(db: Database) -> None:
    begin = NINE - 2 * HOUR
    with db.writing() as conn:
        insert_schedule(conn, name="nightly")
        for number, (minute, state) in enumerate(
            ((1, "succeeded"), (9, "succeeded"), (9, "failed"), (11, "succeeded"))
        ):
            at = begin + SECOND * 60 * minute
            insert_ended(
                conn, number, due_at=at, triggered_at=at, ended_at=at, state=state, chunk=number + 1
            )
        found = count_lately(conn, ["nightly"], since=NINE - 12 * HOUR)["nightly"]

    assert [(one.start, one.end, one.state, one.count) for one in found] == [
        (begin + SECOND * 60, begin + SECOND * 540, RunState.SUCCEEDED, 2),
        (begin + SECOND * 540, begin + SECOND * 540, RunState.FAILED, 1),
        (begin + SECOND * 660, begin + SECOND * 660, RunState.SUCCEEDED, 1),
    ]


def test_a_year_counts_by_the_days_of_the_zone(db: Database) -> None:
    late_evening = datetime(2026, 3, 1, 23, 30, tzinfo=UTC)
    with db.writing() as conn:
        insert_ended(conn, 1, due_at=late_evening)
        insert_ended(conn, 2, due_at=late_evening, chunk=2, state=RunState.FAILED)
        insert_ended(conn, 3, due_at=late_evening - timedelta(days=400))
        year = read_year(
            conn, "nightly", zone=ZoneInfo("Europe/Berlin"), since=NINE - timedelta(days=366)
        )

    assert year.days == {date(2026, 3, 2): {RunState.SUCCEEDED: 1, RunState.FAILED: 1}}
    assert year.is_whole


def test_the_last_hour_of_an_account_has_its_triggers_and_429s(db: Database) -> None:
    with db.writing() as conn:
        run_id = insert_run(conn)
        insert_attempt(
            conn,
            run_id=run_id,
            number=1,
            outcome=Outcome.DEFERRED,
            http_status=429,
            claimed_at=NINE - SECOND * 60,
            resolved_at=NINE - SECOND * 59,
            collection_id=None,
        )
        old = insert_run(conn)
        insert_attempt(
            conn,
            run_id=old,
            number=1,
            outcome=Outcome.REJECTED,
            claimed_at=NINE - 2 * HOUR,
            resolved_at=NINE - 2 * HOUR,
            collection_id=None,
        )
        hours = read_last_hour(conn, now=NINE)

    assert hours["main"].sends == hours["main"].throttles == (NINE - SECOND * 60,)


def test_lately_has_the_newest_of_what_ended_very_often(db: Database) -> None:
    with db.writing() as conn:
        insert_schedule(conn, name="nightly")
        for number in range(1, 6):
            at = NINE - HOUR - SECOND * number
            insert_ended(conn, number, due_at=at, triggered_at=at, ended_at=at, chunk=number)
        (found,) = series.count_lately(conn, ["nightly"], since=NINE - 12 * HOUR, limit=3)

    assert (found.count, found.start) == (3, NINE - HOUR - SECOND * 3)
