"""All rows of a database into another of any brand: whole, alike, and without a trigger's work."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from sqlalchemy import Connection, insert, select, text, update

from scheduler.domain.errors import Conflict
from scheduler.storage import copying, run_events, tables
from scheduler.storage.copying import copy_all, is_empty, tally
from scheduler.storage.database import Database
from scheduler.storage.dialect import last_number
from scheduler.storage.run_events import take_events
from tests.databases import migrated_postgresql, migrated_sqlite
from tests.storage.full import HISTORY, everything, fill
from tests.storage.rows import insert_run


@pytest.fixture(params=["sqlite", "postgresql"])
def source(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    with _database(request.param, tmp_path / "from") as db:
        fill(db)
        yield db


@pytest.fixture(params=["sqlite", "postgresql"])
def target(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    with _database(request.param, tmp_path / "to") as db:
        yield db


@contextmanager
def _database(brand: str, folder: Path) -> Iterator[Database]:
    folder.mkdir()
    with ExitStack() as stack:
        url = (
            migrated_sqlite(folder)
            if brand == "sqlite"
            else stack.enter_context(migrated_postgresql())
        )
        yield stack.enter_context(Database(url, checkpoints=True))


def copy(source: Database, target: Database) -> list[copying.Tally]:
    with source.reading() as read, target.writing() as written:
        return copy_all(read, written)


def triggers(conn: Connection) -> list[str]:
    queries = {
        "sqlite": "SELECT name || sql FROM sqlite_master WHERE type = 'trigger' ORDER BY name",
        "postgresql": "SELECT tgname || ' ' || tgenabled::text FROM pg_trigger"
        " WHERE NOT tgisinternal ORDER BY 1",
    }
    return list(conn.scalars(text(queries[conn.dialect.name])))


def test_every_row_of_every_table_is_there_alike(source: Database, target: Database) -> None:
    with target.reading() as conn:
        watching = triggers(conn)

    copied = copy(source, target)

    with source.reading() as one, target.reading() as other:
        assert everything(other) == everything(one)
        assert triggers(other) == watching
        assert {one.table for one in copied} == tables.metadata.tables.keys()
        rows = {one.table: one.rows for one in copied}
        # Each run was written once, and came with the events of its life, not with new ones.
        assert rows["runs"] == HISTORY + 4
        assert min(rows[name] for name in ("bodies", "holds", "freezes", "overrides")) > 0


def test_the_next_row_gets_the_next_number_and_no_number_is_given_twice(
    source: Database, target: Database
) -> None:
    with source.writing() as conn:
        insert_run(conn, id=999)
        conn.execute(tables.runs.delete().where(tables.runs.c.id == 999))
        last = last_number(conn, tables.run_events)

    copy(source, target)

    with target.writing() as conn:
        highest = conn.scalar(select(tables.runs.c.id).order_by(tables.runs.c.id.desc())) or 0
        run = insert(tables.runs).from_select(
            [column.name for column in tables.runs.c if column.name != "id"],
            select(*[column for column in tables.runs.c if column.name != "id"]).where(
                tables.runs.c.id == highest
            ),
        )
        conn.execute(run)
        events = list(conn.scalars(select(tables.run_events.c.id).order_by(text("id DESC"))))
        newest = conn.scalar(select(tables.runs.c.id).order_by(tables.runs.c.id.desc()))

    assert newest is not None and newest > highest
    assert events[0] == last + 1


@pytest.mark.quiet
def test_a_consumer_reads_on_where_it_was(source: Database, target: Database) -> None:
    with source.writing() as conn:
        take_events(conn, "log", limit=1)

    copy(source, target)

    with source.writing() as one, target.writing() as other:
        unread = take_events(one, "log", limit=1000)
        assert [event.id for event in take_events(other, "log", limit=1000)] == sorted(
            event.id for event in unread
        )


def test_a_target_with_rows_is_not_empty_and_a_migrated_one_is(
    source: Database, target: Database
) -> None:
    with source.reading() as one, target.reading() as other:
        assert not is_empty(one)
        assert is_empty(other)


def test_a_row_that_the_target_cannot_hold_is_named_and_nothing_is_kept(
    tmp_path: Path, postgresql_url: str
) -> None:
    with _database("sqlite", tmp_path / "from") as source, Database(postgresql_url) as target:
        fill(source)
        with source.writing() as conn:
            conn.execute(
                update(tables.changes).values(detail="a\x00b").where(tables.changes.c.id == 1)
            )

        with pytest.raises(Conflict, match="row 1 of changes"):
            copy(source, target)

        with target.reading() as conn:
            assert is_empty(conn)


def test_a_row_that_reads_back_otherwise_is_told_and_nothing_is_kept(
    source: Database, target: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    def meddle(conn: Connection, table: object, last: int) -> None:
        conn.execute(update(tables.changes).values(by="mallory"))

    monkeypatch.setattr(copying, "set_last_number", meddle)

    with pytest.raises(Conflict, match="changes reads back otherwise"):
        copy(source, target)

    with target.reading() as conn:
        assert is_empty(conn)


def test_a_checksum_does_not_depend_on_the_order_of_text(source: Database) -> None:
    with source.reading() as conn:
        assert tally(conn) == tally(conn)
        places = run_events.places_without_transactions(conn)
        assert "log" in places
