"""A database in which something of everything stands, as months of work leave it."""

from datetime import timedelta

from sqlalchemy import delete, insert, select

from scheduler.domain.records import Outcome, Reason, RunState
from scheduler.storage import restores, run_events, tables
from scheduler.storage.database import Connection, Database
from tests.make import NINE
from tests.storage.rows import insert_attempt, insert_collection, insert_run, insert_world

HISTORY = 30
TEXTS = "ümlaut, „quotes“, a\nline and \U0001f600"


def fill(db: Database) -> None:
    """Write history, open runs, pauses, a freeze, an override, holds, audit and events."""
    with db.writing() as conn:
        insert_world(conn)
        _history(conn)
        waiting = insert_run(conn, schedule="hourly", due_at=NINE + timedelta(days=1))
        insert_run(conn, waits_for=waiting, labels="a,b", detail=TEXTS)
        lost = insert_run(
            conn,
            state=RunState.UNCONFIRMED,
            reason=Reason.ANSWER_LOST,
            next_lookup_at=NINE,
            order_key="queue:q",
            fence=1,
        )
        insert_attempt(conn, lost, outcome=Outcome.LOST, detail=TEXTS)
        last = insert_run(conn)
        _stops(conn)
        run_events.start_consumer(conn, "log")
        conn.execute(delete(tables.runs).where(tables.runs.c.id == last))
    with db.writing() as conn:
        insert_run(conn)  # an event that no consumer has read


def _history(conn: Connection) -> None:
    before = None
    for number in range(HISTORY):
        before = insert_run(
            conn,
            schedule="hourly",
            due_at=NINE - timedelta(hours=number, microseconds=number),
            state=RunState.SUCCEEDED,
            reason=Reason.DONE,
            collection_id=f"j_{number}",
            fence=1,
            attempt_count=1,
            retry_of=before,
        )
        insert_attempt(conn, before, outcome=Outcome.ACCEPTED, collection_id=f"j_{number}")
        insert_collection(conn, before, id=f"j_{number}", success_rate=0.1 * number)


def _stops(conn: Connection) -> None:
    schedule = tables.schedules.update().where(tables.schedules.c.name == "hourly")
    conn.execute(schedule.values(fired_until=NINE + timedelta(days=1)))
    conn.execute(schedule.values(paused_at=NINE, paused_by="alice", paused_reason=TEXTS))
    conn.execute(
        insert(tables.freezes).values(
            scope="collector:c", frozen_at=NINE, frozen_by="bob", reason=TEXTS
        )
    )
    conn.execute(
        insert(tables.overrides).values(
            schedule="hourly",
            field="deadline",
            value="3h",
            made_at=NINE,
            made_by="alice",
            reason="x",
            until=NINE,
        )
    )
    conn.execute(
        insert(tables.changes).values(
            happened_at=NINE, by="alice", action="pause", subject="schedules.hourly"
        )
    )
    restores.insert_restore(conn, backup_at=NINE)
    restores.settle(conn, since=NINE, by="alice", now=NINE)


def everything(conn: Connection) -> dict[str, list[tuple[object, ...]]]:
    """Return every row of every table, by key; the source's own transactions left out."""
    return {
        table.name: sorted(
            (
                tuple(0 if name == "transaction_id" else value for name, value in row.items())
                for row in conn.execute(select(table)).mappings()
            ),
            key=repr,
        )
        for table in tables.metadata.sorted_tables
    }
