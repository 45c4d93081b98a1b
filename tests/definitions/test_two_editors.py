"""Two editors at once on PostgreSQL: two files do not mix, and a hand edit is whole or waits."""

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from threading import Event

import pytest
from sqlalchemy import text

from scheduler.actions.apply import apply_definitions
from scheduler.config import Config
from scheduler.storage.database import Database
from tests.definitions.rig import FILE, Desk
from tests.make import NINE

ANNS = FILE.replace('"2h"', '"1h"').replace('"0 2 * * *"', '"0 1 * * *"')
BOBS = FILE.replace('"2h"', '"3h"').replace('"0 2 * * *"', '"0 3 * * *"')
SOON = 10


@pytest.fixture
def desk(postgresql_url: str, tmp_path: Path) -> Iterator[Desk]:
    with Database(postgresql_url) as db:
        yield Desk(tmp_path, db)


@contextmanager
def held_open(db: Database, config: Config) -> Iterator[None]:
    """Apply *config* in a transaction that commits at the end of the block."""
    with db.writing() as conn:
        apply_definitions(conn, config, by="ann", now=NINE)
        yield


def begun(db: Database, config: Config, started: Event) -> None:
    with db.writing() as conn:
        started.set()
        apply_definitions(conn, config, by="bob", now=NINE)


def edited_by_hand(db: Database, statement: str, started: Event) -> None:
    with db.writing() as conn:
        started.set()
        conn.execute(text(statement))


def state(desk: Desk) -> tuple[object, object]:
    [(deadline,)] = desk.sql("SELECT deadline FROM collectors")
    [(cron,)] = desk.sql("SELECT cron FROM schedules WHERE name = 'nightly'")
    return deadline, cron


def beside(work: "partial[None]") -> "Future[None]":
    """Begin *work* in a thread of its own, and return once its transaction is open."""
    started = Event()
    with_event = partial(work, started=started)
    threads = ThreadPoolExecutor(1)
    running = threads.submit(with_event)
    threads.shutdown(wait=False)
    assert started.wait(SOON)
    return running


def test_a_second_apply_waits_for_the_first_and_is_whole(desk: Desk) -> None:
    anns, bobs = desk.config(ANNS, name="a.toml"), desk.config(BOBS, name="b.toml")

    with held_open(desk.db, anns):
        running = beside(partial(begun, desk.db, bobs))
        assert not running.done()
    running.result(SOON)

    assert state(desk) == ("3h", "0 3 * * *")


def test_many_applies_at_once_end_as_one_of_the_files(desk: Desk) -> None:
    anns, bobs = desk.config(ANNS, name="a.toml"), desk.config(BOBS, name="b.toml")

    with ThreadPoolExecutor(4) as threads:
        done = [threads.submit(begun, desk.db, config, Event()) for config in [anns, bobs] * 6]
    for one in done:
        one.result()

    assert state(desk) in {("1h", "0 1 * * *"), ("3h", "0 3 * * *")}


def test_a_hand_edit_waits_for_an_apply_and_stands_above_it(desk: Desk) -> None:
    desk.apply()
    edit = "UPDATE schedules SET cron = '0 9 * * *' WHERE name = 'nightly'"

    with held_open(desk.db, desk.config(ANNS)):
        running = beside(partial(edited_by_hand, desk.db, edit))
        assert not running.done()
    running.result(SOON)

    assert state(desk) == ("1h", "0 9 * * *")


def test_an_apply_waits_for_a_hand_edit_and_is_whole(desk: Desk) -> None:
    desk.apply(ANNS)

    with desk.db.writing() as conn:
        conn.execute(text("UPDATE schedules SET cron = '0 9 * * *' WHERE name = 'nightly'"))
        # Ann's file says what the row said before the edit.
        running = beside(partial(begun, desk.db, desk.config(ANNS)))
        assert not running.done()
    running.result(SOON)

    assert state(desk) == ("1h", "0 1 * * *")
