"""What is listed and shown, as tables and as JSON."""

import sqlite3

import pytest

from scheduler.cli.session import person
from scheduler.domain.timetable import ZONE_DATA
from tests.surfaces.rig import FAILED, Home, spoken

PROMISED = {
    *("id", "schedule", "collector", "queue", "state", "due_at", "triggered_at", "collection_id"),
    *("start_eta", "attempt_count", "reason", "detail", "batch", "query", "account", "not_before"),
    *("created_at", "ended_at", "retry_of"),
}


def make_history(home: Home) -> None:
    """Write runs 1 to 4, due at 01:00 to 04:00."""
    hours = [f"2026-03-02 0{hour}:00:00.000000" for hour in range(1, 5)]
    home.make_run(ask="products", schedule="nightly", queue="nightly", due_at=hours[0])
    home.make_run(ask="news", schedule="hourly", due_at=hours[1], **FAILED)
    home.make_run(ask="news", due_at=hours[2], state="skipped", reason="missed", ended_at=hours[2])
    home.make_run(ask="products", due_at=hours[3], **FAILED)


def test_a_run_in_json_has_every_promised_field(home: Home) -> None:
    home.make_run()

    [run] = home.done("runs", "list", "--json").items

    assert set(run) >= PROMISED
    assert run["state"] == "queued"
    assert run["due_at"] == "2026-03-02T09:00:00.000000Z"
    assert run["query"] == "collector=c_products&queue_next=1&deadline=2h"


@pytest.mark.parametrize(
    ("words", "ids"),
    [
        ([], [4, 3, 2, 1]),
        (["--schedule", "nightly"], [1]),
        (["--collector", "news"], [3, 2]),
        (["--queue", "nightly"], [1]),
        (["--state", "failed"], [4, 2]),
        (["--state", "failed", "--state", "queued"], [4, 2, 1]),
        (["--state", "failed", "--collector", "news"], [2]),
        (["--since", "2026-03-02T03:00:00Z"], [4, 3]),
        (["--since", "2026-03-02T03:00:00"], [4, 3]),
        (["--since", "2026-03-02T04:00:00+01:00"], [4, 3]),
        (["--until", "2026-03-02T02:00:00Z"], [2, 1]),
        (["--limit", "2"], [4, 3]),
        (["--limit", "2", "--before", "3"], [2, 1]),
    ],
    ids=spoken,
)
def test_runs_are_chosen_by_filters(home: Home, words: list[str], ids: list[int]) -> None:
    make_history(home)

    found = home.done("runs", "list", "--json", *words).items

    assert [run["id"] for run in found] == ids


def test_a_list_that_is_not_whole_says_so_and_how_to_go_on(home: Home) -> None:
    make_history(home)

    cut = home.done("runs", "list", "--limit", "3")
    first = home.done("runs", "list", "--limit", "3", "--json").json
    rest = home.done("runs", "list", "--before", str(first["next"]), "--json").json

    assert cut.err == "3 shown, and there are more: go on with --before 2, or set --limit\n"
    assert [run["id"] for run in first["items"] + rest["items"]] == [4, 3, 2, 1]
    assert rest["next"] is None
    assert home.done("runs", "list", "--limit", "4").err == ""


def test_a_run_is_decoded_and_has_one_shape_wherever_it_is_told(home: Home) -> None:
    hook = '{"type": "s3", "secret": "${secret:s}"}'
    told = home.done("trigger", "news", "--input", "a=b", "--deliver", hook, "--json").json
    home.set_run(told["id"], labels=",shop,night,", schedule="hourly", **FAILED)

    [listed] = home.done("runs", "list", "--json").items
    at = listed["due_at"]
    explained = home.done("explain", "hourly", at, "--json").json["answers"][0]["runs"]

    assert (listed["labels"], listed["backoff_initial"]) == (["shop", "night"], "30s")
    assert listed["backoff_initial_seconds"] == 30
    assert listed["params"]["deliver"] == {"type": "s3", "secret": "${secret:s}"}
    assert explained == [listed]
    assert set(told) == set(listed) <= set(home.run(told["id"]))


def test_a_run_is_shown_without_what_says_nothing(home: Home) -> None:
    run_id = home.make_run(labels=",shop,")

    shown = home.done("runs", "show", str(run_id)).out

    assert ["labels", "shop"] in [line.split() for line in shown.splitlines()]
    assert "replaces" not in shown and "%" not in shown


def test_a_table_that_nobody_looks_at_is_not_cut(home: Home) -> None:
    queue = "q" * 150
    home.done("trigger", "news", "--batch", "pages", "--queue", queue)

    heading, row = home.done("runs", "list").out.splitlines()

    assert queue in row
    assert heading.index("state") == row.index("queued")


def test_an_empty_list_is_an_empty_array_or_a_word_on_stderr(home: Home) -> None:
    as_json, as_table = home.done("runs", "list", "--json"), home.done("runs", "list")

    assert as_json.json == {"items": [], "next": None}
    assert (as_table.out, as_table.err) == ("", "no runs\n")


def test_what_the_upstream_said_cannot_command_the_terminal(home: Home) -> None:
    run_id = home.make_run(**FAILED, detail="no\x1b[2J such\ncollector\u202e")

    shown = home.done("runs", "show", str(run_id)).out

    assert "no\ufffd[2J such collector\ufffd" in shown


def test_a_run_is_shown_with_its_attempts_and_collections(home: Home) -> None:
    run_id = home.make_run()
    home.sql(
        "INSERT INTO attempts (run_id, number, daemon, request, outcome, claimed_at, resolved_at,"
        " collection_id) VALUES (?, 1, 'd', 'POST /', 'accepted', ?, ?, 'j_1')",
        *(run_id, "2026-03-02 09:00:00", "2026-03-02 09:00:01"),
    )
    home.sql(
        "INSERT INTO collections (id, run_id, account, collector_id, accepted_at)"
        " VALUES ('j_1', ?, 'main', 'c_products', '2026-03-02 09:00:01')",
        run_id,
    )

    run, shown = home.run(run_id), home.done("runs", "show", str(run_id)).out

    assert [one["outcome"] for one in run["attempts"]] == ["accepted"]
    assert run["attempts"][0]["resolved_at"] == "2026-03-02T09:00:01.000000Z"
    assert [one["id"] for one in run["collections"]] == ["j_1"]
    assert (run["send_as"], run["row_count"]) == ("json", 2)
    assert shown.count("j_1") == 2


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (
            ["schedules", "list"],
            [
                {"name": "hourly", "every": "1h", "enabled": True, "next_fire_at": None},
                {"name": "nightly", "cron": "0 2 * * *", "timezone": "Europe/Berlin"},
            ],
        ),
        (["collectors", "list"], [{"name": "news"}, {"name": "products", "deadline": "2h"}]),
        (["batches", "list"], [{"name": "pages", "send_as": "json", "file": None}]),
        (
            ["accounts", "list"],
            [{"name": "main", "token": "env:DCA_API_TOKEN", "paused_at": None, "in_flight": 0}],
        ),
        (
            ["queues", "list"],
            [{"name": "nightly", "max_depth": 7, "waiting_count": 0, "head": None}],
        ),
    ],
    ids=spoken,
)
def test_definitions_are_listed(
    home: Home, words: list[str], expected: list[dict[str, object]]
) -> None:
    found, table = home.done(*words, "--json").items, home.done(*words).out

    assert [
        {key: one[key] for key in wanted} for one, wanted in zip(found, expected, strict=True)
    ] == expected
    assert [line.split()[0] for line in table.splitlines()[1:]] == [one["name"] for one in found]


def test_a_schedule_is_shown(home: Home) -> None:
    home.sql("UPDATE schedules SET error = 'the batch is gone' WHERE name = 'hourly'")

    shown = home.done("schedules", "show", "hourly")
    listed = home.done("schedules", "list")

    assert home.done("schedules", "show", "hourly", "--json").json["every"] == "1h"
    assert "error" in listed.out.splitlines()[0]
    assert "the batch is gone" in shown.out


def test_a_queue_tells_its_depth_head_age_and_why_it_waits(home: Home) -> None:
    first = home.make_run(queue="nightly", due_at="2026-03-02 08:59:00.000000")
    home.make_run(queue="nightly")
    home.done("queues", "pause", "nightly", "--reason", "stock-taking")

    [queue] = home.done("queues", "list", "--json").items

    assert queue["waiting_count"] == 2
    assert queue["head"]["id"] == first
    assert queue["head_age_seconds"] == 60
    assert queue["head_why_waiting"] == f"queue nightly is paused by {person()}: stock-taking"


def test_status_counts_and_names_who_is_alive(home: Home) -> None:
    home.make_run()
    home.sql(
        "INSERT INTO daemons (id, host, pid, version, started_at, seen_at, last_error)"
        " VALUES ('d', 'lab', 42, '1', ?, ?, 'the disk is full')",
        *("2026-03-02 08:00:00.000000", "2026-03-02 08:59:30.000000"),
    )

    told, lines = home.done("status", "--json").json, home.done("status").out

    assert told["read_at"] == "2026-03-02T09:00:00.000000Z"
    assert told["open_runs"] == {"queued": 1}
    assert told["enabled_schedule_count"] == 2
    assert [one["pid"] for one in told["daemons"]] == [42]
    assert "pid 42 on lab" in lines
    assert "seen 30s ago, in trouble: the disk is full" in lines


def test_status_says_how_a_paused_account_is_resumed(home: Home) -> None:
    home.done("accounts", "pause", "main", "--reason", "the bill")

    assert ": the bill (dca-scheduler accounts resume main)" in home.done("status").out


def test_status_and_doctor_name_the_schedules_that_fail_every_time(home: Home) -> None:
    for hour in (1, 2, 3):
        due_at = f"2026-03-02 0{hour}:00:00.000000"
        run_id = home.make_run(schedule="hourly", due_at=due_at, **FAILED, detail="it is gone")
    home.make_run(schedule="nightly", **FAILED)

    told, status, doctor = (
        home.done("status", "--json").json,
        home.done("status").out,
        home.call("doctor").out,
    )

    last = ("--schedule", "hourly", "--limit", "1", "--json")
    line = "schedule hourly failed 3 times in a row, last refused: it is gone\n"
    assert line in status and line in doctor
    assert told["failing"] == [
        {
            "schedule": "hourly",
            "in_a_row": 3,
            "run": home.done("runs", "list", *last).items[0],
        }
    ]
    assert told["failing"][0]["run"]["id"] == run_id
    assert told["is_all_that_fails"] is True
    assert "more may fail" not in status


def test_status_says_that_there_are_too_many_schedules_to_look_at_each(home: Home) -> None:
    home.sql(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000)"
        " INSERT INTO schedules (name, collector, batch, cron, created_at)"
        " SELECT 's' || i, 'news', 'pages', '@daily', '2026-03-01 00:00:00.000000' FROM n"
    )

    assert "more may fail" not in home.done("status").out  # nothing ever failed
    home.make_run(**FAILED)
    assert "more may fail: 1000 schedules and those of the newest" in home.done("status").out
    assert home.done("status", "--json").json["is_all_that_fails"] is False
    assert "more may fail" not in home.call("doctor").out


def test_doctor_shows_what_it_runs_on(home: Home) -> None:
    versions = [line.split() for line in home.call("doctor").out.splitlines()[:4]]

    assert versions[2] == ["sqlite", sqlite3.sqlite_version]
    assert versions[3] == ["zone", "data", ZONE_DATA]


def test_status_and_doctor_name_daemons_that_plan_by_different_zone_data(home: Home) -> None:
    """The clock of home shows 2026-03-02 12:00."""
    for name, version in (("a", "2025b"), ("b", "2026f")):
        home.sql(
            "INSERT INTO daemons (id, host, pid, version, started_at, seen_at, zone_data) SELECT"
            f" '{name}', 'h', 7, '1', max(created_at), '2100-01-01T00:00:00.000000', '{version}'"
            " FROM schedules"
        )

    line = "daemons plan by different zone data, give all the newest tzdata: 2025b in pid 7 on h"
    assert line in home.call("status").out
    assert line in home.call("doctor").out


def test_labels_in_the_audit_are_read_as_people_write_them(home: Home) -> None:
    home.sql("UPDATE schedules SET labels = ',shop,night,' WHERE name = 'hourly'")

    assert "labels: - -> shop, night" in home.done("changes", "list").out
