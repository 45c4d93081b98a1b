"""Times mean the same in every command, and what was looked for is found, or the name refused."""

import pytest

from scheduler.cli.exit_codes import ExitCode
from tests.surfaces.rig import FAILED, Home

END = "2026-03-02 08:30:00.000000"


def ids(home: Home, *words: str) -> list[int]:
    return [run["id"] for run in home.items("runs", "list", *words)]


def test_a_bare_time_is_in_the_zone_of_the_schedule_that_is_named(home: Home) -> None:
    said = home.done(
        "schedules", "pause", "nightly", "--reason", "x", "--until", "2026-03-03 06:00"
    )

    assert said.out == "schedule nightly is paused until 2026-03-03 05:00:00Z\n"
    explained = home.json("explain", "nightly", "2026-03-03 06:00")["answers"][0]
    assert explained["instant_at"] == "2026-03-03T05:00:00.000000Z"


def test_a_bare_time_is_utc_where_no_schedule_is_named(home: Home) -> None:
    said = home.done("freeze", "all", "--reason", "x", "--until", "tomorrow 06:00")

    assert "until 2026-03-03 06:00:00Z" in said.out


def test_an_override_ends_in_the_schedules_zone(home: Home) -> None:
    words = ("schedules", "override", "nightly", "priority=5", "--reason", "x")

    assert "until 2026-03-02 17:00:00Z" in home.done(*words, "--until", "18:00").out


def test_runs_are_listed_by_what_was_written(home: Home) -> None:
    early = home.make_run(schedule="nightly", due_at="2026-03-01 23:30:00.000000")
    late = home.make_run(schedule="nightly", due_at="2026-03-02 08:30:00.000000")

    assert ids(home, "--since", "-1h") == [late]
    assert ids(home, "--since", "yesterday", "--until", "yesterday") == [early]
    # March 2nd begins an hour earlier in Berlin.
    assert ids(home, "--schedule", "nightly", "--since", "today") == [late, early]
    assert ids(home, "--schedule", "nightly", "--until", "yesterday") == []


def test_next_and_backfill_read_the_same_times(home: Home) -> None:
    assert home.items("next", "nightly", "--from", "tomorrow 12:00", "--count", "1")[0][
        "due_local"
    ] == ("2026-03-04T02:00:00+01:00")
    said = home.done(
        *("backfill", "nightly", "--from", "2026-02-27", "--to", "2026-02-28", "--dry-run")
    ).out
    assert said.startswith("2 occurrences of nightly")


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (["--label", "shop"], [1]),
        (["--label", "sho"], []),
        (["--label", "%"], []),
        (["--batch", "pages"], [2, 1]),
        (["--reason", "refused"], [2]),
        (["--reason", "refused", "--reason", "requested"], [2, 1]),
        (["--ended-since", "-1h"], [2]),
        (["--ended-since", "-10m"], []),
        (["--ended-until", "today"], [2]),
        (["--collection", "j_nobody"], []),
    ],
)
def test_runs_are_found_by_label_reason_batch_and_end(
    home: Home, words: list[str], found: list[int]
) -> None:
    home.make_run(labels=",shop,night,")
    home.make_run(**FAILED | {"ended_at": END})

    assert ids(home, *words) == found


def test_a_run_is_found_by_its_collection(home: Home) -> None:
    home.make_run()
    run_id = home.make_run(state="collecting", collection_id="j_1")
    home.sql(
        "INSERT INTO collections (id, run_id, account, collector_id, accepted_at)"
        " VALUES ('j_1', ?, 'main', 'c_products', ?)",
        run_id,
        END,
    )

    assert ids(home, "--collection", "j_1") == [run_id]
    assert home.json("runs", "show", "j_1")["id"] == run_id
    assert home.call("runs", "show", "j_2").err == "error: no run has the collection 'j_2'\n"
    assert home.call("runs", "show", "nightly").code == 2


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["--schedule", "nightli"], "no schedule is called 'nightli'; did you mean nightly?"),
        (["--collector", "product"], "no collector is called 'product'; did you mean products?"),
        (["--batch", "page"], "no batch is called 'page'; did you mean pages?"),
        (
            ["--queue", "nightli"],
            "no schedule, run or rule names a queue 'nightli'; did you mean nightly?",
        ),
    ],
)
def test_a_misspelt_name_is_not_no_runs(home: Home, words: list[str], complaint: str) -> None:
    answer = home.call("runs", "list", *words)

    assert (answer.code, answer.err) == (1, f"error: {complaint}\n")


def test_runs_of_a_schedule_that_is_gone_are_listed(home: Home) -> None:
    run_id = home.make_run(schedule="long-gone")

    assert ids(home, "--schedule", "long-gone") == [run_id]
    assert ids(home, "--schedule", "long-gone", "--state", "failed") == []


def test_changes_are_listed_by_who_and_since(home: Home) -> None:
    long_ago = "2026-03-01 08:00:00.000000"
    home.sql("UPDATE changes SET happened_at = ?, by = 'root (sudo by bob)'", long_ago)
    home.done("schedules", "pause", "hourly", "--reason", "x", "--until", "+2h")

    def subjects(*words: str) -> list[str]:
        return [one["subject"] for one in home.items("changes", "list", *words)]

    assert subjects("--since", "-1h") == ["schedules.hourly"]
    assert "schedules.nightly" in subjects("--by", "bob")
    assert subjects("--by", "ob") == []
    assert "paused_until: - -> 2026-03-02 11:00:00Z" in home.done("changes", "list").out


def test_a_preview_begins_where_it_is_told_to(home: Home) -> None:
    counted = home.json("preview", "nightly", "--days", "2", "--from", "2026-04-01")

    assert (counted["since"], counted["run_count"]) == ("2026-03-31T22:00:00.000000Z", 2)
    assert list(counted["days"]) == ["2026-04-01", "2026-04-02"]


@pytest.mark.parametrize("past", ["-5h", "-5h30m", "5h ago", "-300m"])
def test_a_time_that_has_passed_is_no_option_where_it_is_an_argument(home: Home, past: str) -> None:
    (told,) = home.json("explain", "hourly", past)["answers"]

    assert told["instant_at"] < "2026-03-02T04:00:01"
    assert home.call("explain", "hourly", "--", past).code == ExitCode.DONE


@pytest.mark.parametrize("written", [("--since", "-5h"), ("--since=-5h",), ("--until", "-5h")])
def test_a_time_that_has_passed_is_taken_by_an_option(home: Home, written: tuple[str, ...]) -> None:
    assert home.items("runs", "list", *written) == []


def test_what_is_no_time_and_looks_like_an_option_is_told_what_a_time_is(home: Home) -> None:
    assert "is not a duration: write it like 90m" in home.call("explain", "hourly", "-5x").err


def test_a_label_that_nothing_has_is_not_frozen(home: Home) -> None:
    home.sql("UPDATE schedules SET labels = ',shop,' WHERE name = 'hourly'")

    refused = home.call("freeze", "label:shpo", "--reason", "x")

    said = "error: no schedule has the label 'shpo'; did you mean shop?\n"
    assert (refused.code, refused.out, refused.err) == (ExitCode.REFUSED, "", said)
    assert home.sql("SELECT 1 FROM freezes") == []


def test_a_label_that_only_a_run_has_which_waits_can_be_frozen(home: Home) -> None:
    home.make_run(labels=",old,")

    assert home.done("freeze", "label:old", "--reason", "x").out.startswith("label:old is frozen")


def test_what_is_not_frozen_is_told_what_may_be_meant(home: Home) -> None:
    home.done("freeze", "collector:news", "--reason", "x")

    said = home.call("thaw", "collector:newz", "--yes").err

    assert said == "error: collector:newz is not frozen; did you mean collector:news?\n"
