"""Rows in one value of JSON arrive as they were given, on both databases."""

from datetime import UTC, datetime, timedelta, timezone
from typing import Any, Final

import pytest
from sqlalchemy import Boolean, Float, Text, literal, select

from scheduler.storage.database import Database
from scheduler.storage.dialect import Id, UtcDateTime
from scheduler.storage.json_rows import JsonRows, JsonValues, insert_rows
from scheduler.storage.tables import queues
from tests.make import NINE

NUMBERED: Final = JsonRows("numbered", id=Id, value=Text())


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        (Text(), ["", "plain", "null", "1", 'it\'s "so"', "a\\b\n\t", "{}", "ä → 🕷", "$[0]"]),
        (Id, [0, -1, 2**62]),
        (Float(), [0.5, -1e300, 3.0]),
        (Boolean(), [True, False]),
        (UtcDateTime(), [NINE, datetime(1999, 12, 31, 23, 59, 59, 999999, UTC)]),
    ],
    ids=["text", "integer", "float", "boolean", "time"],
)
def test_each_kind_of_value_arrives_as_it_was_given(
    db: Database, kind: Any, values: list[Any]
) -> None:
    given = JsonRows("given", place=Id, value=kind)
    query = select(given.c["value"]).order_by(given.c["place"])

    with db.reading() as conn:
        found = conn.execute(query, given.of(enumerate([*values, None])))

        assert list(found.scalars()) == [*values, None]


def test_a_time_of_another_zone_is_given_in_utc(db: Database) -> None:
    given = JsonValues("times", UtcDateTime())
    there = NINE.astimezone(timezone(timedelta(hours=5, minutes=45)))

    with db.reading() as conn:
        query = select(given.has(literal(NINE, UtcDateTime())))
        assert conn.scalar(query, given.of([there])) == 1
        assert conn.scalar(query, given.of([there + timedelta(seconds=1)])) == 0


def test_a_time_without_a_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="has no time zone"):
        JsonValues("times", UtcDateTime()).of([NINE.replace(tzinfo=None)])


def test_what_json_cannot_hold_is_refused() -> None:
    with pytest.raises(TypeError, match="a bytes cannot be given in JSON"):
        JsonValues("values", Text()).of([b"x"])


@pytest.mark.parametrize("number", [0, 1, 10_000])
def test_any_number_of_rows_arrives(db: Database, number: int) -> None:
    rows = [(place, f"v{place}") for place in range(number)]
    query = select(*NUMBERED.c.values()).order_by(NUMBERED.c["id"])

    with db.reading() as conn:
        found = conn.execute(query, NUMBERED.of(rows))

        assert [tuple(row) for row in found] == rows


def test_rows_that_are_known_are_left_out(db: Database) -> None:
    with db.writing() as conn:
        insert_rows(conn, queues, [{"name": "one", "max_depth": 1}])

        insert_rows(
            conn, queues, [{"name": "one", "max_depth": 9}, {"name": "two", "max_depth": None}]
        )
        insert_rows(conn, queues, [])

        found = conn.execute(select(queues.c.name, queues.c.max_depth).order_by(queues.c.name))
        assert [tuple(row) for row in found] == [("one", 1), ("two", None)]
