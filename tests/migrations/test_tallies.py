"""What there was before anything was counted counts, and is not counted again."""

from datetime import timedelta

from scheduler.domain.tally import RUNS_ENDED
from scheduler.engine.count_events import CountStep
from scheduler.storage import last_ends, migrate, tallies
from scheduler.storage.database import Connection, Database
from scheduler.storage.last_ends import LastEnd
from tests.make import NINE
from tests.migrations.steps import downgrade
from tests.storage.rows import insert_run, insert_world

LATER = NINE + timedelta(hours=1, microseconds=500_000)


def end_runs(conn: Connection) -> None:
    succeeded = {"state": "succeeded", "reason": "done"}
    insert_run(conn, **succeeded, schedule="nightly", collection_id="j_1", ended_at=NINE)
    insert_run(
        conn, state="failed", reason="refused", schedule="nightly", due_at=LATER, ended_at=LATER
    )
    insert_run(conn, state="skipped", reason="paused", schedule="Käse", ended_at=NINE)
    insert_run(conn, **succeeded, collection_id="j_2")
    insert_run(conn)


def test_ends_of_before_are_counted_once(database_url: str) -> None:
    with Database(database_url) as db:
        with db.writing() as conn:
            insert_world(conn)
            end_runs(conn)
        with db.writing() as conn:
            downgrade(conn, "0017_names")
        with db.writing() as conn:
            migrate.upgrade(conn)
        with db.writing() as conn:
            insert_run(conn, state="cancelled", reason="cancelled_by_hand")
        with db.writing() as conn:
            CountStep(db=db).take(conn)
            ended = tallies.read_sums(conn, [RUNS_ENDED])
            ends = last_ends.list_last_ends(conn, ["nightly", "Käse"])

    assert ended == {
        (RUNS_ENDED, ("succeeded", "done")): 2,
        (RUNS_ENDED, ("failed", "refused")): 1,
        (RUNS_ENDED, ("skipped", "paused")): 1,
        (RUNS_ENDED, ("cancelled", "cancelled_by_hand")): 1,
    }
    assert ends == {"nightly": LastEnd(schedule="nightly", ended_at=LATER, succeeded_at=NINE)}
