"""
How many index entries the life of one run writes: what each new index costs for ever.

A life is what nearly all have: made by its schedule, claimed, accepted, asked about once, ended.
"""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

from sqlalchemy import BigInteger, Connection, Table, inspect, select, true

from scheduler.domain.records import Outcome, Reason, RunState
from scheduler.domain.transition import Transition
from scheduler.storage import collections_, runs, tables
from scheduler.storage.collections_ import Polled
from scheduler.storage.database import Database
from scheduler.storage.runs import claims, followed, outcomes
from scheduler.storage.runs.followed import EndedCollection
from scheduler.storage.runs.outcomes import AttemptResult
from tests.make import NINE, make_new_run, minutes
from tests.storage.rows import LEASE

ROOT: Final = Path(__file__).parents[2]
LATER: Final = NINE + minutes(1)
OF_A_RUN: Final = (tables.runs, tables.attempts, tables.collections, tables.run_events)


def make(conn: Connection) -> None:
    runs.insert_runs(conn, [make_new_run()])


def claim(conn: Connection) -> None:
    claims.claim_runs(conn, {"main": 8}, now=NINE, owner="d1", lease_until=NINE + LEASE)


def accept(conn: Connection) -> None:
    (run,) = runs.list_runs(conn, runs.RunFilter(), limit=1)
    change = Transition(
        state=RunState.COLLECTING, reason=Reason.ACCEPTED, outcome=Outcome.ACCEPTED,
        collection_id="j_1", start_eta=NINE,
    )  # fmt: skip
    outcomes.record_outcomes(conn, [AttemptResult(run=run, change=change)], now=NINE)


def ask(conn: Connection) -> None:
    collections_.claim_polls(conn, ["j_1"], now=LATER, owner="d1", lease_until=LATER + LEASE)


def end(conn: Connection) -> None:
    collection = collections_.get_collection(conn, "j_1")
    seen = {"status": "done", "lines": 9}
    polled = Polled(collection=collection, seen=seen, next_poll_at=None)
    collections_.record_polls(conn, [polled], now=LATER)
    ended = EndedCollection(
        collection=collection, state=RunState.SUCCEEDED, reason=Reason.DONE, detail=None
    )
    followed.end_runs(conn, [ended], now=LATER)


LIFE: Final[dict[str, Callable[[Connection], None]]] = {
    "made": make, "claimed": claim, "accepted": accept, "asked about": ask, "ended": end,
}  # fmt: skip


WRITTEN: Final = {
    "sqlite": {"made": 9, "claimed": 5, "accepted": 6, "asked about": 1, "ended": 2},
    "postgresql": {"made": 12, "claimed": 13, "accepted": 14, "asked about": 5, "ended": 10},
}

Row = tuple[Any, ...]
Entries = dict[tuple[str, Row], Row]
"""What stands in an index for a row, by the index and the row's own key."""


def test_the_life_of_a_run_writes_few_index_entries(db: Database) -> None:
    written = {step: count_written(db, work) for step, work in LIFE.items()}

    assert written == WRITTEN["sqlite" if db.file else "postgresql"]


def test_the_design_page_says_how_many() -> None:
    page = (ROOT / "docs" / "design.md").read_text()

    sqlite, postgresql = (sum(steps.values()) for steps in WRITTEN.values())
    assert f"{sqlite} index entries on SQLite and {postgresql} on PostgreSQL" in " ".join(
        page.split()
    )


def count_written(db: Database, work: Callable[[Connection], None]) -> int:
    """
    Return how many entries *work* has written, those of primary keys among them.

    SQLite writes those that are new. On PostgreSQL the new version of a row has a place of its own,
    and an entry for it in every index whose condition holds, if what any index needs has changed.
    """
    with db.writing() as conn:
        needed, there = read_needed(conn), read_entries(conn)
        work(conn)
        needed_after, there_after = read_needed(conn), read_entries(conn)
    if db.file is not None:
        return sum(1 for place, key in there_after.items() if there.get(place) != key)
    changed = {row for row, values in needed_after.items() if needed.get(row) != values}
    return sum(1 for _, row in there_after if row in changed)


def read_entries(conn: Connection) -> Entries:
    return {
        (name, (table.name, *row[:width])): tuple(row[width:])
        for table in OF_A_RUN
        for name, columns, condition in indexes_of(conn, table)
        for width in [len(table.primary_key)]
        for row in conn.execute(select(*table.primary_key, *columns).where(condition))
    }


def read_needed(conn: Connection) -> dict[Row, Row]:
    """Return what each row holds in the columns that an index or its condition reads."""
    found = {}
    for table in OF_A_RUN:
        words = " ".join(
            f"{columns} {condition}" for _, columns, condition in indexes_of(conn, table)
        )
        columns = [column for column in table.c if re.search(rf"\b{column.name}\b", words)]
        for row in conn.execute(select(*table.primary_key, *columns)):
            found[(table.name, *row[: len(table.primary_key)])] = tuple(row)
    return found


def indexes_of(conn: Connection, table: Table) -> Iterator[tuple[str, list[Any], Any]]:
    """Yield an index's name, columns and condition, the primary key's first."""
    # On SQLite a number alone is where the row itself stands.
    is_number = [type(column.type) for column in table.primary_key] == [BigInteger]
    if not (is_number and conn.dialect.name == "sqlite"):
        yield f"pk_{table}", list(table.primary_key), true()
    there = {index["name"] for index in inspect(conn).get_indexes(table.name)}
    for index in table.indexes:
        if index.name not in there:
            continue
        where = index.dialect_options[conn.dialect.name]["where"]
        yield str(index.name), list(index.expressions), true() if where is None else where
