"""What was last sent of a batch, by whichever schedule or person."""

from typing import Any

import pytest
from sqlalchemy import Connection

from scheduler.domain.records import RunState
from scheduler.storage.database import Database
from scheduler.storage.runs import sent
from tests.make import NINE, minutes
from tests.storage.rows import insert_batch, insert_run, insert_schedule


@pytest.fixture
def conn(db: Database) -> Any:
    with db.writing() as conn:
        insert_batch(conn, name="another")
        insert_schedule(conn, name="second")
        yield conn


def was_sent(conn: Connection, number: int, **overrides: Any) -> int:
    values = {"state": RunState.SUCCEEDED, "collection_id": f"j_{number}", "fence": 1}
    return insert_run(conn, **(values | {"due_at": NINE + minutes(number)} | overrides))


def last(conn: Connection, batch: str = "bestsellers") -> int | None:
    found = sent.find_last_sent(conn, batch)
    return None if found is None else found.id


@pytest.mark.parametrize("owners", [("hourly", "second"), ("second", None), (None, "hourly")])
def test_the_newest_is_found_whoever_sent_it(
    conn: Connection, owners: tuple[str | None, str | None]
) -> None:
    was_sent(conn, 1, schedule=owners[0])
    newest = was_sent(conn, 2, schedule=owners[1])

    assert last(conn) == newest


def test_what_was_not_accepted_was_not_sent(conn: Connection) -> None:
    accepted = was_sent(conn, 1, schedule="hourly")
    was_sent(conn, 2, schedule="hourly", state=RunState.FAILED, collection_id=None)

    assert last(conn) == accepted


def test_a_retry_repeats_what_was_sent_and_another_batch_is_another(conn: Connection) -> None:
    first = was_sent(conn, 1, schedule="hourly")
    was_sent(conn, 2, schedule="hourly", retry_of=first)
    other = was_sent(conn, 3, batch="another", schedule=None)

    assert (last(conn), last(conn, "another")) == (first, other)


def test_of_a_batch_that_was_never_sent_nothing_is_found(conn: Connection) -> None:
    was_sent(conn, 1, schedule="hourly")

    assert last(conn, "another") is None
    assert sent.count_last_sent(conn, ["another"]) == {}
