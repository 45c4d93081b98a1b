"""`watchdog`: an alarm is an exit code, and is told once, and when it is over."""

import json
from pathlib import Path

import pytest

from scheduler.cli.examples import UNITS
from tests.surfaces.rig import LIVES, Home

RECEIVER = "import sys; print(sys.stdin.read(), file=open(sys.argv[1], 'a'))"


@pytest.fixture
def watched(home: Home) -> Home:
    """Return a home with a channel that keeps what it is told."""
    home.config.write_text(
        home.config.read_text()
        + '\n[channels.ops]\ntype = "command"\n'
        + f'command = ["/usr/bin/env", "python3", "-c", "{RECEIVER}", "{home.folder}/told"]\n'
    )
    home.environ["PATH"] = "/usr/bin:/bin"
    return home


def told(home: Home) -> list[tuple[str, str]]:
    file = home.folder / "told"
    lines = file.read_text().splitlines() if file.exists() else []
    notices = [json.loads(line)["notices"][0] for line in lines]
    return [(one["change"], one["detail"]) for one in notices]


def ids(home: Home) -> list[str]:
    return [json.loads(line)["id"] for line in (home.folder / "told").read_text().splitlines()]


NOBODY = "no daemon was seen in the last seven days"


def test_all_is_well_while_a_daemon_lives(watched: Home) -> None:
    watched.sql(LIVES)
    watched.sql("UPDATE schedules SET next_fire_at = '2026-03-02 10:00:00'")

    answer = watched.done("watchdog", "--json", "--channel", "ops")

    assert answer.json["sentences"] == []
    assert told(watched) == []


def test_no_daemon_is_an_alarm_and_told_each_time_under_one_id(watched: Home) -> None:
    first = watched.call("watchdog", "--channel", "ops")
    watched.call("watchdog", "--channel", "ops")

    assert (first.code, first.out) == (1, NOBODY + "\n")
    assert told(watched) == [("opened", NOBODY), ("opened", NOBODY)]
    assert len(set(ids(watched))) == 1


def test_a_daemon_that_is_held_is_an_alarm_dead_or_alive(watched: Home) -> None:
    watched.sql(
        "INSERT INTO held_daemons (id, host, pid, why, seen_at)"
        " VALUES ('d', 'lab', 7, 'its clock is ahead', '2026-03-02 08:00:00')"
    )

    answer = watched.call("watchdog")

    assert answer.code == 1
    assert answer.out.startswith("daemon pid 7 on lab is held, and decides and sends nothing:")


def test_with_a_state_it_is_told_once_and_when_it_is_over(watched: Home, tmp_path: Path) -> None:
    words = ("watchdog", "--channel", "ops", "--state", str(tmp_path / "state"))

    codes = [watched.call(*words).code, watched.call(*words).code]
    watched.sql(LIVES)
    watched.sql("UPDATE schedules SET next_fire_at = '2026-03-02 10:00:00'")
    codes += [watched.call(*words).code, watched.call(*words).code]

    assert codes == [1, 1, 0, 0]
    assert told(watched) == [("opened", NOBODY), ("recovered", NOBODY)]
    assert len(set(ids(watched))) == 2


def test_what_was_due_and_did_not_fire_is_an_alarm(watched: Home) -> None:
    watched.sql(LIVES)
    watched.sql("UPDATE schedules SET next_fire_at = '2026-03-02 08:58:00'")

    answer = watched.call("watchdog")

    assert answer.code == 1
    assert "2 schedules were due and have not fired" in answer.out


def test_a_database_that_cannot_be_asked_is_an_alarm(watched: Home) -> None:
    watched.database.unlink()

    answer = watched.call("watchdog")

    assert answer.code == 1
    assert answer.out.startswith("the database cannot be asked: ")


def test_a_channel_that_fails_is_told_and_ends_with_1(watched: Home) -> None:
    watched.sql(LIVES)
    watched.config.write_text(watched.config.read_text().replace("/usr/bin/env", "/nowhere"))
    watched.sql("UPDATE schedules SET next_fire_at = '2026-03-02 08:58:00'")

    answer = watched.call("watchdog", "--channel", "ops")

    assert answer.code == 1
    assert "ops was not told: /nowhere cannot be started" in answer.err


@pytest.mark.parametrize("unit", UNITS)
def test_each_unit_is_printed(home: Home, unit: str) -> None:
    answer = home.done("systemd-unit", unit)

    assert answer.out.startswith("# dca-scheduler")
    assert "[Install]" in answer.out or "Type=oneshot" in answer.out
