"""Every metric: told in its order, in both formats, and on the page."""

import re
from datetime import timedelta
from pathlib import Path

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as read_openmetrics
from prometheus_client.parser import text_string_to_metric_families as read_text

from scheduler.domain.tally import REQUEST_TIME, REQUESTS, RUNS_ENDED, SUM, Tally
from scheduler.storage import accounts, daemons, last_ends, tallies
from scheduler.storage.database import Connection, Database
from scheduler.storage.json_rows import insert_rows
from scheduler.storage.last_ends import LastEnd
from scheduler.storage.tables import brakes
from scheduler.views.metrics import CATALOGUE, expose, read_metrics
from scheduler.views.metrics.catalogue import Kind
from tests.make import NINE, minutes
from tests.storage.rows import insert_account, insert_run, insert_schedule

PAGE = (Path(__file__).parents[2] / "docs" / "metrics.md").read_text(encoding="utf-8")
ROW = re.compile(r"^\| `(\w+)` \| (\w+) \| (.*?) \| (.+) \|$", re.MULTILINE)

Values = dict[tuple[str, ...], float]


def values(conn: Connection, *, max_schedules: int = 100) -> Values:
    """Return every sample by its name and the values of its labels, as text has it."""
    text, _ = expose(read_metrics(conn, now=NINE, max_schedules=max_schedules))
    return {
        (sample.name.removeprefix("dca_scheduler_"), *sample.labels.values()): sample.value
        for family in read_text(text.decode())
        for sample in family.samples
    }


def test_the_page_has_every_metric_and_no_other() -> None:
    metrics = [
        (metric.exposed, metric.kind.value, ", ".join(f"`{label}`" for label in metric.labels))
        for metric in CATALOGUE
    ]

    assert [(name, kind, labels) for name, kind, labels, _ in ROW.findall(PAGE)] == metrics


def test_names_keep_to_prometheus_rules() -> None:
    for metric in CATALOGUE:
        is_seconds = metric.exposed.endswith("_seconds")
        assert metric.kind is not Kind.HISTOGRAM or is_seconds, metric.exposed
        assert not metric.name.endswith(("_total", "_info", "_count", "_sum", "_bucket"))
        assert metric.help.endswith((".", "max_schedules.")), metric.exposed


def test_an_empty_database_has_every_family_in_both_formats(database_url: str) -> None:
    with Database(database_url) as db, db.reading() as conn:
        families = read_metrics(conn, now=NINE, max_schedules=100)

    plain, _ = expose(families)
    open_metrics, _ = expose(families, accept="application/openmetrics-text")
    assert [family.metric for family in families] == list(CATALOGUE)
    assert len(list(read_text(plain.decode()))) == len(CATALOGUE)
    assert len(list(read_openmetrics(open_metrics.decode()))) == len(CATALOGUE)


def test_what_waits_is_counted_by_account_and_since_when(db: Database) -> None:
    with db.writing() as conn:
        insert_account(conn, name="idle")
        insert_run(conn, created_at=NINE - minutes(9), due_at=NINE - timedelta(days=900))
        insert_run(conn, created_at=NINE - minutes(3))
        insert_run(conn, state="succeeded", reason="done", collection_id="j_1")
        seen = values(conn)

    assert (seen["queued_runs", "main"], seen["queued_runs", "idle"]) == (2, 0)
    assert seen["oldest_queued_timestamp_seconds", "main"] == (NINE - minutes(9)).timestamp()
    assert (seen["open_runs", "queued"], seen["open_runs", "collecting"]) == (2, 0)


def test_the_brake_and_its_429_are_told(db: Database) -> None:
    with db.writing() as conn:
        insert_rows(conn, brakes, [{"account": "main", "open_until": NINE + minutes(1)}])
        accounts.insert_throttles(conn, "main", [NINE - minutes(6), NINE - minutes(1)])
        seen = values(conn)

    assert seen["account_throttled", "main"] == 1
    assert seen["account_throttled_limit", "main"] == 8
    assert (seen["account_braking", "main"], seen["account_paused", "main"]) == (1, 0)


def test_only_the_first_schedules_have_series_of_their_own(db: Database) -> None:
    with db.writing() as conn:
        for name in ("b", "a", "c"):
            insert_schedule(conn, name=name, next_fire_at=NINE)
        insert_schedule(conn, name="aa", enabled=False, next_fire_at=NINE)
        last_ends.record(
            conn,
            [LastEnd(schedule=name, ended_at=NINE, succeeded_at=NINE) for name in ("a", "aa", "c")],
        )
        named = {key[1] for key in values(conn, max_schedules=2) if key[0].startswith("schedule_")}
        none = [key for key in values(conn, max_schedules=0) if key[0].startswith("schedule_")]

    assert (named, none) == ({"a", "b"}, [])


def test_invalid_rows_are_counted_by_table(db: Database) -> None:
    with db.writing() as conn:
        insert_schedule(conn, name="broken", cron="x y", error="no crontab text", planned_at=NINE)
        seen = values(conn)

    assert (seen["invalid_rows", "schedules"], seen["invalid_rows", "accounts"]) == (1, 0)


def test_what_daemons_tell_with_their_heartbeat(db: Database) -> None:
    pulse = daemons.Pulse(
        last_error="x", loop_lag_seconds=0.5, config_loaded_at=NINE, config_refused_at=NINE
    )
    with db.writing() as conn:
        for name, pid in (("d1", 7), ("d2", 8)):
            daemons.insert_daemon(
                conn, name, host="h", pid=pid, version="1", zone_data="z", now=NINE
            )
        daemons.record_seen(conn, "d1", pulse, now=NINE)
        daemons.record_stopped(conn, "d2", now=NINE)
        seen = values(conn)

    assert seen["daemons",] == 1
    assert seen["daemon_loop_lag_seconds", "h:7"] == 0.5
    assert seen["daemon_troubled", "h:7"] == 1
    assert seen["config_load_successful", "h:7"] == 0
    assert seen["config_loaded_timestamp_seconds", "h:7"] == NINE.timestamp()
    assert ("daemon_troubled", "h:8") not in seen


def test_buckets_hold_all_below_them_also_of_a_version_with_other_bounds(db: Database) -> None:
    tally = Tally()
    for seconds in (0.02, 0.3, 99):
        tally.observe(REQUEST_TIME, seconds, "log")
    with db.writing() as conn:
        tallies.write(conn, "d1", tally.values())
        tallies.write(conn, "d0", {(REQUEST_TIME.name, ("log", "0.2")): 1})
        seen = values(conn)

    found = {bound: seen["request_seconds_bucket", "log", bound] for bound in REQUEST_TIME.buckets}
    assert (found["0.01"], found["0.1"], found["0.25"]) == (0, 1, 2)
    assert (found["0.5"], found["30"]) == (3, 3)
    assert found["+Inf"] == seen["request_seconds_count", "log"] == 4
    assert seen["request_seconds_sum", "log"] == pytest.approx(99.32)


def test_counters_are_sums_and_the_usual_ends_begin_at_nothing(db: Database) -> None:
    with db.writing() as conn:
        tallies.write(conn, "d1", {(REQUESTS, ("main", "log", "2xx")): 3})
        tallies.write(conn, "d2", {(REQUESTS, ("main", "log", "2xx")): 4})
        tallies.add(
            conn, {(RUNS_ENDED, ("failed", "refused")): 2, (REQUEST_TIME.name, ("a", SUM)): 1}
        )
        seen = values(conn)

    assert seen["requests_total", "main", "log", "2xx"] == 7
    assert seen["runs_ended_total", "refused", "failed"] == 2
    assert seen["runs_ended_total", "missed", "skipped"] == 0
