"""When a schedule, or crontab text, is due."""

from pathlib import Path

import pytest

from tests.surfaces.rig import Home, program


def test_crontab_text_needs_no_configuration_and_no_database(tmp_path: Path) -> None:
    words = ("next", "--cron", "30 2 * * *", "--timezone", "Europe/Berlin")

    done = program(*words, "--from", "2027-03-27", "--count", "2", "--json", folder=tmp_path)

    assert done.returncode == 0, done.stderr
    assert "".join(done.stdout.split()) == (
        '[{"at":"2027-03-27T02:30:00+01:00","utc":"2027-03-27T01:30:00Z",'
        '"starts":"2027-03-27T01:30:00Z","dst":null,"excluded_by":null},'
        '{"at":"2027-03-28T03:00:00+02:00","utc":"2027-03-28T01:00:00Z",'
        '"starts":"2027-03-28T01:00:00Z","dst":"shifted","excluded_by":null}]'
    )
    assert list(tmp_path.iterdir()) == []


def test_a_start_without_an_offset_is_wall_time_in_the_zone(home: Home) -> None:
    words = ("next", "--cron", "0 * * * *", "--timezone", "Asia/Tokyo", "--count", "1", "--json")

    wall = home.done(*words, "--from", "2026-03-02T12:30:00").json
    utc = home.done(*words, "--from", "2026-03-02T12:30:00Z").json

    assert wall[0]["at"] == "2026-03-02T13:00:00+09:00"
    assert utc[0]["at"] == "2026-03-02T22:00:00+09:00"


def test_a_stored_schedule_counts_from_now(home: Home) -> None:
    told, table = home.done("next", "nightly", "--json").json, home.done("next", "nightly").out

    assert len(told) == 10
    assert told[0] == {
        "at": "2026-03-03T02:00:00+01:00",
        "utc": "2026-03-03T01:00:00Z",
        "starts": "2026-03-03T01:00:00Z",
        "dst": None,
        "excluded_by": None,
    }
    assert table.splitlines()[1] == "Tue 2026-03-03 02:00:00 +0100  2026-03-03 01:00:00Z"


def test_a_schedule_that_is_never_due_says_so(home: Home) -> None:
    home.sql("UPDATE schedules SET cron = NULL, manual = 1 WHERE name = 'nightly'")

    assert home.done("next", "nightly", "--json").json == []
    assert home.done("next", "nightly").err == "never\n"


@pytest.mark.parametrize(
    ("cron", "is_noted"), [("H 2 * * *", True), ("0 H(1-4)/2 * * *", True), ("0 2 * * THU", False)]
)
def test_crontab_text_with_h_says_that_it_depends_on_a_name(
    home: Home, cron: str, is_noted: bool
) -> None:
    said = home.done("next", "--cron", cron).err

    assert ("H depends on the schedule's name" in said) == is_noted
