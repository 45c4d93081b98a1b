"""The month that a demo rehearses: whole, true to every invariant, and never beside a real one."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from scheduler.actions.apply import apply_definitions
from scheduler.cli.demo import daemon_environment, demo_folder
from scheduler.config import load_config
from scheduler.domain.errors import Conflict
from scheduler.domain.records import RunState
from scheduler.domain.timetable.clock_changes import offset_of
from scheduler.inputs import ANY_FILE
from scheduler.storage import runs
from scheduler.storage.database import Database
from scheduler.storage.invariants import list_violations
from scheduler.storage.run_events import list_events
from scheduler.tools.demo.history import changing_zone, fill_history
from scheduler.tools.demo.story import DAYS, Story
from tests.storage.rows import insert_run

NOW = datetime(2026, 11, 30, 5, 40, tzinfo=UTC)


@pytest.fixture
def rehearsed(database_url: str, tmp_path: Path) -> Iterator[Database]:
    with demo_folder(tmp_path / "demo"):
        loaded = load_config(
            tmp_path / "demo/config.toml", daemon_environment({}, "http://127.0.0.1:1")
        )
    with Database(database_url, checkpoints=True) as db:
        with db.writing() as conn:
            apply_definitions(conn, loaded.config, by="test", now=NOW)
            fill_history(conn, loaded.config, files=ANY_FILE, now=NOW)
        yield db


def test_a_rehearsed_month_breaks_no_invariant_and_has_every_kind_of_end(
    rehearsed: Database,
) -> None:
    with rehearsed.reading() as conn:
        violations = list_violations(conn)
        states = runs.count_states(conn)
        queued = runs.list_runs(conn, runs.RunFilter(states=[RunState.QUEUED]), limit=10)
        one = runs.list_runs(conn, runs.RunFilter(states=[RunState.SUCCEEDED]), limit=1)[0]
        life = [event.to_state for event in list_events(conn, one.id)]
        refused = runs.list_runs(conn, runs.RunFilter(schedule="vendor-feed"), limit=1)[0]
        late = [
            run
            for run in runs.list_runs(
                conn,
                runs.RunFilter(since=Story(NOW).night, until=Story(NOW).night + timedelta(hours=5)),
                limit=100,
            )
            if run.attempt_count > 1
        ]

    assert violations == []
    assert sum(states.values()) > 3_000
    assert set(states) >= {
        RunState.SUCCEEDED,
        RunState.PARTIAL,
        RunState.FAILED,
        RunState.SKIPPED,
        RunState.CANCELLED,
    }
    assert {run.queue for run in queued} == {"images"}
    assert life == [
        RunState.QUEUED,
        RunState.DISPATCHING,
        RunState.COLLECTING,
        RunState.SUCCEEDED,
    ]
    assert refused.state is RunState.FAILED
    assert late


def test_a_database_with_a_run_of_its_own_is_never_filled(db: Database, tmp_path: Path) -> None:
    with demo_folder(tmp_path / "demo"):
        loaded = load_config(
            tmp_path / "demo/config.toml", daemon_environment({}, "http://127.0.0.1:1")
        )
    with db.writing() as conn:
        run_id = insert_run(conn)

    with pytest.raises(Conflict, match="for an empty one"), db.writing() as conn:
        fill_history(conn, loaded.config, files=ANY_FILE, now=NOW)

    with db.reading() as conn:
        assert [run.id for run in runs.list_runs(conn, runs.RunFilter(), limit=5)] == [run_id]


@pytest.mark.parametrize("month", [2, 4, 5, 10, 11])
def test_one_of_the_schedules_is_in_a_zone_whose_clock_was_set_lately(month: int) -> None:
    now = datetime(2026, month, 20, tzinfo=UTC)

    zone = ZoneInfo(changing_zone(now))

    days = [now - timedelta(days=number) for number in range(DAYS + 1)]
    offsets = {offset_of(zone, day) for day in days}
    assert len(offsets) == 2
