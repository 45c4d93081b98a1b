"""What is wrong at a moment, whoever looks; and what looks like it and is not."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Connection, insert, update

from scheduler.domain.notices import AlertKind, Observed
from scheduler.storage import daemons, standing, tables
from scheduler.storage.database import Database
from scheduler.storage.json_rows import insert_rows
from tests.make import NINE, minutes
from tests.storage.rows import insert_run, insert_schedule, insert_world

DAY = timedelta(days=1)


@pytest.fixture
def conn(database_url: str) -> Iterator[Connection]:
    with Database(database_url) as db, db.writing() as connection:
        insert_world(connection)
        yield connection


def seen(conn: Connection, kind: AlertKind) -> list[Observed]:
    """Return what is wrong of that kind, and see to it that nothing else is."""
    found = standing.list_standing(conn, now=NINE)
    assert {one.kind for one in found} <= {kind}
    return found


def subjects(conn: Connection, kind: AlertKind) -> list[str]:
    return [one.subject for one in seen(conn, kind)]


def test_nothing_is_wrong_where_all_is_well(conn: Connection) -> None:
    insert_schedule(conn, name="due", next_fire_at=NINE - minutes(0.5))

    assert standing.list_standing(conn, now=NINE) == []


def test_what_was_due_and_has_not_fired_is_late(conn: Connection) -> None:
    insert_schedule(conn, name="late", labels=",a,", next_fire_at=NINE - minutes(2))
    insert_schedule(conn, name="off", enabled=False, next_fire_at=NINE - minutes(2))

    (late,) = seen(conn, AlertKind.LATE)

    assert (late.subject, late.since, late.labels) == (
        "schedules.late",
        NINE - minutes(2),
        ",a,",
    )


def test_a_row_that_cannot_be_used_is_invalid(conn: Connection) -> None:
    insert_schedule(conn, name="broken", error="no such batch")

    assert subjects(conn, AlertKind.INVALID) == ["schedules.broken"]


@pytest.mark.parametrize(
    ("kind", "columns"),
    [
        (AlertKind.NEEDS_ATTENTION, {"state": "needs_attention", "reason": "held"}),
        (
            AlertKind.UNCONFIRMED,
            {"state": "unconfirmed", "reason": "answer_lost", "next_lookup_at": NINE},
        ),
        (
            AlertKind.OVERDUE,
            {
                "state": "collecting",
                "reason": "accepted",
                "collection_id": "j_1",
                "overdue_at": NINE,
            },
        ),
    ],
)
def test_runs_that_somebody_must_hear_of(
    conn: Connection, kind: AlertKind, columns: dict[str, Any]
) -> None:
    run_id = insert_run(conn, schedule="hourly", labels=",a,", **columns)

    (found,) = seen(conn, kind)

    assert (found.subject, found.run_id, found.schedule) == (f"runs.{run_id}", run_id, "hourly")


def test_an_account_whose_token_was_refused_and_not_one_that_a_person_paused(
    conn: Connection,
) -> None:
    insert_rows(
        conn,
        tables.brakes,
        [{"account": "main", "paused_at": NINE, "paused_reason": "401", "paused_token": "x"}],
    )
    refused = subjects(conn, AlertKind.ACCOUNT_REFUSED)
    conn.execute(update(tables.brakes).values(paused_by="alice"))

    assert refused == ["accounts.main"]
    assert subjects(conn, AlertKind.ACCOUNT_REFUSED) == []


def test_a_brake_that_is_not_open(conn: Connection) -> None:
    insert_rows(conn, tables.brakes, [{"account": "main", "trips": 3}])

    assert subjects(conn, AlertKind.BRAKE) == ["accounts.main"]


def start(conn: Connection, name: str, **columns: Any) -> None:
    started_at = columns.pop("started_at", NINE - DAY)
    daemons.insert_daemon(conn, name, host="h", pid=7, version="1", zone_data="z", now=started_at)
    found = tables.daemons.c.id == name
    usual = {"seen_at": NINE}
    conn.execute(update(tables.daemons).where(found).values(usual | columns))


def test_a_daemon_that_was_not_seen_is_silent_until_another_takes_its_place(
    conn: Connection,
) -> None:
    start(conn, "stopped", seen_at=NINE - minutes(9), stopped_at=NINE - minutes(9))
    start(conn, "dead", seen_at=NINE - minutes(5))
    start(conn, "beside")
    silent = subjects(conn, AlertKind.DAEMON_SILENT)
    start(conn, "after", started_at=NINE - minutes(1))

    assert silent == ["daemons.dead"]
    assert subjects(conn, AlertKind.DAEMON_SILENT) == []


def test_a_daemon_that_refused_its_file(conn: Connection) -> None:
    start(conn, "d", config_refused_at=NINE, last_error="the reload was refused")

    (found,) = seen(conn, AlertKind.RELOAD_REFUSED)

    assert found.detail == "pid 7 on h: the reload was refused"


def test_freshness_counts_from_the_last_good_result(conn: Connection) -> None:
    for name, good_at in (("old", NINE - 2 * DAY), ("new", NINE - minutes(5)), ("never", None)):
        insert_schedule(conn, name=name, fresh_within="36h")
        conn.execute(
            insert(tables.last_ends).values(schedule=name, ended_at=NINE, succeeded_at=good_at)
        )
    insert_schedule(conn, name="off", fresh_within="1h", enabled=False)
    insert_schedule(conn, name="odd", fresh_within="soon")

    stale = {one.subject: one.since for one in seen(conn, AlertKind.STALE)}

    assert stale == {"schedules.old": NINE - 2 * DAY + timedelta(hours=36)}
