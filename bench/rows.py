"""Rows made by the thousand or the million, in the database itself where there are many."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import func, insert, select, text

from scheduler.clock import utc_now
from scheduler.storage.database import Connection, Database
from scheduler.storage.dialect import text_of
from scheduler.storage.tables import runs, schedules

_BODY = "bench"
_AT_ONCE = 100_000
_LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)


def queue_runs(db: Database, number: int, accounts: int) -> None:
    """Write *number* runs that may be sent now, each of a schedule of its own."""
    with db.writing() as conn:
        _insert_body(conn)
        _execute(
            conn,
            f"""
            INSERT INTO runs (schedule, due_at, account, collector, collector_id, body, query,
                order_key, state, reason, not_before, max_attempts, backoff_initial, backoff_max,
                on_unconfirmed,
                created_at)
            SELECT 'queued' || i, :now, 'a' || (i % 256 % {accounts}), 'k' || (i % 256),
                'c_' || (i % 256), '{_BODY}', 'collector=c_' || (i % 256) || '&queue_next=1',
                'schedule:queued' || i, 'queued', 'due', :now, 5, '30s', '15m', 'resend', :now
            FROM n""",
            number,
            now=utc_now(),
        )


def make_history(db: Database, number: int) -> None:
    """Write *number* ended runs with their attempts and collections, each of its own schedule."""
    for first in range(0, number, _AT_ONCE):
        with db.writing() as conn:
            _insert_body(conn)
            _make_history(conn, first, min(_AT_ONCE, number - first))
    analyze(db)


def _make_history(conn: Connection, first: int, number: int) -> None:
    at, late = datetime(2020, 1, 1, tzinfo=UTC), datetime(2020, 1, 1, 0, 5, tzinfo=UTC)
    run = f"(1000000 + {first} + i)"
    _execute(
        conn,
        f"""
        INSERT INTO runs (id, schedule, due_at, account, collector, collector_id, body, query,
            order_key, state, reason, not_before, attempt_count, max_attempts, backoff_initial,
            backoff_max,
            on_unconfirmed, fence, triggered_at, collection_id, created_at, lease_owner,
            lease_until)
        SELECT {run}, 'old' || {run}, :at, 'a0', 'k' || (i % 256), 'c_' || (i % 256),
            '{_BODY}', 'collector=c_' || (i % 256) || '&queue_next=1', 'schedule:old' || {run},
            'queued', 'due', :at, 1, 5, '30s', '15m', 'resend', 1, :at, 'j_old' || {run},
            :at, 'old', :at
        FROM n""",
        number,
        at=at,
    )
    # By all the moves of a run: its history is as long as another's.
    for move in (
        "state = 'dispatching'",
        "state = 'collecting', reason = 'accepted', lease_owner = NULL, lease_until = NULL",
        f"state = 'succeeded', reason = 'done', ended_at = '{text_of(late)}'",
    ):
        conn.execute(text(f"UPDATE runs SET {move} WHERE id > {1000000 + first}"))
    _execute(
        conn,
        f"""
        INSERT INTO attempts (run_id, number, daemon, request, outcome, claimed_at, resolved_at,
            http_status, collection_id)
        SELECT {run}, 1, 'old', 'POST /dca/trigger?collector=c_' || (i % 256), 'accepted', :at,
            :late, 200, 'j_old' || {run} FROM n""",
        number,
        at=at,
        late=late,
    )
    _execute(
        conn,
        f"""
        INSERT INTO collections (id, run_id, account, collector_id, status, accepted_at)
        SELECT 'j_old' || {run}, {run}, 'a0', 'c_' || (i % 256), 'done', :at FROM n""",
        number,
        at=at,
    )


def make_ended(
    db: Database, number: int, of: int, *, since: datetime = _LONG_AGO, days: int = 0
) -> None:
    """
    Write *number* runs *of* so many schedules as they are at their end, without how they came.

    They were due at *since*, or evenly spread over *days* from then on; one in fifty failed.
    """
    apart = days * 86400 / number
    for first in range(0, number, _AT_ONCE):
        run, few = f"({first} + i)", min(_AT_ONCE, number - first)
        with db.writing() as conn, _without_triggers(conn, "runs"):
            at, late = (_moment(conn, f"{run} * {apart} + {more}") for more in (0, 300))
            # What is due in one moment must be told apart.
            chunk = "1, 1" if days else f"1 + {run} / {of}, {number}"
            _insert_body(conn)
            _execute(
                conn,
                f"""
                INSERT INTO runs (id, schedule, due_at, account, collector, collector_id, body,
                    query, order_key, state, reason, not_before, attempt_count, max_attempts,
                    backoff_initial, backoff_max, on_unconfirmed, fence, triggered_at,
                    collection_id, created_at, ended_at, chunk, chunks)
                SELECT {run}, 's' || ({run} % {of}), {at}, 'a0', 'k' || (i % 16),
                    'c_' || (i % 16), '{_BODY}', 'collector=c_' || (i % 16), 'schedule:' || i,
                    CASE {run} / {of} % 50 WHEN 7 THEN 'failed' ELSE 'succeeded' END,
                    CASE {run} / {of} % 50 WHEN 7 THEN 'collection_failed' ELSE 'done' END,
                    {at}, 1, 5, '30s', '15m', 'resend', 1, {at},
                    'j_old' || {run}, {at}, {late}, {chunk}
                FROM n""",
                few,
                since=since,
            )
            _execute(
                conn,
                f"""
                INSERT INTO collections (id, run_id, account, collector_id, status, accepted_at)
                SELECT 'j_old' || {run}, {run}, 'a0', 'c_' || (i % 16), 'done', {at} FROM n""",
                few,
                since=since,
            )
    analyze(db)


def _moment(conn: Connection, seconds: str) -> str:
    """Return SQL for the moment so many seconds after :since."""
    if conn.dialect.name == "sqlite":
        return f"datetime(:since, '+' || CAST({seconds} AS INTEGER) || ' seconds') || '.000000'"
    return f"(CAST(:since AS timestamptz) + ({seconds}) * interval '1 second')"


@contextmanager
def _without_triggers(conn: Connection, table: str) -> Iterator[None]:
    """Have no trigger of *table* act within the block."""
    if conn.dialect.name != "sqlite":
        conn.exec_driver_sql(f"ALTER TABLE {table} DISABLE TRIGGER USER")
        yield
        conn.exec_driver_sql(f"ALTER TABLE {table} ENABLE TRIGGER USER")
        return
    those = f"FROM sqlite_master WHERE type = 'trigger' AND tbl_name = '{table}'"
    made = conn.exec_driver_sql(f"SELECT name, sql {those}").all()
    for name, _ in made:
        conn.exec_driver_sql(f"DROP TRIGGER {name}")
    yield
    for _, sql in made:
        conn.exec_driver_sql(sql)


def store_schedules(db: Database, number: int, *, due_at: datetime) -> None:
    """Write *number* schedules that are due once, at *due_at*, planned already."""
    for first in range(0, number, _AT_ONCE):
        with db.writing() as conn:
            _execute(
                conn,
                f"""
                INSERT INTO schedules (name, collector, batch, at, planned_at, fired_until,
                    next_fire_at)
                SELECT 's' || ({first} + i), 'k' || (i % 256), 'one', :text, :now, :now, :due
                FROM n""",
                min(_AT_ONCE, number - first),
                text=due_at.isoformat(),
                now=utc_now(),
                due=due_at,
            )
    analyze(db)


def store_timetables(db: Database, number: int) -> None:
    """Write *number* schedules as there are in earnest, planned: most due daily or hourly."""
    crons = ("{m} {h} * * *", "{m} * * * *", "*/10 * * * *", "{m} */6 * * 1-5", "{m} 3,4 1 * *")
    zones = ("UTC", "Europe/Berlin", "America/New_York")
    now = utc_now()
    rows = [
        {
            "name": f"s{i}",
            "collector": f"k{i % 16}",
            "batch": "one",
            "cron": crons[i % len(crons)].format(m=i % 60, h=i // 60 % 24),
            "timezone": zones[i % len(zones)],
            "labels": f",team{i % 12},",
            "planned_at": now,
            "fired_until": now,
            "next_fire_at": now + timedelta(minutes=1 + i % 600),
        }
        for i in range(number)
    ]
    with db.writing() as conn:
        conn.execute(insert(schedules), rows)


def store_usage(db: Database, of: int, *, until: datetime, days: int) -> None:
    """Write what was sent on each of *days* days up to *until*, *of* so many schedules."""
    for day in range(days):
        with db.writing() as conn:
            _execute(
                conn,
                """
                INSERT INTO usage (day, account, collector, schedule, labels, runs, inputs, pages,
                    paged_inputs, last_meant_at)
                SELECT :day, 'a0', 'k' || (i % 16), 's' || i, ',team' || (i % 12) || ',', 24, 24,
                    48, 24, :at FROM n""",
                of,
                day=f"{until - timedelta(days=day):%Y-%m-%d}",
                at=until - timedelta(days=day),
            )


def store_beat(db: Database) -> None:
    """Write one schedule that is due every second, on the second."""
    with db.writing() as conn:
        conn.execute(
            text("INSERT INTO schedules (name, collector, batch, every)"
                 " VALUES ('beat', 'k0', 'one', '1s')")
        )  # fmt: skip


def store_beats(db: Database, number: int) -> None:
    """Write *number* schedules of a collector each that are due once a second, spread over it."""
    with db.writing() as conn:
        _execute(
            conn,
            """
            INSERT INTO schedules (name, collector, batch, every, spread)
            SELECT 'beat' || i, 'k' || i, 'one', '1s', '1s' FROM n""",
            number,
        )


def meant_at(db: Database) -> dict[str, float]:
    """Return when the run of each collection was meant to start, its spread included."""
    with db.reading() as conn:
        found = conn.execute(
            select(runs.c.collection_id, runs.c.not_before).where(runs.c.collection_id.is_not(None))
        )
        return {id_: at.timestamp() for id_, at in found}


def count_due(db: Database, until: float) -> int:
    """Return how many schedules and runs, due before *until*, were not fired or sent yet."""
    end = datetime.fromtimestamp(until, UTC)
    fired = func.coalesce(schedules.c.fired_until, _LONG_AGO)
    waiting = runs.c.state.in_(["queued", "dispatching"]) & (runs.c.not_before < end)
    with db.reading() as conn:
        return sum(
            conn.scalar(select(func.count()).select_from(table).where(those)) or 0
            for table, those in ((schedules, fired < end - timedelta(seconds=1)), (runs, waiting))
        )


def count_unresolved(db: Database) -> int:
    """Return how many runs wait for their turn or their answer."""
    with db.reading() as conn:
        found = "SELECT count(*) FROM runs WHERE state IN ('queued', 'dispatching')"
        return int(conn.scalar(text(found)) or 0)


def _insert_body(conn: Connection) -> None:
    _execute(
        conn,
        f"""
        INSERT INTO bodies (fingerprint, send_as, row_count, byte_count, text, created_at)
        SELECT '{_BODY}', 'json', 1, 4, '[{{}}]', :now FROM n
        WHERE NOT EXISTS (SELECT 1 FROM bodies WHERE fingerprint = '{_BODY}')""",
        1,
        now=utc_now(),
    )


def _execute(conn: Connection, insert: str, number: int, **values: Any) -> None:
    """Carry out an INSERT … SELECT from `n`, the numbers from 1 to *number*."""
    into, select = insert.split("SELECT", 1)
    numbers = f"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {number})"
    if conn.dialect.name == "sqlite":
        values = {
            key: text_of(value) if isinstance(value, datetime) else value
            for key, value in values.items()
        }
    conn.execute(text(f"{into} {numbers} SELECT {select}"), values)


def analyze(db: Database) -> None:
    """Give PostgreSQL its statistics, as autovacuum would a little later."""
    if db.file is None:
        with db.writing() as conn:
            conn.execute(text("ANALYZE"))
