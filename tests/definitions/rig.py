"""What tests of definitions share: a file, a database, and somebody who edits rows by hand."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import text

from scheduler.actions.apply import apply_definitions
from scheduler.actions.comparing import WRITTEN, Change
from scheduler.config import Config, load_config
from scheduler.storage import definitions, runs
from scheduler.storage.database import Database
from scheduler.tools.definitions.drift import Drift, list_drift
from scheduler.tools.definitions.export import Export, export_definitions
from scheduler.tools.definitions.plan import DefinitionPlan, plan_definitions
from tests.make import NINE, make_body, make_new_run

FILE = """\
# The shop's schedules.
[accounts.main]
token = { env = "DCA_API_TOKEN" }

[calendars.holidays]
days = ["12-25"]

[queues.nightly]  # one after the other
max_depth = 7

[collectors.products]
id = "c_products"
deadline = "2h"   # it takes one

[batches.pages]
inputs = [{ url = "https://example.com/1" }]

[schedules.nightly]
collector = "products"
batch = "pages"
# After the shop's own update.
cron = "0 2 * * *"
queue = "nightly"
labels = ["shop", "night"]

# Each hour.
[schedules.hourly]
collector = "products"
batch = "pages"
every = "1h"
"""

HOURLY = FILE[FILE.index("# Each hour.") :]


@dataclass(slots=True)
class Desk:
    """A folder with config.toml, a database, and who works on both."""

    folder: Path
    db: Database

    def config(self, written: str = FILE, *, name: str = "config.toml") -> Config:
        """Return *written* as a configuration of the folder."""
        path = self.folder / name
        path.write_text(written, encoding="utf-8", newline="")
        return load_config(path, {}).config

    def apply(self, written: str = FILE, *, prune: bool = False) -> list[Change]:
        """Apply *written* at NINE, by ann; return what was written."""
        with self.db.writing() as conn:
            config = self.config(written)
            changes = apply_definitions(
                conn, config, by="ann", now=NINE, prune=prune, confirmed=True
            )
        return [change for change in changes if change.verb in WRITTEN]

    def plan(self, written: str = FILE, *, prune: bool = False) -> DefinitionPlan:
        """Return what applying *written* at NINE would do."""
        with self.db.reading() as conn:
            return plan_definitions(conn, self.config(written), now=NINE, prune=prune)

    def drift(self, written: str = FILE) -> list[Drift]:
        """Return how the database differs from *written*."""
        with self.db.reading() as conn:
            return list_drift(conn, self.config(written))

    def export(self, known: str | None = None) -> Export:
        """Return what the database holds, on the ground of the *known* file."""
        config = None if known is None else self.config(known)
        with self.db.reading() as conn:
            return export_definitions(conn, known=known, config=config)

    def sql(self, statement: str, **values: Any) -> list[Sequence[Any]]:
        """Do what somebody with an SQL client may do; return the rows, if there are any."""
        with self.db.writing() as conn:
            done = conn.execute(text(statement), values)
            return [tuple(row) for row in done] if done.returns_rows else []

    def names(self, table: str) -> list[str]:
        """Return the names of the rows of a definition table."""
        return [row[0] for row in self.sql(f"SELECT name FROM {table} ORDER BY name")]

    def wait(self, schedule: str) -> int:
        """Write a run of the schedule that waits to be sent; return its id."""
        new = make_new_run(schedule=schedule, collector="products", collector_id="c_products")
        with self.db.writing() as conn:
            definitions.insert_bodies(conn, [make_body()], now=NINE)
            return runs.insert_run(conn, new, by="a test")
