"""No file is read inside a write transaction: whoever reads a large one delays nobody."""

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from scheduler.actions.batches import import_batch
from scheduler.actions.schedules import fire_schedule
from scheduler.actions.trigger import Request, request_trigger
from scheduler.config import Config
from scheduler.domain.errors import Conflict
from scheduler.domain.request import SendAs
from scheduler.storage import definitions
from scheduler.storage.database import Database
from tests.engine.rows import NINE, ManualClock, Rows

LARGE = 200_000

Action = Callable[[Database, Path], Any]


def fire(db: Database, _: Path) -> Any:
    return fire_schedule(db, "large", config=Config(), by="eve", now=NINE)


def trigger_batch(db: Database, _: Path) -> Any:
    asked = Request(collector="shop", batch="large")
    return request_trigger(db, asked, config=Config(), by="eve", now=NINE)


def trigger_file(db: Database, file: Path) -> Any:
    asked = Request(collector="shop", file=file)
    return request_trigger(db, asked, config=Config(), by="eve", now=NINE)


def take_over(db: Database, file: Path) -> Any:
    return import_batch(db, "taken over", file, send_as=SendAs.JSON, by="eve", now=NINE)


READING = {
    "schedules fire": fire,
    "trigger --batch": trigger_batch,
    "trigger --file": trigger_file,
    "batches import": take_over,
}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Give a file that takes a second or so to be read."""
    path = tmp_path / "large.csv"
    lines = (f"https://example.com/{number}\n" for number in range(LARGE))
    path.write_text("url\n" + "".join(lines))
    return path


@pytest.fixture
def rows(database_url: str, file: Path) -> Iterator[Rows]:
    """Give a database with a schedule of that file."""
    with Database(database_url) as db:
        rows = Rows(db=db, clock=ManualClock())
        rows.define("accounts", "main", base_url="http://127.0.0.1:1", token="env:TOKEN")
        rows.define("collectors", "shop", account="main", collector_id="c_shop")
        rows.define("batches", "large", file=str(file), max_inputs=LARGE)
        rows.schedule("large", batch="large", manual=True)
        yield rows


def wait_until_it_is_read(file: Path, reading: "Future[Any]") -> None:
    """Return once this process has *file* open."""
    while not reading.done():
        for descriptor in Path("/proc/self/fd").iterdir():
            with suppress(FileNotFoundError):
                if descriptor.readlink() == file:
                    return
    raise AssertionError("it was over before anybody looked")


@pytest.mark.parametrize("action", READING.values(), ids=READING)
def test_others_write_while_a_large_file_is_read(
    rows: Rows, database_url: str, file: Path, action: Action
) -> None:
    with Database(database_url) as other, ThreadPoolExecutor() as threads:
        reading = threads.submit(action, rows.db, file)
        wait_until_it_is_read(file, reading)
        Rows(db=other, clock=rows.clock).schedule("meanwhile", manual=True, batch="large")
        was_first = not rows.runs() and "taken over" not in batch_names(rows)
        reading.result()

    assert was_first
    assert rows.runs() or "taken over" in batch_names(rows)


@pytest.mark.parametrize("action", [fire, trigger_batch], ids=["fire", "trigger"])
def test_a_batch_that_is_edited_while_it_is_read_is_not_sent(
    rows: Rows, file: Path, action: Action
) -> None:
    with ThreadPoolExecutor() as threads:
        reading = threads.submit(action, rows.db, file)
        wait_until_it_is_read(file, reading)
        rows.change("batches", "large", dedupe=True)

        with pytest.raises(Conflict, match="'large' was edited while it was read"):
            reading.result()

    assert rows.runs() == []


def batch_names(rows: Rows) -> set[str]:

    with rows.db.reading() as conn:
        return {batch.name for batch in definitions.list_batches(conn)}
