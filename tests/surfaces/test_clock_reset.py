"""The way back from a clock that was ahead: one command, which says what will fire."""

import pytest

from tests.surfaces.rig import LIVES, Home

AHEAD = "2099-01-08 02:00:00.000000"


@pytest.fixture
def jumped(home: Home) -> Home:
    """Return a home that a clock which was decades ahead has decided."""
    home.sql("UPDATE schedules SET fired_until = ?, next_fire_at = ?", AHEAD, AHEAD)
    home.sql(
        "INSERT INTO runs (schedule, due_at, account, collector, collector_id, query, state,"
        " reason, not_before, max_attempts, backoff_initial, backoff_max, on_unconfirmed,"
        " created_at, ended_at) VALUES (?, ?, 'main', 'news', 'c_news', '', 'skipped', 'missed',"
        " ?, 1, '1s', '1s', 'resend', ?, ?)",
        "hourly", AHEAD, AHEAD, AHEAD, AHEAD,
    )  # fmt: skip
    return home


def test_nothing_promises_a_time_that_is_decided(jumped: Home) -> None:
    said = jumped.done("next", "hourly", "--count", "1").err
    told = {row["schedule"]: row for row in jumped.done("preview", "--json").json["schedules"]}

    assert "decided until 2099" in said
    assert "dca-scheduler doctor" in said
    assert told["hourly"]["run_count"] == 0
    assert "a clock is wrong, or was" in told["hourly"]["note"]


def test_a_mark_within_the_days_of_a_preview_is_told(jumped: Home) -> None:
    jumped.sql("UPDATE schedules SET fired_until = '2026-03-05 02:00:00.000000'")

    told = {row["schedule"]: row for row in jumped.done("preview", "--json").json["schedules"]}
    later = jumped.done("preview", "--from", "2026-03-06", "--json").json["schedules"]

    assert told["hourly"]["first_due_at"] == "2026-03-05T03:00:00.000000Z"
    assert told["hourly"]["note"] == (
        "decided until 2026-03-05 02:00:00Z: a clock is wrong, or was (dca-scheduler doctor)"
    )
    assert {row["note"] for row in later} == {None}


def test_marks_ahead_of_now_are_told_by_status_and_doctor(jumped: Home) -> None:
    status, doctor = jumped.call("status"), jumped.call("doctor")

    assert "2 schedules are decided beyond now" in status.out
    assert "clock reset" in doctor.out
    assert doctor.code == 1
    assert "BROKEN no_mark_ahead_of_now" in jumped.call("doctor", "--invariants").out


def test_a_dry_run_says_what_would_fire_and_changes_nothing(jumped: Home) -> None:
    said = jumped.done("clock", "reset", "--dry-run").out

    assert "hourly: decided up to 2099-01-08 02:00:00Z, 1 occurrences to come skipped" in said
    assert jumped.sql("SELECT count(*) FROM runs") == [(1,)]
    assert len(jumped.done("clock", "reset", "--dry-run", "--json").json["schedules"]) == 2


def test_it_asks_before_it_changes_anything(jumped: Home) -> None:
    refused = jumped.call("clock", "reset")
    assert (refused.code, refused.err) == (
        1,
        "error: 2 schedules are brought back to 2026-03-02 09:00:00Z: say --yes if that is meant\n",
    )


def test_schedules_that_were_decided_ahead_fire_again(jumped: Home) -> None:
    done = jumped.done("clock", "reset", "--yes", "--json").json

    assert {one["schedule"] for one in done["schedules"]} == {"hourly", "nightly"}
    assert jumped.sql("SELECT count(*) FROM runs") == [(0,)]
    assert jumped.sql("SELECT count(*) FROM schedules WHERE fired_until > '2098'") == [(0,)]
    assert jumped.sql("SELECT count(*) FROM schedules WHERE planned_at IS NULL") == [(2,)]
    assert "clock reset" in jumped.done("changes", "list").out
    assert jumped.done("clock", "reset").out == "no schedule is decided beyond now\n"


def test_a_run_asked_for_by_a_clock_that_was_ahead_is_told_and_sent_at_once(home: Home) -> None:
    run_id = home.make_run(created_at=AHEAD, not_before=AHEAD, due_at=AHEAD)

    assert "1 runs were asked for by a clock that was ahead" in home.call("status").out
    assert home.call("doctor").code == 1
    said = home.call("clock", "reset")
    assert (
        f"run {run_id}: asked for by hand, waits until 2099-01-08 02:00:00Z; is sent at once"
        in said.out
    )
    assert said.code == 1
    done = home.done("clock", "reset", "--yes", "--json").json
    assert [run["id"] for run in done["runs"]] == [run_id]
    assert home.sql("SELECT count(*) FROM runs WHERE not_before > '2098'") == [(0,)]
    assert home.done("clock", "reset").out == "no schedule is decided beyond now\n"


def test_what_such_a_clock_has_sent_breaks_no_invariant_after_the_reset(jumped: Home) -> None:
    jumped.make_run(schedule="nightly", due_at=AHEAD, created_at=AHEAD, send_before=AHEAD)
    jumped.done("clock", "reset", "--yes")

    assert "BROKEN" not in jumped.call("doctor", "--invariants").out


def test_no_reset_is_advised_where_a_living_daemon_goes_by_a_later_clock(jumped: Home) -> None:
    jumped.sql(LIVES)
    jumped.sql("UPDATE daemons SET seen_at = '2026-03-02 11:00:00'")

    told = jumped.call("doctor", "--json").json
    refused = jumped.call("clock", "reset")

    differ = (
        "the clock here shows 2026-03-02 09:00:00Z, and daemon 7 on host goes by a later one,"
        " 2026-03-02 11:00:00Z: set the wrong one right; dca-scheduler clock reset is for the"
        " daemon's, once it is stopped"
    )
    assert [one for one in told["complaints"] if "clock" in one] == [differ]
    assert "clock" not in str(told["violations"])
    assert differ in jumped.done("status").out.splitlines()
    assert refused.err == (
        f"error: {differ}: 2 schedules are brought back to 2026-03-02 09:00:00Z: say --yes if that"
        " is meant\n"
    )


def test_no_reset_is_advised_where_a_daemon_is_held_for_the_clock_here(jumped: Home) -> None:
    jumped.sql(
        "INSERT INTO held_daemons (id, host, pid, why, seen_at) VALUES ('d1', 'host', 7,"
        " 'the clock shows 09:00, and the upstream''s 11:00: set it right', '2026-03-02 09:00:00')"
    )

    told, refused = jumped.call("doctor", "--json").json, jumped.call("clock", "reset")

    assert [one[:26] for one in told["complaints"] if "clock" in one] == [
        "daemon pid 7 on host is he"
    ]
    assert refused.err == (
        "error: the clock shows 09:00, and the upstream's 11:00: set it right: 2 schedules are"
        " brought back to 2026-03-02 09:00:00Z: say --yes if that is meant\n"
    )
