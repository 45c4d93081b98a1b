"""`schedules fire`: a run for this moment, beside the timetable."""

from scheduler.cli.exit_codes import ExitCode
from tests.surfaces.rig import Home


def test_a_schedule_fires_now_on_a_persons_word(home: Home) -> None:
    before = home.sql("SELECT fired_until, next_fire_at FROM schedules WHERE name = 'hourly'")

    answer = home.call("schedules", "fire", "hourly")

    assert (answer.code, answer.out) == (ExitCode.DONE, "schedule hourly fires: run 1\n")
    assert home.sql("SELECT schedule, state, reason, send_before FROM runs") == [
        ("hourly", "queued", "requested", None)
    ]
    assert before == home.sql(
        "SELECT fired_until, next_fire_at FROM schedules WHERE name = 'hourly'"
    )
    assert home.call("doctor", "--invariants").code == ExitCode.DONE


def test_firing_a_schedule_that_is_not_there_is_refused(home: Home) -> None:
    assert home.call("schedules", "fire", "none").code == ExitCode.REFUSED


def test_status_and_doctor_tell_of_pauses_and_freezes(home: Home) -> None:
    home.call("schedules", "pause", "hourly", "--reason", "moving")
    home.call("freeze", "all", "--reason", "incident")

    for command in ("status", "doctor"):
        said = home.call(command).out
        assert "incident" in said and "schedule hourly is paused by" in said and "moving" in said
