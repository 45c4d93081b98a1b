"""Times: in UTC, aware, to the microsecond, and read as people write them."""

import sqlite3
from datetime import UTC, datetime, timedelta, timezone

import pytest

from scheduler.storage.database import Database
from scheduler.storage.dialect import UtcDateTime, database_time
from scheduler.storage.tables import daemons
from tests.make import NINE


def test_only_a_server_has_a_time_of_its_own(db: Database) -> None:
    with db.reading() as conn:
        time = database_time(conn)

    assert (time is None) == (db.file is not None)
    assert time is None or time.tzinfo is not None


def test_a_naive_time_is_refused(db: Database) -> None:
    with db.reading() as conn, pytest.raises(ValueError, match="has no time zone"):
        UtcDateTime().process_bind_param(datetime(2026, 3, 2), conn.dialect)  # noqa: DTZ001


def test_a_time_comes_back_in_utc_to_the_microsecond(db: Database) -> None:
    east = timezone(timedelta(hours=5, minutes=45))
    moment = NINE.replace(microsecond=7).astimezone(east)
    with db.writing() as conn:
        conn.execute(
            daemons.insert().values(
                id="d", host="h", pid=1, version="1", started_at=moment, seen_at=moment
            )
        )
        found = conn.execute(daemons.select()).one()

    assert found.started_at == moment
    assert found.started_at.utcoffset() == timedelta(0)


@pytest.mark.parametrize(
    "written",
    [
        "2026-03-02 09:00",
        "2026-03-02 09:00:00",
        "2026-03-02T09:00:00",
        "2026-03-02T09:00:00Z",
        "2026-03-02 09:00:00.000",
        "2026-03-02T10:00:00+01:00",
    ],
)
def test_a_time_is_read_as_people_write_it(sqlite_db: Database, written: str) -> None:
    """In the daemon's own columns, too, where nothing rewrites it."""
    assert sqlite_db.file is not None
    client = sqlite3.connect(sqlite_db.file)
    client.execute(
        "INSERT INTO daemons (id, host, pid, version, started_at, seen_at)"
        f" VALUES ('d', 'h', 1, '1', '{written}', '{written}')"
    )
    client.commit()
    client.close()

    with sqlite_db.reading() as conn:
        found = conn.execute(daemons.select()).one()
    assert found.seen_at == NINE.astimezone(UTC)
