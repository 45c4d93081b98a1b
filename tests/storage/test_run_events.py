"""The history of runs: each move leaves its event, whoever makes it, and nobody alters it."""

import re
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, text
from sqlalchemy.exc import IntegrityError

from scheduler.clock import utc_now
from scheduler.domain.moves import MOVES
from scheduler.domain.records import Reason, RunState
from scheduler.storage import migrate, run_events, runs
from scheduler.storage.database import Database
from scheduler.storage.rows import values_of
from scheduler.storage.runs import end_queued, outcomes
from scheduler.storage.runs.outcomes import AttemptResult
from tests.make import NINE, make_new_run, minutes
from tests.migrations.steps import upgrade_to
from tests.storage.answers import ACCEPTED
from tests.storage.rows import (
    change_run,
    claim,
    insert_run,
    insert_world,
    plain_client,
)

pytestmark = pytest.mark.quiet

LATER = NINE + minutes(1)
PROMISE = Path(__file__).parent.parent.parent / "docs" / "promise.md"


def moves_of(conn: Connection, run_id: int) -> list[tuple[Any, ...]]:
    """Return what is kept of a run's moves."""
    return [
        (event.from_state, event.to_state, event.reason, event.by, event.happened_at)
        for event in run_events.list_events(conn, run_id)
    ]


def test_a_runs_life_is_in_its_events_with_who_moved_it_and_when(database_url: str) -> None:
    with Database(database_url, by="d1") as db:
        with db.writing() as conn:
            insert_world(conn)
            run_id = runs.insert_run(conn, make_new_run(), by="alice")
        (run,) = claim(db, now=LATER)
        with db.writing() as conn:
            outcomes.record_outcomes(
                conn, [AttemptResult(run=run, change=ACCEPTED)], now=LATER + minutes(1)
            )
        with Database(database_url, by="alice (runs cancel)") as other, other.writing() as conn:
            second = runs.insert_run(conn, make_new_run(schedule=None, order_key=None), by="alice")
            end_queued.flush_queue(conn, "none", detail="x", now=LATER)
        with db.reading() as conn:
            assert moves_of(conn, run_id) == [
                (None, RunState.QUEUED, Reason.DUE, "d1", NINE),
                (RunState.QUEUED, RunState.DISPATCHING, Reason.DUE, "d1", LATER),
                (
                    RunState.DISPATCHING,
                    RunState.COLLECTING,
                    Reason.ACCEPTED,
                    "d1",
                    LATER + minutes(1),
                ),
            ]
            assert [move[3] for move in moves_of(conn, second)] == ["alice (runs cancel)"]


def test_another_clients_move_is_kept_with_the_time_of_the_machine(database_url: str) -> None:
    with Database(database_url, by="d1") as db:
        with db.writing() as conn:
            insert_world(conn)
            run_id = runs.insert_run(conn, make_new_run(), by="alice")
        before = utc_now() - timedelta(minutes=1)
        with plain_client(db, database_url) as execute:
            execute("UPDATE runs SET state = 'skipped', reason = 'flushed', detail = 'by hand',"
                    " ended_at = '2026-03-02 09:00:00.000000'")  # fmt: skip
        with db.reading() as conn:
            _, event = run_events.list_events(conn, run_id)

    assert (event.from_state, event.to_state) == (RunState.QUEUED, RunState.SKIPPED)
    assert (event.reason, event.detail, event.by) == (Reason.FLUSHED, "by hand", "sql")
    assert before < event.happened_at < before + timedelta(minutes=5)


def test_times_of_one_run_are_in_order_though_the_clock_is_set_back(db: Database) -> None:
    with db.writing() as conn:
        run_id = runs.insert_run(conn, make_new_run(), by="alice")
    claim(db, now=LATER)
    with db.writing() as conn:
        outcomes.release_unsent(conn, [runs.get_run(conn, run_id)], now=NINE, detail="given back")
        times = [event.happened_at for event in run_events.list_events(conn, run_id)]

    assert times == [NINE, LATER, LATER]


def test_what_moves_no_run_is_no_event(db: Database) -> None:
    with db.writing() as conn:
        run_id = insert_run(conn)
        conn.execute(text("UPDATE runs SET priority = 3, state = state, detail = 'x'"))

        assert len(run_events.list_events(conn, run_id)) == 1


# --- the diagram: the same in the program, in the database and in the picture


@pytest.mark.parametrize("start", [None, *RunState])
def test_the_database_refuses_just_the_moves_that_the_diagram_does_not_have(
    db: Database, start: RunState | None
) -> None:
    allowed = {to for to in RunState if to is not start and is_taken(db, start, to)}

    assert allowed == {to for origin, to in MOVES if origin is start}


def is_taken(db: Database, start: RunState | None, end: RunState) -> bool:
    """Tell whether a plain client's move is taken; nothing is left of it."""
    columns = needed(end)
    with db.writing() as conn:
        try:
            if start is None:
                values = make_row(columns)
                names = ", ".join(values)
                conn.execute(
                    text(f"INSERT INTO runs ({names}) VALUES (:{', :'.join(values)})"), values
                )
            else:
                run_id = insert_run(conn, **needed(start), fence=1)
                assignments = ", ".join(f"{name} = :{name}" for name in columns)
                conn.execute(
                    text(f"UPDATE runs SET {assignments} WHERE id = {run_id}"), as_text(columns)
                )
        except IntegrityError as error:
            assert re.search("runs: a run (that is|begins)", str(error.orig)), error
            conn.rollback()
            return False
        conn.rollback()
    return True


def needed(state: RunState) -> dict[str, Any]:
    """Return the columns that a run in *state* has, so that nothing but its move is refused."""
    is_open = state in (RunState.QUEUED, RunState.DISPATCHING, RunState.UNCONFIRMED)
    is_open = is_open or state in (RunState.NEEDS_ATTENTION, RunState.COLLECTING)
    has_collection = state in (RunState.COLLECTING, RunState.SUCCEEDED, RunState.PARTIAL)
    return {
        "state": state.value,
        "ended_at": None if is_open else NINE,
        "lease_owner": "d1" if state is RunState.DISPATCHING else None,
        "lease_until": NINE if state is RunState.DISPATCHING else None,
        "next_lookup_at": NINE if state is RunState.UNCONFIRMED else None,
        "collection_id": "j_1" if has_collection else None,
    }


def make_row(columns: dict[str, Any]) -> dict[str, Any]:
    new = values_of(make_new_run(schedule=None, order_key=None))
    return as_text({**new, **columns, "confirm_cancel": False, "replaces": False})


def as_text(columns: dict[str, Any]) -> dict[str, Any]:
    """Return times as any client writes them."""
    return {
        name: f"{value:%Y-%m-%d %H:%M:%S.%f}" if isinstance(value, datetime) else value
        for name, value in columns.items()
    }


def test_a_refused_move_says_what_a_run_can_become(db: Database, database_url: str) -> None:
    with db.writing() as conn:
        insert_run(conn, state=RunState.SUCCEEDED, collection_id="j_1")
    with plain_client(db, database_url) as execute, pytest.raises(Exception) as refused:
        execute("UPDATE runs SET state = 'queued', ended_at = NULL")

    assert "runs: a run that is succeeded stays so" in str(refused.value)


def test_the_promise_has_the_table_of_moves() -> None:
    rows = re.findall(r"^\| `?(\w+|–)`? \| `(\w+)` \| (.+) \|$", PROMISE.read_text(), re.M)
    table = {
        (None if old == "–" else RunState(old), RunState(new)): when for old, new, when in rows
    }

    assert table == MOVES


# --- what is written stays


@pytest.mark.parametrize(
    "statement",
    ["UPDATE run_events SET by = 'nobody'",
     "UPDATE run_events SET happened_at = happened_at, detail = 'x'",
     "DELETE FROM run_events"],
)  # fmt: skip
def test_history_is_neither_altered_nor_deleted(
    db: Database, database_url: str, statement: str
) -> None:
    with db.writing() as conn:
        run_id = insert_run(conn)
    with plain_client(db, database_url) as execute, pytest.raises(Exception, match="run_events: "):
        execute(statement)
    with db.reading() as conn:
        assert len(run_events.list_events(conn, run_id)) == 1


def test_history_goes_with_its_run(db: Database, database_url: str) -> None:
    with db.writing() as conn:
        run_id, other = insert_run(conn), insert_run(conn)
    with plain_client(db, database_url) as execute:
        execute(f"DELETE FROM runs WHERE id = {run_id}")
    with db.reading() as conn:
        assert run_events.list_events(conn, run_id) == []
        assert len(run_events.list_events(conn, other)) == 1


def test_an_upgrade_writes_how_each_run_began_and_what_it_is(empty_database_url: str) -> None:
    with Database(empty_database_url) as db:
        with db.writing() as conn:
            upgrade_to(conn, "0008_words")
            conn.execute(text("INSERT INTO accounts (name, token) VALUES ('main', 'env:TOKEN')"))
            for number, columns in enumerate(
                [
                    "'queued', 'due', NULL, NULL",
                    "'failed', 'refused', '2026-03-02 09:05:00.000000', NULL",
                    "'skipped', 'paused', '2026-03-02 09:00:00.000000', NULL",
                    "'failed', 'abandoned', '2026-03-02 09:05:00.000000', 'alice'",
                ],
                start=1,
            ):
                write_old_run(conn, number, columns)
        with db.writing() as conn:
            migrate.upgrade(conn)
            lives = [
                [(old and old.value, new.value, reason.value, by) for old, new, reason, by, _ in of]
                for of in (moves_of(conn, number) for number in (1, 2, 3, 4))
            ]
            news = run_events.has_news(conn, "log")

    assert lives == [
        [(None, "queued", "due", "upgrade")],
        [(None, "queued", "due", "upgrade"), ("queued", "failed", "refused", "upgrade")],
        [(None, "skipped", "paused", "upgrade")],
        [(None, "queued", "due", "upgrade"), ("queued", "failed", "abandoned", "upgrade")],
    ]
    assert not news


def write_old_run(conn: Connection, number: int, columns: str) -> None:
    conn.execute(
        text(
            "INSERT INTO bodies (fingerprint, send_as, row_count, byte_count, text, created_at)"
            f" VALUES ('b{number}', 'json', 1, 2, '[]', '2026-03-02 09:00:00.000000')"
        )
    )
    conn.execute(
        text(
            "INSERT INTO runs (id, schedule, due_at, account, collector, collector_id, body, query,"
            " not_before, max_attempts, backoff_initial, backoff_max, on_unconfirmed, created_at,"
            f" state, reason, ended_at, detail) VALUES ({number}, 's{number}',"
            f" '2026-03-02 09:00:00.000000', 'main', 'c', 'c_1', 'b{number}', 'q',"
            " '2026-03-02 09:00:00.000000', 5, '30s', '15m', 'resend',"
            f" '2026-03-02 09:00:00.000000', {columns})"
        )
    )


# --- consumers


def test_a_consumer_takes_each_event_once_and_in_order(db: Database) -> None:
    with db.writing() as conn:
        first, second = insert_run(conn), insert_run(conn)
        change_run(conn, first, state=RunState.SKIPPED, ended_at=NINE)
    taken = []
    for _ in range(3):
        with db.writing() as conn:
            taken.append(run_events.take_events(conn, "log", limit=2))

    assert [[(event.run_id, event.to_state) for event in events] for events in taken] == [
        [(first, RunState.QUEUED), (second, RunState.QUEUED)],
        [(first, RunState.SKIPPED)],
        [],
    ]


def test_what_a_consumer_does_not_want_is_passed_over(db: Database) -> None:
    wanted = (RunState.COLLECTING,)
    with db.writing() as conn:
        run_id = insert_run(conn)
    (run,) = claim(db, now=LATER)
    with db.writing() as conn:
        assert not run_events.has_news(conn, "log", states=wanted)
        assert run_events.take_events(conn, "log", limit=10, states=wanted) == []
        outcomes.record_outcomes(conn, [AttemptResult(run=run, change=ACCEPTED)], now=LATER)
    with db.writing() as conn:
        assert run_events.has_news(conn, "log", states=wanted)
        (event,) = run_events.take_events(conn, "log", limit=10, states=wanted)
        assert (event.run_id, event.to_state) == (run_id, RunState.COLLECTING)
        # What came before it is passed, too.
        assert run_events.take_events(conn, "log", limit=10) == []


def test_a_consumer_that_fails_takes_the_same_events_again(db: Database) -> None:
    with db.writing() as conn:
        run_id = insert_run(conn)
    with pytest.raises(KeyboardInterrupt), db.writing() as conn:
        run_events.take_events(conn, "log", limit=9)
        raise KeyboardInterrupt
    with db.writing() as conn:
        (event,) = run_events.take_events(conn, "log", limit=9)

    assert event.run_id == run_id


def test_a_new_consumer_hears_of_what_comes_from_now_on(db: Database) -> None:
    with db.writing() as conn:
        insert_run(conn)
    with db.writing() as conn:
        run_events.start_consumer(conn, "pager")
    with db.writing() as conn:
        later = insert_run(conn)
    with db.writing() as conn:
        run_events.start_consumer(conn, "pager")
    with db.writing() as conn:
        taken = run_events.take_events(conn, "pager", limit=9)

    assert [event.run_id for event in taken] == [later]


def test_an_event_whose_transaction_ends_after_a_later_ones_is_not_lost(
    postgresql_url: str,
) -> None:
    with Database(postgresql_url) as db:
        with db.writing() as conn:
            insert_world(conn)
        taken = []
        with db.writing() as early:
            first = insert_run(early, id=1)
            with db.writing() as late:
                second = insert_run(late, id=2)
            with db.writing() as conn:
                taken += run_events.take_events(conn, "log", limit=9)
        with db.writing() as conn:
            taken += run_events.take_events(conn, "log", limit=9)

    assert [event.run_id for event in taken] == [first, second]


def test_of_two_daemons_one_takes_the_events(postgresql_url: str) -> None:
    with Database(postgresql_url) as db:
        with db.writing() as conn:
            insert_world(conn)
            insert_run(conn)
        with db.writing() as one, db.writing() as other:
            taken = [run_events.take_events(conn, "log", limit=9) for conn in (one, other)]

    assert [len(events) for events in taken] == [1, 0]


def test_a_page_that_several_have_read_is_passed_by_one(db: Database) -> None:
    with db.writing() as conn:
        run_id = insert_run(conn)
    pages = []
    for _ in range(2):
        with db.reading() as conn:
            page = run_events.read_page(conn, "log", limit=9, states=tuple(RunState))
        assert page is not None
        pages.append(page)
    with db.writing() as conn:
        passed = [run_events.pass_page(conn, "log", page) for page in pages]
    with db.reading() as conn:
        left = run_events.read_page(conn, "log", limit=9, states=tuple(RunState))

    assert [[event.run_id for event in page.events] for page in pages] == [[run_id], [run_id]]
    assert (passed, left) == ([True, False], None)


def test_a_database_moved_to_a_server_that_counts_anew_is_read_on(postgresql_url: str) -> None:
    with Database(postgresql_url) as db:
        with db.writing() as conn:
            insert_world(conn)
            told = insert_run(conn)
        with db.writing() as conn:
            run_events.take_events(conn, "log", limit=9)
            # As pg_dump brings them along from a server that has carried out a million more.
            conn.execute(text("UPDATE run_events SET transaction_id = transaction_id + 1000000"))
            conn.execute(text("UPDATE event_cursors SET transaction_id = transaction_id + 1000000"))
        with db.writing() as conn:
            later = insert_run(conn)
        taken = []
        for _ in range(2):
            with db.writing() as conn:
                taken += run_events.take_events(conn, "log", limit=9)

    assert [event.run_id for event in taken] == [later]
    assert told != later
