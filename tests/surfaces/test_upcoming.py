"""`upcoming`: what runs in the hours to come, in the terminal, as JSON and as a calendar."""

from pathlib import Path

import pytest

from tests.surfaces.rig import Home


def test_what_is_due_is_listed_with_why_and_what_is_stopped_apart(home: Home) -> None:
    home.sql("UPDATE schedules SET cron = '30 9-17 * * *' WHERE name = 'nightly'")

    told = home.done("upcoming", "--hours", "3").out
    as_json = home.done("upcoming", "--hours", "3", "--json").json
    home.done("schedules", "pause", "nightly", "--reason", "stock-taking")
    stopped = home.done("upcoming").out

    assert "every hour" in told or "at minute 30" in told
    assert [entry["schedule"] for entry in as_json["entries"]][:1] == ["nightly"]
    assert as_json["entries"][0]["why"] in told
    assert "stock-taking" in stopped


def test_it_is_written_as_a_calendar(home: Home, tmp_path: Path) -> None:
    file = tmp_path / "week.ics"

    told = home.done("upcoming", "--hours", "168", "--ics", str(file)).out

    assert "events are in" in told
    assert file.read_bytes().startswith(b"BEGIN:VCALENDAR\r\nVERSION:2.0\r\n")


@pytest.mark.parametrize("command", ["plan", "preview", "upcoming"])
def test_without_a_database_it_is_told_what_shows_the_file_without_one(
    empty_home: Home, command: str
) -> None:
    said = empty_home.call(command).err

    assert "`dca-scheduler rehearse` shows what the file would do, without a database" in said
    assert "24 due, 24 sent" in empty_home.done("rehearse", "--days", "1").out
