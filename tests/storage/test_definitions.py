"""What schedules and runs refer to, who owns it, and which daemons share the work."""

import pytest
from sqlalchemy import select, update

from scheduler.domain.errors import Conflict, NotFound
from scheduler.domain.records import QueueOrder
from scheduler.storage import audit, daemons, definition_tables, definitions
from scheduler.storage.daemons import Pulse
from scheduler.storage.database import Database
from scheduler.storage.tables import metadata, schedules
from tests.make import NINE, make_batch, make_body, make_calendar, make_collector, minutes
from tests.storage.rows import insert_batch, insert_collector


def test_collectors_and_batches_are_found_by_name(db: Database) -> None:
    with db.writing() as conn:
        insert_collector(conn, name="a")
        insert_batch(conn, name="a")

        assert definitions.list_collectors(conn) == [make_collector(name="a"), make_collector()]
        assert definitions.list_batches(conn) == [make_batch(name="a"), make_batch()]
        assert definitions.get_collector(conn, "shop") == make_collector()
        assert definitions.get_batch(conn, "bestsellers") == make_batch()
        with pytest.raises(NotFound, match="no collector is called 'gone'"):
            definitions.get_collector(conn, "gone")
        with pytest.raises(NotFound, match="no batch is called 'gone'"):
            definitions.get_batch(conn, "gone")


def test_calendars_are_found_by_name(db: Database) -> None:
    with db.writing() as conn:
        definition_tables.insert_row(conn, "calendars", {"name": "holidays", "rules": "2026-12-25"})

        assert definitions.list_calendars(conn) == {"holidays": make_calendar()}


def test_a_queue_without_rules_gets_its_row_when_it_is_paused(db: Database) -> None:
    with db.writing() as conn:
        definitions.set_queue_paused(conn, "news", paused_at=NINE, by="me", reason="x")
        (paused,) = definitions.list_queues(conn).values()
        definitions.set_queue_paused(conn, "news", paused_at=None, by=None, reason=None)
        (resumed,) = definitions.list_queues(conn).values()

    assert (paused.paused_at, paused.paused_by, paused.paused_reason) == (NINE, "me", "x")
    assert resumed == definitions.Queue(
        name="news",
        queue_order=QueueOrder.STRICT,
        max_depth=None,
        paused_at=None,
        paused_by=None,
        paused_reason=None,
        paused_until=None,
    )


def test_pausing_leaves_a_queues_rules(db: Database) -> None:
    with db.writing() as conn:
        definition_tables.insert_row(conn, "queues", {"name": "news", "max_depth": 7})
        definitions.set_queue_paused(conn, "news", paused_at=NINE, by="me", reason=None)

        assert definitions.list_queues(conn)["news"].max_depth == 7


def test_a_body_is_stored_once_whoever_sends_it(db: Database) -> None:
    other = make_body(fingerprint="e" * 64, text="[]")
    with db.writing() as conn:
        for _ in range(2):
            definitions.insert_bodies(conn, [make_body(), other], now=NINE)
        definitions.insert_bodies(conn, [], now=NINE)

        assert definitions.get_body(conn, "e" * 64) == other
        assert definitions.get_body(conn, "f" * 64) == make_body()


def test_a_body_keeps_every_character(db: Database) -> None:
    body = make_body(fingerprint="e" * 64, text="ä € 😀 \u2028 %s :name '\" \\ \r\n")
    with db.writing() as conn:
        definitions.insert_bodies(conn, [body], now=NINE)

        assert definitions.get_body(conn, "e" * 64) == body


# --- rows by name


def test_rows_are_written_changed_listed_and_deleted(db: Database) -> None:
    with db.writing() as conn:
        definition_tables.create_row(conn, "queues", {"name": "news", "max_depth": 7})
        definition_tables.update_row(conn, "queues", "news", {"max_depth": 8})
        found = definition_tables.list_rows(conn, "queues", hold=True)
        definition_tables.delete_row(conn, "queues", "news")

        assert definition_tables.list_rows(conn, "queues") == {}
    assert found["news"]["max_depth"] == 8
    assert (found["news"]["origin"], found["news"]["queue_order"]) == ("database", "strict")


def test_a_second_row_of_a_name_is_a_conflict(db: Database) -> None:
    wanted = r"batches\.bestsellers cannot be written"
    with pytest.raises(Conflict, match=wanted), db.writing() as conn:
        definition_tables.create_row(conn, "batches", {"name": "bestsellers", "inputs": "[]"})


def test_what_is_named_by_another_row_is_not_deleted(db: Database) -> None:
    wanted = r"collectors\.shop cannot be deleted"
    with pytest.raises(Conflict, match=wanted), db.writing() as conn:
        definition_tables.delete_row(conn, "collectors", "shop")


@pytest.mark.parametrize(
    "table", ["accounts", "collectors", "calendars", "batches", "queues", "schedules"]
)
def test_the_defaults_that_we_believe_in_are_the_databases(db: Database, table: str) -> None:
    required = {
        "accounts": {"token": "env:T"},
        "collectors": {"account": "main", "collector_id": "c_x"},
        "calendars": {"rules": "2026-12-25"},
        "batches": {"inputs": "[]"},
        "queues": {},
        "schedules": {"collector": "shop", "batch": "bestsellers", "cron": "@daily"},
    }[table]
    with db.writing() as conn:
        definition_tables.insert_row(conn, table, {"name": "new", **required})

        row = definition_tables.list_rows(conn, table)["new"]
    left_out = {"name", "created_at", "edits", *required}
    expected = {key: value for key, value in definition_tables.list_defaults(table).items()
                if key not in left_out}  # fmt: skip
    assert {key: row[key] for key in expected} == expected
    assert set(definition_tables.list_defaults(table)) == set(metadata.tables[table].columns.keys())


# --- daemons


def test_a_daemon_is_known_from_its_start_to_its_end(db: Database) -> None:
    with db.writing() as conn:
        daemons.insert_daemon(conn, "d1", host="h", pid=7, version="1", zone_data="2026f", now=NINE)
        pulse = Pulse(last_error="no disk", loop_lags=[0.01, 1.5])
        daemons.record_seen(conn, "d1", pulse, now=NINE + minutes(1))
        (seen,) = daemons.list_daemons(conn, seen_since=NINE + minutes(1))
        silent = daemons.list_daemons(conn, seen_since=NINE + minutes(2))
        daemons.record_stopped(conn, "d1", now=NINE + minutes(3))

        assert daemons.list_daemons(conn, seen_since=NINE) == []
    assert seen == daemons.Daemon(
        id="d1",
        host="h",
        pid=7,
        version="1",
        started_at=NINE,
        seen_at=NINE + minutes(1),
        stopped_at=None,
        last_error="no disk",
        loop_lags=[0.01, 1.5],
        zone_data="2026f",
        process=None,
    )
    assert silent == []


def test_other_zone_data_than_the_daemon_s_before_plans_all_anew_and_is_in_the_audit(
    db: Database,
) -> None:
    def start(name: str, zone_data: str, minute: int) -> tuple[bool, int]:
        with db.writing() as conn:
            conn.execute(update(schedules).values(planned_at=NINE))
            now = NINE + minutes(minute)
            daemons.insert_daemon(
                conn, name, host="h", pid=7, version="1", zone_data=zone_data, now=now
            )
            planned = conn.scalar(select(schedules.c.planned_at))
            return planned is None, len(audit.list_changes(conn, limit=9))

    assert start("d1", "2025b", 0) == (True, 0)  # nobody knows what was planned by
    assert start("d2", "2025b", 1) == (False, 0)
    assert start("d3", "2026f", 2) == (True, 1)


def test_daemons_are_listed_the_oldest_first_and_forgotten_in_the_end(db: Database) -> None:
    with db.writing() as conn:
        for number, name in enumerate(["d3", "d1", "d2"]):
            moment = NINE + minutes(number)
            daemons.insert_daemon(
                conn, name, host="h", pid=7, version="1", zone_data="2026f", now=moment
            )
        before = [one.id for one in daemons.list_daemons(conn, seen_since=NINE)]
        daemons.delete_gone(conn, before=NINE + minutes(1))

        after = [one.id for one in daemons.list_daemons(conn, seen_since=NINE)]
    assert (before, after) == (["d3", "d1", "d2"], ["d1", "d2"])
