"""Schedules whose latest runs failed, as `status` shows them."""

import pytest

from scheduler.domain.records import RunState
from scheduler.storage import schedules
from scheduler.storage.database import Database
from scheduler.storage.runs import failing
from tests.storage.rows import insert_run, insert_schedule

STATES = {
    "f": RunState.FAILED,
    "s": RunState.CANCELLED,
    "-": RunState.SKIPPED,
    "q": RunState.QUEUED,
}


def insert_history(db: Database, history: str, **overrides: object) -> list[int]:
    """Write runs of the schedule `hourly`, the oldest first."""
    with db.writing() as conn:
        return [
            insert_run(conn, schedule="hourly", state=STATES[letter], chunk=chunk, **overrides)
            for chunk, letter in enumerate(history, start=1)
        ]


@pytest.mark.parametrize(
    ("history", "in_a_row"),
    [
        ("", 0),
        ("f", 0),
        ("ff", 2),
        ("fffs", 0),
        ("sfff", 3),
        ("ff--", 2),
        ("sf-f-q", 2),
        ("fsf", 0),
        ("f" * 30, 20),
        ("ff" + "-" * 20, 0),
    ],
)
def test_a_schedule_fails_whose_latest_runs_failed_in_a_row(
    db: Database, history: str, in_a_row: int
) -> None:
    insert_history(db, history)

    with db.reading() as conn:
        found = failing.list_failing(conn)

    assert [one.in_a_row for one in found] == ([in_a_row] if in_a_row else [])


def test_the_newest_failed_run_is_told_with_it(db: Database) -> None:
    made = insert_history(db, "ff-")

    with db.reading() as conn:
        [found] = failing.list_failing(conn)

    assert (found.schedule, found.newest.id) == ("hourly", made[1])


def test_what_is_disabled_or_by_hand_fails_nobody(db: Database) -> None:
    insert_history(db, "ff")
    with db.writing() as conn:
        insert_run(conn, state=RunState.FAILED)
        insert_run(conn, state=RunState.FAILED)
        schedules.set_enabled(conn, "hourly", enabled=False)

    with db.reading() as conn:
        assert failing.list_failing(conn) == []


def test_beyond_the_first_by_name_those_of_the_newest_runs_are_looked_at(
    db: Database,
) -> None:
    with db.writing() as conn:
        for number in range(failing.LOOKED_AT):
            insert_schedule(conn, name=f"a{number}")
    insert_history(db, "ff")

    with db.reading() as conn:
        found = failing.list_failing(conn)

    assert [one.schedule for one in found] == ["hourly"]
