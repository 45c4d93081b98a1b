"""`rehearse`: what the file's schedules would send, told without a trace."""

from tests.surfaces.rig import Home


def test_a_rehearsal_is_told_and_leaves_no_trace(home: Home) -> None:
    words = ("rehearse", "--days", "1", "--duration", "products=90m", "--duration", "5m")

    before = home.done("schedules", "list", "--json").json
    told = home.done(*words, "--json").json
    after = home.done("schedules", "list", "--json").json

    assert before == after
    assert home.done("runs", "list", "--json").items == []
    assert told["due"] == told["sent"] == 24
    assert {one["schedule"]: one["sent"] for one in told["schedules"]} == {
        "hourly": 23,  # the first is due an hour after it is made
        "nightly": 1,
    }
    assert {line["queue"] for line in told["lines"]} == {None, "nightly"}


def test_it_is_told_in_tables(home: Home) -> None:
    told = home.done("rehearse", "--days", "1", "--outage", "mon 00:00..sun 23:59", "--runs")

    assert "hourly" in told.out
    assert " 0 sent" in told.out
    assert "nothing was sent" in told.err


def test_what_cannot_be_meant_is_refused(home: Home) -> None:
    assert home.call("rehearse", "--fail", "120%").code == 2
    assert home.call("rehearse", "--outage", "weekends").code != 0
    unknown = home.call("rehearse", "--duration", "nobody=5m")
    assert unknown.code != 0
    assert "no collector 'nobody'" in unknown.err
