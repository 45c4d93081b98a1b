"""What protects money stands in the actions, whatever the surface."""

from collections.abc import Iterator

import pytest

from scheduler.actions.runs import retry_runs
from scheduler.actions.schedules import fire_schedule
from scheduler.actions.trigger import Request, request_trigger
from scheduler.cli.session import person
from scheduler.config import Config
from scheduler.domain.errors import InvalidInput, NeedsConfirmation
from scheduler.storage.database import Database
from tests.engine.rows import NINE
from tests.surfaces.rig import FAILED, Home

SUCCEEDED: dict[str, object] = {
    "state": "succeeded",
    "reason": "done",
    "collection_id": "j_1",
    "ended_at": "2026-03-02 09:01:00.000000",
}
HOOK = '{"type": "webhook", "auth": "${secret:hook}"}'


@pytest.fixture
def db(home: Home) -> Iterator[Database]:
    with Database(f"sqlite:///{home.database}") as db:
        yield db


def test_a_result_is_paid_for_twice_only_when_that_is_confirmed(home: Home, db: Database) -> None:
    paid, failed = home.make_run(**SUCCEEDED), home.make_run(**FAILED)

    with db.writing() as conn:
        with pytest.raises(NeedsConfirmation, match=f"run {paid} has its result"):
            retry_runs(conn, [failed, paid], by="eve", now=NINE)
        assert home.sql("SELECT count(*) FROM runs") == [(2,)]
    with db.writing() as conn:
        again = retry_runs(conn, [failed, paid], by="eve", now=NINE, confirmed=True)

    assert [(run.retry_of, run.created_by) for run in again] == [(failed, "eve"), (paid, "eve")]


def test_a_secret_that_nobody_keeps_is_refused_by_each_action(home: Home, db: Database) -> None:
    home.sql("UPDATE schedules SET deliver = ? WHERE name = 'hourly'", HOOK)
    asked = Request(collector="news", batch="pages", deliver=HOOK)

    with pytest.raises(InvalidInput, match="there is no secret hook"):
        request_trigger(db, asked, config=Config(), by="eve", now=NINE)
    with pytest.raises(InvalidInput, match="there is no secret hook"):
        fire_schedule(db, "hourly", config=Config(), by="eve", now=NINE)

    assert home.sql("SELECT count(*) FROM runs") == [(0,)]


def test_who_uses_the_command_is_told_which_word_is_needed(home: Home) -> None:
    home.sql(
        "UPDATE batches SET max_inputs_per_trigger = 1, max_chunks = 2000 WHERE name = 'pages'"
    )
    inputs = ",".join(f'{{"url": "https://example.com/{number}"}}' for number in range(1001))
    home.sql("UPDATE batches SET inputs = ? WHERE name = 'pages'", f"[{inputs}]")

    answer = home.call("schedules", "fire", "hourly")

    assert answer.code == 1
    assert answer.err == "error: batch 'pages' makes 1001 runs: say --yes if that is meant\n"
    assert home.sql("SELECT count(*) FROM runs") == [(0,)]
    assert home.done("schedules", "fire", "hourly", "--yes", "--json").items[0]["created_by"] == (
        person()
    )
