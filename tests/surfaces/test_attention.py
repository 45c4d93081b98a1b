"""What an operator must hear of stands in `status`, and `doctor` ends with 1 for it."""

import os
import subprocess
import sys
from subprocess import PIPE
from types import SimpleNamespace

import pytest

from scheduler.cli.session import person
from scheduler.processes import this_process
from tests.surfaces.rig import ENDED, FAILED, LIVES, Home

MISSED: dict[str, object] = {"state": "skipped", "reason": "missed", "ended_at": ENDED}
EARLIER = "2026-03-01 08:30:00.000000"


def at(hour: int) -> str:
    return f"2026-03-02 0{hour}:00:00.000000"


@pytest.fixture
def watched(home: Home) -> Home:
    """Return a home in which a daemon lives and all is well."""
    home.sql(LIVES)
    assert home.call("doctor").code == 0
    return home


def said(home: Home) -> list[str]:
    """Return what `doctor` complains of, all of which `status` says, too."""
    answer = home.call("doctor", "--json")
    complaints: list[str] = answer.json["complaints"]
    status = home.done("status").out.splitlines()
    assert set(complaints) <= set(status)
    assert answer.code == (1 if complaints or answer.json["violations"] else 0)
    return complaints


def test_a_single_failure_is_told_for_a_day(watched: Home) -> None:
    watched.make_run(**FAILED, schedule="nightly", detail="no such page")

    assert said(watched) == [
        "1 run failed since 2026-03-01 09:00:00Z, the last run 1 of nightly,"
        " due 2026-03-02 09:00:00Z, refused: no such page"
    ]
    watched.set_run(1, ended_at=EARLIER)
    assert said(watched) == []


def test_since_widens_what_doctor_and_status_look_back(watched: Home) -> None:
    watched.make_run(**FAILED | {"ended_at": EARLIER})

    assert watched.call("doctor", "--since", "2026-03-01T08:00:00Z").code == 1
    assert watched.call("doctor", "--since", "2026-03-01T08:40:00Z").code == 0
    assert "1 run failed" in watched.done("status", "--since", "2026-03-01T08:00:00Z").out


def test_a_failure_that_was_retried_is_settled(watched: Home) -> None:
    run_id = watched.make_run(**FAILED)
    watched.done("runs", "retry", str(run_id))

    assert said(watched) == []


def test_missed_occurrences_are_counted(watched: Home) -> None:
    for hour in range(3):
        watched.make_run(**MISSED, schedule="hourly", due_at=at(hour))

    (sentence,) = said(watched)
    assert sentence.startswith("3 runs missed since 2026-03-01 09:00:00Z, the last run ")


def test_what_is_due_and_does_not_fire_is_late(watched: Home) -> None:
    watched.sql("UPDATE schedules SET next_fire_at = '2026-03-02 08:50:00.000000'")

    assert said(watched) == [
        "schedule hourly and 1 more are late: due at 2026-03-02 08:50:00Z, and no daemon has fired"
    ]


def test_what_is_due_this_minute_or_is_off_is_not_late(watched: Home) -> None:
    watched.sql("UPDATE schedules SET next_fire_at = '2026-03-02 08:59:30.000000'")
    assert said(watched) == []
    watched.sql("UPDATE schedules SET next_fire_at = '2026-03-02 08:00:00.000000', enabled = 0")
    assert said(watched) == []


def test_a_schedule_that_is_due_faster_than_its_runs_begin_falls_behind(watched: Home) -> None:
    for hour in range(4):
        watched.make_run(schedule="hourly", order_key="hourly", due_at=at(hour))

    assert said(watched) == [
        "schedule hourly falls behind: 4 of its runs have not begun,"
        " the first due 2026-03-02 00:00:00Z"
    ]


def test_runs_that_run_side_by_side_are_no_backlog(watched: Home) -> None:
    for number in range(4):
        watched.make_run(
            schedule="hourly",
            due_at=at(number),
            order_key=f"hourly {number}",
            state="collecting",
            collection_id=f"j_{number}",
            fence=1,
        )

    assert said(watched) == []


def test_a_daemon_that_was_stopped_is_said_to_be(home: Home) -> None:
    home.sql(LIVES)
    home.sql("UPDATE daemons SET stopped_at = '2026-03-02 08:59:58.000000'")

    assert said(home) == [
        "no daemon runs: the last, pid 7 on host, stopped at 2026-03-02 08:59:58Z"
    ]


def test_a_daemon_of_this_machine_that_was_killed_is_known_to_be_gone_at_once(home: Home) -> None:
    program = "import scheduler.processes as p, sys; print(p.this_process(), flush=True); input()"
    command = [sys.executable, "-c", program]
    with subprocess.Popen(command, stdin=PIPE, stdout=PIPE, text=True) as daemon:
        assert daemon.stdout is not None
        named = daemon.stdout.readline().strip()
        home.sql(LIVES)
        home.sql("UPDATE daemons SET process = ?", named)
        alive = said(home)
        daemon.kill()
        os.waitid(os.P_PID, daemon.pid, os.WEXITED | os.WNOWAIT)
        unburied = said(home)
    gone = said(home)
    home.sql("UPDATE daemons SET process = ?", f"another-boot {named.partition(' ')[2]}")
    elsewhere = said(home)
    home.sql("UPDATE daemons SET process = ?", f"{this_process()}1")
    another_of_the_same_pid = said(home)

    assert (alive, elsewhere) == ([], [])
    assert [line[:15] for line in unburied] == ["no daemon runs:"]
    assert unburied == gone == another_of_the_same_pid


def test_a_daemon_that_misses_its_heartbeats_is_told_though_it_may_live(watched: Home) -> None:
    watched.sql("UPDATE daemons SET seen_at = '2026-03-02 08:59:30.000000'")
    assert said(watched) == []

    watched.sql("UPDATE daemons SET seen_at = '2026-03-02 08:59:20.000000'")
    assert said(watched) == [
        "daemon 7 on host has written nothing since 2026-03-02 08:59:20Z: does it hang, is a clock"
        " wrong, or can the database not be written? its log says why"
    ]


def test_a_daemon_that_lives_and_has_long_written_nothing_is_not_said_to_be_gone(
    home: Home,
) -> None:
    home.sql(LIVES)
    home.sql(
        "UPDATE daemons SET seen_at = '2026-03-02 08:00:00.000000', process = ?", this_process()
    )

    assert said(home) == [
        "no daemon works: the last, pid 7 on host, lives, and has written nothing since 2026-03-02"
        " 08:00:00Z: does it hang, is a clock wrong, or can the database not be written? its log"
        " says why"
    ]


@pytest.mark.parametrize(
    ("disk", "why"),
    [
        (
            {"f_bavail": 0},
            "is full: until there is space, what cannot be written is not sent",
        ),
        (
            {"f_flag": os.ST_RDONLY},
            "is mounted read-only: nothing is written, and so nothing sent",
        ),
    ],
)
def test_a_disk_that_takes_nothing_is_told_at_the_first_look(
    watched: Home, monkeypatch: pytest.MonkeyPatch, disk: dict[str, int], why: str
) -> None:
    usual = {"f_bavail": 10**6, "f_frsize": 4096, "f_flag": 0}
    monkeypatch.setattr(os, "statvfs", lambda path: SimpleNamespace(**usual | disk))
    told = f"the disk of {watched.database} {why}"

    assert said(watched) == [told]
    assert told in watched.call("watchdog").out.splitlines()


def test_a_daemon_that_vanished_is_said_to_have(home: Home) -> None:
    home.sql(LIVES)
    home.sql("UPDATE daemons SET seen_at = '2026-03-02 08:00:00.000000'")

    assert said(home) == [
        "no daemon runs: the last, pid 7 on host, was last seen at 2026-03-02 08:00:00Z"
        " and did not stop by itself"
    ]


def test_a_daemon_that_was_in_trouble_when_it_was_last_seen_says_so(home: Home) -> None:
    home.sql(LIVES)
    home.sql("UPDATE daemons SET seen_at = '2026-03-02 07:00:00', last_error = 'the clock was set'")

    (line,) = said(home)

    assert line.endswith(" and did not stop by itself; it was in trouble: the clock was set")


def test_a_paused_queue_shows_wherever_a_future_is_told(watched: Home) -> None:
    watched.done("queues", "pause", "nightly", "--reason", "budget")

    by = watched.items("queues", "list")[0]["paused_by"]
    paused = f"queue nightly is paused by {by}: budget"
    assert said(watched) == [paused]
    assert "paused\n" in watched.done("queues", "list").out
    assert f"by {by}: budget" in watched.done("queues", "list").out
    assert paused in watched.done("schedules", "list").out
    assert watched.done("next", "nightly").err == f"what comes due waits: {paused}\n"
    explained = watched.json("explain", "nightly", "2026-03-03 02:00")["answers"][0]
    assert explained["verdict"] == "will_wait"
    assert paused in explained["sentence"]
    preview = watched.json("preview", "nightly")["schedules"][0]
    assert (preview["run_count"], preview["note"]) == (0, paused)


def test_a_paused_account_shows_wherever_a_future_is_told(watched: Home) -> None:
    watched.done("accounts", "pause", "main", "--reason", "budget")

    paused = f"account main is paused by {person()}: budget"
    assert (
        watched.json("explain", "hourly", "2026-03-02T10:00:00Z")["answers"][0]["verdict"]
        == "will_wait"
    )
    assert {row["why_held"] for row in watched.items("schedules", "list")} == {paused}
    assert watched.json("preview")["run_count"] == 0
    assert paused in watched.done("next", "hourly").err


def test_a_list_says_until_when_a_schedule_is_paused(watched: Home) -> None:
    until = "2026-03-05T00:00:00Z"
    watched.done("schedules", "pause", "nightly", "--reason", "budget", "--until", until)

    held = {row["name"]: row["why_held"] for row in watched.items("schedules", "list")}

    assert held["nightly"] == f"paused by {person()} until 2026-03-05 00:00:00Z: budget"


def test_a_queue_in_which_nothing_waits_is_listed(home: Home) -> None:
    home.sql("UPDATE schedules SET queue = 'hours' WHERE name = 'hourly'")

    assert [queue["name"] for queue in home.items("queues", "list")] == ["hours", "nightly"]


def test_an_account_of_a_stopped_daemon_does_not_start_too_much(home: Home) -> None:
    home.make_run(state="collecting", collection_id="j_1", fence=1)
    home.sql(
        "INSERT INTO collections (id, run_id, account, collector_id, accepted_at, next_poll_at)"
        " VALUES ('j_1', 1, 'main', 'c_products', ?, ?)",
        EARLIER,
        EARLIER,
    )

    assert "more than it can follow" not in home.done("status").out
    home.sql(LIVES)
    assert "more than it can follow" in home.done("status").out


def test_a_schedule_without_a_file_is_marked_in_the_list(home: Home) -> None:
    assert "file" not in home.done("schedules", "list").out.splitlines()[0].split()
    home.sql("UPDATE schedules SET defined_in = NULL WHERE name = 'hourly'")

    _, hourly, nightly = home.done("schedules", "list").out.splitlines()
    assert hourly.endswith("in none any more")
    assert nightly.endswith("-")


def test_a_file_that_cannot_be_loaded_is_a_complaint(watched: Home) -> None:
    watched.config.write_text(watched.config.read_text().replace('"0 2 * * *"', '"0 25 * * *"'))

    answer = watched.call("doctor")

    assert answer.code == 1
    assert f"{watched.config} cannot be loaded: see dca-scheduler config check" in answer.out
