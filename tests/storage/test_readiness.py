"""`ready_by` on both databases: kept, at risk before it fails, and broken."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import insert, select, update

from scheduler.domain.notices import AlertKind
from scheduler.domain.records import Reason, RunState
from scheduler.storage import readiness, tables
from scheduler.storage.database import Connection, Database
from tests.make import NINE
from tests.storage.rows import insert_collection, insert_run, insert_schedule

BERLIN = ZoneInfo("Europe/Berlin")
DAY = timedelta(days=1)
GOOD = {"state": RunState.SUCCEEDED, "reason": Reason.DONE}
FAILED = {"state": RunState.FAILED, "reason": Reason.COLLECTION_FAILED}


@pytest.fixture
def conn(db: Database) -> Iterator[Connection]:
    with db.writing() as connection:
        yield connection


def at(text: str, day: int = 3) -> datetime:
    hour, minute = map(int, text.split(":"))
    return datetime(2026, 3, day, hour, minute, tzinfo=BERLIN)


def promise(conn: Connection, ready_by: str = "06:00") -> None:
    insert_schedule(conn, name="night", ready_by=ready_by, timezone="Europe/Berlin")


def due(conn: Connection, day: int, **columns: Any) -> int:
    """Insert a run that was due at two at night."""
    moment = at("02:00", day)
    number = day if columns.get("retry_of") is None else 100 + day
    if columns.get("state") in (RunState.SUCCEEDED, RunState.COLLECTING):
        columns["collection_id"] = f"j_{number}"
    run_id = insert_run(conn, schedule="night", due_at=moment, not_before=moment, **columns)
    if "collection_id" in columns:
        insert_collection(conn, run_id, id=columns["collection_id"])
    return run_id


def ended(conn: Connection, run_id: int, moment: datetime, *, after: str = "1:00") -> None:
    hours, minutes = map(int, after.split(":"))
    begun = moment - timedelta(hours=hours, minutes=minutes)
    values = {"ended_at": moment, "triggered_at": begun, "moves": tables.runs.c.moves + 1}
    conn.execute(update(tables.runs).where(tables.runs.c.id == run_id).values(values))


def unready(conn: Connection, moment: datetime) -> list[tuple[str, str]]:
    return [(one.kind.value, one.subject) for one in readiness.list_unready(conn, now=moment)]


HAS_ONE = tables.schedules.c.ready_by.is_not(None)
NOT_READY = [(AlertKind.NOT_READY.value, "schedules.night")]
AT_RISK = [(AlertKind.AT_RISK.value, "schedules.night")]


def history(conn: Connection, hours: str) -> None:
    """Three good runs before that took so long each."""
    for day in (0, -1, -2):
        moment = at("02:00", 2) + day * DAY
        run_id = insert_run(
            conn, schedule="night", due_at=moment, collection_id=f"j_h{-day}", **GOOD
        )
        insert_collection(conn, run_id, id=f"j_h{-day}")
        ended(conn, run_id, moment + timedelta(hours=2), after=hours)


def test_what_is_ready_in_time_is_not_told(conn: Connection) -> None:
    promise(conn)
    run_id = due(conn, 3, **GOOD)
    ended(conn, run_id, at("05:00"))

    assert unready(conn, at("05:30")) == unready(conn, at("06:30")) == []
    assert readiness.count_broken(conn, since=at("00:00"), until=at("12:00"), now=at("12:00")) == {}


def test_a_failed_run_breaks_it_before_its_time_and_a_good_retry_mends_it(
    conn: Connection,
) -> None:
    promise(conn)
    run_id = due(conn, 3, **FAILED)
    before, after = unready(conn, at("05:30")), unready(conn, at("06:30"))
    retry = due(conn, 3, retry_of=run_id, **GOOD)
    ended(conn, retry, at("06:45"))

    assert (before, after) == (AT_RISK, NOT_READY)
    assert unready(conn, at("07:00")) == []


def test_it_is_told_before_it_fails_by_how_long_it_usually_takes(conn: Connection) -> None:
    promise(conn)
    history(conn, "1:30")
    run_id = due(conn, 3, state=RunState.COLLECTING, reason=Reason.ACCEPTED)
    conn.execute(
        update(tables.runs).where(tables.runs.c.id == run_id).values(triggered_at=at("04:40"))
    )

    (seen,) = readiness.list_unready(conn, now=at("04:45"))
    assert (seen.kind, seen.run_id) == (AlertKind.AT_RISK, run_id)
    assert "with the usual 90 min until 2026-03-03 05:10:00Z" in str(seen.detail)


def test_what_is_under_way_and_has_time_enough_is_not_told(conn: Connection) -> None:
    promise(conn)
    history(conn, "1:30")
    due(conn, 3)

    assert unready(conn, at("04:00")) == []
    assert unready(conn, at("04:40")) == AT_RISK


def test_what_is_due_at_that_very_time_is_of_the_next_days_promise(conn: Connection) -> None:
    promise(conn, "02:00")
    run_id = due(conn, 2, **GOOD)
    ended(conn, run_id, at("03:00", 2))
    due(conn, 3, **FAILED)

    assert unready(conn, at("02:01")) == AT_RISK
    assert unready(conn, at("02:01", 4)) == NOT_READY


def test_a_failed_run_is_no_risk_while_a_newer_occurrence_is_still_to_come(
    conn: Connection,
) -> None:
    promise(conn)
    due(conn, 3, **FAILED)
    to_come = update(tables.schedules).where(HAS_ONE)

    conn.execute(to_come.values(next_fire_at=at("05:00")))
    hourly = unready(conn, at("04:30"))
    conn.execute(to_come.values(paused_at=at("04:00"), paused_by="ann", paused_reason="x"))
    paused = unready(conn, at("04:30"))
    conn.execute(to_come.values(paused_at=None, next_fire_at=at("06:00")))

    assert (hourly, paused, unready(conn, at("05:30"))) == ([], AT_RISK, AT_RISK)


def test_with_save_to_it_is_ready_once_it_is_saved(conn: Connection) -> None:
    promise(conn)
    run_id = due(conn, 3, **GOOD)
    ended(conn, run_id, at("05:00"))
    row = {
        "run_id": run_id, "collection_id": "j_3", "account": "main", "collector": "c",
        "schedule": "night", "due_at": at("02:00"), "state": "waiting", "reason": "disk_full",
        "created_at": at("05:00"), "expires_at": at("05:00", 19),
    }  # fmt: skip
    conn.execute(insert(tables.results).values(row))
    (waiting,) = readiness.list_unready(conn, now=at("06:10"))
    conn.execute(update(tables.results).values(state="saved", settled_at=at("06:20")))
    broken = readiness.count_broken(conn, since=at("00:00"), until=at("12:00"), now=at("12:00"))

    assert waiting.kind is AlertKind.NOT_READY
    assert "its result waiting (disk_full)" in str(waiting.detail)
    assert unready(conn, at("06:30")) == []
    assert broken == {"night": 1}


@pytest.mark.parametrize("reason", [Reason.PAUSED, Reason.FROZEN])
def test_nothing_is_promised_of_what_a_person_stopped(conn: Connection, reason: Reason) -> None:
    promise(conn)
    due(conn, 3, state=RunState.SKIPPED, reason=reason)

    assert unready(conn, at("05:30")) == unready(conn, at("06:30")) == []


def test_a_time_of_day_that_is_none_is_the_schedules_own_error(conn: Connection) -> None:
    promise(conn, "half past six")

    assert unready(conn, NINE) == []
    assert conn.scalar(select(tables.schedules.c.ready_by).where(HAS_ONE)) == "half past six"
