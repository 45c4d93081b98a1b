"""When a schedule, or crontab text, is due."""

import re
from pathlib import Path

import pytest

from tests.surfaces.rig import Home, program


def test_crontab_text_needs_no_configuration_and_no_database(tmp_path: Path) -> None:
    words = ("next", "--cron", "30 2 * * *", "--timezone", "Europe/Berlin")

    done = program(*words, "--from", "2027-03-27", "--count", "2", "--json", folder=tmp_path)

    assert done.returncode == 0, done.stderr
    assert "".join(done.stdout.split()) == (
        '{"items":[{"due_at":"2027-03-27T01:30:00.000000Z","due_local":"2027-03-27T02:30:00+01:00",'
        '"starts_at":"2027-03-27T01:30:00.000000Z","dst":null,"excluded_by":null,'
        '"starts_within":null,"skipped":null},'
        '{"due_at":"2027-03-28T01:00:00.000000Z","due_local":"2027-03-28T03:00:00+02:00",'
        '"starts_at":"2027-03-28T01:00:00.000000Z","dst":"shifted","excluded_by":null,'
        '"starts_within":null,"skipped":null}],"next":null}'
    )
    assert list(tmp_path.iterdir()) == []


def test_a_start_without_an_offset_is_wall_time_in_the_zone(home: Home) -> None:
    words = ("next", "--cron", "0 * * * *", "--timezone", "Asia/Tokyo", "--count", "1", "--json")

    wall = home.done(*words, "--from", "2026-03-02T12:30:00").items
    utc = home.done(*words, "--from", "2026-03-02T12:30:00Z").items

    assert wall[0]["due_local"] == "2026-03-02T13:00:00+09:00"
    assert utc[0]["due_local"] == "2026-03-02T22:00:00+09:00"


def test_a_stored_schedule_counts_from_now(home: Home) -> None:
    told, table = home.done("next", "nightly", "--json").items, home.done("next", "nightly").out

    assert len(told) == 10
    assert told[0] == {
        "due_local": "2026-03-03T02:00:00+01:00",
        "due_at": "2026-03-03T01:00:00.000000Z",
        "starts_at": "2026-03-03T01:00:00.000000Z",
        "dst": None,
        "excluded_by": None,
        "starts_within": None,
        "skipped": None,
    }
    assert table.splitlines()[1] == "Tue 2026-03-03 02:00:00 +0100  2026-03-03 01:00:00Z"


def test_a_schedule_that_is_never_due_says_so(home: Home) -> None:
    home.sql("UPDATE schedules SET cron = NULL, manual = 1 WHERE name = 'nightly'")

    assert home.done("next", "nightly", "--json").items == []
    assert home.done("next", "nightly").err == "never\n"


@pytest.mark.parametrize(
    ("cron", "is_noted"), [("H 2 * * *", True), ("0 H(1-4)/2 * * *", True), ("0 2 * * THU", False)]
)
def test_crontab_text_with_h_says_that_it_depends_on_a_name(
    home: Home, cron: str, is_noted: bool
) -> None:
    said = home.done("next", "--cron", cron).err

    assert ("H depends on the schedule's name" in said) == is_noted


def test_max_runs_ends_what_is_listed(home: Home) -> None:
    home.sql("UPDATE schedules SET max_runs = 3 WHERE name = 'nightly'")

    told = home.done("next", "nightly", "--json").items
    later = home.done("next", "nightly", "--from", "2026-03-03T12:00", "--json").items

    assert [one["due_local"][:10] for one in told] == ["2026-03-03", "2026-03-04", "2026-03-05"]
    assert [one["due_local"][:10] for one in later] == ["2026-03-04", "2026-03-05"]


def test_a_start_that_jitter_moves_into_an_excluded_window_is_marked(home: Home) -> None:
    home.sql("INSERT INTO calendars (name, rules, origin) VALUES ('q', '02:01-23:00', 'database')")
    home.sql("UPDATE schedules SET exclude = 'q', spread = '20h' WHERE name = 'nightly'")

    [told] = home.done("next", "nightly", "--count", "1", "--json").items

    assert told["excluded_by"] is None
    assert told["starts_within"] == "q: 02:01-23:00"
    assert "starts within" in home.done("next", "nightly").out


def test_no_face_shows_a_time_at_which_a_pause_or_a_freeze_skips(home: Home) -> None:
    home.sql("UPDATE schedules SET next_fire_at = '2026-03-02 10:00:00.000000'")
    home.done("schedules", "pause", "hourly", "--reason", "x", "--until", "2026-03-02 11:30Z")
    listed = {row["name"]: row for row in home.items("schedules", "list")}
    occurrences = home.items("next", "hourly", "--count", "3")
    table = home.done("schedules", "list").out
    home.done("freeze", "all", "--reason", "x")
    status, resumed = home.done("status").out, home.done("schedules", "resume", "hourly")
    thawed = home.done("thaw", "all").err

    assert listed["hourly"]["next_fire_at"] == "2026-03-02T10:00:00.000000Z"
    assert listed["hourly"]["next_fire_skipped"] == "paused"
    assert listed["nightly"]["next_fire_skipped"] is None
    assert re.search(r"^hourly +yes +paused ", table, re.M)
    assert [row["skipped"] for row in occurrences] == ["paused", "paused", None]
    assert "next due: nothing\n" in status
    assert re.search(r"^hourly +0 +frozen$", resumed.err, re.M)
    assert "is no longer paused, but held: all frozen by " in resumed.out
    assert re.search(r"^hourly +0 +2026-03-02 10:00:00Z$", thawed, re.M)


def test_what_max_runs_still_allows_is_not_used_up_by_what_a_pause_skips(home: Home) -> None:
    home.sql("UPDATE schedules SET max_runs = 1 WHERE name = 'hourly'")
    home.done("schedules", "pause", "hourly", "--reason", "x", "--until", "2026-03-02 11:30Z")

    times = [row["due_at"][11:16] for row in home.items("next", "hourly", "--count", "9")]

    assert times == ["10:00", "11:00", "12:00"]
