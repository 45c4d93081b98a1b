"""The database's side of an engine room: rows written by hand, and what became of them."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from sqlalchemy import text

from scheduler.actions.trigger import Request, request_trigger
from scheduler.config import Config
from scheduler.domain.brake import Brake
from scheduler.domain.definition import RunDefaults
from scheduler.domain.records import Attempt, Collection, OnUnconfirmed, Run, RunState, Schedule
from scheduler.storage import accounts, collections_, definition_tables, runs, schedules
from scheduler.storage.database import Database
from scheduler.storage.dialect import text_of

NINE: Final = datetime(2026, 3, 2, 9, tzinfo=UTC)

RUN_DEFAULTS: Final = RunDefaults(
    max_attempts=5, backoff_initial="30s", backoff_max="15m", on_unconfirmed=OnUnconfirmed.RESEND
)


CONFIG: Final = Config.model_validate({"secrets": {"hook": {"env": "HOOK"}}})
"""What a person at a terminal has: a secret that may be missing where the daemon runs."""


@dataclass(slots=True)
class ManualClock:
    """Time that passes when told."""

    now: datetime = NINE

    def __call__(self) -> datetime:
        return self.now

    def tick(self, amount: timedelta | float) -> None:
        """Let that much pass; a number counts seconds."""
        self.now += amount if isinstance(amount, timedelta) else timedelta(seconds=amount)


@dataclass(slots=True, kw_only=True)
class Rows:
    """A database and the time it is: definitions and runs by hand, and what came of them."""

    db: Database
    clock: ManualClock

    def define(self, table: str, name: str, **columns: Any) -> None:
        """Write a row of a definition table, as anybody with a client can."""
        with self.db.writing() as conn:
            definition_tables.insert_row(conn, table, {"name": name, **columns})

    def change(self, table: str, name: str, **columns: Any) -> None:
        """Edit a row of a definition table at this moment of the clock."""
        with self.db.writing() as conn:
            definition_tables.update_row(conn, table, name, columns)
        if table in ("schedules", "calendars"):
            # The database notes the edit by a clock that is not ours to set.
            self.execute(
                "UPDATE schedules SET edited_at = :now WHERE edited_at > :now", now=self.clock()
            )

    def schedule(self, name: str, **columns: Any) -> None:
        """Write a schedule for every hour of one collector and batch, unless *columns* differ."""
        usual: dict[str, Any] = {"collector": "shop", "batch": "one", "created_at": self.clock()}
        if not {"cron", "every", "at", "calendar_interval", "manual"} & columns.keys():
            usual["cron"] = "0 * * * *"
        self.define("schedules", name, **(usual | columns))

    def shops(self, count: int, **columns: Any) -> list[str]:
        """Write *count* further collectors, and return their names."""
        names = [f"shop{number}" for number in range(1, count + 1)]
        for name in names:
            usual = {"account": "main", "collector_id": f"c_{name}"}
            self.define("collectors", name, **(usual | columns))
        return names

    def ask(self, collector: str = "shop", **request: Any) -> int:
        """Ask for a run by hand, and return its id."""
        asked = Request(collector=collector, **({"batch": "one"} | request))
        made = request_trigger(self.db, asked, config=CONFIG, by="a test", now=self.clock())
        return made.run.id

    def execute(self, sql: str, **values: Any) -> None:
        """Write by plain SQL, for what no action can do; times as the database stores them."""
        stored = {
            name: _as_stored(self.db, value) if isinstance(value, datetime) else value
            for name, value in values.items()
        }
        with self.db.writing() as conn:
            conn.execute(text(sql), stored)

    def runs(self, **wanted: Any) -> list[Run]:
        """Return the runs, the oldest first."""
        with self.db.reading() as conn:
            return runs.list_runs(conn, runs.RunFilter(**wanted), limit=10_000)[::-1]

    def run(self, run_id: int) -> Run:
        """Return one run."""
        with self.db.reading() as conn:
            return runs.get_run(conn, run_id)

    def ends(self) -> list[tuple[RunState, str]]:
        """Return state and reason of every run, the oldest first."""
        return [(run.state, run.reason.value) for run in self.runs()]

    def attempts(self, run_id: int) -> list[Attempt]:
        """Return the attempts of a run."""
        with self.db.reading() as conn:
            return runs.list_attempts(conn, run_id)

    def collections(self, run_id: int) -> list[Collection]:
        """Return the collections of a run."""
        with self.db.reading() as conn:
            return collections_.list_collections(conn, run_id)

    def stored_schedule(self, name: str) -> Schedule:
        """Return a schedule as its row is now."""
        with self.db.reading() as conn:
            return schedules.get_schedule(conn, name).schedule

    def brake(self) -> Brake:
        """Return the brake of the account."""
        with self.db.reading() as conn:
            brake = accounts.find_brake(conn, "main")
        assert brake is not None, "nothing was asked of this account yet"
        return brake


def _as_stored(db: Database, moment: datetime) -> object:
    return moment if db.file is None else text_of(moment)
