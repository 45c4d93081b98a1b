"""What is seen first."""

from datetime import timedelta

from scheduler.actions.pauses import pause_account
from scheduler.domain.records import RunState
from scheduler.storage.database import Database
from scheduler.views.overview import read_overview
from scheduler.views.waiting import why_waits
from tests.make import NINE, make_run
from tests.storage.rows import insert_account, insert_run


def test_what_waits_says_what_must_change_first(db: Database) -> None:
    with db.writing() as conn:
        insert_account(conn, name="other")
        pause_account(conn, "other", by="ops", reason="moving", now=NINE)
        run_id = insert_run(conn, account="other")
        insert_run(conn, state=RunState.SKIPPED, due_at=NINE - timedelta(hours=1))
        (waiting,) = read_overview(conn, now=NINE).waiting
        told = why_waits(conn, make_run(id=run_id, account="other", schedule=None), now=NINE)

    assert waiting.run.id == run_id
    assert waiting.why_waiting is not None and "moving" in waiting.why_waiting
    assert waiting.why_waiting == told
