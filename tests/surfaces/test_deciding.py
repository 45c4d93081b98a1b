"""What a person decides: about runs, queues, accounts, schedules."""

import pytest

from tests.surfaces.rig import FAILED, LOST, Home, spoken


def states(home: Home) -> dict[int, str]:
    """Return the state of every run."""
    return dict(home.sql("SELECT id, state FROM runs"))


def retries(home: Home) -> list[int]:
    """Return which runs were retried, in the order of the retries."""
    found = home.sql("SELECT retry_of FROM runs WHERE retry_of IS NOT NULL ORDER BY id")
    return [run_id for (run_id,) in found]


def test_ended_runs_are_retried_by_id(home: Home) -> None:
    first, second = home.make_run(**FAILED), home.make_run(**FAILED)

    said = home.done("runs", "retry", str(second), str(first)).out

    assert retries(home) == [second, first]
    assert said == f"run {second} is retried as run 3\nrun {first} is retried as run 4\n"


def test_of_several_ids_all_are_retried_or_none(home: Home) -> None:
    ended, waiting = home.make_run(**FAILED), home.make_run()

    answer = home.call("runs", "retry", str(ended), str(waiting))

    assert answer.code == 1
    assert answer.err == (
        f"error: run {waiting} is queued, not ended: there is nothing to retry yet\n"
    )
    assert retries(home) == []


@pytest.mark.parametrize(
    "words",
    [
        ["runs", "retry", "1"],
        ["schedules", "fire", "hourly"],
        ["backfill", "hourly", "--from", "2026-03-01", "--to", "2026-03-01", "--yes"],
    ],
    ids=spoken,
)
def test_nothing_is_sent_for_an_account_that_is_gone(home: Home, words: list[str]) -> None:
    """SQLite's shell renames an account, and nothing that names it."""
    home.make_run(**FAILED)
    home.sql("UPDATE accounts SET name = 'renamed'")

    answer = home.call(*words)

    assert (answer.code, answer.err) == (1, "error: no account is called 'main'\n")
    assert list(states(home)) == [1]


def test_a_run_whose_body_is_gone_is_told(home: Home) -> None:
    run_id = home.make_run(body="gone")

    answer = home.call("runs", "show", str(run_id))

    assert (answer.code, answer.err) == (1, "error: no body has the fingerprint 'gone'\n")


def test_a_filter_without_state_retries_failed_runs_once(home: Home) -> None:
    failed = home.make_run(**FAILED, schedule="nightly")
    home.make_run(schedule="nightly", due_at="2026-03-02 01:00:00.000000")
    retried = home.make_run(**FAILED)
    home.done("runs", "retry", str(retried))

    answer = home.done("runs", "retry", "--since", "2026-03-02T00:00:00Z", "--yes")

    assert retries(home) == [retried, failed]
    assert "left out: 1 retried before" in answer.err


def test_a_filter_leaves_out_what_has_no_inputs_and_what_is_open(home: Home) -> None:
    home.make_run(state="skipped", reason="missed", ended_at="2026-03-02 09:00:00", body=None)
    home.make_run()

    answer = home.done("runs", "retry", "--collector", "products", "--state", "skipped", "-y")
    home.done("runs", "retry", "--state", "queued", "--yes")

    assert retries(home) == []
    assert answer.err == "left out: 1 never given inputs\nno run to retry\n"


@pytest.mark.parametrize("words", [["--dry-run"], ["--dry-run", "--yes"]], ids=spoken)
def test_a_dry_run_retries_nothing(home: Home, words: list[str]) -> None:
    run_id = home.make_run(**FAILED)

    by_filter = home.done("runs", "retry", "--state", "failed", *words)
    by_id = home.done("runs", "retry", str(run_id), *words)

    assert by_filter.out.splitlines()[1].startswith(str(run_id))
    assert by_id.out == f"run {run_id} would be retried\n"
    assert retries(home) == []


@pytest.mark.parametrize(
    "words", [["runs", "retry", "--state", "failed"], ["queues", "flush", "nightly"]], ids=spoken
)
def test_what_asks_first_is_refused_where_nobody_can_answer(home: Home, words: list[str]) -> None:
    failed, waiting = home.make_run(**FAILED), home.make_run(queue="nightly")

    answer = home.call(*words)

    assert answer.code == 1
    assert answer.err == "error: this asks first: say --yes where nobody can answer\n"
    assert states(home) == {failed: "failed", waiting: "queued"}


@pytest.mark.parametrize(
    ("words", "state", "reason", "said"),
    [
        (["adopt", "1", "j_7"], "collecting", "adopted", "run 1 is collection j_7\n"),
        (["resend", "1"], "queued", "requested", "run 1 is sent again\n"),
        (["abandon", "1"], "failed", "abandoned", "run 1 is given up\n"),
    ],
    ids=["adopt", "resend", "abandon"],
)
def test_a_person_settles_a_lost_run(
    home: Home, words: list[str], state: str, reason: str, said: str
) -> None:
    home.make_run(**LOST)
    home.sql(
        "INSERT INTO attempts (run_id, number, daemon, request, outcome, claimed_at)"
        " VALUES (1, 1, 'd', 'POST /', 'lost', '2026-03-02 09:00:00.000000')"
    )

    answer = home.done("runs", *words)

    run = home.run(1)
    assert (run["state"], run["reason"], answer.out) == (state, reason, said)


@pytest.mark.parametrize(
    "words", [["adopt", "1", "j_7"], ["resend", "1"], ["abandon", "1"]], ids=spoken
)
def test_a_run_that_is_not_lost_cannot_be_settled(home: Home, words: list[str]) -> None:
    home.make_run()

    answer = home.call("runs", *words)

    assert answer.code == 1
    assert answer.err.startswith("error: run 1 is queued: only an unconfirmed run")


def test_a_waiting_run_is_cancelled_at_once(home: Home) -> None:
    run_id = home.make_run()

    said = home.done("runs", "cancel", str(run_id)).out

    assert said == f"run {run_id} is cancelled\n"
    assert home.run(run_id)["reason"] == "cancelled_by_hand"


def test_the_daemon_cancels_a_collection(home: Home) -> None:
    run_id = home.make_run(state="collecting", reason="accepted", collection_id="j_1")
    home.sql(
        "INSERT INTO collections (id, run_id, account, collector_id, accepted_at, look_at)"
        " VALUES ('j_1', ?, 'main', 'c_products', '2026-03-02 09:00:01', '2026-03-02 09:00:01')",
        run_id,
    )

    said = home.done("runs", "cancel", str(run_id)).out

    assert said == f"run {run_id}: the daemon asks the upstream to cancel its collection\n"
    assert home.run(run_id)["collections"][0]["cancel_requested_at"] is not None


def test_a_queue_is_paused_resumed_and_flushed(home: Home) -> None:
    waiting = home.make_run(queue="nightly")

    paused = home.done("queues", "pause", "nightly", "--reason", "stock-taking")
    [queue] = home.done("queues", "list", "--json").json
    resumed = home.done("queues", "resume", "nightly")
    again = home.call("queues", "resume", "nightly")
    flushed = home.done("queues", "flush", "nightly", "--yes")

    assert paused.out == "queue nightly is paused\n"
    assert queue["paused_reason"] == "stock-taking"
    assert queue["paused_by"]
    assert resumed.out == "queue nightly sends again: 1 waiting\n"
    assert (again.code, again.err) == (1, "error: queue 'nightly' is not paused\n")
    assert flushed.out == "queue nightly: 1 skipped\n"
    assert states(home) == {waiting: "skipped"}


def test_an_account_is_paused_and_resumed(home: Home) -> None:
    home.done("accounts", "pause", "main", "--reason", "the bill")
    [paused] = home.done("accounts", "list", "--json").json
    home.done("accounts", "resume", "main")
    [resumed] = home.done("accounts", "list", "--json").json

    assert (paused["paused_reason"], paused["paused_at"]) == ("the bill", "2026-03-02T09:00:00Z")
    assert resumed["paused_at"] is None


def test_a_schedule_is_switched_off_and_on(home: Home) -> None:
    off = home.done("schedules", "disable", "nightly")
    disabled = home.done("schedules", "show", "nightly", "--json").json["enabled"]
    home.done("schedules", "enable", "nightly")

    assert off.out == "schedule nightly is disabled\n"
    assert disabled is False
    assert home.done("schedules", "show", "nightly", "--json").json["enabled"] is True


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (["runs", "show", "9"], "no run has the id 9"),
        (["runs", "retry", "9"], "no run has the id 9"),
        (["runs", "cancel", "9"], "no run has the id 9"),
        (["schedules", "show", "no"], "no schedule is called 'no'"),
        (["schedules", "disable", "no"], "no schedule is called 'no'"),
        (["next", "no"], "no schedule is called 'no'"),
        (["accounts", "pause", "no", "--reason", "x"], "no account is called 'no'"),
        (["accounts", "resume", "no"], "no account is called 'no'"),
        (["trigger", "no", "--batch", "pages"], "no collector is called 'no'"),
        (["trigger", "news", "--batch", "no"], "no batch is called 'no'"),
    ],
    ids=spoken,
)
def test_what_is_not_there_is_named(home: Home, words: list[str], problem: str) -> None:
    answer = home.call(*words)

    assert (answer.code, answer.out, answer.err) == (1, "", f"error: {problem}\n")
