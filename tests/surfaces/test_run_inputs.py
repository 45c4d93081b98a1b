"""`runs inputs`: which inputs of a run failed and why, or what it sends."""

from scheduler.cli.exit_codes import ExitCode
from tests.surfaces.rig import ENDED, Home

PARTIAL: dict[str, object] = {
    "state": "partial",
    "reason": "some_inputs_failed",
    "ended_at": ENDED,
    "collection_id": "j_1",
}


def failed(home: Home) -> int:
    """Make a run that ended partial, of which one input failed."""
    run_id = home.make_run(**PARTIAL)
    home.sql(
        "INSERT INTO collections (id, run_id, account, collector_id, accepted_at, failed_inputs)"
        " VALUES ('j_1', ?, 'main', 'c_products', ?, 1)",
        run_id,
        ENDED,
    )
    home.sql(
        "INSERT INTO failed_inputs VALUES (?, 1, ?, 'infra_error', 'later', 0)",
        run_id,
        '{"url": "https://example.com/2"}',
    )
    return run_id


def test_failed_inputs_are_told_with_their_error_and_what_helps(home: Home) -> None:
    run_id = failed(home)

    told = home.done("runs", "inputs", str(run_id)).out
    by_collection = home.json("runs", "inputs", "j_1")

    assert "infra_error" in told
    assert "later" in told
    assert by_collection == {
        "run_id": run_id,
        "state": "partial",
        "failed_count": 1,
        "items": [
            {
                "position": 1,
                "input": {"url": "https://example.com/2"},
                "error": "infra_error",
                "kind": "later",
            }
        ],
        "retries": [],
    }


def test_what_is_not_known_is_said_to_be(home: Home) -> None:
    run_id = home.make_run()

    assert home.done("runs", "inputs", str(run_id)).out == (
        f"run {run_id} is queued: which inputs failed is not known\n"
    )


def test_of_a_run_that_succeeded_no_input_failed(home: Home) -> None:
    run_id = home.make_run(state="succeeded", reason="done", ended_at=ENDED)

    assert home.done("runs", "inputs", str(run_id)).out == (
        f"run {run_id} succeeded: no input failed\n"
    )


def test_all_that_a_run_sends_can_be_shown(home: Home) -> None:
    run_id = home.make_run()

    inputs = home.json("runs", "inputs", str(run_id), "--all")["inputs"]

    assert inputs == [{"url": "https://example.com/1"}, {"url": "https://example.com/2"}]


def test_a_run_that_is_not_there_is_refused(home: Home) -> None:
    assert home.call("runs", "inputs", "99").code == ExitCode.REFUSED


def test_what_a_schedule_leaves_out_is_listed_and_sent_again_on_a_word(home: Home) -> None:
    home.sql(
        "INSERT INTO parked_inputs (schedule, digest, input, error, error_class, run_id, parked_at)"
        " VALUES ('hourly', 'aa', ?, 'dead_page', 'never', 7, ?)",
        '{"url": "https://example.com/2"}',
        ENDED,
    )
    home.sql("UPDATE schedules SET park_after = 3")

    (told,) = home.json("schedules", "parked", "hourly")["items"]
    status = home.call("status").out
    which = home.call("schedules", "unpark", "hourly")
    done = home.done("schedules", "unpark", "hourly", str(told["id"])).out
    left = home.json("schedules", "parked")["items"]

    assert (told["error"], told["kind"], told["run_id"]) == ("dead_page", "never", 7)
    assert told["input"] == {"url": "https://example.com/2"}
    assert "schedule hourly: 1 input is parked" in status
    assert which.code == ExitCode.USAGE
    assert done == "1 input is parked no more\n"
    assert left == []
