"""What a resume or a thaw would send is counted whole: nothing is billed unasked."""

from scheduler.storage.database import Database
from scheduler.views.resuming import preview_resume
from tests.make import NINE
from tests.storage.rows import insert_run


def test_the_runs_of_a_backfill_are_counted_with_the_others(db: Database) -> None:
    with db.writing() as conn:
        insert_run(conn, schedule="hourly", order_key="schedule:hourly", send_before=NINE)
        insert_run(conn, schedule="hourly", order_key=None, send_before=None, chunk=2)
        insert_run(conn, schedule=None, order_key=None)
        coming = preview_resume(conn, "hourly", now=NINE)

    assert coming.waiting_count == 2
