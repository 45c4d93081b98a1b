"""The strip of the overview: what ran and what is planned, twelve hours each way."""

from datetime import timedelta

from scheduler.domain.records import RunState
from scheduler.storage.database import Database
from scheduler.tools.calendar.strip import HOURS, MOST_ROWS, read_hours_around
from tests.make import NINE
from tests.storage.rows import insert_run, insert_schedule

HOUR = timedelta(hours=1)


def test_a_row_has_what_ended_lately_what_waits_and_each_planned_time(db: Database) -> None:
    with db.writing() as conn:
        conn.exec_driver_sql("DELETE FROM schedules")
        insert_schedule(conn, name="nightly", cron="0 10,20 * * *")
        for hours, state in ((20, RunState.FAILED), (2, RunState.FAILED), (1, RunState.QUEUED)):
            at = NINE - HOUR * hours
            ended_at = at if state is RunState.FAILED else None
            insert_run(
                conn, schedule="nightly", due_at=at, state=state, ended_at=ended_at, reason="due"
            )
        around = read_hours_around(conn, now=NINE)

    (row,) = around.rows
    assert [run.state for run in row.runs] == [RunState.FAILED, RunState.QUEUED]
    assert [one.at for one in row.planned] == [NINE + HOUR, NINE + 11 * HOUR]
    assert (around.start, around.end) == (NINE - HOUR * HOURS, NINE + HOUR * HOURS)


def test_what_is_due_very_often_is_planned_by_the_hour_and_adds_up(db: Database) -> None:
    now = NINE + timedelta(minutes=30)
    with db.writing() as conn:
        conn.exec_driver_sql("DELETE FROM schedules")
        insert_schedule(conn, name="often", cron="*/5 * * * *")
        (row,) = read_hours_around(conn, now=now).rows

    assert row.planned[0].at == now
    assert row.planned[0].count == 5
    assert sum(one.count for one in row.planned) == 143
    assert all(one.until - one.at <= HOUR for one in row.planned)


def test_of_many_schedules_those_that_fire_next_have_a_row(db: Database) -> None:
    with db.writing() as conn:
        conn.exec_driver_sql("DELETE FROM schedules")
        for number in range(MOST_ROWS + 5):
            at = NINE + HOUR * (100 - number)
            insert_schedule(conn, name=f"s-{number:02}", cron="0 3 * * *", next_fire_at=at)
        around = read_hours_around(conn, now=NINE)

    assert around.schedule_count == MOST_ROWS + 5
    assert [row.schedule for row in around.rows] == [f"s-{n:02}" for n in range(5, MOST_ROWS + 5)]


def test_of_more_schedules_than_rows_each_label_has_one(db: Database) -> None:
    with db.writing() as conn:
        conn.exec_driver_sql("DELETE FROM schedules")
        for number in range(MOST_ROWS + 5):
            labels = ",eu,new," if number % 2 else None
            insert_schedule(conn, name=f"s-{number:02}", cron="0 10 * * *", labels=labels)
        around = read_hours_around(conn, now=NINE)
        of_each = read_hours_around(conn, by_label=False, now=NINE)

    assert [row.schedule for row in around.rows] == ["eu ×22", "no label ×23"]
    assert [[one.count for one in row.planned] for row in around.rows] == [[22], [23]]
    assert (around.by_label, around.shown_count) == (True, MOST_ROWS + 5)
    assert (of_each.by_label, len(of_each.rows)) == (False, MOST_ROWS)
