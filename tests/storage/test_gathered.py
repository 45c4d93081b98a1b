"""All rows of a query in one step are those that come one by one."""

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, Select, select, text

from scheduler.storage.database import Database
from scheduler.storage.gathered import gather
from scheduler.storage.tables import runs
from tests.make import NINE, minutes
from tests.storage.rows import insert_run

_EVERYTHING = select(runs).order_by(runs.c.due_at.desc())
_NEWEST = _EVERYTHING.limit(2)

pytestmark = pytest.mark.quiet


def insert_some(conn: Connection) -> None:
    """Queue three runs; one says what JSON has to write in another way."""
    for number in range(3):
        due_at = NINE + minutes(number)
        insert_run(conn, due_at=due_at, detail='say "ö" \\ and\n\tgo', after_canary=number > 1)


@pytest.mark.parametrize("query", [_EVERYTHING, _NEWEST])
def test_rows_are_those_that_come_one_by_one(db: Database, query: Select[Any]) -> None:
    with db.writing() as conn:
        insert_some(conn)
        singly = [tuple(row) for row in conn.execute(query)]
        assert len(singly) == (3 if query is _EVERYTHING else 2)
        assert [tuple(row) for row in gather(conn, query, {})] == singly


def test_of_nothing_nothing_comes(db: Database) -> None:
    with db.writing() as conn:
        assert list(gather(conn, _EVERYTHING, {})) == []


def test_what_is_no_utf8_stops_nobody(tmp_path: Path) -> None:
    with Database(f"sqlite:///{tmp_path}/a.db") as db, db.writing() as conn:
        conn.execute(text("CREATE TABLE runs AS SELECT CAST(x'61ff22' AS TEXT) AS detail"))
        query = select(runs.c.detail)
        singly = [tuple(row) for row in conn.execute(query)]
        assert singly == [('a\\xff"',)]
        assert [tuple(row) for row in gather(conn, query, {})] == singly
